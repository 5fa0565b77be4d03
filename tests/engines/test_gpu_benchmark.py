"""The script that measures a GPU runs through, on a CPU with tiny networks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip("triton", reason="needs Triton: pip install triton")


def test_it_checks_then_measures_then_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import gpu  # type: ignore[import-not-found]

    with pytest.raises(SystemExit) as ended:
        gpu.main(["--tiny", "--out", str(tmp_path)])
    assert ended.value.code == 0
    tables = {path.stem: json.loads(path.read_text())["rows"] for path in tmp_path.glob("*.json")}
    assert {"gpu-checks", "gpu", "gpu-train"} <= set(tables)
    assert {row["right"] for row in tables["gpu-checks"]} == {"yes"}
    assert {gpu.OURS, gpu.GRAPHS, gpu.PLAIN, gpu.MODULE} <= {row["what"] for row in tables["gpu"]}
