"""Slips of the pen: one change at a time to a line of a learner's, each with what it would mean.

A change that makes the gradient true is the mistake. The likelier slips come first.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from makemore_bp.learning.derive.program import Reference, Variable, put, replaced


@dataclass(frozen=True)
class Slip:
    """An expression with one thing changed; kind and text say what is wrong about the old one."""

    expression: ast.expr
    kind: str
    old: ast.expr
    new: ast.expr


_OTHER: dict[type, tuple[tuple[type, str], ...]] = {
    ast.Add: ((ast.Sub, "sign"), (ast.Mult, "operation")),
    ast.Sub: ((ast.Add, "sign"),),
    ast.Mult: ((ast.Div, "operation"), (ast.MatMult, "operation"), (ast.Add, "operation")),
    ast.Div: ((ast.Mult, "operation"),),
    ast.MatMult: ((ast.Mult, "operation"),),
}
_COMPARED = {ast.Gt: ast.Lt, ast.Lt: ast.Gt, ast.GtE: ast.LtE, ast.LtE: ast.GtE, ast.Eq: ast.NotEq}
_REDUCTIONS = ("sum", "mean")


def slips(
    expression: ast.expr,
    sizes: Sequence[tuple[str, float]],
    alike: Callable[[Variable], list[Variable]],
    slopes: Sequence[ast.expr],
    factors: Callable[[ast.expr], Sequence[ast.expr]],
    round_: int,
) -> Iterator[Slip]:
    """Every change of one thing. sizes: names and values of plain numbers that a factor may be;
    alike: the tensors that may have been meant in place of another; slopes: factors that may have
    been forgotten, of the whole; factors: those of a part; round_: of the loop, which an index may
    be."""
    spots = list(_spots(expression))
    for node in spots:
        if isinstance(node, ast.Subscript) and isinstance(_number(node.slice), int):
            here = ast.Subscript(node.value, ast.Constant(round_), ast.Load())
            yield Slip(put(expression, node, here), "index", node, here)
    for changes in (_signs, _operations, _turns, _axes, _numbers, _losses):
        for node in spots:
            for new, kind in changes(node):
                yield Slip(put(expression, node, new), kind, node, new)
    for node in spots:
        if isinstance(node, Reference):
            for other in alike(node.variable):
                new = Reference(other)
                yield Slip(put(expression, node, new), "wrong-input", node, new)
                whole = replaced(expression, partial(_exchanged, node.variable, other))
                yield Slip(whole, "wrong-input", node, new)
    for node in spots:
        if isinstance(node, Reference | ast.BinOp | ast.Call):
            for factor in factors(node):
                new = ast.BinOp(node, ast.Mult(), factor)
                yield Slip(put(expression, node, new), "missing-factor", node, factor)
                if isinstance(node, ast.Call) and node is not expression:
                    yield Slip(put(expression, node, factor), "wrong-input", node, factor)
            for function in ("exp", "log", "tanh", "sigmoid"):
                called = ast.Call(ast.Attribute(node, function, ast.Load()), [], [])
                yield Slip(put(expression, node, called), "operation", node, called)
    for slope in slopes:
        new = ast.BinOp(expression, ast.Mult(), slope)
        yield Slip(new, "missing-factor", expression, slope)
    for name, value in [("2", 2.0), ("-2", -2.0), *sizes]:
        size: ast.expr = ast.Name(name, ast.Load()) if name.isidentifier() else ast.Constant(value)
        for op, kind in ((ast.Mult(), "factor"), (ast.Div(), "factor")):
            new = ast.BinOp(expression, op, size)
            yield Slip(new, kind, expression, new)
    for axis in (0, 1, 2, -1, (0, 1)):
        for keep in (False, True):
            method = ast.Attribute(expression, "sum", ast.Load())
            keywords = [ast.keyword("keepdim", ast.Constant(True))] if keep else []
            new = ast.Call(method, [_constant(axis)], keywords)
            yield Slip(new, "reduction", expression, new)


Changes = Iterator[tuple[ast.expr, str]]


def _signs(node: ast.expr) -> Changes:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand, "sign"
    elif not isinstance(node, ast.Constant | ast.Tuple | ast.Slice):
        yield ast.UnaryOp(ast.USub(), node), "sign"


def _operations(node: ast.expr) -> Changes:
    if isinstance(node, ast.BinOp):
        for other, kind in _OTHER.get(type(node.op), ()):
            yield ast.BinOp(node.left, other(), node.right), kind
    if isinstance(node, ast.Compare) and type(node.ops[0]) in _COMPARED:
        other_way = _COMPARED[type(node.ops[0])]
        yield ast.Compare(node.left, [other_way()], node.comparators), "operation"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        name = node.func.attr
        for other_name in _REDUCTIONS if name in _REDUCTIONS else ():
            if other_name != name:
                function = ast.Attribute(node.func.value, other_name, ast.Load())
                yield ast.Call(function, node.args, node.keywords), "reduction"


def _turns(node: ast.expr) -> Changes:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        left, right = _turned(node.left), _turned(node.right)
        yield ast.BinOp(node.right, node.op, node.left), "transposed"
        yield ast.BinOp(left, node.op, node.right), "transposed"
        yield ast.BinOp(node.left, node.op, right), "transposed"
        yield ast.BinOp(left, node.op, right), "transposed"
        yield ast.BinOp(right, node.op, left), "transposed"
        yield ast.BinOp(right, node.op, node.left), "transposed"
        yield ast.BinOp(node.right, node.op, left), "transposed"
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value, "transposed"
    elif isinstance(node, Reference) and node.variable.value.dim() == 2:
        yield _turned(node), "transposed"


def _turned(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return node.value
    if isinstance(node, Reference) and node.variable.value.dim() > 2:
        arguments: list[ast.expr] = [ast.Constant(-2), ast.Constant(-1)]
        return ast.Call(ast.Attribute(node, "transpose", ast.Load()), arguments, [])
    return ast.Attribute(node, "T", ast.Load())


def _axes(node: ast.expr) -> Changes:
    """Sums over another axis, over all, not at all, and with the axis kept."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return
    for place, argument in enumerate(node.args):
        if isinstance(_number(argument), int):
            for axis in (0, 1, 2, -1):
                if axis != _number(argument):
                    arguments = [*node.args[:place], _constant(axis), *node.args[place + 1 :]]
                    yield ast.Call(node.func, arguments, node.keywords), "reduction"
    if node.func.attr not in ("sum", "mean", "max", "var"):
        return
    keeps = [k for k in node.keywords if k.arg in ("keepdim", "keepdims")]
    if keeps:
        yield ast.Call(node.func, node.args, []), "reduction"
    elif node.args:
        kept = [ast.keyword("keepdim", ast.Constant(True))]
        yield ast.Call(node.func, node.args, kept), "reduction"
    else:
        for axis in (0, 1, -1):
            yield ast.Call(node.func, [_constant(axis)], []), "reduction"
    yield node.func.value, "reduction"


