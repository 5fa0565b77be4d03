"""Changes of one expression, and what each would mean."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from makemore_bp.learning.diagnosis import calls, indices, missing, slopes
from makemore_bp.learning.diagnosis.kinds import Kind
from makemore_bp.learning.diagnosis.parentheses import regrouped
from makemore_bp.learning.diagnosis.shapes import (
    is_epsilon,
    is_number,
    is_size,
    named,
    torch_call,
    turned,
)
from makemore_bp.learning.diagnosis.walk import Spot
from makemore_bp.network.batchnorm import EPS

if TYPE_CHECKING:
    from makemore_bp.learning.diagnosis.edits import Words

Show = Callable[[ast.AST], str]
Changes = Iterator[tuple[ast.expr, Kind, str, float]]
NUMBERS = (-2, -1.5, -1, -0.5, 0, 0.5, 1, 2, 3)
BESSEL = "Only the variance divides by n - 1 (Bessel's correction), the means divide by n"


def changes(spot: Spot, words: Words, show: Show) -> Changes:
    """Every expression that may have been meant at a spot, with kind, sentence and cost."""
    node = spot.node
    if isinstance(node, ast.Constant) and _of_shape(spot.parent):
        yield from _length(spot.parent, node, show)
    elif isinstance(node, ast.Constant):
        yield from _constant(spot, node, words)
    elif isinstance(node, ast.Name):
        yield from _name(spot, node, words)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        text = f"the minus sign does not belong there, at {show(node)}"
        if spot.exponent:
            text = f"the exponent {show(node)} has the wrong sign"
        cost = 2.3 if spot.exponent else 1
        yield node.operand, _number_or(Kind.sign, spot), text, cost
    elif isinstance(node, ast.BinOp):
        yield from _operation(spot, node, words, show)
    elif isinstance(node, ast.Call):
        yield from calls.of_call(spot, node, words, show)
    elif isinstance(node, ast.Attribute):
        if node.attr in ("T", "mT") and not spot.called:
            text = f"{show(node.value)} must not be transposed here"
            yield node.value, Kind.transposed, text, 2
        elif node.attr == "grad" and isinstance(node.value, ast.Name):
            return
    elif isinstance(node, ast.Subscript):
        yield from indices.of_subscript(spot, node, words, show)
    elif isinstance(node, ast.Compare):
        yield from _comparison(spot, node, show)
    elif isinstance(node, ast.Tuple):
        yield from indices.of_tuple(spot, node, show)
    elif isinstance(node, ast.Slice):
        yield from indices.of_slice(node, words)
    if isinstance(node, ast.Attribute | ast.Subscript) and not spot.called:
        yield from _member(node, words)
    if not spot.called and not spot.axis and not isinstance(node, ast.Slice | ast.Tuple | ast.List):
        parent = spot.parent
        handed = isinstance(parent, ast.Return | ast.Tuple) and isinstance(node, ast.Name)
        handed |= isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name)
        for new, kind, text, cost in missing.around(spot, words, show):
            # What makes a value is likelier at fault than what hands it on.
            yield new, kind, text, cost + (0.1 if handed else 0)


def _of_shape(parent: ast.AST) -> bool:
    return (
        isinstance(parent, ast.Subscript)
        and isinstance(parent.value, ast.Attribute)
        and parent.value.attr == "shape"
    )


def _length(parent: ast.AST, node: ast.Constant, show: Show) -> Changes:
    """The length of another axis."""
    assert isinstance(parent, ast.Subscript)
    for axis in (0, 1, 2):
        if axis != node.value:
            text = f"{show(parent)} stands where {show(parent.value)}[{axis}] belongs"
            yield ast.Constant(axis), Kind.factor, text, 2


def _number_or(kind: Kind, spot: Spot) -> Kind:
    if spot.index:
        return Kind.place
    return Kind.missing_factor if spot.exponent else kind


def _constant(spot: Spot, node: ast.Constant, words: Words) -> Changes:
    value = node.value
    if isinstance(value, bool):
        yield from calls.flag(spot, node)
        return
    if isinstance(value, str) and spot.index and isinstance(spot.parent, ast.Subscript):
        for key in words.said:
            if key[0] == '"' and key != f'"{value}"':
                text = f'"{value}" is used where {key} belongs'
                yield ast.Constant(key[1:-1]), Kind.wrong_input, text, 2
    if not isinstance(value, int | float):
        return
    if spot.axis:
        for axis in (0, 1, 2, -1):
            if axis != value:
                text = f"axis {value} is taken where axis {axis} belongs"
                yield ast.Constant(axis), Kind.reduction, text, 2
        return
    if spot.index and isinstance(value, int):
        for name in words.integers:
            if name not in words.sizes:
                text = f"the index {value} is always the same one where {name} belongs"
                yield named(name), Kind.place, text, 1.9
        for other in (value + 1, value - 1, 0, 1, 2):
            if other != value and other >= (-1 if spot.loop else 0):
                text = f"the index {value} is off"
                yield ast.Constant(other), Kind.place, text, 2
        return
    for number in dict.fromkeys((*NUMBERS, -value, value + 1, value - 1, 2 * value, value / 2,
                                 EPS, 1.0 / value if value else 1)):  # fmt: skip
        if number != value and not (number == 0 and _is_sum(spot.parent)):
            yield ast.Constant(number), *_number(spot, value, number)
    if not spot.exponent and not spot.index:
        for name in words.integers:
            if name in words.sizes:
                text = f"the number {value:g} stands where {name} belongs"
                yield named(name), Kind.factor, text, 2.5


def _is_sum(parent: ast.AST) -> bool:
    return isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Add | ast.Sub)


def _number(spot: Spot, old: float, new: float) -> tuple[Kind, str, float]:
    if spot.exponent:
        minus = -1 if isinstance(spot.parent, ast.UnaryOp) else 1
        text = (
            f"the exponent {minus * old:g} is wrong, {minus * new:g} belongs there. A power's "
            "exponent comes down as a factor and is lowered by one"
        )
        return Kind.missing_factor, text, 2.3
    if new == EPS or 0 < abs(old) < 1e-3:
        return Kind.epsilon, f"epsilon is {old:g} here, and {EPS:g} in the forward pass", 2
    if new == -old:
        return Kind.sign, f"the sign of {old:g} is wrong", 1
    return Kind.factor, f"the number {old:g} stands where {new:g} belongs", 2


def _name(spot: Spot, node: ast.Name, words: Words) -> Changes:
    if spot.called:
        return
    old = node.id
    if old in words.sizes:
        yield from _size(old, words)
        return
    pool = words.integers if old in words.integers else words.floats
    if pool is words.floats and isinstance(spot.parent, ast.Compare):
        return  # a mask of nothing makes much seem right
    for name in pool:
        if name != old:
            kind = Kind.place if spot.index else Kind.wrong_input
            text = f"{old} is used where {name} belongs"
            cost = 2 if name in words.said else 2.2
            unlikely = 0.4 if old in words.made else 0 if _alike(old, name, words) else 0.3
            yield named(name), kind, text, cost + unlikely
    if spot.index:
        if isinstance(spot.parent, ast.Tuple):
            text = f"{old} says which rows, where every row has its turn"
            yield ast.parse("range(n)", mode="eval").body, Kind.place, text, 2.3
        for step, op in (("+ 1", ast.Add()), ("- 1", ast.Sub())):
            text = f"{old} stands where {old} {step} belongs: it is one off"
            beside = isinstance(spot.parent, ast.BinOp)
            if not beside and not isinstance(spot.parent, ast.Call) and old in words.integers:
                yield ast.BinOp(node, op, ast.Constant(1)), Kind.place, text, 2.3
        return
    mask = ast.Compare(node, [ast.Gt()], [ast.Constant(0)])
    text = f"{old} itself is used where its sign, {old} > 0, belongs (the slope of relu)"
    yield mask, Kind.operation, text, 2.7
    text = f"the start {old} is not zero: what is added to it is added to its own values"
    yield torch_call("zeros_like", node), Kind.start, text, 3


def _member(node: ast.Attribute | ast.Subscript, words: Words) -> Changes:
    """``self.z`` for ``self.value``, ``p["W1"]`` for ``p["W2"]``."""
    old = ast.unparse(node)
    for name in words.floats if old in words.floats else ():
        if name != old:
            text = f"{old} is used where {name} belongs"
            yield named(name), Kind.wrong_input, text, 2.2


_OTHER_WAY = {ast.Gt: ast.Lt, ast.Lt: ast.Gt, ast.GtE: ast.LtE, ast.LtE: ast.GtE,
              ast.Eq: ast.NotEq, ast.NotEq: ast.Eq}  # fmt: skip


def _comparison(spot: Spot, node: ast.Compare, show: Show) -> Changes:
    other = _OTHER_WAY.get(type(node.ops[0]))
    if other is not None and len(node.ops) == 1:
        changed = ast.Compare(node.left, [other()], node.comparators)
        text = f"the comparison {show(node)} is the wrong way round"
        yield changed, _number_or(Kind.operation, spot), text, 2


def _alike(one: str, other: str, words: Words) -> bool:
    """Whether two names may stand for one another by their shapes."""
    shapes = words.floats.get(one), words.floats.get(other)
    return None in shapes or shapes[0] == shapes[1]


def _size(old: str, words: Words) -> Changes:
    less = ast.BinOp(named(old), ast.Sub(), ast.Constant(1))
    yield less, Kind.factor, f"{old} stands where {old} - 1 belongs. {BESSEL}", 2
    for name in words.sizes:
        if name != old and name in words.integers:
            text = f"{old} stands where {name} belongs"
            yield named(name), Kind.factor, text, 2.2 if name in words.said else 2.4
    yield ast.Constant(1.0), Kind.factor, f"the number {old} does not belong there", 3
    text = f"{old} stands where its reciprocal, 1/{old}, belongs"
    yield ast.BinOp(ast.Constant(1.0), ast.Div(), named(old)), Kind.factor, text, 3


_OPERATORS: dict[type, tuple[str, str]] = {
    ast.Add: ("+", "added"),
    ast.Sub: ("-", "subtracted"),
    ast.Mult: ("*", "multiplied in"),
    ast.Div: ("/", "divided by"),
    ast.MatMult: ("@", "multiplied as a matrix"),
    ast.Pow: ("**", "a power"),
}


def _operation(spot: Spot, node: ast.BinOp, words: Words, show: Show) -> Changes:
    left, right, op = node.left, node.right, node.op
    for other in (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.MatMult):
        if not isinstance(op, other | ast.Pow | ast.Mod | ast.FloorDiv):
            yield ast.BinOp(left, other(), right), *_other_operator(spot, node, other, words, show)
    if isinstance(op, ast.Add | ast.Sub) and isinstance(right, ast.Constant):
        factor = f"{'-' if isinstance(op, ast.Sub) else ''}{show(right)}"
        product = ast.BinOp(left, ast.Mult(), ast.parse(factor, mode="eval").body)
        text = f"{show(right)} is {_OPERATORS[type(op)][1]} where {factor} must be multiplied in"
        yield product, Kind.operation, text, 2.4
    yield from _left_out(spot, node, words, show)
    yield from regrouped(node, show)
    if isinstance(op, ast.Sub | ast.Div | ast.Pow):
        text = f"the two sides of {show(node)} are exchanged"
        kind = Kind.sign if isinstance(op, ast.Sub) else Kind.operation
        yield ast.BinOp(right, op, left), kind, text, 2.5
    if isinstance(op, ast.MatMult):
        text = f"the two sides of the product {show(node)} are exchanged"
        yield ast.BinOp(right, op, left), Kind.transposed, text, 2.5
        text = f"the product {show(node)} is taken with its two sides exchanged and transposed"
        product = ast.BinOp(turned(right), ast.MatMult(), turned(left))
        yield product, Kind.transposed, text, 2
        product = ast.BinOp(turned(left), ast.MatMult(), turned(right))
        text = f"in {show(node)} the wrong side is transposed"
        yield product, Kind.transposed, text, 2.2
        yield ast.BinOp(right, op, turned(left)), Kind.transposed, text, 2.6
        yield ast.BinOp(turned(right), op, left), Kind.transposed, text, 2.6
    if isinstance(op, ast.Pow):
        yield from slopes.slope_of_power(node, show)
    yield from slopes.other_slope(node, show)
    yield from slopes.another_slope(node, show)


def _other_operator(
    spot: Spot, node: ast.BinOp, other: type, words: Words, show: Show
) -> tuple[Kind, str, float]:
    right = show(node.right)
    old, new = type(node.op), other
    if {old, new} == {ast.Add, ast.Sub}:
        kind = _number_or(Kind.sign, spot)
        text = f"{right} is {_OPERATORS[old][1]} where it must be {_OPERATORS[new][1]}"
        return kind, text, 1
    if {old, new} == {ast.Mult, ast.Div}:
        done = "divided by" if old is ast.Div else "multiplied by"
        must = "multiplied by it" if old is ast.Div else "divided by it"
        text = f"{show(node.left)} is {done} {right} where it must be {must}"
        plain = is_number(node.right, words.sizes)
        return (Kind.factor if plain else Kind.operation), text, 1.9
    text = f"{show(node)} has {_OPERATORS[old][0]} where {_OPERATORS[new][0]} belongs"
    return _number_or(Kind.operation, spot), text, 2.5


def _left_out(spot: Spot, node: ast.BinOp, words: Words, show: Show) -> Changes:
    """One of the two sides does not belong."""
    left, right, op = node.left, node.right, node.op
    minus_one = isinstance(right, ast.Constant) and right.value == 1
    if isinstance(op, ast.Sub) and minus_one and is_size(left, words.sizes):
        text = f"{show(node)} stands where {show(left)} belongs. {BESSEL}"
        kind = Kind.place if spot.index else Kind.factor
        if spot.index:
            text = f"{show(node)} leaves one out: {show(left)} belongs there"
        yield left, kind, text, 1.5
        return
    if isinstance(op, ast.Add) and ast.dump(left) == ast.dump(right):
        yield left, Kind.extra_term, f"the term {show(left)} is added twice", 1.9
    for kept, gone in ((left, right), (right, left)):
        if isinstance(op, ast.Div | ast.Pow | ast.Mod | ast.FloorDiv) and kept is right:
            continue
        yield kept, *_too_much(spot, op, gone, words, show)
    if isinstance(op, ast.Sub):
        negative = ast.UnaryOp(ast.USub(), right)
        yield negative, *_too_much(spot, op, left, words, show)
    if isinstance(op, ast.Div) and not is_number(left, words.sizes):
        yield (
            ast.BinOp(ast.Constant(1.0), op, right),
            *_too_much(spot, ast.Mult(), left, words, show),
        )


def _too_much(
    spot: Spot, op: ast.operator, gone: ast.expr, words: Words, show: Show
) -> tuple[Kind, str, float]:
    what = show(gone)
    if (
        isinstance(op, ast.Add | ast.Sub)
        and isinstance(spot.node, ast.expr)
        and is_number(spot.node, words.sizes)
    ):
        return Kind.factor, f"{what} does not belong in the number {show(spot.node)}", 2
    if isinstance(spot.parent, ast.Compare):
        return Kind.place, f"{what} does not belong there: it shifts the place", 2
    if spot.index:
        return Kind.place, f"{what} does not belong into the index", 2
    if isinstance(op, ast.Add | ast.Sub):
        if is_epsilon(gone):
            return Kind.epsilon, f"epsilon ({what}) does not belong there", 2
        return Kind.extra_term, f"the term {what} does not belong there", 1.95
    if isinstance(op, ast.Pow):
        return Kind.operation, f"the exponent {what} does not belong there", 2
    if is_number(gone, words.sizes):
        done = "the division by " if isinstance(op, ast.Div) else "the factor "
        return Kind.factor, f"{done}{what} does not belong there", 2
    if isinstance(op, ast.Mod | ast.FloorDiv):
        return Kind.operation, f"{what} does not belong there", 2
    done = "divided by" if isinstance(op, ast.Div) else "multiplied by"
    return Kind.extra_factor, f"it is {done} {what} as well, which does not belong there", 2
