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

from makemore_bp.errors import LostRankError, RequestError
from makemore_bp.ranks.launch import Place
from makemore_bp.ranks.meeting import fresh_part
from makemore_bp.text import visible

TIMEOUT = timedelta(minutes=2)  # within a step, where nobody has more to do than the others
MEETING = timedelta(minutes=10)  # torchrun starts the ranks together; machines may be slow
PATIENCE = timedelta(hours=12)  # where one rank works and the others wait: encoding the words


class ProcessGroup:
    """All ranks of the run; a ``network.ranks.Ranks``."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.rank, self.size = place.rank, place.size
        self._prompt = dist.new_group(timeout=TIMEOUT)

    def sum(self, share: Tensor) -> Tensor:
        """See ``Ranks.sum``. The share's own memory holds the sum."""
        share = share.contiguous()
        self._send(lambda: dist.all_reduce(share, group=self._prompt))
        return share

    def gather(self, share: Tensor) -> Tensor:
        """See ``Ranks.gather``."""
        everyone = torch.empty((self.size, *share.shape), dtype=share.dtype, device=share.device)
        parts = list(everyone.unbind())
        self._send(lambda: dist.all_gather(parts, share.contiguous(), group=self._prompt))
        return everyone

    def largest(self, numbers: Sequence[int]) -> list[int]:
        """See ``Ranks.largest``."""
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
        """Rank 0's ``content``, on every rank."""
        length = self.told(len(content))
        if self.rank:
            content = bytes(length)
        tensor = torch.frombuffer(bytearray(content or b" "), dtype=torch.uint8)
        self._send(lambda: dist.broadcast(tensor, 0))
        return tensor.numpy().tobytes()[:length]

    def to_first(self, content: bytes, room: int) -> list[bytes]:
        """Every rank's ``content``, filled up with NULs to ``room`` >= 1 bytes, in the order of the
        ranks on rank 0; nothing on the others."""
        padded = torch.frombuffer(bytearray(content.ljust(room, b"\0")), dtype=torch.uint8)
        parts = [torch.empty_like(padded) for _ in range(self.size)] if self.rank == 0 else None
        self._send(lambda: dist.gather(padded, parts, group=self._prompt))
        return [part.numpy().tobytes() for part in parts or ()]

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is done in this context is done by all ranks, or refused on all.

        If it raises RequestError on any rank, every rank raises the first such rank's.
        """
        refused = ""
        try:
            yield
        except RequestError as error:
            refused = str(error) or "refused"
        for rank, reason in enumerate(self.texts(refused)):
            if reason:
                raise RequestError(reason if rank == 0 else f"Rank {rank}: {reason}")

    def on_first(self, action: Callable[[], bytes]) -> bytes:
        """What ``action`` gives on rank 0, which alone runs it, or raises there; on every rank."""
        content = b""
        with self.together():
            if self.rank == 0:
                content = action()
        return self.from_first(content)

    def meet(self) -> None:
        """Waits until every rank is here."""
        self.texts("")

    def refuse_different(self, text: str, what: str) -> None:
        """Raises RequestError on every rank unless all have the same ``text``."""
        texts = self.texts(text)
        for rank, other in enumerate(texts):
            if other != texts[0]:
                raise RequestError(
                    f"Rank {rank} has another {what} than rank 0: {visible(other)} instead of "
                    f"{visible(texts[0])}. All machines need the same."
                )

    def _send(self, message: Callable[[], object]) -> None:
        try:
            message()
        except RuntimeError as error:  # torch.distributed's own errors are all of this kind
            reason = visible(str(error).splitlines()[0] if str(error) else "no reason given", 160)
            raise LostRankError(
                f"Rank {self.rank} of {self.size} no longer reaches another rank, which has ended "
                f"or is cut off ({reason})."
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
        reason = visible(str(error).splitlines()[0], 160)
        raise LostRankError(f"The {place.size} ranks do not find each other: {reason}") from None
    try:
        yield group
    finally:
        dist.destroy_process_group()
