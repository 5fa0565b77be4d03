"""The lecture's shuffle and cuts: words become training, validation and test examples."""

from __future__ import annotations

import random
from array import array
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from makemore_bp import config
from makemore_bp.dataset import words as word_files
from makemore_bp.dataset.examples import Examples, encode
from makemore_bp.dataset.packed import Integers
from makemore_bp.dataset.vocabulary import Vocabulary
from makemore_bp.errors import RequestError

SPLITS: tuple[Literal["train", "val", "test"], ...] = ("train", "val", "test")


@dataclass(frozen=True)
class Dataset:
    """The three splits of a file of words, and its vocabulary.

    sha256 is that of the file, so that a resumed run can tell whether it reads the same words.
    """

    vocabulary: Vocabulary
    train: Examples
    val: Examples
    test: Examples
    sha256: str

    def __getitem__(self, split: Literal["train", "val", "test"]) -> Examples:
        return {"train": self.train, "val": self.val, "test": self.test}[split]


def load(data: config.Data, block_size: int) -> Dataset:
    """Reads, shuffles, splits and encodes the words of ``data.path``.

    Words in file order, duplicates kept, are shuffled by ``random.Random(seed).shuffle`` and cut at
    int(0.8 * len) and int(0.9 * len) (for the default shares), as the lecture does. The words
    themselves are not kept. Raises RequestError if the file cannot be used or the training split
    is empty.
    """
    path = config.data_path(data.path)
    file = word_files.read_all(path, data.normalize)
    sha256, vocabulary, words = file.sha256, Vocabulary.of(file.packed), file.packed
    del file  # ten million words in two orders are a hundred megabytes
    words = words[_shuffled(len(words), data.seed)]
    total = len(words)
    # Rounded, because 0.8 + 0.1 is a little less than 0.9 and would cut one word too early.
    cuts = [0, *(int(round(sum(data.split[:k]), 12) * total) for k in (1, 2)), total]
    train, val, test = (
        encode(words[first:last], vocabulary, block_size) for first, last in pairwise(cuts)
    )
    if not len(train):
        raise RequestError(
            "{path}: none of its words ({total:,}) falls to the training split (data.split = "
            "{split}). Give more words or a larger first share.",
            path=path,
            total=total,
            split=list(data.split),
        )
    return Dataset(vocabulary, train, val, test, sha256)


def _shuffled(count: int, seed: int) -> Integers:
    """The numbers below ``count`` in the order that Python's own shuffle gives them."""
    order = array("I", range(count))
    random.Random(seed).shuffle(order)
    return np.frombuffer(order, dtype=np.uintc)
