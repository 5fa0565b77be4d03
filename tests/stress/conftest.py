"""A trained run that the tests look at from everywhere, and ``tests.fuzz.inputs``, importable."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = str(Path(__file__).parent.parent.parent)
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)


@pytest.fixture
def run(words: Path, cli: Any, small: list[str]) -> Path:
    """The folder of a small run, beside the word file that it was trained on."""
    folder = words.parent / "run"
    assert cli("train", *small, "--out", folder, "--quiet").code == 0
    return folder
