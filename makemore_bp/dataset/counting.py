"""How often each number occurs in more numbers than should lie in memory at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from makemore_bp.dataset.examples import Examples

Numbers = np.ndarray[tuple[int], np.dtype[np.int64]]

CHUNK = 2**20  # examples numbered at a time


def counted(chunks: Iterable[Numbers]) -> tuple[Numbers, Numbers]:
    """The distinct numbers of all chunks in ascending order, and how often each occurs.

    What is held is a few times the distinct ones and one chunk.
    """
    empty = np.empty(0, dtype=np.int64)
    parts = [(empty, empty)]
    waiting = 0
    for chunk in chunks:
        parts.append(np.unique(chunk, return_counts=True))
        waiting += len(parts[-1][0])
        # Merging only when what waits outgrows what is merged sorts every number a few times.
        if waiting > max(CHUNK, len(parts[0][0])):
            parts, waiting = [_merged(parts)], 0
    return _merged(parts)


def numbered(
    examples: Examples, vocabulary: int, first: int = 0, last: int | None = None
) -> Iterator[Numbers]:
    """Places ``first`` to ``last`` (excluded) of every example's window as one number, a chunk of
    examples at a time: the ids are the digits. The whole window are the context and its target."""
    stream, positions = examples.stream.numpy(), examples.positions.numpy()
    window = range(first, examples.block_size + 1 if last is None else last)
    for begin in range(0, len(positions), CHUNK):
        chunk = positions[begin : begin + CHUNK]
        keys = np.zeros(len(chunk), dtype=np.int64)
        for offset in window:
            keys *= vocabulary
            keys += stream[chunk + offset]
        yield keys


def _merged(parts: list[tuple[Numbers, Numbers]]) -> tuple[Numbers, Numbers]:
    if len(parts) == 2 and not len(parts[0][0]):
        return parts[1]
    keys, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[starts], np.add.reduceat(counts, starts) if len(starts) else counts
