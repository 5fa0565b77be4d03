"""The loss of minibatches as it is shown: smoothed, for one alone says little."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 1000  # over which the shown loss is averaged


class Smoothed:
    """A running mean of the minibatch losses; the older they are, the less they count."""

    value: float | None = None  # none until the first losses are there

    def add(self, losses: Tensor) -> float:
        """Takes the losses of the latest steps and returns the mean that they give."""
        mean, weight = float(losses.mean()), min(1.0, len(losses) / STEPS)
        self.value = mean if self.value is None else self.value + weight * (mean - self.value)
        return self.value
