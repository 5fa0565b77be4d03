"""A learner's file as Python text, with the place where each of its lines stands.

A notebook (``.ipynb``) becomes one script: its code cells in order, without the notebook's own
commands. Its saved outputs are not read, and the file is not written to.
"""

from __future__ import annotations

import builtins
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_read
from makemore_bp.learning.cells import Cell, binds, needs, python_of
from makemore_bp.learning.reading import read_script
from makemore_bp.text import visible

SUFFIX = ".ipynb"
LARGEST_NOTEBOOK = 200_000_000  # bytes; pictures of earlier runs are saved in it
_SHOWN = 6  # commands that are named one by one
_LINE = re.compile(r"\b([Ll])ine (\d+)\b")
_AS_TYPED = {"code", "output", "old", "new", "statement", "names", "page"}


@dataclass(frozen=True)
class Source:
    """The text of a learner's file.

    text: Python. lines: of a notebook, the cell and the line in it of each line of ``text``, both
    from 1 and counted among the code cells; empty for a plain script. notes: sentences on what was
    left out of a notebook. label: what a cell is called.
    """

    text: str
    lines: tuple[tuple[int, int], ...] = ()
    notes: tuple[str, ...] = ()
    label: str = "cell {cell}"

    def place(self, line: int) -> str:
        """Where a line of ``text`` stands, for a person: ``line 12``, ``cell 3, line 4``."""
        if not 1 <= line <= len(self.lines):
            return f"line {line}"
        cell, inside = self.lines[line - 1]
        return f"{self.label.format(cell=cell)}, line {inside}"


def read_source(path: Path) -> Source:
    """The file at ``path``, a notebook if its name ends in .ipynb, else a Python script.

    Raises RequestError if it cannot be read or has no Python in it.
    """
    return read_notebook(path) if is_notebook(path) else Source(read_script(path))


def source_of(request: Mapping[str, Any]) -> Source:
    """The source of a request, which went through JSON."""
    lines = tuple((cell, line) for cell, line in request["lines"])
    return Source(request["text"], lines, tuple(request["notes"]))


def is_notebook(path: Path) -> bool:
    """Whether a path is a notebook's."""
    return path.suffix.lower() == SUFFIX


def read_notebook(path: Path) -> Source:
    """The code of a notebook, format 3 or 4. Raises RequestError if there is none."""
    document = _document(path)
    language = _language(document)
    if language not in ("python", "ipython"):
        raise RequestError(
            "{path} is a notebook in {language}; only Python can be checked.",
            path=path,
            language=language,
        )
    cells = [python_of(text) for text in _code_cells(document)]
    if not any(line.strip() for cell in cells for line in cell.lines):
        raise RequestError("{path} has no code cells with anything in them.", path=path)
    return joined(cells)


def in_cells(answer: dict[str, Any], source: Source) -> dict[str, Any]:
    """An answer on ``source`` that speaks of cells where it spoke of lines of the script.

    What has a ``line``, that of the script, gets the key ``where`` besides, and every sentence
    names cell and line. The notes on the notebook come first among the answer's.
    """
    if not source.lines:
        return answer
    told: dict[str, Any] = _in_cells(answer, source)
    return {**told, "notes": [*source.notes, *told["notes"]]}


def _in_cells(value: Any, source: Source) -> Any:
    if isinstance(value, list):
        return [_in_cells(each, source) for each in value]
    if isinstance(value, dict):
        found = {
            key: each if key in _AS_TYPED else _in_cells(each, source)
            for key, each in value.items()
        }
        if isinstance(value.get("line"), int):
            found["where"] = source.place(value["line"])
        return found
    if isinstance(value, str):
        return _LINE.sub(lambda line: _capital(line[1], source.place(int(line[2]))), value)
    return value


def _capital(like: str, text: str) -> str:
    return text[0].upper() + text[1:] if like == "L" else text


def joined(cells: Sequence[Cell], label: str = "cell {cell}") -> Source:
    """Cells as one script, in an order in which what each reads has been set."""
    order = _order([cell for cell in cells if cell.error is None], cells)
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    for number in order:
        for inside, line in enumerate(cells[number].lines, 1):
            lines.append(line)
            places.append((number + 1, inside))
    notes = (*_left_out(cells, label), *_broken(cells, label), *_moved(cells, order, label))
    return Source("\n".join([*lines, ""]), tuple(places), notes, label)


