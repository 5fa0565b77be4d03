"""Calibration and evaluation: batchnorm's statistics over the training set, and the mean loss.

Both look only at contexts and targets, and a short context repeats: of the 182,625 training
examples of the lecture's names, a few thousand contexts are distinct. So each distinct context
passes through the network once and counts as often as it occurs, which is exact. Where contexts
are too long to be numbered in 64 bits, every example passes through by itself. Several ranks share
the contexts, and their sums are added up.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from makemore_bp.dataset import Examples
from makemore_bp.dataset.counting import Numbers, counted, numbered
from makemore_bp.network.passes import Network
from makemore_bp.ranks.group import ALONE, Group
from makemore_bp.ranks.shares import share

# The most numbers in one layer's output while evaluating: 2 MiB in float32, which stay in a cache,
# and are given the same memory again and not fresh pages.
ELEMENTS = 2**19


@dataclass(frozen=True)
class Counted:
    """Contexts with their counts, and which targets follow them how often.

    Xb (n, block_size); counts (n); the pairs' rows, targets and pair_counts (m), where rows
    index Xb. The counts are float64 and lie on the CPU.
    """

    Xb: Tensor
    counts: Tensor
    rows: Tensor
    targets: Tensor
    pair_counts: Tensor


class Weighted:
    """The examples of a split as distinct contexts with counts, where they can be numbered.

    ``total`` counts all of them; the batches are this rank's, every context being one rank's.
    ``pause`` is called between two blocks of work, and may end it by an exception.
    """

    def __init__(
        self,
        examples: Examples,
        vocabulary: int,
        device: str = "cpu",
        ranks: Group = ALONE,
        pause: Callable[[], None] = lambda: None,
    ) -> None:
        self.total = len(examples)
        self.ranks = ranks
        self.pause = pause
        self._examples = examples
        self._vocabulary = vocabulary
        self._device = device
        self._keys: Numbers | None = None
        if vocabulary ** (examples.block_size + 1) < 2**63:
            self._keys, self._counts = counted(self._own())

    def thinned(self, most: int) -> Weighted:
        """At most so many of them on each rank, evenly taken, and looked at without a pause."""
        thin = copy.copy(self)
        thin.pause = lambda: None
        if self._keys is None:
            every = -(-len(self._examples) // most) or 1
            positions = self._examples.positions[::every]
            thin._examples = replace(self._examples, positions=positions)
            thin.total = len(positions)
        else:
            every = -(-len(self._keys) // most) or 1
            thin._keys, thin._counts = self._keys[::every], self._counts[::every]
            own = torch.tensor(float(thin._counts.sum()), dtype=torch.float64)
            thin.total = int(self.ranks.sum(own))
        return thin

    def _own(self) -> Iterator[Numbers]:
        """Context and target of this rank's examples as one number, the target the last digit."""
        rank, size = self.ranks.rank, self.ranks.size
        for keys in numbered(self._examples, self._vocabulary):
            self.pause()
            yield keys if size == 1 else keys[keys // self._vocabulary % size == rank]

    def batches(self, width: int) -> Iterator[Counted]:
        """The contexts, so many at a time that a layer of ``width`` columns stays small."""
        size = max(1, ELEMENTS // width)
        return self._plain(size) if self._keys is None else self._distinct(self._keys, size)

    def _plain(self, size: int) -> Iterator[Counted]:
        own = share(self.total, self.ranks.rank, self.ranks.size)
        for first in range(own.start, own.stop, size):
            indices = torch.arange(first, min(first + size, own.stop))
            Xb, Yb = self._examples.batch(indices)
            ones = torch.ones(len(indices), dtype=torch.float64)
            yield self._on_device(Counted(Xb, ones, indices - first, Yb, ones))

    def _distinct(self, keys: Numbers, size: int) -> Iterator[Counted]:
        contexts = keys // self._vocabulary
        starts = np.flatnonzero(np.diff(contexts, prepend=-1))  # each context's first pair
        for first in range(0, len(starts), size):
            chosen = starts[first : first + size]
            end = int(starts[first + size]) if first + size < len(starts) else len(keys)
            begin = int(chosen[0])
            pair_counts = self._counts[begin:end].astype(np.float64)
            batch = Counted(
                Xb=torch.from_numpy(self._digits(contexts[chosen])),
                counts=torch.from_numpy(np.add.reduceat(pair_counts, chosen - begin)),
                rows=torch.from_numpy(
                    np.repeat(np.arange(len(chosen)), np.diff(chosen, append=end))
                ),
                targets=torch.from_numpy(keys[begin:end] % self._vocabulary),
                pair_counts=torch.from_numpy(pair_counts),
            )
            yield self._on_device(batch)

    def _digits(self, contexts: Numbers) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        B = self._examples.block_size
        digits = np.empty((len(contexts), B), dtype=np.int64)
        for column in reversed(range(B)):
            contexts, digits[:, column] = np.divmod(contexts, self._vocabulary)
        return digits

    def _on_device(self, batch: Counted) -> Counted:
        """The ids move to the device; the counts stay, for not every device has float64."""
        if self._device == "cpu":
            return batch
        ids = {name: getattr(batch, name).to(self._device) for name in ("Xb", "rows", "targets")}
        return replace(batch, **ids)


@dataclass(frozen=True)
class Statistics:
    """The mean and the unbiased variance of hprebn over the training set, (1, n_hidden) each."""

    bnmean: Tensor
    bnvar: Tensor


def calibrate(network: Network, parameters: Mapping[str, Tensor], train: Weighted) -> Statistics:
    """Measures batchnorm's statistics over the whole training set, in float64.

    Two passes, because the variance is the mean square distance from the mean: subtracting squares
    of large sums would lose what it measures. A single example has no variance; it gets 0.
    """
    width = parameters["W1"].shape[1]

    def total(of: Callable[[Tensor], Tensor]) -> Tensor:
        result = torch.zeros(1, width, dtype=torch.float64)
        for batch in train.batches(width):
            train.pause()
            hprebn = network.hprebn(parameters, batch.Xb).cpu().double()
            result += batch.counts[None, :] @ of(hprebn)
        return train.ranks.sum(result)

    mean = total(lambda hprebn: hprebn) / train.total
    variance = total(lambda hprebn: (hprebn - mean) ** 2) / max(1, train.total - 1)
    like = parameters["bngain"]
    return Statistics(mean.to(like), variance.to(like))


def loss(
    network: Network,
    parameters: Mapping[str, Tensor],
    statistics: Statistics,
    split: Weighted,
) -> float | None:
    """The mean loss per character over a split, in nats; None for a split without examples."""
    if not split.total:
        return None
    total = 0.0
    for batch in split.batches(max(parameters["W2"].shape)):
        split.pause()
        logits = network.logits(parameters, statistics.bnmean, statistics.bnvar, batch.Xb)
        logprobs = F.log_softmax(logits, 1)[batch.rows, batch.targets].cpu().double()
        total -= float((logprobs * batch.pair_counts).sum())
    return float(split.ranks.sum(torch.tensor(total, dtype=torch.float64))) / split.total
