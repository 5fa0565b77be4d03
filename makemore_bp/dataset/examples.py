"""Training examples as windows on one stream of ids.

All words stand one after another in one array, ``block_size`` boundaries before each and after the
last. A context of ``block_size`` ids and the target that follows it are then a window of that
array, so an example costs one position (4 bytes) plus its share of the stream:

    words ["ab", "c"], block_size 3      stream     0 0 0 1 2 0 0 0 3 0 0 0
                                         positions  0 1 2 5 6
    example 1: stream[1:4] = 0 0 1 -> stream[4] = 2
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from makemore_bp.dataset.packed import Integers, Packed
from makemore_bp.dataset.vocabulary import Vocabulary

CHUNK = 2**14  # words encoded at a time: what is computed of them stays in a cache


@dataclass(frozen=True)
class Examples:
    """Every context and target of some words, in order.

    stream (uint8, int16 or int32 ids), positions (N) int32 or int64: the first id of each example.
    """

    stream: Tensor
    positions: Tensor
    block_size: int

    def __len__(self) -> int:
        return self.positions.shape[0]

    @property
    def words(self) -> int:
        """How many words the examples are of: boundaries stand before each and after the last."""
        boundaries = self.stream.numel() - int(torch.count_nonzero(self.stream))
        return boundaries // self.block_size - 1

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Contexts Xb (..., block_size) and targets Yb (...) of the examples at ``indices`` (...),
        both int64."""
        windows = self.stream.unfold(0, self.block_size + 1, 1)[self.positions[indices]].long()
        return windows[..., : self.block_size], windows[..., self.block_size]

    def to(self, device: str) -> Examples:
        """The same examples on another device."""
        return Examples(self.stream.to(device), self.positions.to(device), self.block_size)

    @property
    def nbytes(self) -> int:
        """The memory that the examples hold."""
        return self.stream.nbytes + self.positions.nbytes


def encode(words: Packed, vocabulary: Vocabulary, block_size: int) -> Examples:
    """The examples of ``words`` in order; a word gives one for each character and one for its end.

    ``CHUNK`` words at a time are looked up in a table and written to their places in the stream.
    """
    characters = int(words.lengths.sum(dtype=np.int64))
    size = characters + (len(words) + 1) * block_size
    stream = np.zeros(size, dtype=_smallest(len(vocabulary)))
    positions = np.empty(characters + len(words), dtype=np.int32 if size < 2**31 else np.int64)
    table = vocabulary.table().astype(stream.dtype)
    done = begin = 0
    for first in range(0, len(words), CHUNK):
        part = words[first : first + CHUNK]
        places, is_end = _places(part.lengths.astype(np.int64), block_size)
        places += begin
        positions[done : done + len(places)] = places
        # The target of every example but a word's last is a character, in the text's order.
        stream[places[~is_end] + block_size] = table[part.letters()]
        done += len(places)
        begin += len(places) + len(part) * (block_size - 1)
    return Examples(torch.from_numpy(stream), torch.from_numpy(positions), block_size)


def _places(lengths: Integers, block_size: int) -> tuple[Integers, Integers]:
    """Where the examples of words stand in their stream, and which are a word's last."""
    count = int(lengths.sum()) + len(lengths)
    is_end = np.zeros(count, dtype=bool)
    is_end[np.cumsum(lengths + 1) - 1] = True
    # Word w stands in the stream behind w + 1 blocks of boundaries, so its examples are found
    # w * (block_size - 1) further on than in a stream with one boundary a word.
    word = np.repeat(np.arange(len(lengths)), lengths + 1)
    return word * (block_size - 1) + np.arange(count), is_end


def _smallest(vocabulary: int) -> type[np.generic]:
    if vocabulary <= 2**8:
        return np.uint8
    return np.int16 if vocabulary <= 2**15 else np.int32
