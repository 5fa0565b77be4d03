"""What may be missing around an expression: a sign, a factor, a term, a sum, a transpose."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from makemore_bp.learning.diagnosis import calls
from makemore_bp.learning.diagnosis.kinds import Kind
from makemore_bp.learning.diagnosis.shapes import is_number, named, turned
from makemore_bp.learning.diagnosis.walk import Spot
from makemore_bp.network.batchnorm import EPS

if TYPE_CHECKING:
    from makemore_bp.learning.diagnosis.edits import Words

Show = Callable[[ast.AST], str]
Changes = Iterator[tuple[ast.expr, Kind, str, float]]


def around(spot: Spot, words: Words, show: Show) -> Changes:
    """Something is missing around the expression."""
    node = spot.node
    if spot.index:
        return
    if not isinstance(node, ast.Constant) and not isinstance(spot.parent, ast.UnaryOp):
        text = f"{show(node)} has the wrong sign"
        yield ast.UnaryOp(ast.USub(), node), Kind.sign, text, 2.5
    if isinstance(node, ast.Constant) or spot.exponent:
        return
    if not is_number(node, words.sizes):
        yield turned(node), Kind.transposed, f"{show(node)} is not transposed", 2.5
        last = ast.Attribute(node, "mT", ast.Load())
        text = f"the last two axes of {show(node)} are not exchanged"
        yield last, Kind.transposed, text, 2.7
        yield from calls.around(spot, words, show)
        epsilon = ast.BinOp(node, ast.Add(), ast.Constant(EPS))
        text = f"epsilon is not added to {show(node)}, as the forward pass does"
        yield epsilon, Kind.epsilon, text, 2.8
        yield from _terms(spot, words, show)
    inside = isinstance(spot.parent, ast.BinOp) and isinstance(spot.parent.op, ast.Mult | ast.Div)
    if not inside or (isinstance(spot.parent, ast.BinOp) and spot.parent.right is node):
        yield from _factors(spot, words, show)


def _factors(spot: Spot, words: Words, show: Show) -> Changes:
    node = spot.node
    for number, shown in _plain_factors(words):
        text = f"the factor {shown} is missing at {show(node)}"
        if "n - 1" in shown:
            text += ". This is Bessel's correction: the forward pass divides by n - 1"
        yield ast.BinOp(node, ast.Mult(), number), Kind.factor, text, 3
    if is_number(node, words.sizes):
        return
    for name in words.floats:
        cost = 3.0 if name in words.said or name in words.gradients else 3.3
        if name in words.gradients:
            text = f"the gradient that arrives, {name}, is not multiplied in (the chain rule)"
        else:
            text = f"the factor {name} is missing at {show(node)}"
        yield ast.BinOp(node, ast.Mult(), named(name)), Kind.missing_factor, text, cost
        text = f"the division by {name} is missing at {show(node)}"
        yield ast.BinOp(node, ast.Div(), named(name)), Kind.missing_factor, text, cost + 0.1


def _plain_factors(words: Words) -> Iterator[tuple[ast.expr, str]]:
    for text in words.factors:
        if "n" not in words.sizes or "n" not in text or "n" in words.integers:
            yield ast.parse(text, mode="eval").body, text


def _terms(spot: Spot, words: Words, show: Show) -> Changes:
    parent = spot.parent
    if not isinstance(parent, ast.Assign | ast.AugAssign | ast.Return | ast.BinOp):
        return
    for name in words.gradients:
        text = f"the term {name} is left out"
        yield ast.BinOp(spot.node, ast.Add(), named(name)), Kind.missing_term, text, 3.4
        yield ast.BinOp(spot.node, ast.Sub(), named(name)), Kind.missing_term, text, 3.4
    if isinstance(parent, ast.BinOp):
        one = ast.Constant(1.0)
        text = f"1 - {show(spot.node)} belongs there, not {show(spot.node)} alone"
        yield ast.BinOp(one, ast.Sub(), spot.node), Kind.missing_term, text, 3.4
