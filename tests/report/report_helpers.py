"""Short runs for the tests of reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from torch import Tensor

from makemore_bp import config
from makemore_bp.training import start
from makemore_bp.training.loop import Beginning, Reporter

if TYPE_CHECKING:
    from makemore_bp.report.drawing import Picture, Rendered


class Nobody:
    """A reporter that listens to nothing."""

    def started(self, beginning: Beginning) -> None: ...

    def advanced(self, step: int, losses: Tensor, lr: float) -> None: ...

    def evaluated(self, step: int, train_loss: float, val_loss: float | None) -> None: ...


def trained(words: Path, folder: Path, *more: str, reporter: Reporter | None = None) -> Path:
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
    start.new(config.load(None, [*settings, *more]), folder, reporter or Nobody())
    return folder


@pytest.fixture
def sketched(monkeypatch: pytest.MonkeyPatch) -> list[Picture]:
    """Pictures are drawn, but not laid out and encoded, which takes seconds; they are listed."""
    from matplotlib.figure import Figure

    from makemore_bp.report import comparison, drawing, run_report

    seen: list[Picture] = []

    def sketch(picture: Picture) -> Rendered:
        seen.append(picture)
        picture.draw(Figure().subplots())
        return drawing.Rendered(picture, "<svg></svg>", b"\x89PNG")

    def save(picture: Picture, path: Path) -> frozenset[str]:
        sketch(picture)
        return frozenset()

    for module in (comparison, run_report):
        monkeypatch.setattr(module, "render", sketch)
    monkeypatch.setattr(drawing, "save", save)
    return seen
