"""Characters to ids and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from makemore_bp.dataset.packed import Packed

BOUNDARY = 0  # the id before and after every word; it stands for no character
BOUNDARY_SHOWN = "."


@dataclass(frozen=True)
class Vocabulary:
    """The distinct characters in code point order; the first has id 1, for 0 is the boundary."""

    characters: str

    @classmethod
    def of(cls, words: Packed) -> Vocabulary:
        """The vocabulary of some words."""
        return cls(words.characters())

    def __len__(self) -> int:
        """The number of ids, the boundary included."""
        return len(self.characters) + 1

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {character: id for id, character in enumerate(self.characters, 1)}

    def encode(self, word: str) -> list[int]:
        """The ids of a word's characters; raises KeyError for one that is not in the vocabulary."""
        return [self._ids[character] for character in word]

    def words(self, ids: np.ndarray[tuple[int, int], np.dtype[np.int64]]) -> list[str]:
        """The words of rows of ids (n, length >= 1), each filled up with boundaries at its end.

        Raises IndexError for an id out of range.
        """
        # numpy takes NULs off the end of a text. No word holds one: they are refused on reading.
        letters = np.array(["\0", *self.characters])[ids]
        found: list[str] = letters.view(f"<U{ids.shape[1]}")[:, 0].tolist()
        return found

    def table(self) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """An array that gives the id of every code point up to the largest one in use."""
        points = np.array([ord(character) for character in self.characters], dtype=np.int64)
        table = np.zeros(int(points.max(initial=0)) + 1, dtype=np.int32)
        table[points] = np.arange(1, len(self), dtype=np.int32)
        return table
