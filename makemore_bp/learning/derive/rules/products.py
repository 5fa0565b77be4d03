"""Products of matrices: the shapes leave hardly another way to write the way back."""

from __future__ import annotations

import ast

from makemore_bp.learning.derive.rules.operation import (
    Flow,
    Handed,
    Operation,
    UnknownOperation,
    number,
    rule,
)


def _turned(op: Operation, name: str) -> ast.expr:
    """A matrix with its last two axes exchanged."""
    matrix = op.operand(name)
    inner = _untransposed(op, matrix)
    if inner is not None:
        return inner
    return op.code(_turn(op, matrix), m=matrix)


def _turn(op: Operation, matrix: ast.expr) -> str:
    return "m.T" if len(op.shape(matrix)) == 2 else "m.transpose(-2, -1)"


def _untransposed(op: Operation, node: ast.expr) -> ast.expr | None:
    """The x of ``x.T`` or ``x.transpose(-2, -1)``."""
    rank = len(op.shape(node))
    if isinstance(node, ast.Attribute) and node.attr in ("T", "mT") and rank == 2:
        return node.value
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        places = [op.value(argument) for argument in node.args]
        last = node.func.attr == "transpose" and {k % rank for k in places} == {rank - 2, rank - 1}
        return node.func.value if last else None
    return None


@rule("matmul mm bmm", "x other")
def matmul(op: Operation) -> Handed:
    """The gradient comes back along the same weights: multiplied by the other matrix, turned.

    Y = X @ W: Y[i, j] = sum over q of X[i, q] * W[q, j]. X[i, q] is read by every j of row i,
    W[q, j] by every i of column j. Adding up what each receives gives

        dX = dY @ W.T        dW = X.T @ dY

    Further axes in front are so many products; a factor that served all of them adds up.
    """
    x, other = op.operand("x"), op.operand("other")
    ranks = len(op.shape(x)), len(op.shape(other))
    if ranks == (1, 1):
        yield Flow(x, op.code("other * dy"))
        yield Flow(other, op.code("x * dy"))
    elif ranks[1] == 1:
        yield Flow(x, op.code("g.unsqueeze(-1) * other", g=op.full()))
        if ranks[0] == 2:
            yield Flow(other, op.code("x.T @ g", g=op.full()))
        else:
            yield Flow(other, _over_rows(op, op.code("x * g.unsqueeze(-1)", g=op.full()), 1))
    elif ranks == (1, 2):
        yield Flow(x, op.code("W @ g", W=other, g=op.full()))
        yield Flow(other, op.code("x.unsqueeze(1) * g", g=op.full()))
    elif ranks[0] == 1:
        raise UnknownOperation
    else:
        yield from _of_matrices(op, x, other)


def _of_matrices(op: Operation, x: ast.expr, other: ast.expr) -> Handed:
    dy = op.full()
    yield _to_factor(op, x, op.code("dy @ W", dy=dy, W=_turned(op, "other")),
                     op.code("W @ g", W=other, g=op.code(_turn(op, dy), m=dy)))  # fmt: skip
    if len(op.shape(other)) == 2 < len(op.shape(x)):
        template = "x.flatten(0, -2).T @ dy.flatten(0, -2)"
        yield Flow(other, op.code(template, dy=dy))
    else:
        yield _to_factor(op, other, op.code("X @ dy", X=_turned(op, "x"), dy=dy),
                         op.code("g @ x", g=op.code(_turn(op, dy), m=dy)))  # fmt: skip


def _to_factor(op: Operation, factor: ast.expr, gradient: ast.expr, turned: ast.expr) -> Flow:
    """The gradient of a factor, or of the matrix that was turned to be one."""
    inner = _untransposed(op, factor)
    if inner is not None and op.shape(turned) == op.shape(inner):
        return Flow(inner, turned)
    return Flow(factor, _fewer(op, gradient, factor))


def _fewer(op: Operation, gradient: ast.expr, operand: ast.expr) -> ast.expr:
    """The gradient added up over axes in front that the operand does not have."""
    have, to = op.shape(gradient), op.shape(operand)
    if have == to:
        return gradient
    extra = len(have) - len(to)
    places = [*range(extra), *(extra + k for k, n in enumerate(to) if n == 1 != have[extra + k])]
    return op.code("g.sum(axes).reshape(to)", g=gradient, axes=number(tuple(places)), to=number(to))


def _over_rows(op: Operation, gradient: ast.expr, last: int) -> ast.expr:
    places = tuple(range(len(op.shape(gradient)) - last))
    return op.code("g.sum(axes)", g=gradient, axes=number(places)) if places else gradient


@rule("dot", "x other")
def dot(op: Operation) -> Handed:
    """Each factor of each product scales what goes to the other.

    y = sum over q of x[q] * w[q]: dx = w * dy, dw = x * dy
    """
    yield Flow(op.operand("x"), op.code("other * dy"))
    yield Flow(op.operand("other"), op.code("x * dy"))


@rule("mv", "x other")
def mv(op: Operation) -> Handed:
    """A matrix times a vector: the gradient comes back along the same weights.

    y[i] = sum over q of X[i, q] * w[q]: dX[i, q] = dy[i] * w[q], dw = X.T @ dy
    """
    yield Flow(op.operand("x"), op.code("g.unsqueeze(-1) * other", g=op.full()))
    yield Flow(op.operand("other"), op.code("x.T @ g", g=op.full()))


@rule("outer ger", "x other")
def outer(op: Operation) -> Handed:
    """Every entry of one vector meets every entry of the other.

    Y[i, j] = x[i] * w[j]: dx = dY @ w, dw = dY.T @ x
    """
    yield Flow(op.operand("x"), op.code("g @ other", g=op.full()))
    yield Flow(op.operand("other"), op.code("g.T @ x", g=op.full()))


@rule("linear", "x weight bias")
def linear(op: Operation) -> Handed:
    """F.linear multiplies by the weights turned, so they stand as they are on the way back.

    Y = X @ W.T + b, with W (m, k): dX = dY @ W, dW = dY.T @ X, db = sum of dY over the rows
    """
    x, weight, dy = op.operand("x"), op.operand("weight"), op.full()
    yield Flow(x, op.code("dy @ weight", dy=dy))
    if len(op.shape(x)) == 2:
        yield Flow(weight, op.code("dy.T @ x", dy=dy))
    else:
        yield Flow(weight, op.code("dy.flatten(0, -2).T @ x.flatten(0, -2)", dy=dy))
    if op.given("bias"):
        yield Flow(op.operand("bias"), _over_rows(op, dy, 1))


@rule("einsum", "equation *operands")
def einsum(op: Operation) -> Handed:
    """An einsum of two is undone by einsums: the result's letters and the other's give one's own.

    Y[out] = sum over the letters that out lacks of A[a] * B[b]. An entry of A meets every entry of
    B that shares its letters, so dA[a] = sum over the other letters of dY[out] * B[b].
    """
    operands = op.arguments.get("operands", [])
    equation = str(op.constant("equation")).replace(" ", "")
    if "." in equation or "->" not in equation or len(operands) != 2:
        raise UnknownOperation
    inputs, out = equation.split("->")
    letters = inputs.split(",")
    for one, other in ((0, 1), (1, 0)):
        own, others = letters[one], letters[other]
        if len(set(own)) < len(own) or not set(own) <= set(out) | set(others):
            raise UnknownOperation
        yield Flow(
            operands[one],
            op.code("torch.einsum(e, g, b)", e=number(f"{out},{others}->{own}"), g=op.full(),
                    b=operands[other]),
        )  # fmt: skip
