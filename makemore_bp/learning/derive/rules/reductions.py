"""Sums and what is made of them: a sum hands its gradient to every one of its terms."""

from __future__ import annotations

import ast
from typing import Any

from makemore_bp.learning.derive.program import Reference
from makemore_bp.learning.derive.rules.operation import (
    Flow,
    Handed,
    NeedsName,
    Operation,
    UnknownOperation,
    Writes,
    number,
    rule,
)


def kept(op: Operation, gradient: ast.expr) -> ast.expr:
    """A gradient of a reduced tensor with the reduced axes as axes of length 1."""
    if op.shape(gradient) == () or op.constant("keepdim") or op.constant("dim") is None:
        return gradient
    dims = op.constant("dim")
    rank = len(op.shape(op.operand()))
    for dim in sorted(k % rank for k in ([dims] if isinstance(dims, int) else dims)):
        gradient = op.code("g.unsqueeze(k)", g=gradient, k=dim)
    return gradient


def count(op: Operation) -> ast.expr:
    """How many numbers each sum has, as the line itself could say it."""
    x, dims = op.operand(), op.constant("dim")
    if not isinstance(x, Reference):
        alike = [each for each in ast.walk(x) if isinstance(each, Reference)]
        x = next((each for each in alike if _as_many(op, each, x)), x)
    if isinstance(x, Reference):
        if dims is None:
            return op.code("x.numel()", x=x)
        if isinstance(dims, int):
            return op.code("x.shape[k]", x=x, k=dims)
    shape = op.shape(x)
    each = range(len(shape)) if dims is None else [dims] if isinstance(dims, int) else dims
    n = _product(shape[k] for k in each)
    same = (name for name in _names(x) if type(op.value(name)) is int and op.value(name) == n)
    return next(same, number(n))


def _as_many(op: Operation, one: ast.expr, other: ast.expr) -> bool:
    """Whether an axis, or the whole, is as long in one as in the other."""
    if op.constant("dim") is None:
        return _product(op.shape(one)) == _product(op.shape(other))
    return op.shape(one) == op.shape(other)


def _names(node: ast.expr) -> list[ast.Name]:
    """The names of whole numbers that an expression reads, such as the n of ``x[range(n), y]``."""
    return [each for each in ast.walk(node) if isinstance(each, ast.Name)]


def _product(lengths: Any) -> int:
    found = 1
    for length in lengths:
        found *= length
    return found


@rule("sum", "x dim keepdim")
def total(op: Operation) -> Handed:
    """A sum forward is broadcasting backward: every term gets the sum's gradient, whole.

    y = sum of x along some axes, and the slope with respect to each term is 1: dx = dy, the same
    for every term of the sum.
    """
    yield Flow(op.operand(), kept(op, op.dy))


@rule("mean", "x dim keepdim")
def mean(op: Operation) -> Handed:
    """A mean is a sum divided by the number of its terms, so every term gets that share.

    y = 1/n * sum of x: dx = dy / n for every term
    """
    yield Flow(op.operand(), op.code("g / n", g=kept(op, op.dy), n=count(op)))


@rule("var", "x dim unbiased keepdim")
def variance(op: Operation) -> Handed:
    """The variance moves with each number by twice its distance from the mean; what the numbers do
    to the mean cancels, for the distances add up to zero.

    y = 1/(n-1) * sum of (x - mean)**2: dx = 2 * (x - mean) / (n - 1) * dy, with n in place of n - 1
    for the biased variance.
    """
    yield Flow(op.operand(), op.code("2 * g / n * (x - m)", **_spread(op)))


@rule("std", "x dim unbiased keepdim")
def deviation(op: Operation) -> Handed:
    """A root of the variance: the slope of the root, then that of the variance.

    y = sqrt(v): dv = dy / (2 * y), and dx = 2 * (x - mean) / (n - 1) * dv
    """
    spread = _spread(op)
    spread["s"] = kept(op, op.y)
    yield Flow(op.operand(), op.code("g / (n * s) * (x - m)", **spread))


