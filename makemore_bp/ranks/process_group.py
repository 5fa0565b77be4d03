"""Sums, gathers and agreements over torch.distributed.

gloo carries what lies in memory, NCCL what lies on a GPU; torch.distributed chooses by the tensor.
All ranks make the same calls in the same order. When a process dies, the system closes its
connections, and whoever waits for it raises LostRankError at once. A process that is stopped, or
whose machine vanishes without a word, is noticed by its ``Pulse``; a slow one is waited for.
"""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any, NoReturn

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from makemore_bp.errors import LostRankError
from makemore_bp.ranks.group import Group
from makemore_bp.ranks.launch import Place, launch_id
from makemore_bp.ranks.meeting import fresh_part
from makemore_bp.ranks.pulse import INTERVAL, LOOKS, Pulse

TIMEOUT = timedelta(minutes=10)  # within a step, where nobody has more to do than the others
MEETING = timedelta(minutes=10)  # torchrun starts the ranks together; machines may be slow
PATIENCE = timedelta(hours=12)  # where one rank works and the others wait: encoding the words
LOOK = timedelta(seconds=1)  # how often a rank that waits asks for signals and the others' pulse


class ProcessGroup(Group):
    """All ranks of the run."""

    def __init__(self, place: Place, pulse: Pulse) -> None:
        self.rank, self.size = place.rank, place.size
        self.local_rank, self.local_size = place.local_rank, place.local_size
        self.launch = launch_id()
        self._pulse = pulse
        self._prompt = dist.new_group(timeout=TIMEOUT)

    def sum(self, share: Tensor) -> Tensor:
        """See ``Group.sum``. The share's own memory holds the sum."""
        share = share.contiguous()
        self._send(dist.all_reduce, share, group=self._prompt)
        return share

    def gather(self, share: Tensor) -> Tensor:
        """See ``Group.gather``."""
        everyone = torch.empty((self.size, *share.shape), dtype=share.dtype, device=share.device)
        parts = list(everyone.unbind())
        self._send(dist.all_gather, parts, share.contiguous(), group=self._prompt)
        return everyone

    def largest(self, numbers: Sequence[int]) -> list[int]:
        """See ``Group.largest``."""
        tensor = torch.tensor(numbers)
        self._send(dist.all_reduce, tensor, op=dist.ReduceOp.MAX, group=self._prompt)
        result: list[int] = tensor.tolist()
        return result

    def told(self, number: int) -> int:
        """Rank 0's ``number``, on every rank; waits as long as ``PATIENCE``."""
        tensor = torch.tensor([number])
        self._send(dist.broadcast, tensor, 0)
        return int(tensor)

    def texts(self, text: str) -> list[str]:
        """Every rank's text, in the order of the ranks; waits as long as ``PATIENCE``."""
        raw = text.encode()
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        self._send(dist.all_gather, lengths, torch.tensor([len(raw)]))
        room = max(int(length) for length in lengths)
        padded = torch.frombuffer(bytearray(raw.ljust(room + 1)), dtype=torch.uint8)
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        self._send(dist.all_gather, parts, padded)
        return [
            part[: int(length)].numpy().tobytes().decode()
            for part, length in zip(parts, lengths, strict=True)
        ]

    def from_first(self, content: bytes) -> bytes:
        """See ``Group.from_first``."""
        length = self.told(len(content))
        if self.rank:
            content = bytes(length)
        tensor = torch.frombuffer(bytearray(content or b" "), dtype=torch.uint8)
        self._send(dist.broadcast, tensor, 0)
        return tensor.numpy().tobytes()[:length]

    def to_first(self, content: bytes, room: int) -> list[bytes]:
        """See ``Group.to_first``."""
        padded = torch.frombuffer(bytearray(content.ljust(room, b"\0")), dtype=torch.uint8)
        parts = [torch.empty_like(padded) for _ in range(self.size)] if self.rank == 0 else None
        self._send(dist.gather, padded, parts, group=self._prompt)
        return [part.numpy().tobytes() for part in parts or ()]

    def _send(self, message: Callable[..., Any], *what: Any, **how: Any) -> None:
        try:
            work = message(*what, **how, async_op=True)
            if any(isinstance(tensor, Tensor) and tensor.is_cuda for tensor in what):
                work.wait()  # the GPU's queue waits, not this process
            else:
                self._wait(work)
        except RuntimeError as error:  # torch.distributed's own errors are all of this kind
            self._refuse_silence()
            raise LostRankError(
                "Rank {rank} of {size} no longer reaches another rank, which has ended or is cut "
                "off ({reason}).",
                rank=self.rank,
                size=self.size,
                reason=_reason(error),
            ) from None

    def _wait(self, work: dist.Work) -> None:
        """Waits for a message as long as all ranks live."""
        while not work.is_completed():
            with suppress(RuntimeError):  # the time is over; another reason is raised below
                work.wait(LOOK)
            if not work.is_completed():
                self._refuse_silence()
        work.wait()

    def _refuse_silence(self) -> None:
        """Raises LostRankError if a rank has fallen silent."""
        if (lost := self._pulse.silent()) is None:
            return
        atexit.register(_leave)
        raise LostRankError(
            "Rank {rank} of {size} has given no sign of life for {seconds:.0f} s: it was stopped, "
            "or its machine is cut off.",
            rank=lost,
            size=self.size,
            seconds=LOOKS * INTERVAL,
        )


def _leave() -> NoReturn:
    """Ends the process at once: a thread of torch.distributed still waits for the silent rank."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(1)


@contextmanager
def joined(place: Place) -> Iterator[ProcessGroup]:
    """The group of all processes that torchrun started for this run.

    Raises LostRankError if they do not find each other.
    """
    gpu = torch.cuda.is_available()
    if gpu:
        torch.cuda.set_device(place.local_rank % torch.cuda.device_count())
    try:
        store, rank, size = next(rendezvous("env://", timeout=MEETING))
        store = fresh_part(store, rank, size, MEETING)
        store.set_timeout(PATIENCE)
        backend = "cpu:gloo,cuda:nccl" if gpu else "gloo"
        dist.init_process_group(backend, timeout=PATIENCE, store=store, rank=rank, world_size=size)
        pulse = Pulse(store, rank, size)
        group = ProcessGroup(place, pulse)
    except RuntimeError as error:
        raise LostRankError(
            "The {size} ranks do not find each other: {reason}",
            size=place.size,
            reason=_reason(error),
        ) from None
    try:
        yield group
    finally:
        pulse.stop()
        dist.destroy_process_group()


def _reason(error: RuntimeError) -> str:
    """The first line of what torch.distributed says."""
    return next(iter(str(error).splitlines()), "no reason given")
