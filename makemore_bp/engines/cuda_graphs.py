"""Work on a GPU that is launched once, captured as a CUDA graph and replayed by single calls.

What a graph replays is fixed: the kernels, the addresses of their operands, and every Python number
that they were given. So captured work reads what changes from tensors that stay where they are, and
may neither wait for the device nor copy from the host.

Source: the section "CUDA Graphs" of PyTorch's notes on CUDA semantics, whose order is kept here:
warm up on a side stream, capture, replay.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

Calls = Callable[[], None]
# Gives what does the same work when called; it may run the work before it returns.
Capture = Callable[[Calls], Calls]

WARM_UPS = 3  # libraries set themselves up in the first runs, in ways that a capture forbids


def uncaptured(work: Calls) -> Calls:
    """Captures nothing: calls the work as it stands."""
    return work


class CudaGraphs:
    """Captures work on one device. The graphs share a pool of memory.

    They may be replayed in any order, one at a time: nothing that lies in the pool is read after
    the replay that wrote it.
    """

    def __init__(self, device: str) -> None:
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, work: Calls) -> Calls:
        """Runs ``work`` a few times, captures it, and returns what replays it.

        Raises RuntimeError, as PyTorch does, if it cannot be captured.
        """
        with torch.cuda.device(self._stream.device), torch.cuda.stream(torch.cuda.current_stream()):
            # The outer stream comes back even where a capture fails, which leaves its own current.
            self._warm_up(work)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                work()
        return graph.replay

    def _warm_up(self, work: Calls) -> None:
        here = torch.cuda.current_stream()
        aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(here)
        try:
            with torch.cuda.stream(aside):
                for _ in range(WARM_UPS):
                    work()
        finally:
            here.wait_stream(aside)
