"""Ranks as threads of one process, for whatever needs several ranks and no processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

from makemore_bp.ranks.group import Group

T = TypeVar("T")


class Table:
    """Where the threads lay down what they send."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size)
        self.messages: list[Any] = [None] * size


class ThreadRanks(Group):
    """A group whose messages are copies; it remembers the kind and shape of each."""

    def __init__(self, table: Table, rank: int) -> None:
        self._table = table
        self.rank, self.size = rank, table.size
        self.local_rank, self.local_size = rank, table.size
        self.sent: list[tuple[str, tuple[int, ...]]] = []

    def _exchange(self, message: Any) -> list[Any]:
        self._table.messages[self.rank] = message
        self._table.barrier.wait()
        everyone = list(self._table.messages)
        self._table.barrier.wait()
        return everyone

    def sum(self, share: Tensor) -> Tensor:
        self.sent.append(("sum", tuple(share.shape)))
        return torch.stack(self._exchange(share.clone())).sum(0)

    def gather(self, share: Tensor) -> Tensor:
        self.sent.append(("gather", tuple(share.shape)))
        return torch.stack(self._exchange(share.clone()))

    def largest(self, numbers: Sequence[int]) -> list[int]:
        return [max(column) for column in zip(*self._exchange(list(numbers)), strict=True)]

    def texts(self, text: str) -> list[str]:
        return self._exchange(text)

    def told(self, number: int) -> int:
        (first, *_) = self._exchange(number)
        return int(first)

    def from_first(self, content: bytes) -> bytes:
        (first, *_) = self._exchange(content)
        return bytes(first)

    def to_first(self, content: bytes, room: int) -> list[bytes]:
        everyone = self._exchange(content.ljust(room, b"\0"))
        return everyone if self.rank == 0 else []


def on_ranks(size: int, work: Callable[[ThreadRanks], T]) -> list[T]:
    """What ``work`` gives on each of ``size`` ranks."""
    table = Table(size)

    def run(rank: int) -> T:
        try:
            with torch.no_grad():
                return work(ThreadRanks(table, rank))
        except BaseException:
            table.barrier.abort()  # or the others would wait for ever
            raise

    with ThreadPoolExecutor(size) as pool:
        futures = [pool.submit(run, rank) for rank in range(size)]
        failures = [f.exception() for f in futures]
        for failure in failures:
            if failure is not None and not isinstance(failure, threading.BrokenBarrierError):
                raise failure
        return [future.result() for future in futures]
