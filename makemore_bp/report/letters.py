"""Characters as labels, and which of them are vowels."""

from __future__ import annotations

import re
import unicodedata

from makemore_bp.dataset import Vocabulary
from makemore_bp.dataset.vocabulary import BOUNDARY_SHOWN
from makemore_bp.text import letter

# Unicode knows no vowels, but it names letters by what they are read as: LATIN SMALL LETTER E WITH
# ACUTE, DEVANAGARI VOWEL SIGN AA. These are the vowels whose names hold more than A, E, I, O and U.
_OTHER_VOWELS = {
    "LATIN": {"Y", "AE", "SCHWA", "DOTLESS I"},
    "GREEK": {"ALPHA", "EPSILON", "ETA", "IOTA", "OMICRON", "UPSILON", "OMEGA"},
    "CYRILLIC": {"YU", "YA", "YI", "YERU", "UKRAINIAN IE", "BYELORUSSIAN-UKRAINIAN I"},
    "ARMENIAN": {"AYB", "ECH", "EH", "ET", "INI", "VO", "OH"},
    "GEORGIAN": {"AN", "EN", "IN", "ON", "UN"},
}
_LETTER = re.compile(r"(\w+) (?:SMALL |CAPITAL )?LETTER ([\w -]+?)(?: WITH .*)?$")


def shown_characters(vocabulary: Vocabulary) -> list[str]:
    """Every id as a label: the boundary as a full stop, what cannot be seen as its escape."""
    return [BOUNDARY_SHOWN, *(letter(c) if c != " " else "␣" for c in vocabulary.characters)]


def kinds(vocabulary: Vocabulary) -> list[str]:
    """What each id stands for: ``boundary``, ``vowel`` or ``other``."""
    return ["boundary", *("vowel" if is_vowel(c) else "other" for c in vocabulary.characters)]


def is_vowel(character: str) -> bool:
    """Whether Unicode's name of a character is that of a vowel, in any script that it tells of."""
    name = unicodedata.name(character, "")
    if "VOWEL" in name:
        return True
    found = _LETTER.match(name)
    if found is None:
        return False
    script, read_as = found.groups()
    return set(read_as) <= set("AEIOU") or read_as in _OTHER_VOWELS.get(script, ())
