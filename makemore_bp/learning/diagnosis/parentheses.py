"""The same operations with the parentheses at another place."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

from makemore_bp.learning.diagnosis.kinds import Kind
from makemore_bp.learning.diagnosis.walk import called

Show = Callable[[ast.AST], str]
Changes = Iterator[tuple[ast.expr, Kind, str, float]]


def regrouped(node: ast.BinOp, show: Show) -> Changes:
    """Parentheses at another place."""
    text = f"the parentheses in {show(node)} are not where they belong"
    left, right = node.left, node.right
    if isinstance(left, ast.BinOp):
        inner = ast.BinOp(left.right, node.op, right)
        yield ast.BinOp(left.left, left.op, inner), Kind.parentheses, text, 2.4
        if isinstance(left.left, ast.BinOp):
            deeper = ast.BinOp(left.left.right, left.op, left.right)
            whole = ast.BinOp(left.left.left, left.left.op, ast.BinOp(deeper, node.op, right))
            yield whole, Kind.parentheses, text, 2.6
    if isinstance(right, ast.BinOp):
        inner = ast.BinOp(left, node.op, right.left)
        yield ast.BinOp(inner, right.op, right.right), Kind.parentheses, text, 2.4
    yield from _into_power(node, text)
    if isinstance(left, ast.UnaryOp):
        moved = ast.UnaryOp(left.op, ast.BinOp(left.operand, node.op, right))
        yield moved, Kind.parentheses, text, 2.6
    for side, put in (
        (left, lambda part: ast.BinOp(part, node.op, right)),
        (right, lambda part: ast.BinOp(left, node.op, part)),
    ):
        yield from _out_of_call(node, side, put, text)


def _into_power(node: ast.BinOp, text: str) -> Changes:
    """pow(x, -3) / 2 for pow(x, -3 / 2)."""
    left = node.left
    factors = isinstance(left, ast.BinOp) and isinstance(left.op, ast.Mult | ast.Div)
    call = left.right if factors else left  # type: ignore[attr-defined]
    if isinstance(call, ast.Call) and called(call) == "pow" and call.args:
        exponent = ast.BinOp(call.args[-1], node.op, node.right)
        power: ast.expr = ast.Call(call.func, [*call.args[:-1], exponent], call.keywords)
        if isinstance(left, ast.BinOp):
            power = ast.BinOp(left.left, left.op, power)
        yield power, Kind.parentheses, text, 2.4


def _out_of_call(node: ast.BinOp, side: ast.expr, put: Any, text: str) -> Changes:
    """a * b.sum(0) for (a * b).sum(0)."""
    if isinstance(side, ast.Call) and isinstance(side.func, ast.Attribute):
        inner = put(side.func.value)
        method = ast.Attribute(inner, side.func.attr, ast.Load())
        yield ast.Call(method, side.args, side.keywords), Kind.parentheses, text, 2.4
        base = side.func.value
        if isinstance(base, ast.BinOp):
            for one, other in ((base.left, base.right), (base.right, base.left)):
                short = ast.Call(
                    ast.Attribute(other, side.func.attr, ast.Load()), side.args, side.keywords
                )
                yield put(ast.BinOp(one, base.op, short)), Kind.parentheses, text, 2.8
    if isinstance(side, ast.Attribute) and side.attr == "T":
        yield ast.Attribute(put(side.value), "T", ast.Load()), Kind.parentheses, text, 2.4
