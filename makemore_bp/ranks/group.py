"""The processes that share a batch: what they can say to each other, and the one that is alone.

Every process, or rank, has some of a batch's rows. Who carries the messages is a group's own
business; ``ALONE`` carries them nowhere, so that one process runs the same code.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from makemore_bp.errors import RequestError
from makemore_bp.ranks import launch


class Group(ABC):
    """One of ``size`` processes, number ``rank`` from 0; number ``local_rank`` of ``local_size`` on
    its machine. Every call is a message: all ranks make the same calls in the same order, with
    tensors of the same shape.

    launch: what names this start of all the ranks, the same after they were restarted; "" if they
    cannot be.
    """

    rank: int
    size: int
    local_rank: int
    local_size: int
    launch: str = ""

    @abstractmethod
    def sum(self, share: Tensor) -> Tensor:
        """The sum of all ranks' shares, of one share's shape; the same bits on every rank."""

    @abstractmethod
    def gather(self, share: Tensor) -> Tensor:
        """All ranks' shares one above the other, (size, *share.shape); the same on every rank."""

    @abstractmethod
    def largest(self, numbers: Sequence[int]) -> list[int]:
        """The largest of what the ranks have, place by place."""

    @abstractmethod
    def told(self, number: int) -> int:
        """Rank 0's ``number``, on every rank."""

    @abstractmethod
    def texts(self, text: str) -> list[str]:
        """Every rank's text, in the order of the ranks."""

    @abstractmethod
    def from_first(self, content: bytes) -> bytes:
        """Rank 0's ``content``, on every rank."""

    @abstractmethod
    def to_first(self, content: bytes, room: int) -> list[bytes]:
        """Every rank's ``content``, filled up with NULs to ``room`` >= 1 bytes, in the order of the
        ranks on rank 0; nothing on the others."""

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
                    "Rank {rank} has another {what} than rank 0: {other} instead of {first}. All "
                    "machines need the same.",
                    rank=rank,
                    what=what,
                    other=other,
                    first=texts[0],
                )


class Alone(Group):
    """The only process: its share is the whole."""

    rank, size, local_rank, local_size = 0, 1, 0, 1

    def sum(self, share: Tensor) -> Tensor:
        return share

    def gather(self, share: Tensor) -> Tensor:
        return share[None]

    def largest(self, numbers: Sequence[int]) -> list[int]:
        return list(numbers)

    def told(self, number: int) -> int:
        return number

    def texts(self, text: str) -> list[str]:
        return [text]

    def from_first(self, content: bytes) -> bytes:
        return content

    def to_first(self, content: bytes, room: int) -> list[bytes]:
        return [content]


ALONE = Alone()


@contextmanager
def here() -> Iterator[Group]:
    """All the processes that were started together with this one; ``ALONE`` without torchrun.

    Raises LostRankError if they do not find each other.
    """
    place = launch.place()
    if place is None:
        yield ALONE
        return
    from makemore_bp.ranks.process_group import joined

    with joined(place) as group:
        yield group
