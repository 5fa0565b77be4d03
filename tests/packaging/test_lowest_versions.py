"""The lowest versions that pyproject.toml allows; ``nox -s lowest`` runs the tests on them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_file_of_lowest_versions_is_what_pyproject_says() -> None:
    written = subprocess.run(
        [sys.executable, ROOT / "tools" / "lowest.py"], capture_output=True, text=True, check=True
    )
    assert written.stdout == (ROOT / "lowest.txt").read_text(encoding="utf-8")
