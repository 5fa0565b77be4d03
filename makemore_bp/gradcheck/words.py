"""The words of a check's table, wherever it is shown. Nothing here imports PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEADINGS = ("tensor", "shape", "status", "largest difference", "ulp")
MANY = 1_000_000  # across zero, or at a not-a-number, steps are counted in billions and say nothing


def cells(tensor: Mapping[str, Any]) -> tuple[str, ...]:
    """A tensor of ``gradcheck --json`` as a row below ``HEADINGS``."""
    return tensor["name"], _by(tensor["shape"]), str(tensor["status"]), *_distances(tensor)


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _distances(tensor: Mapping[str, Any]) -> tuple[str, str]:
    if tensor.get("got") is not None:
        return f"got {_by(tensor['got']) or 'a scalar'}", ""
    largest, steps = tensor["max_abs_diff"], tensor["max_ulp"]
    if largest is None or steps is None:
        return "", ""
    return f"{largest:.1e}" if largest else "0", f"{steps:,}" if steps < MANY else f"> {MANY:,}"
