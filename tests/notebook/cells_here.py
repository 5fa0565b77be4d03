"""Executes a notebook's cells in this process, as a kernel would."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from functools import cache
from typing import Any

from makemore_bp.learning.cells import python_of
from makemore_bp.learning.live.present import Present, check_names
from makemore_bp.learning.word_files import bundled_names
from tests.notebook.notebooks import NOTEBOOKS


def namespace(cells: Sequence[str]) -> dict[str, Any]:
    """The names after the cells, with the history that IPython keeps."""
    names: dict[str, Any] = {"In": [""], "names_text": bundled_names().read_text()}
    for cell in cells:
        execute(names, cell)
    return names


def execute(names: dict[str, Any], cell: str) -> None:
    """Executes one more cell."""
    names["In"].append(cell)
    text = "\n".join(python_of(cell).lines)
    text = text.replace("open('names.txt', 'r').read()", "names_text")
    text = text.replace("import matplotlib.pyplot as plt", "pass")
    with contextlib.redirect_stdout(io.StringIO()):
        exec(text, names)


@cache
def present(name: str) -> Present:
    """The check of what one of the ten notebooks leaves behind."""
    return check_names(namespace(NOTEBOOKS[name]))
