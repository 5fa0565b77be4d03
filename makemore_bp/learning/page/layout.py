"""Where each tensor stands in the picture: rows from the loss down, columns beside a spine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from makemore_bp.learning.page.model import Pass

LOSS = "loss"


@dataclass(frozen=True)
class Spot:
    """row: 0 for the loss; column: 0 for the spine, negative to its left, positive to its right."""

    row: int
    column: int


def layout(shown: Pass) -> dict[str, Spot]:
    """The spot of the loss and of each tensor.

    A tensor stands below everything that is computed from it. The spine is the shortest way from
    the loss to the tensor farthest from it. Other tensors that are computed stand to the left, and
    those that are given, the parameters, to the right.
    """
    reads = {LOSS: shown.loss[1]} | {node.name: node.reads for node in shown.nodes}
    reads = {name: tuple(r for r in read if r in reads) for name, read in reads.items()}
    rows = _rows(reads)
    spine = set(_shortest(reads, max(rows, key=lambda name: rows[name])))
    taken: set[tuple[int, int]] = set()
    spots: dict[str, Spot] = {}
    for name in sorted(rows, key=lambda name: rows[name]):
        if name in spine:
            spots[name] = Spot(rows[name], 0)
        elif reads[name]:
            spots[name] = _free(taken, (Spot(rows[name], -k) for k in range(1, len(rows) + 1)))
        else:
            spots[name] = _free(taken, _to_the_right(rows[name]))
        taken.add((spots[name].row, spots[name].column))
    return spots


def _to_the_right(row: int) -> Iterator[Spot]:
    """A parameter may stand a row lower than the line that reads it asks for."""
    column = 1
    while True:
        yield from (Spot(row, column), Spot(row + 1, column))
        column += 1


def _free(taken: set[tuple[int, int]], spots: Iterable[Spot]) -> Spot:
    return next(spot for spot in spots if (spot.row, spot.column) not in taken)


def _rows(reads: Mapping[str, tuple[str, ...]]) -> dict[str, int]:
    """The longest way from the loss to each tensor that it depends on."""
    rows = {LOSS: 0}
    waiting = [LOSS]
    while waiting:
        name = waiting.pop(0)
        for read in reads[name]:
            if rows.get(read, 0) < rows[name] + 1 <= len(reads):
                rows[read] = rows[name] + 1
                waiting.append(read)
    return rows


def _shortest(reads: Mapping[str, tuple[str, ...]], end: str) -> list[str]:
    """The names on the shortest way from the loss to ``end``."""
    came_from: dict[str, str] = {}
    waiting, seen = [LOSS], {LOSS}
    while waiting:
        name = waiting.pop(0)
        for read in reads[name]:
            if read not in seen:
                seen.add(read)
                came_from[read] = name
                waiting.append(read)
    way = [end]
    while way[-1] != LOSS:
        way.append(came_from[way[-1]])
    return way
