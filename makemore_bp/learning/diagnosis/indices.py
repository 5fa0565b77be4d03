"""Changes of what stands in brackets: which entries are meant, and in which order."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from makemore_bp.learning.diagnosis.kinds import Kind
from makemore_bp.learning.diagnosis.shapes import named
from makemore_bp.learning.diagnosis.walk import Spot

if TYPE_CHECKING:
    from makemore_bp.learning.diagnosis.edits import Words

Show = Callable[[ast.AST], str]
Changes = Iterator[tuple[ast.expr, Kind, str, float]]


def of_subscript(spot: Spot, node: ast.Subscript, words: Words, show: Show) -> Changes:
    if isinstance(node.value, ast.Name) and node.value.id in words.integers:
        for name in words.integers:
            if name != node.value.id and name not in words.sizes:
                text = f"{show(node)} is used where {name} belongs"
                yield named(name), Kind.place, text, 2.5
                yield from _other_places(node, name, words, show)
    text = f"only {show(node)} is used where all of {show(node.value)} belongs"
    yield node.value, Kind.place, text, 2.5
    if isinstance(node.slice, ast.Slice) or not isinstance(node.slice, ast.Tuple):
        text = (
            f"[{show(node.slice)}] picks whole rows; [range(n), {show(node.slice)}] picks one each"
        )
        rows = ast.parse("range(n)", mode="eval").body
        both = ast.Tuple([rows, node.slice], ast.Load())
        yield ast.Subscript(node.value, both, node.ctx), Kind.place, text, 3


def _other_places(node: ast.Subscript, other: str, words: Words, show: Show) -> Changes:
    """Yb[k] for Xb[k, j]."""
    text = f"{show(node)} is used where an entry of {other} belongs"
    for name in words.integers:
        if name not in words.sizes:
            both = ast.Tuple([node.slice, named(name)], ast.Load())
            yield ast.Subscript(named(other), both, node.ctx), Kind.place, text, 2.6


def of_tuple(spot: Spot, node: ast.Tuple, show: Show) -> Changes:
    kind = Kind.place if spot.index else Kind.exchanged
    for first in range(len(node.elts)):
        for second in range(first + 1, len(node.elts)):
            elements = list(node.elts)
            elements[first], elements[second] = elements[second], elements[first]
            text = f"{show(node.elts[first])} and {show(node.elts[second])} are exchanged"
            cost = 1.4 if isinstance(spot.parent, ast.Return) else 2
            yield ast.Tuple(elements, ast.Load()), kind, text, cost


def of_slice(node: ast.Slice, words: Words) -> Changes:
    if node.upper is not None and node.lower is None:
        text = f"the slice up to {ast.unparse(node.upper)} is the same one every time"
        for name in words.integers:
            if name not in words.sizes:
                first = ast.BinOp(named(name), ast.Mult(), node.upper)
                last = ast.BinOp(first, ast.Add(), node.upper)
                yield ast.Slice(first, last), Kind.place, text, 2.1
    if node.lower or node.upper or node.step:
        text = "the slice leaves some out where all belong"
        yield ast.Slice(), Kind.place, text, 2
    elif "Yb" in words.integers:
        text = "a colon takes every row for each target, where each row has only one of its own"
        yield ast.parse("range(n)", mode="eval").body, Kind.place, text, 2
