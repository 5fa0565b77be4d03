"""The folder of an experiment: the runs in it, as far as a comparison needs them."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from makemore_bp import config as configs
from makemore_bp.config import Config
from makemore_bp.errors import RequestError
from makemore_bp.report import history as histories
from makemore_bp.report.history import History
from makemore_bp.training import run_folder

RUNS = "runs"


@dataclass(frozen=True)
class Compared:
    """A run as the comparison sees it; config and summary are missing where they cannot be read."""

    name: str
    config: Config | None
    summary: dict[str, Any] = field(default_factory=dict)
    history: History = field(default_factory=History)

    def loss(self, split: str) -> float | None:
        """The loss at the run's end or, of a run without one, where it was last evaluated."""
        last = {"train": self.history.train.last, "val": self.history.val.last}.get(split)
        found = self.summary.get(f"{split}_loss", last)
        return float(found) if isinstance(found, int | float) and math.isfinite(found) else None

    @property
    def finished(self) -> bool:
        """Whether the run came to its last step."""
        return bool(self.summary)


def is_one(folder: Path) -> bool:
    """Whether ``folder`` is no run itself but holds runs in its folder ``runs``."""
    return not (folder / run_folder.CHECKPOINT).exists() and bool(runs(folder))


def runs(folder: Path) -> list[Path]:
    """The runs of an experiment, by name."""
    inside = folder / RUNS
    entries = sorted(inside.iterdir()) if inside.is_dir() else []
    return [entry for entry in entries if (entry / run_folder.CONFIG).is_file()]


def read(folder: Path) -> list[Compared]:
    """The runs of an experiment, the lowest validation loss first, those without one last."""
    found = [_read(run) for run in runs(folder)]

    def rank(run: Compared) -> tuple[bool, float]:
        loss = run.loss("val")
        return loss is None, loss or 0.0

    return sorted(found, key=rank)


def _read(folder: Path) -> Compared:
    try:
        config = configs.load(str(folder / run_folder.CONFIG))
    except RequestError:
        config = None
    try:
        summary = json.loads((folder / run_folder.SUMMARY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        summary = {}
    found = summary if isinstance(summary, dict) else {}
    history = histories.read(folder)
    history.end_with(*(found.get(key) for key in ("steps", "train_loss", "val_loss")))
    return Compared(folder.name, config, found, history)
