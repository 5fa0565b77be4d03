"""The lowest versions that pyproject.toml allows; `MAKEMORE_BP_LOWEST=1 pytest tests/packaging`.

pip downloads them into a folder that stands before the installed ones. PyTorch and numpy, of which
one is large and the other belongs to it, stay those that are installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LARGE = ("torch", "numpy")


def lowest() -> list[str]:
    """``name==version`` of every dependency's lower end."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    ends = (re.fullmatch(r"([\w-]+)>=([\d.]+)", one) for one in project["dependencies"])
    return [f"{end[1]}=={end[2]}" for end in ends if end and end[1] not in LARGE]


def test_every_dependency_has_a_lower_end() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert len(lowest()) == len(project["dependencies"]) - len(LARGE)


@pytest.mark.skipif("MAKEMORE_BP_LOWEST" not in os.environ, reason="downloads packages")
def test_the_lowest_versions_train_sample_and_explain_themselves(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(packages)]
    subprocess.run([*pip, *lowest()], check=True, env={**os.environ, "PIP_CONSTRAINT": ""})
    environment = {**os.environ, "PYTHONPATH": f"{packages}{os.pathsep}{ROOT}"}
    (tmp_path / "words.txt").write_text("anna\nbo\ncarla\ndora\n" * 9)
    tiny = ["--set", "train.steps=20", "--set", "model.n_hidden=4", "--set", "train.batch_size=4"]
    for arguments, expected in (
        (["train", "words.txt", *tiny, "--out", "run"], "Fresh names"),
        (["sample", "run", "-n", "3"], "\n"),
        (["sample", "--help"], "[default: 20; x>=0]"),
        (["config", "schema"], '"minimum"'),
    ):
        answer = subprocess.run(
            [sys.executable, "-m", "makemore_bp", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert answer.returncode == 0 and expected in answer.stdout, answer.stderr
        assert "Traceback" not in answer.stderr and "Warning" not in answer.stderr
