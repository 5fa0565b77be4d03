"""The processes that share a batch: how what each has from its own rows becomes the whole batch's.

A stage that looks across the batch reads ``ranks`` from the record and hands it what it has added
up over its own rows. Who carries the message is none of its business; ``ALONE`` carries it nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class Ranks(Protocol):
    """One of ``size`` processes, number ``rank`` from 0. Every call is a message; all ranks must
    make the same calls in the same order with tensors of the same shape."""

    @property
    def rank(self) -> int: ...

    @property
    def size(self) -> int: ...

    def sum(self, share: Tensor) -> Tensor:
        """The sum of all ranks' shares, of one share's shape; the same bits on every rank."""

    def gather(self, share: Tensor) -> Tensor:
        """All ranks' shares one above the other, (size, *share.shape); the same on every rank."""

    def largest(self, numbers: Sequence[int]) -> list[int]:
        """The largest of what the ranks have, place by place."""


class Alone:
    """The only process: its share is the whole."""

    rank, size = 0, 1

    def sum(self, share: Tensor) -> Tensor:
        return share

    def gather(self, share: Tensor) -> Tensor:
        return share[None]

    def largest(self, numbers: Sequence[int]) -> list[int]:
        return list(numbers)


ALONE = Alone()
