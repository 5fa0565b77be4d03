"""Operations entry by entry: each gradient is multiplied by the slope."""

from __future__ import annotations

import ast

import torch

from makemore_bp.learning.derive.rules.operation import (
    Flow,
    Handed,
    Operation,
    UnknownOperation,
    rule,
)


def unary(op: Operation, template: str) -> Handed:
    yield Flow(op.operand(), op.code(template))


def _to(op: Operation, name: str, gradient: ast.expr) -> Flow:
    """The gradient on its way to an operand that may have been broadcast."""
    operand = op.operand(name)
    if op.shape(operand) != op.output and op.shape(gradient) != op.output:
        gradient = op.code("g * torch.ones_like(y)", g=gradient)
    return Flow(operand, op.summed(gradient, operand))


@rule("add", "x other")
def add(op: Operation) -> Handed:
    """A sum passes its gradient on to both of its terms, unchanged.

    y = x + other, and the slope with respect to either is 1: dx = dy, dother = dy. A term that was
    broadcast served many entries, so what they ask of it is added up.
    """
    _without_alpha(op)
    yield _to(op, "x", op.dy)
    yield _to(op, "other", op.dy)


@rule("sub subtract", "x other")
def sub(op: Operation) -> Handed:
    """A difference passes its gradient on, to what is subtracted with the sign changed.

    y = x - other: dx = dy, dother = -dy, added up along the axes in which a term was broadcast.
    """
    _without_alpha(op)
    yield _to(op, "x", op.dy)
    yield _to(op, "other", op.code("-dy"))


def _without_alpha(op: Operation) -> None:
    if "alpha" in op.arguments:
        raise UnknownOperation


@rule("mul multiply", "x other")
def mul(op: Operation) -> Handed:
    """Each factor of a product scales what goes to the other.

    y = x * other: dx = other * dy, dother = x * dy, added up along the axes in which a factor was
    broadcast.
    """
    yield _to(op, "x", op.code("other * dy"))
    yield _to(op, "other", op.code("x * dy"))


@rule("div divide true_divide", "x other")
def div(op: Operation) -> Handed:
    """A quotient divides its gradient by the denominator; the denominator gets minus the quotient
    times that.

    y = x / other. The slope with respect to x is 1 / other, with respect to other
    -x / other**2 = -y / other:

        dx = dy / other        dother = -dy * y / other
    """
    if op.given("rounding_mode"):
        raise UnknownOperation
    yield _to(op, "x", op.code("dy / other"))
    yield _to(op, "other", op.code("-dy * ((x / other) / other)"))


@rule("neg negative")
def neg(op: Operation) -> Handed:
    """The sign that changes on the way forward changes on the way back.

    y = -x: dx = -dy
    """
    yield from unary(op, "-dy")


@rule("pow", "x exponent")
def power(op: Operation) -> Handed:
    """A power rule: the exponent comes down and is lowered by one.

    y = x**k: dx = k * x**(k - 1) * dy. For y = k**x with a number k, the slope is y * log(k).
    """
    exponent = op.constant("exponent")
    if isinstance(exponent, int | float):
        yield Flow(op.operand(), op.code(_slope_of_power(exponent), k=exponent, less=exponent - 1))
    elif isinstance(op.constant("x"), int | float):
        yield Flow(op.operand("exponent"), op.code("y * torch.log(torch.tensor(x)) * dy"))
    else:
        yield _to(op, "x", op.code("exponent * x ** (exponent - 1) * dy"))
        yield _to(op, "exponent", op.code("y * torch.log(x) * dy"))


def _slope_of_power(exponent: float) -> str:
    if exponent == 2:
        return "2 * x * dy"
    return "-(x**less) * dy" if exponent == -1 else "k * x**less * dy"


@rule("square")
def square(op: Operation) -> Handed:
    """A power rule: the exponent 2 comes down and is lowered by one.

    y = x**2: dx = 2 * x * dy
    """
    yield from unary(op, "2 * x * dy")


@rule("exp")
def exp(op: Operation) -> Handed:
    """exp is its own derivative, and its value is already at hand from the way forward.

    y = exp(x): dx = y * dy
    """
    yield from unary(op, "y * dy")


@rule("log")
def log(op: Operation) -> Handed:
    """The slope of the logarithm is one over its argument.

    y = log(x): dx = dy / x
    """
    yield from unary(op, "dy / x")


