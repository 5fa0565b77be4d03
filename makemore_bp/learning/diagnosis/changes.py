"""One change to a rule at a time: the mistakes that can be made in writing it down.

Each change to a tree comes with the kind of mistake it is and a sentence that says so.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from makemore_bp.learning.diagnosis.forms import everywhere, is_gradient, names_in

AXES = (0, 1)


@dataclass(frozen=True)
class Change:
    """A rule with one thing changed. ``brought`` are the names that the change brings in."""

    tree: ast.expr
    kind: str
    text: str
    brought: frozenset[str] = frozenset()


def changes(tree: ast.expr, others: tuple[str, ...]) -> Iterator[Change]:
    """Every change of one thing in ``tree``; ``others`` are the names that may be mixed up."""
    for node, put in everywhere(tree):
        for new, kind, text in _local(node):
            yield Change(put(new), kind, text)
        if _can_be_mixed_up(node):
            for name in others:
                if name != show(node):
                    text = f"{name} is used where {show(node)} belongs"
                    yield Change(put(_name(name)), "wrong-input", text, frozenset({name}))


def _can_be_mixed_up(node: ast.expr) -> bool:
    if isinstance(node, ast.Call):
        return _function(node) == "softmax"
    return isinstance(node, ast.Name) and node.id not in (
        "torch", "F", "n", "Yb", "EPS", "range",
    )  # fmt: skip


Local = Iterator[tuple[ast.expr, str, str]]


def _local(node: ast.expr) -> Local:
    if _is_number(node):
        yield from _numbers(node)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield node.operand, "sign", "the minus sign is missing"
    elif isinstance(node, ast.BinOp):
        yield from _operation(node)
    elif isinstance(node, ast.Call):
        yield from _call(node)
    elif isinstance(node, ast.Attribute) and node.attr == "T":
        yield node.value, "transposed", f"{show(node.value)} is not transposed"


def _is_number(node: ast.expr) -> bool:
    """Whether a tree is a plain number, made of constants and n."""
    return names_in(node) <= {"n"} and not any(
        isinstance(part, ast.Call | ast.Attribute) for part in ast.walk(node)
    )


def _numbers(node: ast.expr) -> Local:
    """n for n - 1 and the other way round."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
        yield (
            _name("n"),
            "factor",
            "n stands where n - 1 belongs. This is Bessel's correction: the forward pass divides "
            "the sum of squares by n - 1, and so must the way back",
        )
    if isinstance(node, ast.Name):
        text = (
            "n - 1 stands where n belongs; Bessel's correction has its place at the variance only"
        )
        yield ast.BinOp(node, ast.Sub(), ast.Constant(1)), "factor", text
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        yield ast.Constant(1.0), "factor", _missing_number(node)


def _missing_number(node: ast.expr, what: str = "") -> str:
    bessel = " (Bessel's correction)" if "n - 1" in show(node) else ""
    return f"{what or 'the factor '}{show(node)}{bessel} is missing"


def _operation(node: ast.BinOp) -> Local:
    left, right = node.left, node.right
    if isinstance(node.op, ast.Add | ast.Sub):
        yield from _sum(node)
    elif isinstance(node.op, ast.Mult):
        yield right, *_left_out(left)
        yield left, *_left_out(right)
        yield ast.BinOp(left, ast.Div(), right), *_upside_down(right, "divided by")
        yield ast.BinOp(right, ast.Div(), left), *_upside_down(left, "divided by")
    elif isinstance(node.op, ast.Div):
        yield left, *_left_out(right, "the division by ")
        if not _is_number(left):
            yield ast.BinOp(ast.Constant(1.0), ast.Div(), right), *_left_out(left)
        yield ast.BinOp(left, ast.Mult(), right), *_upside_down(right, "multiplied by")
    elif isinstance(node.op, ast.Pow):
        yield from _power(node)
    elif isinstance(node.op, ast.MatMult):
        text = f"the product {show(node)} is taken with its two sides exchanged and transposed"
        swapped = ast.BinOp(_transposed(right), ast.MatMult(), _transposed(left))
        yield swapped, "transposed", text


def _sum(node: ast.BinOp) -> Local:
    left, right = node.left, node.right
    minus = isinstance(node.op, ast.Sub)
    flipped = ast.BinOp(left, ast.Add() if minus else ast.Sub(), right)
    done, must = ("added", "subtracted") if minus else ("subtracted", "added")
    yield flipped, "sign", f"{show(right)} is {done} where it must be {must}"
    yield left, "missing-term", f"the term {show(right)} is left out"
    rest = ast.UnaryOp(ast.USub(), right) if minus else right
    yield rest, "missing-term", f"the term {show(left)} is left out"


