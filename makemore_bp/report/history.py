"""metrics.jsonl as series of numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from makemore_bp.experiments.results import is_number
from makemore_bp.training import metrics

Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]
KINDS = ("weight", "gradient", "update_ratio")
SMOOTHING = 80  # a smoothed loss is the mean over an eightieth of a run to either side,
LEAST_SMOOTHED = 10  # but over at least this many values, up to an eighth of them
LAST_STEP = 2**53  # the last that a float counts


@dataclass
class Series:
    """One quantity over the steps of a run."""

    _steps: list[int] = field(default_factory=list)
    _values: list[float] = field(default_factory=list)

    def add(self, step: int, value: Any) -> None:
        """Appends a value, unless it is not a finite number."""
        if is_number(value):
            self._steps.append(step)
            self._values.append(float(value))

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def steps(self) -> Numbers:
        """Where the values were measured."""
        return np.array(self._steps, dtype=np.float64)

    @property
    def values(self) -> Numbers:
        """The values, as many as steps; all finite."""
        return np.array(self._values, dtype=np.float64)

    @property
    def last(self) -> float | None:
        """The latest value, if there is one."""
        return self._values[-1] if self._values else None

    def smoothed(self) -> Numbers:
        """Running means, each over its neighbours on both sides; fewer at the two ends."""
        values, number = self.values, len(self)
        half = max(number // SMOOTHING, min(LEAST_SMOOTHED, number // 8))
        sums = np.concatenate(([0.0], np.cumsum(values)))
        at = np.arange(len(values))
        first, end = np.maximum(at - half, 0), np.minimum(at + half + 1, len(values))
        means: Numbers = (sums[end] - sums[first]) / (end - first)
        return means

    def thinned(self, most: int) -> tuple[Numbers, Numbers]:
        """Steps and values, evenly thinned to at most ``most`` of them."""
        every = -(-len(self) // most) or 1
        return self.steps[::every], self.values[::every]


@dataclass
class History:
    """What a run wrote down: minibatch losses and rates, losses of whole splits where it evaluated,
    and there, for each parameter, the sizes in ``KINDS``: ``sizes[kind][parameter]``."""

    loss: Series = field(default_factory=Series)
    rate: Series = field(default_factory=Series)
    train: Series = field(default_factory=Series)
    val: Series = field(default_factory=Series)
    sizes: dict[str, dict[str, Series]] = field(
        default_factory=lambda: {kind: {} for kind in KINDS}
    )

    def end_with(self, step: int | None, train_loss: float | None, val_loss: float | None) -> None:
        """Adds the losses after the last step, which no line holds: lines are written before."""
        if step is not None and (not len(self.train) or step > self.train.steps[-1]):
            self.train.add(step, train_loss)
            self.val.add(step, val_loss)

    def rates(self) -> list[tuple[int, float]]:
        """The steps at which the first and every other learning rate was seen, and that rate."""
        first = np.diff(self.rate.values, prepend=np.nan) != 0
        at = zip(self.rate.steps[first], self.rate.values[first], strict=True)
        return [(int(step), float(rate)) for step, rate in at]


def read(folder: Path) -> History:
    """The history of the run in ``folder``; what is not a number in its lines is left out."""
    history = History()
    for line in metrics.read(folder):
        step: int = line["step"]
        if not 0 <= step < LAST_STEP:
            continue
        history.loss.add(step, line.get("loss"))
        history.rate.add(step, line.get("lr"))
        history.train.add(step, line.get("train_loss"))
        history.val.add(step, line.get("val_loss"))
        _add_sizes(history, step, line.get("parameters"))
    return history


def _add_sizes(history: History, step: int, parameters: Any) -> None:
    if not isinstance(parameters, dict):
        return
    for name, sizes in parameters.items():
        if isinstance(sizes, dict):
            for kind in KINDS:
                history.sizes[kind].setdefault(name, Series()).add(step, sizes.get(kind))
