"""Text from strangers, made harmless for a terminal."""

from __future__ import annotations

import unicodedata
from pathlib import Path
from typing import Any

# Categories that move the cursor, turn the text around or show nothing at all.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Joiners are part of how some scripts are spelt (Persian, Hindi, ...), and shape only letters.
_PART_OF_WORDS = {"\u200c", "\u200d"}
LONGEST_PATH = 1000  # characters; longer than any name that a person would type


def visible(text: str, limit: int = 200) -> str:
    """``text`` with every control, escape and direction character written as its escape.

    Longer than ``limit`` characters, it is cut and ends in an ellipsis.
    """
    shown = "".join(_escape(c) if is_hidden(c) else c for c in text[:limit])
    return shown + ("…" if len(text) > limit else "")


def letter(character: str) -> str:
    """One character so that it can be seen standing alone.

    A mark that is drawn over the letter before it gets a dotted circle to stand on; blanks and
    joiners, which show nothing, are escapes.
    """
    if unicodedata.category(character).startswith("M"):
        return "\u25cc" + character
    unseen = is_hidden(character) or character in _PART_OF_WORDS or character.isspace()
    return _escape(character) if unseen else character


def letters(characters: str, limit: int = 120) -> str:
    """Characters one by one, with a blank between them; at most ``limit``."""
    shown = " ".join(map(letter, characters[:limit]))
    return shown + (" …" if len(characters) > limit else "")


class Sentence(str):
    """Text that is harmless already, however long; a value of this kind goes in as it is."""

    escaped = True


def sentence(template: str, **values: Any) -> Sentence:
    """``template`` with its ``{names}`` replaced by values, each made harmless.

    Numbers keep their format (``{count:,}``). A path is shown whole; another text is cut after 200
    characters. A sentence, and an error of this program's own, is harmless already and goes in as
    it is. Without values the template is taken as it stands, braces included.
    """
    shown = {name: _shown(value) for name, value in values.items()}
    return Sentence(template.format(**shown) if values else template)


def _shown(value: Any) -> Any:
    if isinstance(value, bool | int | float) or getattr(value, "escaped", False):
        return value
    return visible(str(value), LONGEST_PATH if isinstance(value, Path) else 200)


def is_hidden(character: str) -> bool:
    """Whether a terminal would obey or swallow this character instead of showing it."""
    return unicodedata.category(character) in _HIDDEN and character not in _PART_OF_WORDS


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
