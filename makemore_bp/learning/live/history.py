"""Which of the statements that were executed made the gradients of a namespace what they are."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from makemore_bp.learning.cells import Cell, needs_of, python_of
from makemore_bp.learning.notebook import Source
from makemore_bp.learning.source import names_read, targets


@dataclass(frozen=True)
class _Statement:
    cell: int
    node: ast.stmt
    lines: tuple[str, ...]


def history_of(names: Mapping[str, Any], wanted: Collection[str], given: Collection[str]) -> Source:
    """The statements that made the ``wanted`` names what they are, in the order of execution; every
    line knows its cell. What sets one of the ``given`` names, such as the forward pass, is left
    out. It comes from IPython's history, or from the file that the namespace is that of.
    """
    cells = _executed(names)
    label = "In [{cell}]" if len(cells) > 1 or "__file__" not in names else "file {cell}"
    chosen = _chosen(cells, frozenset(wanted), frozenset(given))
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    for statement in chosen:
        for number, line in enumerate(statement.lines, statement.node.lineno):
            lines.append(line)
            places.append((statement.cell, number))
    return Source("\n".join([*lines, ""]), tuple(places), (), label)


def _executed(names: Mapping[str, Any]) -> Sequence[str]:
    """The cells as they were typed, by their number; IPython keeps them beside ``In``, which holds
    them with its commands translated."""
    try:
        typed = names["get_ipython"]().history_manager.input_hist_raw
    except (KeyError, TypeError, AttributeError):
        typed = names.get("In") or _file(names)
    return [text if isinstance(text, str) else "" for text in typed]


def _file(names: Mapping[str, Any]) -> list[str]:
    try:
        return [Path(names["__file__"]).read_text(encoding="utf-8")]
    except (KeyError, TypeError, OSError, ValueError):
        return []


@lru_cache(512)
def _cell(text: str) -> Cell:
    return python_of(text)


@lru_cache(512)
def _body(text: str) -> list[ast.stmt]:
    return ast.parse(text).body


def _statements(cells: Sequence[str]) -> list[_Statement]:
    found = []
    for number, text in enumerate(cells):
        cell = _cell(text)
        if cell.error is None:
            for node in _body("\n".join(cell.lines)):
                lines = cell.lines[node.lineno - 1 : node.end_lineno]
                found.append(_Statement(number, node, tuple(lines)))
    return found


def _chosen(
    cells: Sequence[str], wanted: frozenset[str], given: frozenset[str]
) -> list[_Statement]:
    """Backwards from the last statement: one that sets a needed name is taken, and what it reads is
    needed, too. A name that it sets from scratch is not needed any more."""
    taken: list[_Statement] = []
    needed = set(wanted)
    for statement in reversed(_statements(cells)):
        sets = _sets(statement.node)
        if sets & needed and not sets & given:
            taken.append(statement)
            needed -= _from_scratch(statement.node)
            needed |= _reads(statement.node) - given
    return list(_of_gradients(taken[::-1], set(wanted)))


def _of_gradients(taken: Iterable[_Statement], made: set[str]) -> Iterator[_Statement]:
    """Without what owes nothing to a gradient, such as the words: the namespace has it."""
    for statement in taken:
        defines = isinstance(statement.node, ast.FunctionDef)
        if defines or (_sets(statement.node) | _reads(statement.node)) & made:
            made |= _sets(statement.node)
            yield statement


def _reads(node: ast.stmt) -> set[str]:
    """The names that a statement reads and does not set itself before."""
    if isinstance(node, ast.FunctionDef):
        return names_read(node) - targets(node)
    return needs_of(node)


def _sets(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return set()
    return targets(node)


def _from_scratch(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if not isinstance(node, ast.Assign):
        return set()
    whole = [target for target in node.targets for target in getattr(target, "elts", [target])]
    return {target.id for target in whole if isinstance(target, ast.Name)}
