"""Every expression inside a statement, with a function that puts another in its place."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from makemore_bp.learning.diagnosis.shapes import is_length

REDUCTIONS = {"sum", "mean", "max", "min", "amax", "amin", "prod", "std", "var", "softmax",
              "log_softmax", "argmax", "norm", "logsumexp", "cumsum"}  # fmt: skip


@dataclass(frozen=True)
class Spot:
    """An expression in a statement. put: gives the statement with another in its place; parent: the
    node around it; index: whether it stands inside square brackets, or inside range(); exponent:
    whether it is an exponent; axis: whether it says along which axis something is taken; called:
    whether it is the function of a call; stored: whether it is written to; loop:
    whether it says what a loop runs over."""

    node: ast.expr
    put: Callable[[ast.expr], ast.stmt]
    parent: ast.AST
    index: bool = False
    exponent: bool = False
    axis: bool = False
    called: bool = False
    stored: bool = False
    loop: bool = False
    length: bool = False


def spots(statement: ast.stmt) -> Iterator[Spot]:
    """The expressions of a statement and of the statements inside it, from the outside in."""
    yield from _below(statement, lambda node: node, Spot(ast.Constant(0), _never, statement))


def _never(_: ast.expr) -> ast.stmt:
    raise AssertionError("only expressions are exchanged")


def _below(node: ast.AST, put: Callable[[Any], Any], around: Spot) -> Iterator[Spot]:
    for name, value in ast.iter_fields(node):
        parts = value if isinstance(value, list) else [value]
        for position, part in enumerate(parts):
            if not isinstance(part, ast.AST) or isinstance(part, ast.expr_context | ast.operator):
                continue
            where = position if isinstance(value, list) else None
            inner = _putting(node, name, where, put)
            if isinstance(part, ast.expr):
                spot = _spot(part, inner, node, name, around)
                yield spot
                yield from _below(part, inner, spot)
            else:
                yield from _below(part, inner, around)


def _spot(part: ast.expr, put: Any, parent: ast.AST, field: str, around: Spot) -> Spot:
    index = around.index or (isinstance(parent, ast.Subscript) and field == "slice")
    index = index or (isinstance(parent, ast.Call) and _called(parent) == "range")
    reduces = _called(parent) in REDUCTIONS if isinstance(parent, ast.Call) else False
    return Spot(
        part,
        put,
        parent,
        index,
        exponent=isinstance(parent, ast.BinOp | ast.UnaryOp)
        and ((isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow) and field == "right")
             or (isinstance(parent, ast.UnaryOp) and around.exponent)),
        axis=(reduces and field == "args")
        or (isinstance(parent, ast.keyword) and parent.arg in ("dim", "axis"))
        or (around.axis and isinstance(parent, ast.Tuple | ast.UnaryOp)),
        called=isinstance(parent, ast.Call) and field == "func",
        stored=isinstance(getattr(part, "ctx", None), ast.Store)
        or (isinstance(getattr(parent, "ctx", None), ast.Store) and field == "value")
        or (isinstance(parent, ast.Attribute) and parent.attr.endswith("_")),
        loop=around.loop or (isinstance(parent, ast.For) and field == "iter"),
        length=around.length or is_length(parent),
    )  # fmt: skip


def _called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


called = _called


def _putting(parent: ast.AST, field: str, position: int | None, put: Any) -> Callable[[Any], Any]:
    def replace(other: Any) -> Any:
        changed = copy.copy(parent)
        old = getattr(parent, field)
        new = other if position is None else [*old[:position], other, *old[position + 1 :]]
        setattr(changed, field, new)
        return put(changed)

    return replace


def blocks(statement: ast.stmt) -> Iterator[tuple[list[ast.stmt], Callable[[list[ast.stmt]], Any]]]:
    """The lists of statements inside a statement, each with a function that exchanges it."""
    yield from _blocks(statement, lambda node: node)


def _blocks(node: ast.AST, put: Callable[[Any], Any]) -> Iterator[Any]:
    for name, value in ast.iter_fields(node):
        if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
            yield value, _exchanging(node, name, put)
            for position, inner in enumerate(value):
                yield from _blocks(inner, _putting(node, name, position, put))


def _exchanging(node: ast.AST, name: str, put: Any) -> Callable[[list[ast.stmt]], Any]:
    def exchange(other: list[ast.stmt]) -> Any:
        changed = copy.copy(node)
        setattr(changed, name, other)
        return put(changed)

    return exchange


def exchanged(tree: Any, old: ast.AST, new: ast.AST) -> Any:
    """``tree`` with the node ``old`` exchanged; None if it is not in there."""
    if tree is old:
        return new
    for name, value in ast.iter_fields(tree):
        for position, part in enumerate(value if isinstance(value, list) else [value]):
            if isinstance(part, ast.AST):
                inner = exchanged(part, old, new)
                if inner is not None:
                    return _with(tree, name, position, inner)
    return None


def _with(tree: ast.AST, name: str, position: int, inner: ast.AST) -> ast.AST:
    changed = copy.copy(tree)
    value = getattr(tree, name)
    if isinstance(value, list):
        setattr(changed, name, [*value[:position], inner, *value[position + 1 :]])
    else:
        setattr(changed, name, inner)
    return changed
