"""Two losses that give a trained network's loss a meaning: knowing nothing, and counting pairs."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from makemore_bp.dataset import Dataset, Examples
from makemore_bp.dataset.counting import Numbers, counted, numbered


def uniform(vocabulary: int) -> float:
    """The loss, in nats a character, of giving every id the same probability: log V."""
    return math.log(vocabulary)


def bigram(data: Dataset, pause: Callable[[], None] = lambda: None) -> dict[str, float | None]:
    """The loss of each split under counts of which character follows which in the training split.

    Add-one smoothing: p(b | a) = (count(a, b) + 1) / (count(a) + V). A split without examples has
    None. ``pause`` is called between two splits, and may end it by an exception.
    """
    V = len(data.vocabulary)
    seen, counts = _pairs(data.train, V)
    totals = np.bincount(seen // V, weights=counts, minlength=V)  # float64, exact below 2**53

    def loss(examples: Examples) -> float | None:
        pause()
        if not len(examples):
            return None
        pairs, times = _pairs(examples, V)
        at = np.minimum(np.searchsorted(seen, pairs), len(seen) - 1)
        count = np.where(seen[at] == pairs, counts[at], 0)
        logprobs = np.log(count + 1) - np.log(totals[pairs // V] + V)
        return float(-(logprobs * times).sum() / len(examples))

    return {split: loss(data[split]) for split in ("train", "val", "test")}


def _pairs(examples: Examples, V: int) -> tuple[Numbers, Numbers]:
    """The last character of a context and its target, as one number; and how often they occur."""
    return counted(numbered(examples, V, first=examples.block_size - 1))
