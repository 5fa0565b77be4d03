"""One change at a time to a learner's statement, each with what it would mean.

A change that makes the gradient true *is* the mistake, in the learner's own words. The cheaper
changes are the likelier slips: they are preferred where several would do.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from makemore_bp.learning.diagnosis import operations
from makemore_bp.learning.diagnosis.kinds import Kind
from makemore_bp.learning.diagnosis.shapes import SIZES, named
from makemore_bp.learning.diagnosis.walk import Spot, blocks, spots

MODULES = ("torch", "F", "np", "math")


@dataclass(frozen=True)
class Edit:
    """A statement with one thing changed. old, new: what is exchanged for what (``new`` is None for
    a statement that is taken out); text: what is wrong about ``old``; cost: the higher, the less
    likely."""

    statement: ast.stmt
    old: ast.AST
    new: ast.AST | None
    kind: Kind
    text: str
    cost: float


@dataclass(frozen=True)
class Words:
    """The names that may stand in a statement: tensors of floating numbers (the gradients among
    them) with their shapes where they are known, what may be an index, and the tensor whose
    gradient is made; ``said`` are the names that the script uses at all, and the keys that it
    writes in brackets, in double quotes; made: what the statements make on the way; sizes: the
    names of plain numbers; factors: numbers that may be missing as factors."""

    floats: Mapping[str, tuple[int, ...] | None]
    gradients: frozenset[str]
    integers: Sequence[str]
    tensor: str
    said: frozenset[str]
    made: frozenset[str] = frozenset()
    sizes: Sequence[str] = SIZES
    factors: Sequence[str] = ("1/n", "n", "1/(n - 1)", "n/(n - 1)", "(n - 1)", "2", "0.5", "1/n**2")


def edits(statement: ast.stmt, words: Words, show: Callable[[ast.AST], str]) -> Iterator[Edit]:
    """Every change of one thing in ``statement``. ``show`` gives a node as the learner wrote it."""
    yield from _of_statements(statement, words, show)
    yield from _throughout(statement, words)
    for spot in spots(statement):
        if spot.stored or _keeps(spot):
            continue
        for new, kind, text, cost in operations.changes(spot, words, show):
            if spot.loop and kind is Kind.place:
                kind, text = Kind.missing_term, f"the loop does not come to all: {text}"
            unlikely = 1.5 if spot.length else 0
            yield Edit(spot.put(new), spot.node, new, kind, text, cost + unlikely)


def _keeps(spot: Spot) -> bool:
    """What no slip of the learner's touches: the names of modules and functions."""
    node = spot.node
    if isinstance(node, ast.Name) and node.id in (*MODULES, "range", "print"):
        return True
    return spot.called and isinstance(node, ast.Name)


def _of_statements(
    statement: ast.stmt, words: Words, show: Callable[[ast.AST], str]
) -> Iterator[Edit]:
    for new, old, kind, text, cost in _assignments(statement, show):
        yield Edit(new, old, new, kind, text, cost)
    for body, put in blocks(statement):
        for position, inner in enumerate(body):
            before, after = body[:position], body[position + 1 :]
            for new, old, kind, text, cost in _assignments(inner, show):
                yield Edit(put([*before, new, *after]), old, new, kind, text, cost)
            if len(body) > 1 and not isinstance(inner, ast.Return):
                yield Edit(
                    put(before + after), inner, None, Kind.extra_term,
                    f"{show(inner).splitlines()[0].strip()} does not belong there", 5,
                )  # fmt: skip
            if after and not isinstance(after[0], ast.Return):
                yield Edit(
                    put([*before, after[0], inner, *after[1:]]), inner, after[0], Kind.overwritten,
                    "this statement and the next stand in the wrong order", 4,
                )  # fmt: skip


def _throughout(statement: ast.stmt, words: Words) -> Iterator[Edit]:
    """A name exchanged for another wherever it stands: ``z * (1 - z)`` for ``p * (1 - p)``."""
    if not isinstance(statement, ast.Assign | ast.AugAssign | ast.Return):
        return
    value = statement.value
    if value is None:
        return
    read = Counter(n.id for n in ast.walk(value) if isinstance(n, ast.Name))
    for old, count in read.items():
        for new in words.floats if count > 1 and old in words.floats else ():
            if new != old:
                changed = _Renamed(old, named(new)).visit(copy.deepcopy(value))
                whole = copy.copy(statement)
                whole.value = changed
                text = f"{old} is used where {new} belongs"
                yield Edit(whole, value, changed, Kind.wrong_input, text, 2.3)


class _Renamed(ast.NodeTransformer):
    def __init__(self, old: str, new: ast.expr) -> None:
        self._old, self._new = old, new

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._new if node.id == self._old else node


