"""Fonts for characters that matplotlib's own font does not have, among those that are installed."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import cache

from matplotlib import font_manager
from matplotlib.font_manager import FontProperties
from matplotlib.ft2font import FT2Font

_SLANTED = ("bold", "black", "italic", "oblique", "light", "thin")


def without_glyph(characters: Iterable[str], families: list[str]) -> set[str]:
    """Those of the characters that none of these fonts can draw."""
    files = (font_manager.findfont(FontProperties(family=[family])) for family in families)
    known = set[int]().union(*map(_codes, files))
    return {c for c in characters if ord(c) not in known and unicodedata.category(c)[0] not in "CZ"}


@cache
def covering(characters: frozenset[str]) -> list[str]:
    """Families of installed fonts that have as many of these characters as any have, few of them.

    What is found is made known to matplotlib.
    """
    missing, families = {ord(c) for c in characters}, []
    files = sorted(font_manager.findSystemFonts())
    while missing and files:
        best = max(files, key=lambda file: (len(missing & _codes(file)), not _is_slanted(file)))
        if not missing & _codes(best):
            break
        font_manager.fontManager.addfont(best)
        families.append(FT2Font(best).family_name)
        missing -= _codes(best)
    return families


def _is_slanted(file: str) -> bool:
    return any(word in file.lower() for word in _SLANTED)


@cache
def _codes(file: str) -> frozenset[int]:
    """The characters that a font has; none, if it cannot be read."""
    try:
        return frozenset(FT2Font(file).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()
