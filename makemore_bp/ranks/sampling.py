"""Fresh words by several processes: each draws blocks, and rank 0 has the words of all in order.

The blocks of ``sampling.Sampler`` are dealt out by turns: the first ``blocks`` are rank 0's, as
many after them rank 1's, and so on; then it is rank 0's turn again. Rank 0 uses its own words first
and says only then whether it wants the others', who have drawn theirs meanwhile. So no rank is more
than a turn ahead. Which rank draws a block changes nothing in it, so a turn has as many blocks as
fit into ``TURN_SECONDS``: with fewer there are more messages than work, and of more, more would be
drawn in vain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import perf_counter

from makemore_bp.errors import LostRankError
from makemore_bp.ranks.group import Group
from makemore_bp.signals import Interrupted, Stop

TURN_SECONDS = 0.1
ENOUGH = 0  # said in place of the number of blocks a turn that come next


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
        _draw_for_first(block, group, stop)


def _words(block: Callable[[int], list[str]], group: Group, stop: Stop) -> Iterator[str]:
    first, blocks = 0, 1
    while True:
        seconds = 0.0
        for number in range(first, first + blocks):
            began = perf_counter()
            words = block(number)
            seconds += perf_counter() - began
            yield from words
        first += group.size * blocks
        fitting = int(blocks * TURN_SECONDS / seconds)
        blocks = group.told(max(1, min(2 * blocks, fitting)))
        yield from _collected([], group, stop)


def _draw_for_first(block: Callable[[int], list[str]], group: Group, stop: Stop) -> None:
    first, blocks = 0, 1
    while True:
        own = first + group.rank * blocks
        words = [word for number in range(own, own + blocks) for word in block(number)]
        first += group.size * blocks
        blocks = group.told(ENOUGH)
        if blocks == ENOUGH:
            return
        _collected(words, group, stop)


def _collected(words: list[str], group: Group, stop: Stop) -> list[str]:
    """All ranks' words, on rank 0, which sends none of its own; a word holds neither newline nor
    NUL. Raises Interrupted if any rank was asked to stop."""
    content = "\n".join([*words, ""]).encode()
    room, signal = group.largest([max(1, len(content)), stop.signal or 0])
    if signal:
        raise Interrupted(signal)
    parts = group.to_first(content, room)
    return b"".join(part.rstrip(b"\0") for part in parts).decode().split("\n")[:-1]