Changed = Iterator[tuple[ast.stmt, ast.AST, Kind, str, float]]


def _assignments(statement: ast.stmt, show: Callable[[ast.AST], str]) -> Changed:
    """``=`` for ``+=`` and its like."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1:
        target = statement.targets[0]
        if isinstance(target, ast.Name | ast.Subscript | ast.Attribute):
            yield from _assigned(statement, target, show)
        if isinstance(target, ast.Tuple) and len(target.elts) > 1:
            yield from _exchanged(statement, target, show)
    elif isinstance(statement, ast.AugAssign):
        yield from _augmented(statement, show)
    if isinstance(statement, ast.Assign | ast.AugAssign | ast.Return) and statement.value:
        yield from _crossed(statement)


def _crossed(statement: ast.Assign | ast.AugAssign | ast.Return) -> Changed:
    """Two names exchanged with one another."""
    assert statement.value is not None
    called = {n.func for n in ast.walk(statement.value) if isinstance(n, ast.Call)}
    read = [n for n in ast.walk(statement.value) if isinstance(n, ast.Name)]
    names = dict.fromkeys(n.id for n in read if n not in called and n.id not in MODULES)
    for one, other in combinations(names, 2):
        changed = copy.copy(statement)
        changed.value = _Exchanged(one, other).visit(copy.deepcopy(statement.value))
        yield changed, statement, Kind.exchanged, f"{one} and {other} are exchanged", 2.3


class _Exchanged(ast.NodeTransformer):
    def __init__(self, one: str, other: str) -> None:
        self._other = {one: other, other: one}

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.copy_location(ast.Name(self._other.get(node.id, node.id), node.ctx), node)


def _assigned(statement: ast.Assign, target: Any, show: Callable[[ast.AST], str]) -> Changed:
    name = show(target)
    lost = "so what it held before is lost"
    if isinstance(target, ast.Subscript):
        lost = "so of all that comes to one place only the last counts"
    text = f"{name} is assigned (=) where it must be added to (+=), {lost}"
    yield (
        ast.AugAssign(target, ast.Add(), statement.value), statement, Kind.overwritten, text, 1
    )  # fmt: skip
    text = f"{name} is assigned (=) where it must be subtracted from (-=), {lost}"
    yield (
        ast.AugAssign(target, ast.Sub(), statement.value), statement, Kind.overwritten, text, 3
    )  # fmt: skip
    if isinstance(target, ast.Subscript):
        added = ast.Attribute(named(ast.unparse(target.value)), "index_add_", ast.Load())
        call = ast.Call(added, [ast.Constant(0), target.slice, statement.value], [])
        text = f"{name} is assigned (=), so of all that comes to one place only the last counts; " \
               "index_add_ adds"  # fmt: skip
        yield ast.Expr(call), statement, Kind.overwritten, text, 1.5


def _exchanged(statement: ast.Assign, target: ast.Tuple, show: Callable[[ast.AST], str]) -> Changed:
    for first in range(len(target.elts)):
        for second in range(first + 1, len(target.elts)):
            elements = list(target.elts)
            elements[first], elements[second] = elements[second], elements[first]
            one, other = show(target.elts[first]), show(target.elts[second])
            yield (
                ast.Assign([ast.Tuple(elements, ast.Store())], statement.value), target,
                Kind.exchanged, f"{one} and {other} are exchanged", 2,
            )  # fmt: skip


_SIGNS: Mapping[tuple[type, type], tuple[Kind, str, float]] = {
    (ast.Sub, ast.Add): (Kind.sign, "is subtracted (-=) where it must be added (+=)", 1),
    (ast.Add, ast.Sub): (Kind.sign, "is added (+=) where it must be subtracted (-=)", 1),
    (ast.Mult, ast.Div): (Kind.operation, "multiplies (*=) where it must divide (/=)", 2),
    (ast.Div, ast.Mult): (Kind.operation, "divides (/=) where it must multiply (*=)", 2),
    (ast.Add, ast.Mult): (Kind.operation, "is added (+=) where it must be multiplied in (*=)", 3),
    (ast.Mult, ast.Add): (Kind.operation, "is multiplied in (*=) where it must be added (+=)", 3),
}


def _augmented(statement: ast.AugAssign, show: Callable[[ast.AST], str]) -> Changed:
    value = show(statement.value)
    for (old, new), (kind, text, cost) in _SIGNS.items():
        if isinstance(statement.op, old):
            changed = ast.AugAssign(statement.target, new(), statement.value)
            yield changed, statement, kind, f"{value} {text}", cost
    if isinstance(statement.op, ast.Add | ast.Sub):
        text = f"{show(statement.target)} is added to (+=) where it must be assigned (=)"
        yield ast.Assign([statement.target], statement.value), statement, Kind.extra_term, text, 4
