"""Slopes: a function where its slope belongs, and the slope of another function."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from makemore_bp.learning.diagnosis.kinds import Kind

Show = Callable[[ast.AST], str]
Changes = Iterator[tuple[ast.expr, Kind, str, float]]


def slope_of_power(node: ast.BinOp, show: Show) -> Changes:
    exponent = ast.BinOp(node.right, ast.Sub(), ast.Constant(1))
    slope = ast.BinOp(node.right, ast.Mult(), ast.BinOp(node.left, ast.Pow(), exponent))
    text = f"{show(node)} is the function of the forward pass itself where its slope belongs"
    yield slope, Kind.operation, text, 3.2
    power = ast.BinOp(node.left, ast.Pow(), exponent)
    text = f"the exponent {show(node.right)} must be lowered by one"
    yield power, Kind.missing_factor, text, 3


def other_slope(node: ast.BinOp, show: Show) -> Changes:
    """g * x * (1 - x), with the slope of a sigmoid, where 1 - x**2, that of tanh, belongs."""
    match node:
        case ast.BinOp(
            left=ast.BinOp(left=rest, op=ast.Mult(), right=x),
            op=ast.Mult(),
            right=ast.BinOp(left=ast.Constant(value=1 | 1.0), op=ast.Sub(), right=same),
        ) if ast.dump(x) == ast.dump(same):
            square = ast.BinOp(x, ast.Pow(), ast.Constant(2))
            slope = ast.BinOp(ast.Constant(1), ast.Sub(), square)
            text = (
                f"{show(x)} * {show(node.right)} is the slope of a sigmoid, where that of tanh, "
                f"1 - {show(x)}**2, belongs"
            )
            yield ast.BinOp(rest, ast.Mult(), slope), Kind.operation, text, 2.3


_SLOPES = {
    "the reciprocal": ("-1.0 / {x}**2", "-{x}**-2", "-1 * {x}**-2", "-1.0 * {x}**-2"),
    "log": ("1.0 / {x}", "{x}**-1", "{x}**-1.0"),
    "tanh": ("1.0 - {x}**2", "1 - {x} * {x}"),
    "sigmoid": ("{x} * (1.0 - {x})", "(1.0 - {x}) * {x}"),
    "the square": ("2.0 * {x}", "{x} * 2.0"),
    "the square root": ("0.5 / {x}**0.5", "0.5 * {x}**-0.5"),
}  # fmt: skip


def another_slope(node: ast.BinOp, show: Show) -> Changes:
    """The slope of another function: 1 - x**2 for 1/x."""
    names = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    written = _plainly(node)
    if len(names) != 1:
        return
    (x,) = names
    slopes = {of: [form.format(x=x) for form in forms] for of, forms in _SLOPES.items()}
    is_slope_of = [of for of, forms in slopes.items() if written in map(_plain_text, forms)]
    for of in is_slope_of[:1]:
        text = f"{show(node)} is the slope of {of}, and another function stands in the forward pass"
        for other, forms in slopes.items():
            if other != of:
                yield ast.parse(forms[0], mode="eval").body, Kind.operation, text, 2.4


def _plain_text(text: str) -> str:
    return _plainly(ast.parse(text, mode="eval").body)


def _plainly(node: ast.AST) -> str:
    """An expression as text in which 1 and 1.0 are the same."""
    return ast.unparse(node).replace("1.0", "1").replace("2.0", "2")
