"""How a chunk of training steps is executed.

    torch_engine.py         the heart's own passes and the update: every size and device
    graph_engine.py         the same on a GPU, many steps in one launch
    cuda_graphs.py          how work on a GPU is captured and replayed
    distributed_engine.py   the same on one of several processes, each with its rows of a minibatch
    native_engine.py        the same step as one C kernel: float32 on the CPU, several times faster
    native/                 that kernel, and its binding
    fixed_order.py          one order for every sum that PyTorch takes
    masks.py                dropout's masks, the same for all
    choice.py               which of them runs, and why

One loop trains with either. An engine owns the parameters while it runs, and knows nothing of
files, evaluation or schedules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor


class Engine(Protocol):
    """What the training loop asks of an engine."""

    @property
    def name(self) -> str:
        """``torch`` or ``native``."""

    def advance(self, indices: Tensor, rates: Sequence[float]) -> Tensor:
        """Trains k steps: step s on the examples ``indices[s]`` (k, batch_size), at ``rates[s]``.

        Returns the minibatch losses (k), each from before its own update, on the CPU.
        """

    def parameters(self) -> dict[str, Tensor]:
        """The parameters as they are now, by name. They change with the next ``advance``."""
