"""Sums, gathers and agreements over torch.distributed.

gloo carries what lies in memory, NCCL what lies on a GPU; torch.distributed chooses by the tensor.
All ranks make the same calls in the same order. When a process dies, the system closes its
connections, and whoever waits for it raises LostRankError at once; a machine that vanishes without
a word is noticed after ``TIMEOUT``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from makemore_bp.errors import LostRankError
from makemore_bp.ranks.group import Group
from makemore_bp.ranks.launch import Place, launch_id
from makemore_bp.ranks.meeting import fresh_part

TIMEOUT = timedelta(minutes=2)  # within a step, where nobody has more to do than the others
MEETING = timedelta(minutes=10)  # torchrun starts the ranks together; machines may be slow
PATIENCE = timedelta(hours=12)  # where one rank works and the others wait: encoding the words


class ProcessGroup(Group):
    """All ranks of the run."""

    def __init__(self, place: Place) -> None:
        self.rank, self.size = place.rank, place.size
        self.local_rank, self.local_size = place.local_rank, place.local_size
        self.launch = launch_id()
        self._prompt = dist.new_group(timeout=TIMEOUT)

    def sum(self, share: Tensor) -> Tensor:
        """See ``Group.sum``. The share's own memory holds the sum."""
        share = share.contiguous()
        self._send(lambda: dist.all_reduce(share, group=self._prompt))
        return share

    def gather(self, share: Tensor) -> Tensor:
        """See ``Group.gather``."""
        everyone = torch.empty((self.size, *share.shape), dtype=share.dtype, device=share.device)
        parts = list(everyone.unbind())
        self._send(lambda: dist.all_gather(parts, share.contiguous(), group=self._prompt))
        return everyone

    def largest(self, numbers: Sequence[int]) -> list[int]:
        """See ``Group.largest``."""
        tensor = torch.tensor(numbers)
        largest = dist.ReduceOp.MAX
        self._send(lambda: dist.all_reduce(tensor, op=largest, group=self._prompt))
        result: list[int] = tensor.tolist()
        return result

    def told(self, number: int) -> int:
        """Rank 0's ``number``, on every rank; waits as long as ``PATIENCE``."""
        tensor = torch.tensor([number])
        self._send(lambda: dist.broadcast(tensor, 0))
        return int(tensor)

    def texts(self, text: str) -> list[str]:
        """Every rank's text, in the order of the ranks; waits as long as ``PATIENCE``."""
        raw = text.encode()
        lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
        self._send(lambda: dist.all_gather(lengths, torch.tensor([len(raw)])))
        room = max(int(length) for length in lengths)
        padded = torch.frombuffer(bytearray(raw.ljust(room + 1)), dtype=torch.uint8)
        parts = [torch.empty_like(padded) for _ in range(self.size)]
        self._send(lambda: dist.all_gather(parts, padded))
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
        self._send(lambda: dist.broadcast(tensor, 0))
        return tensor.numpy().tobytes()[:length]

    def to_first(self, content: bytes, room: int) -> list[bytes]:
        """See ``Group.to_first``."""
        padded = torch.frombuffer(bytearray(content.ljust(room, b"\0")), dtype=torch.uint8)
        parts = [torch.empty_like(padded) for _ in range(self.size)] if self.rank == 0 else None
        self._send(lambda: dist.gather(padded, parts, group=self._prompt))
        return [part.numpy().tobytes() for part in parts or ()]

    def _send(self, message: Callable[[], object]) -> None:
        try:
            message()
        except RuntimeError as error:  # torch.distributed's own errors are all of this kind
            raise LostRankError(
                "Rank {rank} of {size} no longer reaches another rank, which has ended or is cut "
                "off ({reason}).",
                rank=self.rank,
                size=self.size,
                reason=_reason(error),
            ) from None


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
        group = ProcessGroup(place)
    except RuntimeError as error:
        raise LostRankError(
            "The {size} ranks do not find each other: {reason}",
            size=place.size,
            reason=_reason(error),
        ) from None
    try:
        yield group
    finally:
        dist.destroy_process_group()


def _reason(error: RuntimeError) -> str:
    """The first line of what torch.distributed says."""
    return next(iter(str(error).splitlines()), "no reason given")