def _numbers(node: ast.expr) -> Changes:
    if isinstance(node, ast.Name):
        yield ast.BinOp(node, ast.Sub(), ast.Constant(1)), "factor"
        yield ast.BinOp(node, ast.Add(), ast.Constant(1)), "factor"
        return
    if isinstance(node, ast.BinOp) and not isinstance(node.op, ast.MatMult):
        yield ast.BinOp(node, ast.Div(), ast.Constant(2)), "factor"
        yield ast.BinOp(ast.Constant(2), ast.Mult(), node), "factor"
    value = _number(node)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    likely = [-value, value + 1, value - 1, 2 * value, value / 2]
    likely += [1 / value] if value else []
    for other in dict.fromkeys(likely):
        if other != value:
            yield _constant(other), "factor"


def _losses(node: ast.expr) -> Changes:
    """A factor, a term or a function too many."""
    if isinstance(node, ast.BinOp):
        kind = (
            "extra-factor"
            if isinstance(node.op, ast.Mult | ast.Div | ast.MatMult)
            else "extra-term"
        )
        yield node.left, kind
        if isinstance(node.op, ast.Add | ast.Mult):
            yield node.right, kind
        if isinstance(node.op, ast.Sub):
            yield ast.UnaryOp(ast.USub(), node.right), kind
    elif isinstance(node, Reference):
        yield ast.BinOp(node, ast.Pow(), ast.Constant(2)), "operation"
        yield ast.Compare(node, [ast.Gt()], [ast.Constant(0)]), "operation"
        yield ast.BinOp(ast.Constant(1), ast.Sub(), node), "operation"
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        yield node.func.value, "operation"
        for argument in node.args[:1]:
            yield argument, "operation"


def _exchanged(old: Variable, new: Variable, node: ast.AST) -> ast.expr | None:
    return Reference(new) if isinstance(node, Reference) and node.variable is old else None


def _number(node: ast.expr) -> Any:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _number(node.operand)
        return -inner if isinstance(inner, int | float) else None
    return node.value if isinstance(node, ast.Constant) else None


def _constant(value: Any) -> ast.expr:
    return ast.parse(repr(value), mode="eval").body


def _spots(node: ast.AST) -> Iterator[ast.expr]:
    """The parts of an expression that may be wrong, but not the names of functions."""
    if isinstance(node, ast.expr):
        yield node
    if isinstance(node, Reference):
        return
    for name, value in ast.iter_fields(node):
        for each in value if isinstance(value, list) else [value]:
            if isinstance(node, ast.Call) and name == "func":
                if isinstance(each, ast.Attribute) and not isinstance(each.value, ast.Name):
                    yield from _spots(each.value)
            elif isinstance(each, ast.AST):
                yield from _spots(each)
