"""One order for every sum that PyTorch takes, and no more threads than pay."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.utils import deterministic

_switches = threading.Lock()
_inside = 0
_before: tuple[int | str, bool, int] = ("default", True, 1)


@contextmanager
def fixed_order(device: str, threads: int | None = None) -> Iterator[None]:
    """Within this context PyTorch adds up in one order on the CPU, whatever its threads do, and
    takes ``threads`` of them, or as many as it did.

    Where many gradients go to one place, as in dC, its threads else add them as they come, and two
    runs of the same steps differ in their last bits: from 32,768 numbers in demb on. On a GPU
    nothing changes: there PyTorch sorts them first.

    PyTorch's switches for it are the process's. The first thread to come in turns them, and the
    last one to leave turns them back.
    """
    if torch.device(device).type != "cpu":
        yield
        return
    _enter(threads)
    try:
        yield
    finally:
        _leave()


def _enter(threads: int | None) -> None:
    global _inside, _before
    with _switches:
        if _inside == 0:
            _before = _now()
            # The switch would also fill fresh memory with NaN; nothing here reads such memory.
            _turn("error", False, threads or torch.get_num_threads())
        _inside += 1


def _leave() -> None:
    global _inside
    with _switches:
        _inside -= 1
        if _inside == 0:
            _turn(*_before)


def _now() -> tuple[int | str, bool, int]:
    return (
        torch.get_deterministic_debug_mode(),
        deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        torch.get_num_threads(),
    )


def _turn(mode: int | str, fills: bool, threads: int) -> None:
    # use_deterministic_algorithms does the same, but first imports PyTorch's compiler for a second.
    torch.set_deterministic_debug_mode(mode)
    deterministic.fill_uninitialized_memory = fills  # type: ignore[attr-defined]
    if threads != torch.get_num_threads():
        torch.set_num_threads(threads)
