"""Two losses that give a trained network's loss a meaning: knowing nothing, and counting pairs."""

from __future__ import annotations

import math

import numpy as np

from makemore_bp.dataset import Dataset, Examples

Pairs = np.ndarray[tuple[int], np.dtype[np.int64]]


def uniform(vocabulary: int) -> float:
    """The loss, in nats a character, of giving every id the same probability: log V."""
    return math.log(vocabulary)


def bigram(data: Dataset) -> dict[str, float | None]:
    """The loss of each split under counts of which character follows which in the training split.

    Add-one smoothing: p(b | a) = (count(a, b) + 1) / (count(a) + V). A split without examples has
    None.
    """
    V = len(data.vocabulary)
    train = _pairs(data.train, V)
    seen, counts = np.unique(train, return_counts=True)
    totals = np.bincount(train // V, minlength=V)

    def loss(examples: Examples) -> float | None:
        if not len(examples):
            return None
        pairs, times = np.unique(_pairs(examples, V), return_counts=True)
        at = np.minimum(np.searchsorted(seen, pairs), len(seen) - 1)
        count = np.where(seen[at] == pairs, counts[at], 0)
        logprobs = np.log(count + 1) - np.log(totals[pairs // V] + V)
        return float(-(logprobs * times).sum() / len(examples))

    return {split: loss(data[split]) for split in ("train", "val", "test")}


def _pairs(examples: Examples, V: int) -> Pairs:
    """The last character of each context and its target, as one number."""
    stream, positions = examples.stream.numpy(), examples.positions.numpy()
    before = stream[positions + examples.block_size - 1].astype(np.int64)
    pairs: Pairs = before * V + stream[positions + examples.block_size]
    return pairs
