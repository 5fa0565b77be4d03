"""One order for every sum that PyTorch takes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic

RAISES = 2  # PyTorch's number for: deterministic, and an error where there is no such algorithm
_switches = threading.Lock()
_inside = 0
_before: tuple[int, bool] = (0, True)


@contextmanager
def fixed_order(device: str) -> Iterator[None]:
    """Within this context PyTorch adds up in one order on the CPU, whatever its threads do.

    Where many gradients go to one place, as in dC, its threads else add them as they come, and two
    runs of the same steps differ in their last bits: from 32,768 numbers in demb on. On a GPU
    nothing changes: there PyTorch sorts them first.

    PyTorch's switches for it are the process's. The first thread to come in turns them, and the
    last one to leave turns them back.
    """
    if torch.device(device).type != "cpu":
        yield
        return
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _inside, _before
    with _switches:
        if _inside == 0:
            _before = (
                torch.get_deterministic_debug_mode(),
                deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
            )
            # The switch would also fill fresh memory with NaN; nothing here reads such memory.
            _turn(RAISES, False)
        _inside += 1


def _leave() -> None:
    global _inside
    with _switches:
        _inside -= 1
        if _inside == 0:
            _turn(*_before)


def _turn(mode: int, fills: bool) -> None:
    # use_deterministic_algorithms does the same and imports the compiler, which takes a second.
    torch.set_deterministic_debug_mode(mode)
    deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