def _spread(op: Operation) -> dict[str, Any]:
    if op.constant("dim") is None:
        m = op.code("x.mean()")
    else:
        m = op.code("x.mean(k, keepdim=True)", k=number(op.constant("dim")))
    return {"g": kept(op, op.dy), "m": m, "n": _freedom(op)}


def _freedom(op: Operation) -> ast.expr:
    """n - 1, or n where the line asks for the biased variance."""
    if "correction" in op.arguments:
        less = op.constant("correction")
    else:
        less = 0 if op.constant("unbiased") is False else 1
    n = count(op)
    if isinstance(n, ast.Constant):
        return number(n.value - less)
    return op.code("n - k", n=n, k=less) if less else n


@rule("max min", "x dim keepdim")
@rule("amax amin", "x dim keepdim")
def largest(op: Operation) -> Handed:
    """The result depends only on the entries that it was taken from; entries that tie share it.

    y = the largest of x: dx = dy at the largest entries, divided by how many there are, else 0
    """
    y = kept(op, op.y)
    equal = op.code("x == y", y=y)
    if op.constant("dim") is None:
        ties = op.code("e.sum()", e=equal)
    else:
        ties = op.code("e.sum(k, keepdim=True)", e=equal, k=number(op.constant("dim")))
    yield Flow(op.operand(), op.code("e * (g / n)", e=equal, g=kept(op, op.dy), n=ties))


@rule("max_part min_part", "place x dim keepdim", dim=-1)
def largest_along(op: Operation) -> Handed:
    """The maximum passes its gradient on to the one entry that it was taken from.

    y = the largest of each row: dx has dy at the place whose index max() gave, else 0
    """
    if op.constant("place") != 0:
        return
    kind = op.name.removesuffix("_part")
    dim = op.constant("dim") % len(op.shape(op.operand()))
    if dim != len(op.shape(op.operand())) - 1:
        template = f"dx.scatter_(k, x.{kind}(k, keepdim=True).indices, dy_kept)"
        statements = op.statements(template, k=dim, dy_kept=kept(op, op.full()))
        yield Writes(op.operand(), statements)
        return
    places = op.code(f"x.{kind}(k).indices", k=op.operand("dim") if op.given("dim") else dim)
    hot = op.code("torch.nn.functional.one_hot(i, x.shape[k])", i=places, k=dim)
    yield Flow(op.operand(), op.code("hot * g", hot=hot, g=kept(op, op.dy)))


@rule("logsumexp", "x dim keepdim")
def logsumexp(op: Operation) -> Handed:
    """Every number gets its share in the sum of the exponentials.

    y = log(sum of exp(x)): dx = exp(x) / sum of exp(x) * dy = exp(x - y) * dy
    """
    y = kept(op, op.y)
    yield Flow(op.operand(), op.code("torch.exp(x - y) * g", y=y, g=kept(op, op.dy)))


@rule("norm", "x p dim keepdim", p=2)
def norm(op: Operation) -> Handed:
    """A length moves with each number by that number's part of it.

    y = sqrt(sum of x**2): dx = x / y * dy
    """
    if op.constant("p") not in (2, "fro"):
        raise UnknownOperation
    yield Flow(op.operand(), op.code("x / y * g", y=kept(op, op.y), g=kept(op, op.dy)))


@rule("cumsum", "x dim")
def cumsum(op: Operation) -> Handed:
    """A number is in its own running sum and in all that follow, so the gradients are summed from
    the other end.

    y[k] = sum of x[i] for i <= k: dx[i] = sum of dy[k] for k >= i
    """
    yield Flow(op.operand(), op.code("g.flip(dim).cumsum(dim).flip(dim)", g=op.full()))


@rule("builtin_sum", "rows start")
def added_rows(op: Operation) -> Handed:
    """A sum of several tensors passes its gradient on to each of them, unchanged.

    y = x[0] + x[1] + ...: the slope with respect to each is 1.
    """
    rows = op.operand("rows")
    if not isinstance(rows, ast.List | ast.Tuple):
        raise UnknownOperation
    for row in rows.elts:
        if op.shape(row) != op.output:
            raise NeedsName(op.node) if op.result is None else UnknownOperation
        yield Flow(row, op.dy)