def _document(path: Path) -> Mapping[str, Any]:
    try:
        if not path.is_file():
            missing = "is not a regular file" if path.exists() else "does not exist"
            raise RequestError("{path} {missing}. Name a notebook.", path=path, missing=missing)
        size = path.stat().st_size
        if size > LARGEST_NOTEBOOK:
            raise RequestError(
                "{path} has {size:,} bytes. Clear its outputs and save it again.",
                path=path,
                size=size,
            )
        raw = path.read_bytes()
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from None
    try:
        document = json.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise RequestError(
            "{path} is not a whole notebook: {reason}. Save it again in Jupyter.",
            path=path,
            reason=_reason(raw, error),
        ) from None
    if not isinstance(document, dict):
        raise RequestError("{path} is JSON, but not a notebook.", path=path)
    return document


def _reason(raw: bytes, error: Exception) -> str:
    if not raw.strip():
        return "it is empty"
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}, is not JSON ({error.msg})"
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start:,} is not UTF-8"
    return "it is nested too deeply"


def _language(document: Mapping[str, Any]) -> str:
    """The language that a notebook says it is in; Python if it says nothing."""
    metadata = _mapping(document.get("metadata"))
    said = (
        _mapping(metadata.get("language_info")).get("name"),
        _mapping(metadata.get("kernelspec")).get("language"),
    )
    return next((s.lower() for s in said if isinstance(s, str) and s), "python")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _code_cells(document: Mapping[str, Any]) -> Iterator[str]:
    """The texts of the code cells; format 3 keeps them in worksheets, under another name."""
    sheets = [document, *_list(document.get("worksheets"))]
    for cell in (cell for sheet in sheets for cell in _list(_mapping(sheet).get("cells"))):
        if _mapping(cell).get("cell_type") == "code":
            source = cell.get("source", cell.get("input", ""))
            yield source if isinstance(source, str) else "".join(map(str, _list(source)))


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _order(readable: Sequence[Cell], cells: Sequence[Cell]) -> list[int]:
    """The readable cells' numbers, from 0, in order; one that reads what only a later one sets
    comes after that."""
    texts = {k: "\n".join(cell.lines) for k, cell in enumerate(cells) if cell in readable}
    sets = {k: binds(text) for k, text in texts.items()}
    anywhere = set().union(*sets.values()) - set(dir(builtins))
    waits = {k: needs(text) & anywhere for k, text in texts.items()}
    order: list[int] = []
    known: set[str] = set()
    left = list(texts)
    while left:
        taken = next((k for k in left if waits[k] <= known), left[0])
        left.remove(taken)
        order.append(taken)
        known |= sets[taken]
    return order


def _left_out(cells: Sequence[Cell], label: str) -> Iterator[str]:
    commands = [
        f"{visible(text, 60)} ({_at(label, number, line)})"
        for number, cell in enumerate(cells, 1)
        for line, text in cell.left_out
    ]
    more = f" and {len(commands) - _SHOWN} more" if len(commands) > _SHOWN else ""
    if commands:
        shown = ", ".join(commands[:_SHOWN])
        yield f"Left out, because they are commands to the notebook: {shown}{more}."


def _broken(cells: Sequence[Cell], label: str) -> Iterator[str]:
    for number, cell in enumerate(cells, 1):
        if cell.error is not None:
            line, reason = cell.error
            yield f"{_at(label, number, line).capitalize()}: {reason}. The cell is left out."


def _moved(cells: Sequence[Cell], order: Sequence[int], label: str) -> Iterator[str]:
    for place, number in enumerate(order):
        later = [k for k in order[:place] if k > number]
        if later:
            wanted = needs("\n".join(cells[number].lines))
            names = sorted(wanted & binds("\n".join(cells[later[-1]].lines)))
            one, other = label.format(cell=number + 1), label.format(cell=later[-1] + 1)
            read = f" reads {', '.join(names)}, which {other} sets, so it" if names else ""
            yield f"{one.capitalize()}{read} is run after {other}."


def _at(label: str, cell: int, line: int) -> str:
    return f"{label.format(cell=cell)}, line {line}"
