"""A notebook read as a script: what is kept, what is left out, and where a line stands."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest

from makemore_bp.errors import RequestError
from makemore_bp.learning.cells import binds, needs, python_of
from makemore_bp.learning.notebook import in_cells, read_notebook, read_source


def _notebook(path: Path, *cells: str, **metadata: object) -> Path:
    code = [{"cell_type": "code", "metadata": {}, "outputs": [], "source": c} for c in cells]
    text = [{"cell_type": "markdown", "metadata": {}, "source": ["# %not a magic"]}]
    document = {"cells": [*text, *code], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.ipynb"


def test_code_cells_follow_one_another_and_every_line_knows_its_cell(path: Path) -> None:
    source = read_notebook(_notebook(path, "a = 1\nb = 2", "", "c = a + b"))
    assert source.text == "a = 1\nb = 2\nc = a + b\n"
    assert [source.place(k) for k in (1, 2, 3)] == [
        "cell 1, line 1", "cell 1, line 2", "cell 3, line 1",
    ]  # fmt: skip


def test_a_script_keeps_its_lines(tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text("a = 1\n")
    source = read_source(script)
    assert (source.text, source.place(1), source.notes) == ("a = 1\n", "line 1", ())


def test_an_answer_on_a_notebook_speaks_of_cells(path: Path) -> None:
    source = read_notebook(_notebook(path, "a = 1\n%cd x", "b = 2"))
    answer = {
        "error": {"line": 3, "text": "See line 2 and Line 3.", "code": "print('line 3')"},
        "notes": [],
        "tensors": [{"name": "h", "line": 1, "diagnosis": {"line": None, "text": "line 99"}}],
    }
    told = in_cells(answer, source)
    assert told["error"]["text"] == "See cell 1, line 2 and Cell 2, line 1."
    assert told["error"]["where"] == "cell 2, line 1"
    assert told["error"]["code"] == "print('line 3')"
    assert told["tensors"][0]["where"] == "cell 1, line 1"
    assert told["tensors"][0]["diagnosis"] == {"line": None, "text": "line 99"}
    assert told["notes"] == list(source.notes)


def test_reading_leaves_the_file_and_its_outputs_alone(path: Path) -> None:
    before = _notebook(path, "a = 1").read_bytes()
    read_notebook(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "python", "left_out"),
    [
        ("%matplotlib inline\na = 1", "pass\na = 1", [1]),
        ("!wget https://example.org/names.txt", "pass", [1]),
        ("if True:\n    !pip install x\n    a = 1", "if True:\n    pass\n    a = 1", [2]),
        ("%time a = 1", "a = 1", [1]),
        ("%timeit f()", "pass", [1]),
        ("%%time\na = 1", "pass\na = 1", [1]),
        ("%%bash\nls -l\necho %d", "pass\n\n", [1]),
        ("%%timeit\na = 1", "pass\n", [1]),
        ("files = !ls", "pass", [1]),
        ("x = %timeit -o f()", "pass", [1]),
        ("torch.tensor?", "pass", [1]),
        ("?torch.tensor", "pass", [1]),
        ("!echo one \\\n  two\na = 1", "pass\n\na = 1", [1]),
        ("a = ('%d'\n     % 3)", "a = ('%d'\n     % 3)", []),
        ("s = '''\n%time\n!x\n'''", "s = '''\n%time\n!x\n'''", []),
        ("%cd x\ns = '''\n%time\n'''", "pass\ns = '''\n%time\n'''", [1]),
        ("%cd x\na = (7\n% 3)", "pass\na = (7\n% 3)", [1]),
        ("%cd x\nprint('why?')  # really?", "pass\nprint('why?')  # really?", [1]),
        ("\n%%capture out\na = 1", "\npass\na = 1", [2]),
    ],
)
def test_commands_are_left_out_line_by_line(text: str, python: str, left_out: list[int]) -> None:
    cell = python_of(text)
    assert "\n".join(cell.lines) == python
    assert [line for line, _ in cell.left_out] == left_out
    assert cell.error is None
    ast.parse(python)


def test_what_is_left_out_is_said(path: Path) -> None:
    source = read_notebook(_notebook(path, "a = 1", "%matplotlib inline\n!ls"))
    assert source.notes == (
        "Left out, because they are commands to the notebook: %matplotlib inline (cell 2, line 1), "
        "!ls (cell 2, line 2).",
    )


def test_a_cell_that_is_not_python_is_left_out_and_the_rest_is_read(path: Path) -> None:
    source = read_notebook(_notebook(path, "a = 1", "dlogits = # TODO", "b = a"))
    assert source.text == "a = 1\nb = a\n"
    assert source.place(2) == "cell 3, line 1"
    assert source.notes == ("Cell 2, line 1: invalid syntax. The cell is left out.",)


def test_a_cell_that_reads_what_a_later_one_sets_comes_after_it(path: Path) -> None:
    source = read_notebook(_notebook(path, "b = a + 1", "print(1)", "import x\na = 1", "c = b"))
    assert source.text == "print(1)\nimport x\na = 1\nb = a + 1\nc = b\n"
    assert source.notes == ("Cell 1 reads a, which cell 3 sets, so it is run after cell 3.",)


def test_cells_that_wait_for_each_other_stay_in_order(path: Path) -> None:
    source = read_notebook(_notebook(path, "a = b", "b = a"))
    assert source.text == "a = b\nb = a\n"


def test_a_function_reads_its_names_when_it_is_called(path: Path) -> None:
    source = read_notebook(_notebook(path, "def f():\n    return a", "a = 1", "f()"))
    assert source.text.splitlines()[0] == "def f():"
    assert source.notes == ()


def test_format_3_is_read(path: Path) -> None:
    cell = {"cell_type": "code", "language": "python", "input": ["a = 1\n", "b = 2"]}
    path.write_text(json.dumps({"nbformat": 3, "worksheets": [{"cells": [cell]}]}))
    assert read_notebook(path).text == "a = 1\nb = 2\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is empty"),
        ("{", "line 1, column 2, is not JSON"),
        ("a = 1", "line 1, column 1, is not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[1]", "is JSON, but not a notebook"),
        ("{}", "has no code cells"),
        ('{"cells": [{"cell_type": "code", "source": " "}]}', "has no code cells"),
        ('{"cells": 3, "metadata": []}', "has no code cells"),
        ('{"cells": [], "metadata": {"kernelspec": {"language": "R"}}}', "a notebook in r"),
        ('{"cells": [], "metadata": {"language_info": {"name": "julia"}}}', "a notebook in julia"),
    ],
)
def test_a_file_that_is_not_for_us_is_refused_in_a_sentence(
    path: Path, content: str, said: str
) -> None:
    path.write_text(content)
    with pytest.raises(RequestError, match=r"mine\.ipynb") as refused:
        read_notebook(path)
    assert said in str(refused.value)


def test_a_missing_notebook_and_a_folder_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.ipynb").mkdir()
    for name, said in (("absent.ipynb", "does not exist"), ("folder.ipynb", "not a regular file")):
        with pytest.raises(RequestError, match=said):
            read_notebook(tmp_path / name)


def test_bytes_that_are_not_utf_8_are_refused(path: Path) -> None:
    path.write_bytes(b'{"cells": "\xff"}')
    with pytest.raises(RequestError, match="byte 11 is not UTF-8"):
        read_notebook(path)


@pytest.mark.parametrize(
    ("text", "read", "bound"),
    [
        ("a = b + a", {"a", "b"}, {"a"}),
        ("b = 1\na = b", set(), {"a", "b"}),
        ("a += b", {"a", "b"}, set()),
        ("d = {s: i for i, s in enumerate(c)}", {"enumerate", "c"}, {"d"}),
        ("for k in r:\n    ix = X[k]\n    d[ix] += e[k]", {"r", "X", "d", "e"}, {"k", "ix"}),
        ("def f(a):\n    return a + b", set(), {"f"}),
        ("import a.b as c, d.e", set(), {"c", "d"}),
        ("with g() as h:\n    h.x = 1", {"g"}, {"h"}),
    ],
)
def test_what_a_cell_reads_and_sets(text: str, read: set[str], bound: set[str]) -> None:
    assert (needs(text), binds(text)) == (read, bound)
