"""What a file of words holds, as numbers."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

from makemore_bp.dataset import words as word_files

SHOWN = 5


def of(path: Path) -> dict[str, Any]:
    """Counts, lengths, characters, spellings, duplicates and refused lines.

    ``spellings`` says how many words are not in Unicode's composed form (NFC), and gives words that
    stand there in two forms that look the same: the network takes them for different ones.
    ``examples`` is the number of training examples that all words together give. Raises
    RequestError if the file as a whole cannot be read.
    """
    file = word_files.read(path)
    words = file.words
    counts = Counter(words)
    by_length = sorted(counts, key=lambda word: (len(word), word))
    characters = sum(map(len, words))
    return {
        "words": len(words),
        "distinct": len(counts),
        "blank_lines": file.blank,
        "length": {
            "min": min(map(len, words), default=0),
            "max": max(map(len, words), default=0),
            "mean": characters / len(words) if words else 0.0,
        },
        "shortest": by_length[:SHOWN],
        "longest": by_length[::-1][:SHOWN],
        "repeated": [(word, n) for word, n in counts.most_common(SHOWN) if n > 1],
        "spellings": _spellings(counts),
        "characters": list(file.packed.characters()),
        "examples": characters + len(words),
        "sha256": file.sha256,
        "refused": [
            {"line": line.line, "reason": line.reason, "text": line.text} for line in file.refused
        ],
    }


def _spellings(counts: Counter[str]) -> dict[str, Any]:
    odd = [word for word in counts if not unicodedata.is_normalized("NFC", word)]
    twice = [word for word in odd if unicodedata.normalize("NFC", word) in counts]
    return {"not_composed": sum(counts[word] for word in odd), "twice": sorted(twice)[:SHOWN]}
