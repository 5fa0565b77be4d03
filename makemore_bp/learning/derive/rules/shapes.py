"""Operations that lay the same numbers out differently: the way back is the old layout."""

from __future__ import annotations

import ast
from itertools import accumulate

from makemore_bp.learning.derive.rules.operation import (
    Flow,
    Handed,
    Operation,
    UnknownOperation,
    Writes,
    axes,
    number,
    rule,
)


@rule("view reshape", "x *shape")
@rule("flatten unflatten view_as reshape_as squeeze unsqueeze", "x *rest")
def reshaped(op: Operation) -> Handed:
    """The same numbers in another shape, so the way back is the old shape.

    Each number of x is read once, by the number of y at the same place in memory, so its gradient
    is found there: dx = dy in the shape of x
    """
    yield Flow(op.operand(), op.code("g.reshape(x.shape)", g=op.full()))


@rule("T mT t")
def turned(op: Operation) -> Handed:
    """Rows became columns, so the gradient's rows become columns again.

    Y[i, j] = X[j, i]: dX = dY.T
    """
    swap = "g.mT" if op.name == "mT" else "g.T"
    yield Flow(op.operand(), op.code(swap, g=op.full()))


@rule("transpose swapaxes swapdims", "x a b")
def transposed(op: Operation) -> Handed:
    """Two axes changed places; they change back.

    y has the axes a and b of x exchanged: dx = dy with the same two exchanged
    """
    a = op.arguments.get("a", op.arguments.get("dim0"))
    b = op.arguments.get("b", op.arguments.get("dim1"))
    yield Flow(op.operand(), op.code("g.transpose(a, b)", g=op.full(), a=a, b=b))


@rule("permute", "x *dims")
def permuted(op: Operation) -> Handed:
    """The axes were put in another order; the opposite order puts them back.

    The axis k of y is the axis dims[k] of x, so the axis dims[k] of dx is the axis k of dy.
    """
    dims = op.constant("dims")
    dims = list(dims[0]) if len(dims) == 1 and not isinstance(dims[0], int) else dims
    back = sorted(range(len(dims)), key=lambda k: dims[k] % len(dims))
    template = f"g.permute({', '.join(map(str, back))})"
    yield Flow(op.operand(), op.code(template, g=op.full()))


@rule("expand expand_as broadcast_to", "x *rest")
def expanded(op: Operation) -> Handed:
    """One number served many entries, so what all of them ask of it is added up.

    y is x, repeated along some axes: dx = sum of dy along those axes
    """
    yield Flow(op.operand(), op.summed(op.full(), op.operand()))


