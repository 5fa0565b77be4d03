"""Short runs for the tests of reports."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from makemore_bp import config
from makemore_bp.training import start
from makemore_bp.training.loop import Beginning


class Nobody:
    """A reporter that listens to nothing."""

    def started(self, beginning: Beginning) -> None: ...

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
