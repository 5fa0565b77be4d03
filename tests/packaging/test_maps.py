"""The docstring of a folder is the map of what stands in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "makemore_bp"
FOLDERS = sorted({path.parent for path in PACKAGE.rglob("__init__.py")})
NO_MODULES = {"__init__.py", "__main__.py", "__pycache__"}


def parts(folder: Path) -> set[str]:
    """Its modules by their file names, its subfolders with a slash at the end."""
    files = {path.name for suffix in ("py", "c", "h") for path in folder.glob(f"*.{suffix}")}
    folders = {f"{path.parent.name}/" for path in folder.glob("*/*.py")}
    return (files | folders) - NO_MODULES


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_folders_docstring_names_all_that_stands_in_it_and_nothing_else(folder: Path) -> None:
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    named = set(re.findall(r"\b\w+\.(?:py|c|h)\b|\b\w+/(?=\s)", text))
    assert named == parts(folder)
