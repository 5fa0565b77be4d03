"""What the tests over several processes share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder of encoded words for all tests here."""
    return tmp_path_factory.mktemp("cache")
