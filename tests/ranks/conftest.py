"""Makes this folder's helpers importable as ``tests.ranks.rank_threads``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = str(Path(__file__).parent.parent.parent)
if ROOT not in sys.path:
    sys.path.insert(0, ROOT)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of encoded words for all tests here."""
    return tmp_path_factory.mktemp("cache")
