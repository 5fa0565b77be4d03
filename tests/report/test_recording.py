"""The sizes of parameters, gradients and updates that a run writes down."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from makemore_bp import config
from makemore_bp.engines import native
from makemore_bp.gradcheck.batch import first_step
from makemore_bp.network.parameters import NAMES
from makemore_bp.network.passes import Network
from makemore_bp.training import loop, metrics
from makemore_bp.training.parameter_statistics import parameter_statistics
from tests.report.report_helpers import trained

ENGINES = [
    "torch",
    pytest.param(
        "native",
        marks=pytest.mark.skipif(not native.available(), reason=native.why_not() or "built"),
    ),
]


def recorded(folder: Path) -> Iterator[dict[str, Any]]:
    return (line for line in metrics.read(folder) if "parameters" in line)


@pytest.mark.parametrize("engine", ENGINES)
def test_sizes_are_recorded_where_the_run_evaluates_and_nowhere_else(
    words: Path, tmp_path: Path, engine: str
) -> None:
    run = trained(words, tmp_path / "run", f"engine={engine}")
    lines = list(metrics.read(run))
    assert [line["step"] for line in recorded(run)] == [0, 10, 20, 30, 40, 50]
    assert [line["step"] for line in lines if "val_loss" in line] == [0, 10, 20, 30, 40, 50]
    for line in recorded(run):
        assert tuple(line["parameters"]) == NAMES
        for sizes in line["parameters"].values():
            assert set(sizes) == {"weight", "gradient", "update_ratio"}
            assert all(math.isfinite(value) for value in sizes.values())


@pytest.mark.parametrize("engine", ENGINES)
def test_the_sizes_are_those_of_the_minibatch_of_that_step(
    words: Path, tmp_path: Path, engine: str
) -> None:
    run = trained(words, tmp_path / "run", f"engine={engine}")
    first = next(recorded(run))["parameters"]
    s = first_step(config.load(str(run / "config.yaml"))).batch
    gradients = s.network.backward(s.network.forward(s.parameters, s.Xb, s.Yb))
    for name in ("C", "W1", "W2", "b2", "bngain", "bnbias"):
        weight, slope = float(s.parameters[name].std()), float(gradients[f"d{name}"].std())
        assert first[name]["weight"] == pytest.approx(weight, rel=1e-4)
        assert first[name]["gradient"] == pytest.approx(slope, rel=1e-3)
        ratio = math.log10(0.1 * slope / weight)
        assert first[name]["update_ratio"] == pytest.approx(ratio, abs=1e-3)


@pytest.mark.parametrize("engine", ENGINES)
def test_recording_changes_no_bit_of_the_run(
    words: Path, tmp_path: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = trained(words, tmp_path / "watched", f"engine={engine}")
    monkeypatch.setattr(loop, "parameter_statistics", lambda *_: {})
    alone = trained(words, tmp_path / "alone", f"engine={engine}")
    name = "checkpoint.safetensors"
    assert (watched / name).read_bytes() == (alone / name).read_bytes()
    without = [{k: v for k, v in m.items() if k != "parameters"} for m in metrics.read(alone)]
    lines = [{k: v for k, v in m.items() if k != "parameters"} for m in metrics.read(watched)]
    assert lines == without and any("parameters" in m for m in metrics.read(watched))


def test_what_is_not_finite_or_not_defined_is_null(words: Path) -> None:
    s = first_step(config.load(None, [f"data.path={words}", "model.n_hidden=1"])).batch
    still = parameter_statistics(s.network, s.parameters, s.Xb, s.Yb, 0.0)
    assert all(sizes["update_ratio"] is None for sizes in still.values())
    assert still["b1"] == {"weight": None, "gradient": None, "update_ratio": None}  # one entry
    s.parameters["W2"][0, 0] = torch.inf
    broken = parameter_statistics(s.network, s.parameters, s.Xb, s.Yb, 0.1)
    assert broken["W2"] == {"weight": None, "gradient": None, "update_ratio": None}
    assert broken["C"]["weight"] is not None and broken["C"]["gradient"] is None


def test_sizes_beyond_float32_are_still_numbers(words: Path) -> None:
    s = first_step(config.load(None, [f"data.path={words}"])).batch
    s.parameters["C"].mul_(1e25)
    found = parameter_statistics(Network(), s.parameters, s.Xb, s.Yb, 0.1)["C"]
    assert found["weight"] == pytest.approx(1e25, rel=0.5)
