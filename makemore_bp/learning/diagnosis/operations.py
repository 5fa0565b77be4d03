"""Changes of one expression, and what each would mean."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from makemore_bp.learning.diagnosis import calls
from makemore_bp.learning.diagnosis.kinds import Kind
from makemore_bp.learning.diagnosis.walk import Spot

if TYPE_CHECKING:
    from makemore_bp.learning.diagnosis.edits import Words

Show = Callable[[ast.AST], str]
Changes = Iterator[tuple[ast.expr, Kind, str, float]]
SIZES = ("n", "vocab_size", "n_hidden", "n_embd", "block_size", "batch_size")
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
        yield from _subscript(spot, node, words, show)
    elif isinstance(node, ast.Tuple):
        yield from _tuple(spot, node, show)
    elif isinstance(node, ast.Slice):
        yield from _slice(node, words)
    if not spot.called and not spot.axis and not isinstance(node, ast.Slice | ast.Tuple | ast.List):
        yield from _wrapped(spot, words, show)


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
        return Kind.index
    return Kind.missing_factor if spot.exponent else kind


def _constant(spot: Spot, node: ast.Constant, words: Words) -> Changes:
    value = node.value
    if isinstance(value, bool):
        yield from calls.flag(spot, node)
        return
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
            text = f"the index {value} is always the same one where {name} belongs"
            yield _named(name), Kind.index, text, 2.5
        for other in (value + 1, value - 1, 0, 1, 2):
            if other != value and other >= 0:
                text = f"the index {value} is off"
                yield ast.Constant(other), Kind.index, text, 2
        return
    for number in dict.fromkeys((*NUMBERS, -value, value + 1, value - 1, 2 * value, value / 2,
                                 1e-5, 1.0 / value if value else 1)):  # fmt: skip
        if number != value and not (number == 0 and _is_sum(spot.parent)):
            yield ast.Constant(number), *_number(spot, value, number)
    if not spot.exponent and not spot.index:
        for name in words.integers:
            if name in SIZES:
                text = f"the number {value:g} stands where {name} belongs"
                yield _named(name), Kind.factor, text, 2.5


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
    if new == 1e-5 or 0 < abs(old) < 1e-3:
        return Kind.epsilon, f"epsilon is {old:g} here, and 1e-5 in the forward pass", 2
    if new == -old:
        return Kind.sign, f"the sign of {old:g} is wrong", 1
    return Kind.factor, f"the number {old:g} stands where {new:g} belongs", 2


def _name(spot: Spot, node: ast.Name, words: Words) -> Changes:
    if spot.called:
        return
    old = node.id
    if old in SIZES or (old in words.integers and not spot.index):
        yield from _size(old, words)
        return
    pool = words.integers if spot.index and old in words.integers else words.floats
    for name in pool:
        if name != old:
            kind = Kind.index if spot.index else Kind.wrong_input
            text = f"{old} is used where {name} belongs"
            yield _named(name), kind, text, 2 if name in words.said else 2.2
    if spot.index:
        return
    text = f"the start {old} is not zero: what is added to it is added to its own values"
    yield _call("zeros_like", node), Kind.start, text, 3


def _size(old: str, words: Words) -> Changes:
    less = ast.BinOp(_named(old), ast.Sub(), ast.Constant(1))
    yield less, Kind.factor, f"{old} stands where {old} - 1 belongs. {BESSEL}", 2
    for name in SIZES:
        if name != old and name in words.integers:
            text = f"{old} stands where {name} belongs"
            yield _named(name), Kind.factor, text, 2.2 if name in words.said else 2.4
    yield ast.Constant(1.0), Kind.factor, f"the number {old} does not belong there", 3
    text = f"{old} stands where its reciprocal, 1/{old}, belongs"
    yield ast.BinOp(ast.Constant(1.0), ast.Div(), _named(old)), Kind.factor, text, 3


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
            yield ast.BinOp(left, other(), right), *_other_operator(spot, node, other, show)
    yield from _left_out(spot, node, show)
    yield from _regrouped(node, show)
    if isinstance(op, ast.Sub | ast.Div | ast.Pow):
        text = f"the two sides of {show(node)} are exchanged"
        kind = Kind.sign if isinstance(op, ast.Sub) else Kind.operation
        yield ast.BinOp(right, op, left), kind, text, 2.5
    if isinstance(op, ast.MatMult):
        text = f"the two sides of the product {show(node)} are exchanged"
        yield ast.BinOp(right, op, left), Kind.transposed, text, 2.5
        text = f"the product {show(node)} is taken with its two sides exchanged and transposed"
        turned = ast.BinOp(_turned(right), ast.MatMult(), _turned(left))
        yield turned, Kind.transposed, text, 2
        turned = ast.BinOp(_turned(left), ast.MatMult(), _turned(right))
        text = f"in {show(node)} the wrong side is transposed"
        yield turned, Kind.transposed, text, 2.2
        yield ast.BinOp(right, op, _turned(left)), Kind.transposed, text, 2.6
        yield ast.BinOp(_turned(right), op, left), Kind.transposed, text, 2.6
    if isinstance(op, ast.Pow):
        yield from _slope_of_power(node, show)


def _other_operator(
    spot: Spot, node: ast.BinOp, other: type, show: Show
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
        plain = _is_number(node.right)
        return (Kind.factor if plain else Kind.operation), text, 1.9
    text = f"{show(node)} has {_OPERATORS[old][0]} where {_OPERATORS[new][0]} belongs"
    return _number_or(Kind.operation, spot), text, 2.5


def _left_out(spot: Spot, node: ast.BinOp, show: Show) -> Changes:
    """One of the two sides does not belong."""
    left, right, op = node.left, node.right, node.op
    minus_one = isinstance(right, ast.Constant) and right.value == 1
    if isinstance(op, ast.Sub) and minus_one and _is_size(left):
        text = f"{show(node)} stands where {show(left)} belongs. {BESSEL}"
        kind = Kind.index if spot.index else Kind.factor
        if spot.index:
            text = f"{show(node)} leaves one out: {show(left)} belongs there"
        yield left, kind, text, 1.5
        return
    for kept, gone in ((left, right), (right, left)):
        if isinstance(op, ast.Div | ast.Pow | ast.Mod | ast.FloorDiv) and kept is right:
            continue
        yield kept, *_too_much(spot, op, gone, show)
    if isinstance(op, ast.Sub):
        negative = ast.UnaryOp(ast.USub(), right)
        yield negative, *_too_much(spot, op, left, show)
    if isinstance(op, ast.Div) and not _is_number(left):
        yield ast.BinOp(ast.Constant(1.0), op, right), *_too_much(spot, ast.Mult(), left, show)


def _too_much(spot: Spot, op: ast.operator, gone: ast.expr, show: Show) -> tuple[Kind, str, float]:
    what = show(gone)
    if isinstance(spot.parent, ast.Compare):
        return Kind.index, f"{what} does not belong there: it shifts the place", 2
    if spot.index:
        return Kind.index, f"{what} does not belong into the index", 2
    if isinstance(op, ast.Add | ast.Sub):
        if _is_epsilon(gone):
            return Kind.epsilon, f"epsilon ({what}) does not belong there", 2
        return Kind.extra_term, f"the term {what} does not belong there", 2
    if isinstance(op, ast.Pow):
        return Kind.operation, f"the exponent {what} does not belong there", 2
    if _is_number(gone):
        done = "the division by " if isinstance(op, ast.Div) else "the factor "
        return Kind.factor, f"{done}{what} does not belong there", 2
    if isinstance(op, ast.Mod | ast.FloorDiv):
        return Kind.operation, f"{what} does not belong there", 2
    done = "divided by" if isinstance(op, ast.Div) else "multiplied by"
    return Kind.extra_factor, f"it is {done} {what} as well, which does not belong there", 2


def _regrouped(node: ast.BinOp, show: Show) -> Changes:
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
    if isinstance(left, ast.UnaryOp):
        moved = ast.UnaryOp(left.op, ast.BinOp(left.operand, node.op, right))
        yield moved, Kind.parentheses, text, 2.6
    for side, put in (
        (left, lambda part: ast.BinOp(part, node.op, right)),
        (right, lambda part: ast.BinOp(left, node.op, part)),
    ):
        yield from _out_of_call(node, side, put, text)


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


def _slope_of_power(node: ast.BinOp, show: Show) -> Changes:
    exponent = ast.BinOp(node.right, ast.Sub(), ast.Constant(1))
    slope = ast.BinOp(node.right, ast.Mult(), ast.BinOp(node.left, ast.Pow(), exponent))
    text = f"{show(node)} is the function of the forward pass itself where its slope belongs"
    yield slope, Kind.operation, text, 3.2
    power = ast.BinOp(node.left, ast.Pow(), exponent)
    text = f"the exponent {show(node.right)} must be lowered by one"
    yield power, Kind.missing_factor, text, 3


def _subscript(spot: Spot, node: ast.Subscript, words: Words, show: Show) -> Changes:
    text = f"only {show(node)} is used where all of {show(node.value)} belongs"
    yield node.value, Kind.index, text, 2.5
    if isinstance(node.slice, ast.Slice) or not isinstance(node.slice, ast.Tuple):
        text = (
            f"[{show(node.slice)}] picks whole rows; [range(n), {show(node.slice)}] picks one each"
        )
        rows = ast.parse("range(n)", mode="eval").body
        both = ast.Tuple([rows, node.slice], ast.Load())
        yield ast.Subscript(node.value, both, node.ctx), Kind.index, text, 3


def _tuple(spot: Spot, node: ast.Tuple, show: Show) -> Changes:
    kind = Kind.index if spot.index else Kind.exchanged
    for first in range(len(node.elts)):
        for second in range(first + 1, len(node.elts)):
            elements = list(node.elts)
            elements[first], elements[second] = elements[second], elements[first]
            text = f"{show(node.elts[first])} and {show(node.elts[second])} are exchanged"
            cost = 1.4 if isinstance(spot.parent, ast.Return) else 2
            yield ast.Tuple(elements, ast.Load()), kind, text, cost


def _slice(node: ast.Slice, words: Words) -> Changes:
    if node.lower or node.upper or node.step:
        text = "the slice leaves some out where all belong"
        yield ast.Slice(), Kind.index, text, 2
    elif "Yb" in words.integers:
        text = "a colon takes every row for each target; [range(n), Yb] takes each row's own"
        yield ast.parse("range(n)", mode="eval").body, Kind.wrong_input, text, 2


def _wrapped(spot: Spot, words: Words, show: Show) -> Changes:
    """Something is missing around the expression."""
    node = spot.node
    if spot.index:
        return
    if not isinstance(node, ast.Constant) and not isinstance(spot.parent, ast.UnaryOp):
        text = f"{show(node)} has the wrong sign"
        yield ast.UnaryOp(ast.USub(), node), Kind.sign, text, 2.5
    if isinstance(node, ast.Constant) or spot.exponent:
        return
    if not _is_number(node):
        yield _turned(node), Kind.transposed, f"{show(node)} is not transposed", 2.5
        yield from calls.around(spot, words, show)
        epsilon = ast.BinOp(node, ast.Add(), ast.Constant(1e-5))
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
    if _is_number(node):
        return
    for name in words.floats:
        cost = 3.0 if name in words.said or name in words.gradients else 3.3
        if name in words.gradients:
            text = f"the gradient that arrives, {name}, is not multiplied in (the chain rule)"
        else:
            text = f"the factor {name} is missing at {show(node)}"
        yield ast.BinOp(node, ast.Mult(), _named(name)), Kind.missing_factor, text, cost
        text = f"the division by {name} is missing at {show(node)}"
        yield ast.BinOp(node, ast.Div(), _named(name)), Kind.missing_factor, text, cost + 0.1


def _plain_factors(words: Words) -> Iterator[tuple[ast.expr, str]]:
    for text in ("1/n", "n", "1/(n - 1)", "n/(n - 1)", "(n - 1)", "2", "0.5", "1/n**2"):
        if "n" not in text or "n" in words.integers:
            yield ast.parse(text, mode="eval").body, text


def _terms(spot: Spot, words: Words, show: Show) -> Changes:
    parent = spot.parent
    if not isinstance(parent, ast.Assign | ast.AugAssign | ast.Return | ast.BinOp):
        return
    for name in words.gradients:
        text = f"the term {name} is left out"
        yield ast.BinOp(spot.node, ast.Add(), _named(name)), Kind.missing_term, text, 3.4
        yield ast.BinOp(spot.node, ast.Sub(), _named(name)), Kind.missing_term, text, 3.4
    if isinstance(parent, ast.BinOp):
        one = ast.Constant(1.0)
        text = f"1 - {show(spot.node)} belongs there, not {show(spot.node)} alone"
        yield ast.BinOp(one, ast.Sub(), spot.node), Kind.missing_term, text, 3.4


def _is_number(node: ast.expr) -> bool:
    """Whether it is a plain number, made of constants and sizes."""
    return all(
        isinstance(part, ast.Constant | ast.operator | ast.unaryop | ast.expr_context)
        or isinstance(part, ast.BinOp | ast.UnaryOp)
        or (isinstance(part, ast.Name) and part.id in SIZES)
        for part in ast.walk(node)
    )


def _is_size(node: ast.expr) -> bool:
    return (isinstance(node, ast.Name) and node.id in SIZES) or isinstance(
        node, ast.Subscript | ast.Call
    )


def _is_epsilon(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, float) and node.value < 1e-3


def _turned(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return node.value
    return ast.Attribute(node, "T", ast.Load())


def _named(name: str) -> ast.expr:
    return ast.Name(name, ast.Load())


def _call(function: str, argument: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(_named("torch"), function, ast.Load()), [argument], [])
