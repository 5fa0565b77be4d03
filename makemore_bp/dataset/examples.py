"""Training examples as windows on one stream of ids.

All words stand one after another in one array, ``block_size`` boundaries before each and after the
last. A context of ``block_size`` ids and the target that follows it are then a window of that
array, so an example costs one position (4 bytes) plus its share of the stream:

    words ["ab", "c"], block_size 3      stream     0 0 0 1 2 0 0 0 3 0 0 0
                                         positions  0 1 2 5 6
    example 1: stream[1:4] = 0 0 1 -> stream[4] = 2
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from makemore_bp.dataset.vocabulary import Vocabulary


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


def encode(words: Sequence[str], vocabulary: Vocabulary, block_size: int) -> Examples:
    """The examples of ``words`` in order; a word gives one for each character and one for its end.

    All words at once: the text is joined, turned into code points and looked up in a table.
    """
    lengths = np.fromiter(map(len, words), dtype=np.int64, count=len(words))
    starts = np.zeros(len(words), dtype=np.int64)  # of each word's first example
    np.cumsum(lengths[:-1] + 1, out=starts[1:])
    count = int(lengths.sum()) + len(words)

    # Word w stands in the stream behind w + 1 blocks of boundaries, so its example e is found
    # w * (block_size - 1) further on than in a stream with one boundary a word.
    size = int(lengths.sum()) + (len(words) + 1) * block_size
    word_of_example = np.repeat(np.arange(len(words), dtype=np.int64), lengths + 1)
    positions = word_of_example
    positions *= block_size - 1
    positions += np.arange(count, dtype=np.int64)

    stream = np.zeros(size, dtype=_smallest(len(vocabulary)))
    points = np.frombuffer("".join(words).encode("utf-32-le"), dtype=np.uint32)
    # The target of every example but a word's last is a character, and they come in text order.
    is_end = np.zeros(count, dtype=bool)
    is_end[starts + lengths] = True
    stream[positions[~is_end] + block_size] = vocabulary.table()[points]

    narrow = np.int32 if size < 2**31 else np.int64
    return Examples(
        torch.from_numpy(stream), torch.from_numpy(positions.astype(narrow)), block_size
    )


def _smallest(vocabulary: int) -> type[np.generic]:
    if vocabulary <= 2**8:
        return np.uint8
    return np.int16 if vocabulary <= 2**15 else np.int32
