"""Text from strangers, made harmless for a terminal."""

from __future__ import annotations

import unicodedata

# Categories that move the cursor, turn the text around or show nothing at all.
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
# Joiners are part of how some scripts are spelt (Persian, Hindi, ...), and shape only letters.
_PART_OF_WORDS = {"\u200c", "\u200d"}


def visible(text: str, limit: int = 200) -> str:
    """``text`` with every control, escape and direction character written as its escape.

    Longer than ``limit`` characters, it is cut and ends in an ellipsis.
    """
    shown = "".join(_escape(c) if is_hidden(c) else c for c in text[:limit])
    return shown + ("…" if len(text) > limit else "")


def is_hidden(character: str) -> bool:
    """Whether a terminal would obey or swallow this character instead of showing it."""
    return unicodedata.category(character) in _HIDDEN and character not in _PART_OF_WORDS


def _escape(character: str) -> str:
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
