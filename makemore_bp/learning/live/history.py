"""Where in a notebook's history a gradient was made."""

from __future__ import annotations

import ast
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor

from makemore_bp.learning.cells import python_of
from makemore_bp.learning.diagnosis import Evidence, Version
from makemore_bp.learning.notebook import Source
from makemore_bp.learning.source import targets


def history_of(names: Mapping[str, Any], wanted: Collection[str]) -> Source:
    """The cells that were executed, in order, but of those that set one of the ``wanted`` names
    only what was executed last; every line knows its cell. Empty outside a notebook.
    """
    cells = {number: python_of(text) for number, text in enumerate(_executed(names))}
    lines: list[str] = []
    places: list[tuple[int, int]] = []
    for number in _latest(cells, wanted):
        for inside, line in enumerate(cells[number].lines, 1):
            lines.append(line)
            places.append((number, inside))
    return Source("\n".join([*lines, ""]), tuple(places), (), "In [{cell}]")


def _executed(names: Mapping[str, Any]) -> list[str]:
    """The cells as they were typed, by their number; IPython keeps them beside ``In``, which holds
    them with its commands translated."""
    try:
        typed = names["get_ipython"]().history_manager.input_hist_raw
    except (KeyError, TypeError, AttributeError):
        typed = names.get("In", [])
    return [text if isinstance(text, str) else "" for text in typed]


def _latest(cells: Mapping[int, Any], wanted: Collection[str]) -> list[int]:
    """The cells that made the wanted names what they are, in order.

    Backwards from the last: a cell counts as long as one of the names that it sets has not been set
    afresh by a later one. ``dcounts += ...`` alone does not set dcounts afresh.
    """
    taken, settled = [], set[str]()
    for number in reversed(cells):
        if cells[number].error is not None:
            continue
        tree = ast.parse("\n".join(cells[number].lines))
        sets = targets(tree) & set(wanted)
        if sets - settled:
            taken.append(number)
            settled |= sets & _afresh(tree)
    return taken[::-1]


def _afresh(tree: ast.Module) -> set[str]:
    return {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def evidence_of(source: Source, gradients: Mapping[str, Tensor]) -> Evidence:
    """The statements that made each gradient; what it was in between is not known."""
    history: dict[str, list[Version]] = {}
    for step, statement in enumerate(ast.parse(source.text).body):
        code = ast.get_source_segment(source.text, statement) or ""
        for name in targets(statement) & gradients.keys():
            version = Version(step, statement.lineno, code, True, gradients[name])
            history.setdefault(name, []).append(version)
    return Evidence({name: tuple(versions) for name, versions in history.items()})