@rule("log1p")
def log1p(op: Operation) -> Handed:
    """The slope of log(1 + x) is one over 1 + x.

    y = log(1 + x): dx = dy / (1 + x)
    """
    yield from unary(op, "dy / (1 + x)")


@rule("sqrt")
def sqrt(op: Operation) -> Handed:
    """The slope of a root is one over twice the root.

    y = x**0.5: dx = 0.5 * x**-0.5 * dy = dy / (2 * y)
    """
    yield from unary(op, "dy / (2 * y)")


@rule("rsqrt")
def rsqrt(op: Operation) -> Handed:
    """A power rule with the exponent -1/2.

    y = x**-0.5: dx = -0.5 * x**-1.5 * dy = -0.5 * y**3 * dy
    """
    yield from unary(op, "-0.5 * y**3 * dy")


@rule("reciprocal")
def reciprocal(op: Operation) -> Handed:
    """A power rule: the exponent -1 comes down and is lowered by one.

    y = 1 / x: dx = -dy / x**2 = -y**2 * dy
    """
    yield from unary(op, "-(y**2) * dy")


@rule("sin")
def sin(op: Operation) -> Handed:
    """The slope of the sine is the cosine.

    y = sin(x): dx = cos(x) * dy
    """
    yield from unary(op, "torch.cos(x) * dy")


@rule("cos")
def cos(op: Operation) -> Handed:
    """The slope of the cosine is minus the sine.

    y = cos(x): dx = -sin(x) * dy
    """
    yield from unary(op, "-torch.sin(x) * dy")


@rule("erf")
def erf(op: Operation) -> Handed:
    """The slope of the error function is 2 / sqrt(pi) times exp(-x**2).

    y = erf(x), the integral of that slope from 0 to x: dx = 2 / sqrt(pi) * exp(-x**2) * dy
    """
    yield from unary(op, "1.1283791670955126 * torch.exp(-(x**2)) * dy")


@rule("abs absolute builtin_abs")
def absolute(op: Operation) -> Handed:
    """The slope of a magnitude is the sign of the number.

    y = |x|: dx = sign(x) * dy
    """
    yield from unary(op, "torch.sign(x) * dy")


@rule("clamp clip", "x min max")
@rule("clamp_min", "x min")
def clamp(op: Operation) -> Handed:
    """What was cut off gets nothing; what lies between the bounds passes unchanged.

    y = x between min and max: dx = dy there, else 0
    """
    for bound in ("min", "max"):
        if isinstance(op.constant(bound), torch.Tensor):
            raise UnknownOperation
    inside = [
        f"x {sign} {bound}" for bound, sign in (("min", ">="), ("max", "<=")) if op.given(bound)
    ]
    yield from unary(op, f"({' & '.join(f'({each})' for each in inside)}) * dy")


@rule("maximum", "x other")
@rule("minimum", "x other")
def extreme(op: Operation) -> Handed:
    """The one that was taken gets the gradient; where both are equal, each gets half.

    y = max(x, other): dx = dy where x > other, half of it where they are equal, else 0
    """
    taken = ">" if op.name == "maximum" else "<"
    for name, one, two in (("x", "x", "other"), ("other", "other", "x")):
        template = f"(({one} {taken} {two}) + 0.5 * ({one} == {two})) * dy"
        yield _to(op, name, op.code(template))


@rule("where", "condition x other")
def where(op: Operation) -> Handed:
    """Each entry was taken from one of two places, and its gradient goes back to that one.

    y = x where the condition holds, else other: dx = dy where it holds, dother = dy elsewhere
    """
    yield _to(op, "x", op.code("torch.where(condition, dy, 0.0)"))
    yield _to(op, "other", op.code("torch.where(condition, 0.0, dy)"))


@rule("masked_fill", "x mask value")
def masked_fill(op: Operation) -> Handed:
    """What was written over has no part in the result any more, so it gets nothing.

    y = value where the mask is set, else x: dx = 0 where it is set, else dy
    """
    yield _to(op, "x", op.code("torch.where(mask, 0.0, dy)"))


@rule("clone contiguous float double alias")
@rule("to type type_as", "x *rest")
def same(op: Operation) -> Handed:
    """The numbers are the same, so their gradients are.

    y = x: dx = dy
    """
    yield from unary(op, "dy")


@rule("detach")
def detach(op: Operation) -> Handed:
    """detach says that the numbers count as constants: nothing goes back.

    y = x, cut off: dx gets nothing
    """
    return
    yield
