"""A trained run that the tests look at from everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def run(words: Path, cli: Any, small: list[str]) -> Path:
    """The folder of a small run, beside the word file that it was trained on."""
    folder = words.parent / "run"
    assert cli("train", *small, "--out", folder, "--quiet").code == 0
    return folder
