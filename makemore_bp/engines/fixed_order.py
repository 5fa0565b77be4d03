"""One order for every sum that PyTorch takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic


@contextmanager
def fixed_order(device: str) -> Iterator[None]:
    """Within this context PyTorch adds up in one order on the CPU, whatever its threads do.

    Where many gradients go to one place, as in dC, its threads else add them as they come, and two
    runs of the same steps differ in their last bits: from 32,768 numbers in demb on. On a GPU
    nothing changes: there PyTorch sorts them first.

    The switch would also have fresh memory filled with NaN; nothing here reads such memory.
    """
    if torch.device(device).type != "cpu":
        yield
        return
    enabled = torch.are_deterministic_algorithms_enabled()
    warns = torch.is_deterministic_algorithms_warn_only_enabled()
    fills = deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True)
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(enabled, warn_only=warns)
        deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
