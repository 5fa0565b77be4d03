"""What a script's name holds, as a gradient, and how far it is from the true one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from makemore_bp.gradcheck.judge import Status, TensorReport, ulp_distance


def as_tensor(value: Any, expected: Tensor) -> tuple[Tensor | None, str]:
    """A learner's gradient as a tensor of the pass's precision, and a note if it was none.

    None, ``...`` and things that are no numbers count as not defined.
    """
    if value is None or value is Ellipsis:
        return None, ""
    if type(value).__module__ == "numpy" and hasattr(value, "dtype"):
        try:
            return torch.as_tensor(value).to(expected.dtype), "is a NumPy array, not a tensor"
        except (TypeError, ValueError):
            return None, "is a NumPy array of things that are not numbers"
    if isinstance(value, bool | int | float):
        note = f"is a plain {type(value).__name__}, not a tensor"
        return torch.tensor(float(value), dtype=expected.dtype), note
    if not isinstance(value, Tensor):
        return None, f"is of type {type(value).__name__}, not a tensor"
    if value.is_complex() or value.is_quantized or value.is_meta:
        return None, f"is a tensor of type {value.dtype}, where {expected.dtype} is expected"
    tensor = value.detach()
    if tensor.layout != torch.strided:
        tensor = tensor.to_dense()
    if tensor.dtype == expected.dtype:
        return tensor, ""
    note = f"has the type {tensor.dtype} where {expected.dtype} is expected; it was converted"
    return tensor.to(expected.dtype), note.replace("torch.", "")


def lacking_axes(tensor: Tensor, expected: Tensor) -> bool:
    """Whether a tensor has the expected shape but for leading axes of length 1: broadcasting makes
    up for them wherever it is read, in an update too."""
    missing = expected.shape[: max(0, expected.dim() - tensor.dim())]
    same = tensor.dim() > 0 and tensor.shape == expected.shape[len(missing) :]
    return bool(missing) and same and all(length == 1 for length in missing)


def measured(name: str, got: Tensor | None, true: Tensor, tolerance: float) -> TensorReport:
    """The report of one gradient held against autograd's: ``exact``, ``close`` within an absolute
    tolerance, ``wrong``, ``shape`` or ``missing``."""
    shape = tuple(true.shape)
    if got is None:
        return TensorReport(name, shape, Status.MISSING)
    if got.shape != true.shape:
        return TensorReport(name, shape, Status.SHAPE, got=tuple(got.shape))
    equal = (got == true) | (got.isnan() & true.isnan())
    exact = bool(equal.all())
    difference = (got.double() - true.double()).abs().masked_fill(equal, 0.0)
    if not bool(difference.isfinite().all()):
        return TensorReport(name, shape, Status.WRONG)
    largest = float(difference.max()) if difference.numel() else 0.0
    steps = int(ulp_distance(got, true).max()) if got.numel() else 0
    close = exact or largest <= tolerance
    status = Status.EXACT if exact else Status.CLOSE if close else Status.WRONG
    return TensorReport(name, shape, status, exact, close, largest, steps)
