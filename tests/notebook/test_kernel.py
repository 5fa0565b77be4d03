"""A real Jupyter kernel: the notebook of the docs, wrong and right cells, HTML and text."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

ROOT = Path(__file__).parent.parent.parent
WRONG_AND_RIGHT = ["dprobs = -dlogprobs / probs", "dprobs = dlogprobs / probs"]


@pytest.fixture(scope="module")
def executed() -> Iterator[Any]:
    """The docs' notebook after a run, with cells of the tests' own at its end."""
    notebook = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    for cell in WRONG_AND_RIGHT:
        notebook.cells.append(nbformat.v4.new_code_cell(f"%%gradcheck\n{cell}"))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), before]))
    try:
        nbclient.NotebookClient(notebook, timeout=300).execute()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    yield notebook


def _answers(notebook: Any) -> list[dict[str, str]]:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    data = [output["data"] for output in outputs if "data" in output]
    return [d for d in data if "mbp" in d.get("text/html", "")]


def test_the_notebook_of_the_docs_runs_through(executed: Any) -> None:
    first, second = _answers(executed)[:2]
    assert "To fix: dprobs." in first["text/html"]
    assert "To fix" not in second["text/html"]
    assert "3 of 26 gradients are right. Next: dcounts_sum." in second["text/html"]


def test_a_wrong_cell_is_blamed_at_its_place_and_a_right_one_is_not(executed: Any) -> None:
    wrong, right = _answers(executed)[-2:]
    assert re.search(r"dprobs, In \[\d+\], line 2: sign", wrong["text/html"])
    assert "To fix" not in right["text/html"]


def test_there_is_text_where_there_is_no_html(executed: Any) -> None:
    wrong = _answers(executed)[-2]
    assert re.search(r"dprobs, In \[\d+\], line 2: sign", wrong["text/plain"])


def test_the_picture_is_a_page_inside_the_notebook(executed: Any) -> None:
    assert any("srcdoc=" in answer["text/html"] for answer in _answers(executed))
