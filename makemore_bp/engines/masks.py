"""Dropout's masks, as a function of seed, step and place.

Nothing is drawn from a generator: whether a hidden unit is on is computed from the run's seed, the
number of the step and the unit's place in the batch. So there is no state to save, a resumed run
sees the masks that it would have seen, and the native engine, which computes the same function,
sees them too.

    key = splitmix64(splitmix64(seed) + step)           64 bits a step, k0 the low half, k1 the high
    x = k0 + row * n_hidden + column                    from here on modulo 2**32
    x = (x ^ x >> 16) * M1 ^ k1
    x = (x ^ x >> 15) * M2
    x = x ^ x >> 16
    on  where  x >= p * 2**32

Sources: splitmix64 is the generator of Steele, Lea and Flood, "Fast Splittable Pseudorandom Number
Generators" (2014); the two multipliers and three shifts are Wellons's "lowbias32" (2018), found by
a search for the least bias, with the step's second key put in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

M1, M2 = 0x7FEB352D, 0x846CA68B
LOW = 2**32 - 1
_ALL = 2**64 - 1

Bits = TypeVar("Bits", int, Tensor)


def splitmix64(x: int) -> int:
    """A 64-bit number of which every bit depends on every bit of ``x``."""
    x = (x + 0x9E3779B97F4A7C15) & _ALL
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & _ALL
    x = (x ^ x >> 27) * 0x94D049BB133111EB & _ALL
    return x ^ x >> 31


def lowbias32(x: Bits, key: Bits | int = 0) -> Bits:
    """32-bit numbers of which every bit depends on every bit of the 32-bit ``x``.

    One-to-one for every ``key``; without one, 0 becomes 0.
    """
    # int64 wraps around modulo 2**64, which leaves the low 32 bits of a product as they are.
    x = ((x ^ x >> 16) * M1 & LOW) ^ key
    x = (x ^ x >> 15) * M2 & LOW
    return x ^ x >> 16


class Masks:
    """The masks (n, n_hidden) of a run: 0 with probability p, else 1 / (1 - p).

    p: from 0 to below 1; seed: the run's; dtype and device: the masks' own.
    """

    def __init__(
        self,
        p: float,
        seed: int,
        shape: tuple[int, int],
        dtype: torch.dtype = torch.float32,
        device: str = "cpu",
    ) -> None:
        self._seed = splitmix64(seed)
        self._places = torch.arange(shape[0] * shape[1], device=device).view(shape)
        self._threshold: int | Tensor = int(p * 2**32)
        self._on = torch.tensor(1 / (1 - p), dtype=dtype, device=device)
        self._off = torch.zeros_like(self._on)

    def at(self, step: int) -> Tensor:
        """The mask of one step."""
        return self.of(*self._key(step))

    def keys(self, first: int, steps: int) -> Tensor:
        """The keys (steps, 2) of so many steps from ``first`` on, int64 on the CPU."""
        return torch.tensor([self._key(step) for step in range(first, first + steps)])

    def of(self, k0: int | Tensor, k1: int | Tensor) -> Tensor:
        """The mask of a key, of which each half is a number or a scalar int64 tensor."""
        x = lowbias32((self._places + k0) & LOW, k1)
        return torch.where(x >= self._threshold, self._on, self._off)

    def _key(self, step: int) -> tuple[int, int]:
        key = splitmix64((self._seed + step) & _ALL)
        return key & LOW, key >> 32


class StackedMasks(Masks):
    """The masks (M, n, n_hidden) of M runs, each from a step of its own on."""

    def __init__(self, runs: Sequence[Masks], steps: Sequence[int]) -> None:
        self._runs = runs
        self._steps = steps
        self._places = runs[0]._places
        device = self._places.device
        thresholds = torch.tensor([run._threshold for run in runs], device=device)
        self._threshold = thresholds[:, None, None]
        self._on = torch.stack([run._on for run in runs])[:, None, None]
        self._off = runs[0]._off

    def keys(self, first: int, steps: int) -> Tensor:
        """The keys (steps, M, 2) of the runs' steps, each run's from ``first`` behind its own."""
        own = zip(self._runs, self._steps, strict=True)
        return torch.stack([run.keys(start + first, steps) for run, start in own], 1)

    def of(self, k0: int | Tensor, k1: int | Tensor) -> Tensor:
        """The masks of the runs' keys (M)."""
        return super().of(*(torch.as_tensor(k)[:, None, None] for k in (k0, k1)))
