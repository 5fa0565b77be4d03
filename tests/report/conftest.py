"""Runs that the tests of reports look at; they are only read."""

from __future__ import annotations

from pathlib import Path

import pytest
from torch import Tensor

from makemore_bp import config
from makemore_bp.engines.choice import Choice
from makemore_bp.training import start

# What breaks pages and pictures: markup, quotes, mathematics, other scripts, a turned direction.
WORDS = ["<script>", "&amp;", "a\"b'c", "$x$", "李明", "נועה", "anna", "hanna", "bo", "Zoë"]


class Nobody:
    """A reporter that listens to nothing."""

    def started(self, step: int, steps: int, choice: Choice) -> None: ...

    def advanced(self, step: int, losses: Tensor, lr: float) -> None: ...

    def evaluated(self, step: int, train_loss: float, val_loss: float | None) -> None: ...


def trained(words: Path, folder: Path, *more: str) -> Path:
    """A run of a fraction of a second."""
    settings = [
        f"data.path={words}",
        "model.n_hidden=8",
        "model.n_embd=3",
        "train.steps=60",
        "train.lr={0: 0.1, 30: 0.01}",
        "train.batch_size=8",
        "train.log_every=2",
        "train.eval_every=10",
        "train.checkpoint_every=20",
    ]
    start.new(config.load(None, [*settings, *more]), folder, Nobody())
    return folder


@pytest.fixture(scope="session")
def hostile_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word file whose name and words are made of what HTML must escape."""
    folder = tmp_path_factory.mktemp("words")
    path = folder / "<img src=x onerror=alert(1)>.txt"
    path.write_text("\n".join(WORDS * 6) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory, hostile_words: Path) -> Path:
    """A finished run on those words, in a folder named like a script."""
    folder = tmp_path_factory.mktemp("runs") / "<script>alert(1)<&\"'$a$"
    return trained(hostile_words, folder)


@pytest.fixture(scope="session")
def reported(hostile_run: Path) -> Path:
    """The page of that run, with its pictures beside it."""
    from makemore_bp.report import observations, output, run_report

    where = output.place(hostile_run, None)
    output.write(where, *run_report.run_report(observations.observe(hostile_run)))
    return where.page
