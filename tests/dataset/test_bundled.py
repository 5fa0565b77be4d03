"""The word lists that travel with the package."""

from __future__ import annotations

import re
import unicodedata

from makemore_bp import config
from makemore_bp.dataset import words


def test_the_bundled_names_are_thousands_of_distinct_words_of_a_to_z() -> None:
    names = words.read_all(config.data_path("bundled:names")).words
    assert len(names) == len(set(names)) >= 4000
    assert all(re.fullmatch("[a-z]{2,15}", name) for name in names)
    assert names == sorted(names)


def test_the_bundled_towns_hold_accents_in_composed_form() -> None:
    towns = words.read_all(config.data_path("bundled:towns")).words
    assert len(towns) == len(set(towns)) >= 1000
    assert not "".join(towns).isascii()
    assert all(unicodedata.is_normalized("NFC", town) for town in towns)
