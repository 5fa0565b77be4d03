"""Operations that pick numbers: the gradient goes back to the place that was read."""

from __future__ import annotations

import ast
from typing import Any

import torch
from torch import Tensor

from makemore_bp.learning.derive.program import index_value
from makemore_bp.learning.derive.rules.operation import (
    Handed,
    Operation,
    UnknownOperation,
    Writes,
    rule,
)


@rule("getitem", "x index")
def getitem(op: Operation) -> Handed:
    """What was read gets the gradient of what it became; the rest gets zero.

    y = x[index]: dx is zero, and dy at the index. Where the same place may be read several times,
    as a row of a table by every example that looks it up, the gradients of all of them are added
    up; plain assignment would keep only the last.
    """
    index = op.operand("index")
    if may_repeat(op.value(index_value(index))):
        whole = index if isinstance(index, ast.Tuple) else ast.Tuple([index], ast.Load())
        template = "dx.index_put_(i, g, accumulate=True)"
        yield Writes(op.operand(), op.statements(template, i=_tensors(op, whole), g=op.full()))
    else:
        yield Writes(op.operand(), op.statements("dx[i] += dy", i=index))


def may_repeat(index: Any) -> bool:
    """Whether an index may name one place twice: one of whole numbers, without a counting one
    beside it."""
    parts = index if isinstance(index, tuple) else (index,)
    lists = [part for part in parts if isinstance(part, Tensor | list | range)]
    numbers = [part for part in lists if not _is_mask(part)]
    return bool(numbers) and not any(_counts(part) for part in numbers)


def _is_mask(part: Any) -> bool:
    return isinstance(part, Tensor) and part.dtype == torch.bool


def _counts(part: Any) -> bool:
    """Whether the numbers are 0, 1, 2, ..., each once."""
    flat = torch.as_tensor(list(part) if isinstance(part, range) else part).flatten()
    return flat.numel() > 0 and bool((flat == torch.arange(flat.numel())).all())


def _tensors(op: Operation, index: ast.Tuple) -> ast.expr:
    """An index as index_put_ wants it: a row of tensors."""
    if any(not isinstance(op.value(index_value(each)), Tensor) for each in index.elts):
        raise UnknownOperation
    return index


@rule("gather take_along_dim", "x dim index")
def gather(op: Operation) -> Handed:
    """What gather reads on the way forward, scatter_add_ writes on the way back.

    y[i, j] = x[i, index[i, j]] along an axis: dx[i, index[i, j]] gets dy[i, j], added up where a
    place was read twice.
    """
    template = "dx.scatter_add_(dim, index, g)"
    yield Writes(op.operand(), op.statements(template, g=op.full()))


@rule("index_select", "x dim index")
def index_select(op: Operation) -> Handed:
    """A row gets the gradients of all the places that it was looked up for, added up.

    y[k] = x[index[k]] along an axis: dx[index[k]] gets dy[k]
    """
    yield Writes(op.operand(), op.statements("dx.index_add_(dim, index, g)", g=op.full()))


@rule("embedding", "index x")
def embedding(op: Operation) -> Handed:
    """A row of the table is read once for every place where its number stands, so the gradients of
    all those places are added up in that row.

    y[k] = table[index[k]]: dtable[i] = sum of dy[k] over all k with index[k] = i
    """
    if set(op.arguments) - {"index", "x", "weight"}:
        raise UnknownOperation
    template = "dx.index_put_((index,), g, accumulate=True)"
    yield Writes(op.operand(), op.statements(template, g=op.full()))
