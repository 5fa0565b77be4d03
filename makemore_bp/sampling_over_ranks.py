"""Fresh words by several processes: each draws blocks, and rank 0 has the words of all in order.

The blocks of ``sampling.Sampler`` are dealt out by turns: rank r draws number r, r + size, and so
on, and a block of every rank is a round. Rank 0 uses its own block first and says only then whether
it wants the others', which have been drawn meanwhile. So no rank is more than a block ahead, and
what is drawn in vain at the end is a block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Protocol

from makemore_bp.errors import LostRankError
from makemore_bp.network.ranks import Ranks
from makemore_bp.training.signals import Interrupted, Stop

ENOUGH, MORE = 0, 1


class Group(Ranks, Protocol):
    """What the ranks must be able to say to each other; see ``ProcessGroup``."""

    def told(self, number: int) -> int: ...

    def to_first(self, content: bytes, room: int) -> list[bytes]: ...


def draw(
    block: Callable[[int], list[str]],
    use: Callable[[Iterator[str]], None],
    group: Group,
    stop: Stop,
) -> None:
    """Rank 0 calls ``use`` with the words of block(0), block(1), ... without end, and all ranks
    return when it does; on every rank.

    What ``use`` raises is raised on rank 0, and the others return. Raises Interrupted on all ranks
    if one was asked to stop, and LostRankError.
    """
    if group.rank == 0:
        try:
            use(_words(block, group, stop))
        except (Interrupted, LostRankError):
            raise  # the others know
        except Exception:
            group.told(ENOUGH)
            raise
        group.told(ENOUGH)
    else:
        for number in count(group.rank, group.size):
            words = block(number)
            if group.told(ENOUGH) == ENOUGH:
                return
            _collected(words, group, stop)


def _words(block: Callable[[int], list[str]], group: Group, stop: Stop) -> Iterator[str]:
    for number in count(0, group.size):
        yield from block(number)
        group.told(MORE)
        yield from _collected([], group, stop)


def _collected(words: list[str], group: Group, stop: Stop) -> list[str]:
    """All ranks' words, on rank 0, which sends none of its own; a word holds neither newline nor
    NUL. Raises Interrupted if any rank was asked to stop."""
    content = "".join(f"{word}\n" for word in words).encode()
    room, signal = group.largest([max(1, len(content)), stop.signal or 0])
    if signal:
        raise Interrupted(signal)
    parts = group.to_first(content, room)
    return b"".join(part.rstrip(b"\0") for part in parts).decode().split("\n")[:-1]
