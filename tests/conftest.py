"""What the tests share: the command line as a function, small runs, the lecture's names.

The whole suite runs in a process for each core; files that are named run in one, because a worker
loads PyTorch before its first test. ``-n 2`` asks for two workers in either case.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

# Tensors are small here, and threads that wait for each other over them take most of the time.
# Before PyTorch is imported; the tests' processes inherit it, and tests of threads ask for more.
os.environ.setdefault("OMP_NUM_THREADS", "1")

ROOT = Path(__file__).parent.parent
LECTURE_NAMES = ROOT.parent / "shared" / "data" / "names.txt"


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    return 0 if config.option.file_or_dir else None  # None is a worker for each core


def pytest_report_header(config: pytest.Config) -> str:
    if config.option.file_or_dir:
        return "these files only, in one process"
    return "the whole suite: about six minutes on two cores"


@dataclass(frozen=True)
class Result:
    """What a command answered."""

    code: int
    out: str
    err: str


Cli = Callable[..., Result]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command in this process, as a person would type it."""
    from makemore_bp.cli import main

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["makemore-bp", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        code = stopped.value.code
        return Result(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


@pytest.fixture
def shell() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command in a new interpreter, for what ``tests.processes`` does not show."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        environment.update(options.pop("env", {}))  # type: ignore[call-overload]
        command = [sys.executable, "-m", "makemore_bp", *map(str, arguments)]
        return subprocess.run(  # type: ignore[call-overload,no-any-return]
            command, capture_output=True, text=True, env=environment, **options
        )

    return run


@pytest.fixture
def lecture_names() -> Path:
    """The lecture's names.txt; tests of its recorded figures are skipped without it."""
    if not LECTURE_NAMES.is_file():
        pytest.skip("the lecture's names.txt is not there; `makemore-bp data fetch` downloads it")
    return LECTURE_NAMES


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A small word file."""
    path = tmp_path / "words.txt"
    path.write_text("\n".join(f"{a}{b}na" for a in "abcdelmrst" for b in ("an", "o", "iri")) + "\n")
    return path


@pytest.fixture
def small(words: Path) -> list[str]:
    """Overrides for a run that takes a fraction of a second."""
    values = {
        "data.path": words,
        "model.n_hidden": 8,
        "model.n_embd": 3,
        "train.steps": 30,
        "train.batch_size": 8,
        "train.log_every": 5,
        "train.eval_every": 10,
        "train.checkpoint_every": 10,
    }
    return [part for key, value in values.items() for part in ("--set", f"{key}={value}")]