def _left_out(part: ast.expr, what: str = "") -> tuple[str, str]:
    """What it means that a factor is left out."""
    if _is_number(part):
        return "factor", _missing_number(part, what)
    if "ones_like" in show(part):
        return "reduction", (
            "the gradient is not spread over the axis that the forward pass sums: every term of a "
            "sum gets the sum's gradient"
        )
    if "one_hot" in show(part):
        text = "it is not restricted to the entries that the forward pass picked out"
        return "missing-factor", text
    if names_in(part) and all(is_gradient(name) for name in names_in(part)):
        text = f"the gradient that arrives, {show(part)}, is not multiplied in (the chain rule)"
        return "missing-factor", text
    return "missing-factor", f"{what or 'the factor '}{show(part)} is missing"


def _upside_down(part: ast.expr, done: str) -> tuple[str, str]:
    must = "multiplied by it" if done == "divided by" else "divided by it"
    text = f"it is {done} {show(part)} where it must be {must}"
    return ("factor" if _is_number(part) else "wrong-input"), text


def _power(node: ast.BinOp) -> Local:
    try:
        exponent = float(ast.literal_eval(node.right))
    except ValueError:
        return
    for other in (exponent + 1, exponent - 1, -exponent):
        power = f"{show(node.left)} has the exponent {other:g} where {exponent:g} belongs"
        if other == 0:
            continue
        changed = ast.BinOp(node.left, ast.Pow(), ast.Constant(other))
        yield changed, "missing-factor", power


def _call(node: ast.Call) -> Local:
    name = _function(node)
    if name == "ones_like":
        yield ast.Constant(1.0), *_left_out(node)
    if name == "one_hot" and show(node.args[0]) == "Yb":
        yield from _targets(node)
    if name == "softmax":
        wrong = ast.Call(node.func, [node.args[0], ast.Constant(0)], [])
        yield wrong, "reduction", "the softmax runs over axis 0, the batch, where axis 1 belongs"
    if not isinstance(node.func, ast.Attribute):
        return
    inner = node.func.value
    if name == "sum":
        axis = ast.literal_eval(node.args[0])
        yield from _reduction(inner, axis)
    if name == "index_put_":
        keywords = [ast.keyword("accumulate", ast.Constant(False))]
        text = (
            "a row is assigned where it must be added to (= instead of +=), so of the places where "
            "a character stands only the last one counts"
        )
        yield ast.Call(node.func, node.args, keywords), "overwritten", text


def _targets(node: ast.Call) -> Local:
    """The targets of a batch are one entry in each row: logprobs[range(n), Yb]."""
    largest = ast.parse("logits.max(1).indices", mode="eval").body
    text = "the largest entry of each row is picked where the target, Yb, belongs"
    yield ast.Call(node.func, [largest], node.keywords), "wrong-input", text
    columns = ast.parse("torch.zeros_like(logprobs).index_fill(1, Yb, 1.0)", mode="eval").body
    text = "the index [:, Yb] picks every target in every row; [range(n), Yb] picks each row's own"
    yield columns, "wrong-input", text
    ones = ast.parse("torch.ones_like(logprobs)", mode="eval").body
    text = "it is not restricted to the targets: the loss reads one entry of each row"
    yield ones, "missing-factor", text


def _reduction(inner: ast.expr, axis: int) -> Local:
    shown = show(inner)
    yield inner, "reduction", f"the sum over axis {axis} is missing"
    for other in (*AXES, None):
        for keep in (True, False):
            if other is None and keep:
                continue
            if other is None:
                text = f"{shown} is summed over everything, where axis {axis} alone belongs"
            elif other != axis:
                text = f"{shown} is summed over axis {other} where axis {axis} belongs"
            else:
                text = "the sum has another shape: look at keepdim"
            yield _reduced("sum", inner, other, keep), "reduction", text
    for keep in (True, False):
        length = "n" if axis == 0 else "its length"
        text = f"the mean over axis {axis} is taken where the sum belongs; it divides by {length}"
        yield _reduced("mean", inner, axis, keep), "factor", text


def _reduced(name: str, inner: ast.expr, axis: int | None, keep: bool) -> ast.expr:
    arguments: list[Any] = [] if axis is None else [ast.Constant(axis)]
    keywords = [] if axis is None else [ast.keyword("keepdim", ast.Constant(keep))]
    return ast.Call(ast.Attribute(inner, name, ast.Load()), arguments, keywords)


def _transposed(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return node.value
    return ast.Attribute(node, "T", ast.Load())


def _name(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _function(node: ast.Call) -> str:
    """The name of the function or method that is called, without its module."""
    return show(node.func).rpartition(".")[2]


def show(node: ast.expr) -> str:
    """A tree as it would be typed."""
    return ast.unparse(ast.fix_missing_locations(node))
