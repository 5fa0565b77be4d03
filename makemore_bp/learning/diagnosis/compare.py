"""When two tensors are the same up to rounding, and when a tensor is a multiple of another.

A hypothesis counts only if it reproduces the learner's tensor to rounding and is itself clearly
different from the true gradient, so that it says something.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

# In units of the precision's epsilon, relative to the largest entry. The true rule and the
# learner's line may sum in another order; 64 terms then differ by a few units.
ROUNDING = 24
# A hypothesis that differs from the truth by less than this cannot be told from rounding.
CLEAR = 60


def scale(tensor: Tensor) -> float:
    """The largest magnitude in a tensor; 0 for an empty one."""
    return float(tensor.detach().abs().max()) if tensor.numel() else 0.0


def epsilon(tensor: Tensor) -> float:
    """The relative distance of neighbouring numbers in the tensor's precision."""
    return torch.finfo(tensor.dtype).eps


def agrees(one: Tensor, other: Tensor, units: float = ROUNDING) -> bool:
    """Whether two tensors have one shape and are equal up to rounding."""
    if one.shape != other.shape or not bool(torch.isfinite(other).all()):
        return False
    allowed = units * epsilon(one) * max(scale(one), scale(other))
    return scale(one - other) <= allowed


def same_bits(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors have one shape and equal entries, NaNs included."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return torch.equal(one, other) or bool(((one == other) | (one.isnan() & other.isnan())).all())


def multiple(tensor: Tensor, of: Tensor) -> float | None:
    """The number c with tensor = c * of up to rounding, or None."""
    if tensor.shape != of.shape or scale(of) == 0:
        return None
    a, b = tensor.double().flatten(), of.double().flatten()
    c = float(a @ b / (b @ b))
    return c if c != 0 and agrees(tensor, (of.double() * c).to(tensor.dtype)) else None


def combination(tensor: Tensor, of: Sequence[Tensor]) -> list[float] | None:
    """The numbers with tensor = sum of c[k] * of[k] up to rounding, or None if there are none or
    the data leave them open."""
    if any(part.shape != tensor.shape for part in of):
        return None
    scales = [scale(part) for part in of]
    if min(scales) == 0 or max(scales) * epsilon(tensor) * 1e3 > min(scales):
        return None
    columns = torch.stack([part.double().flatten() / s for part, s in zip(of, scales, strict=True)])
    gram = columns @ columns.T
    if float(torch.linalg.cond(gram)) > 1e8:
        return None
    found = torch.linalg.solve(gram, columns @ tensor.double().flatten())
    fitted = (columns.T @ found).reshape(tensor.shape).to(tensor.dtype)
    if not agrees(tensor, fitted):
        return None
    return [float(c) / s for c, s in zip(found, scales, strict=True)]