@rule("repeat", "x *times")
def repeated(op: Operation) -> Handed:
    """Every copy asks something of the one number, so the copies' gradients are added up.

    y is made of so many copies of x along each axis: dx = sum of dy over the copies
    """
    shape, output = op.shape(op.operand()), op.output
    extra = len(output) - len(shape)
    parts = [output[k] for k in range(extra)]
    sums = list(range(extra))
    for k, length in enumerate(shape):
        sums.append(len(parts))
        parts += [output[extra + k] // length, length]
    template = "g.reshape(parts).sum(sums)"
    yield Flow(
        op.operand(), op.code(template, g=op.full(), parts=number(tuple(parts)), sums=axes(sums))
    )


def _rows(op: Operation) -> list[ast.expr]:
    rows = op.operand("rows")
    if not isinstance(rows, ast.List | ast.Tuple):
        raise UnknownOperation
    return list(rows.elts)


@rule("cat concat concatenate", "rows dim", dim=0)
def concatenated(op: Operation) -> Handed:
    """Each part finds its gradient where it was put.

    y is the parts one after another along an axis: each part's gradient is that stretch of dy
    """
    dim = op.constant("dim") % len(op.output)
    rows, dy = _rows(op), op.full()
    lengths = [op.shape(row)[dim] for row in rows]
    for row, end, length in zip(rows, accumulate(lengths), lengths, strict=True):
        places = ", ".join([":"] * dim + [f"{end - length}:{end}"])
        yield Flow(row, op.code(f"g[{places}]", g=dy))


@rule("stack", "rows dim", dim=0)
def stacked(op: Operation) -> Handed:
    """Each part finds its gradient where it was put, along the axis that stacking made.

    y[k] = the k-th part: its gradient is dy[k]
    """
    dim = op.constant("dim") % len(op.output)
    dy = op.full()
    for place, row in enumerate(_rows(op)):
        places = ", ".join([":"] * dim + [str(place)])
        yield Flow(row, op.code(f"g[{places}]", g=dy))


@rule("chunk_part", "place x parts dim", dim=0)
@rule("split_part", "place x parts dim", dim=0)
@rule("unbind_part", "place x dim", dim=0)
def part(op: Operation) -> Handed:
    """A part gives its gradient back to the stretch that it was cut from.

    y = x[a:b] along an axis: dx has dy there
    """
    dim = op.constant("dim") % len(op.shape(op.operand()))
    place = op.constant("place")
    if op.name == "unbind_part":
        stretch = str(place)
    else:
        start, end = _stretch(op, place, dim)
        stretch = f"{start}:{end}"
    places = ", ".join([":"] * dim + [stretch])
    yield Writes(op.operand(), op.statements(f"dx[{places}] += dy"))


def _stretch(op: Operation, place: int, dim: int) -> tuple[int, int]:
    assert isinstance(op.node, ast.Subscript)
    rows = op.value(op.node.value)
    start = sum(row.shape[dim] for row in rows[:place])
    return start, start + rows[place].shape[dim]


@rule("flip", "x *dims")
def flipped(op: Operation) -> Handed:
    """The order was turned around; turning it around again puts it back.

    y[k] = x[n - 1 - k]: dx = dy, turned around along the same axes
    """
    dims = op.constant("dims")
    dims = tuple(dims[0]) if len(dims) == 1 and not isinstance(dims[0], int) else tuple(dims)
    yield Flow(op.operand(), op.code("g.flip(dims)", g=op.full(), dims=number(dims)))


@rule("roll", "x shifts dims")
def rolled(op: Operation) -> Handed:
    """What was pushed along an axis is pushed back.

    y[k] = x[k - s]: dx[k] = dy[k + s]
    """
    if not op.given("dims") or not isinstance(op.constant("shifts"), int):
        raise UnknownOperation
    yield Flow(op.operand(), op.code("g.roll(-shifts, dims)", g=op.full()))


@rule("tril triu", "x diagonal")
def triangle(op: Operation) -> Handed:
    """What was cut off gets nothing; the rest passes unchanged.

    y = x on one side of the diagonal, else 0: dx = dy on that side, else 0
    """
    given = ", diagonal" if op.given("diagonal") else ""
    yield Flow(op.operand(), op.code(f"torch.{op.name}(g{given})", g=op.full()))


@rule("pad", "x amounts mode value", mode="constant")
def padded(op: Operation) -> Handed:
    """The padding is a constant; what is inside finds its gradient inside.

    y is x with a margin: dx = dy without the margin
    """
    if op.constant("mode") != "constant":
        raise UnknownOperation
    amounts = op.constant("amounts") or op.constant("pad")
    places = [":"] * len(op.output)
    for k in range(len(amounts) // 2):
        before, axis = amounts[2 * k], len(op.output) - 1 - k
        places[axis] = f"{before}:{before + op.shape(op.operand())[axis]}"
    yield Flow(op.operand(), op.code(f"g[{', '.join(places)}]", g=op.full()))


@rule("unfold", "x dim size step")
def unfolded(op: Operation) -> Handed:
    """A number stands in every window that covers it, so what the windows ask of it is added up.

    y[..., i, ..., j] = x[..., i * step + j, ...]: for each place j in the window, dx gets dy at
    every step-th number from j on.
    """
    dim = op.constant("dim") % len(op.shape(op.operand()))
    size, step, windows = op.constant("size"), op.constant("step"), op.output[dim]
    last = (windows - 1) * step + 1
    stretch = f"j : j + {last}" + (f" : {step}" if step != 1 else "")
    places = ", ".join([":"] * dim + [stretch])
    template = f"for j in range({size}):\n    dx[{places}] += g[..., j]"
    yield Writes(op.operand(), op.statements(template, g=op.full()))
