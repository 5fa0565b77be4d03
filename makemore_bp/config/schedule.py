"""The learning rate of a step."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

Schedule = Literal["steps", "cosine"]


def learning_rate(
    lr: float | Mapping[int, float], step: int, schedule: Schedule = "steps"
) -> float:
    """The rate at ``step``: the number itself, or what the entries around ``step`` make of it.

    ``steps`` keeps the latest entry's rate. ``cosine`` goes from it to the next entry's along half
    a cosine, reaches that at the entry's step, and keeps it after the last one.
    """
    if not isinstance(lr, Mapping):
        return lr
    first = max(entry for entry in lr if entry <= step)
    after = min((entry for entry in lr if entry > step), default=None)
    if schedule == "steps" or after is None:
        return lr[first]
    gone = (1 - math.cos(math.pi * (step - first) / (after - first))) / 2
    return lr[first] + gone * (lr[after] - lr[first])


def learning_rates(
    lr: float | Mapping[int, float], steps: range, schedule: Schedule = "steps"
) -> list[float]:
    """The rates at consecutive ``steps``, found once for all steps between two changes."""
    if schedule == "cosine":
        return [learning_rate(lr, step, schedule) for step in steps]
    changes = sorted(step for step in lr if step in steps[1:]) if isinstance(lr, Mapping) else []
    rates: list[float] = []
    for first, end in pairwise([steps.start, *changes, steps.stop]):
        rates += [learning_rate(lr, first)] * (end - first)
    return rates
