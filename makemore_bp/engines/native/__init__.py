"""The training step in C: the same forward, backward and update as the heart, for a whole chunk.

    kernel.c        the stages, under the heart's names and in its order
    kernel.h        what they work on
    kernel_avx2.c, kernel_avx512.c      the same stages compiled for wider vectors
    network.c       where everything lies in memory, and which version of the kernel runs
    team.c, team.h  threads that share the work
    binding.c       the class Kernel: checks what is handed in
    this file       the same for tensors

Float32 on the CPU, with the fused backward passes. Built when the package is installed
if a C compiler is there. The environment variable ``MAKEMORE_BP_ISA`` (``baseline``, ``avx2`` or
``avx512``) picks the instruction set; without it the widest that the processor has is taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor

from makemore_bp.network.parameters import NAMES

_missing: str | None = None
try:
    from makemore_bp.engines.native import _kernel
except ImportError as error:
    _missing = str(error)


def why_not() -> str | None:
    """Why the kernel cannot be used on this installation, in one line, or None if it can."""
    if _missing is None:
        return None
    if find_spec(f"{__name__}._kernel") is None:
        return "the native engine was not built; install the package where a C compiler is found"
    return f"the native engine cannot be loaded ({_missing})"


def available() -> bool:
    """Whether the kernel can be used on this installation."""
    return why_not() is None


def instruction_sets() -> tuple[str, ...]:
    """The instruction sets that ``MAKEMORE_BP_ISA`` may name on this machine, narrowest first."""
    return () if _missing else _kernel.instruction_sets()


class NativeKernel:
    """A network that lies in the kernel's memory and trains there.

    parameters      the seven tensors by name, float32; they are copied
    stream          ids (uint8, int16 or int32), positions (N) int32 or int64: example e is the
                    context stream[positions[e] : positions[e] + block_size] and the id behind it.
                    Both are read in place and must not change
    batch_size      the examples of every minibatch, at least 2
    dropout         probability that a hidden output is switched off, 0 to below 1; the masks are
                    those of ``engines.masks`` for ``seed`` and the number of each step
    weight_decay    W1 and W2 lose lr * weight_decay of themselves in every step
    seed, step      whole numbers below 2**64; step is the number of the first step that will be run
    threads         how many threads share the work of a step, 1 to 1,024. Each has hidden units of
                    its own, 16 at a time, and every sum is one thread's: their number changes no
                    bit. They live as long as a call of ``advance`` or ``gradients``

    Raises TypeError or ValueError for tensors of another type, shape or range than these, and
    MemoryError where the network does not fit, and RuntimeError if the kernel was not built.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        stream: Tensor,
        positions: Tensor,
        batch_size: int,
        dropout: float = 0.0,
        weight_decay: float = 0.0,
        seed: int = 0,
        step: int = 0,
        threads: int = 1,
    ) -> None:
        if _missing is not None:
            raise RuntimeError(why_not())
        self._shapes = {name: parameters[name].shape for name in NAMES}
        self._batch_size = batch_size
        self._kernel = _kernel.Kernel(
            [_array(parameters[name]) for name in NAMES],
            _array(stream),
            _array(positions),
            batch_size,
            dropout=dropout,
            weight_decay=weight_decay,
            seed=seed,
            step=step,
            threads=threads,
        )

    @property
    def instruction_set(self) -> str:
        """What the kernel runs on: ``baseline``, ``avx2`` or ``avx512``."""
        return self._kernel.instruction_set()

    def advance(self, indices: Tensor, lrs: Tensor) -> Tensor:
        """Trains k steps: step s on the examples indices[s] (k, n) int64, at lrs[s] (k) float32.

        Returns the minibatch losses (k), each from before its own update; what overflows comes out
        as inf or nan. How a run is cut into calls changes no bit. Other threads run meanwhile, and
        signals are answered after the call: keep k to what a tenth of a second does.

        Raises ValueError, before the first step, for an index that names no example.
        """
        losses = torch.empty(len(lrs), dtype=torch.float32)
        self._kernel.run(_array(indices), _array(lrs), losses.numpy())
        return losses

    def parameters(self) -> dict[str, Tensor]:
        """A copy of the parameters as they are now, by name."""
        copies = {name: torch.empty(shape) for name, shape in self._shapes.items()}
        self._kernel.store([tensor.numpy() for tensor in copies.values()])
        return copies

    def load(self, parameters: Mapping[str, Tensor]) -> None:
        """Replaces the parameters by others of the same shapes."""
        self._kernel.load([_array(parameters[name]) for name in NAMES])

    def gradients(self, indices: Tensor) -> dict[str, Tensor]:
        """Every gradient of the minibatch ``indices`` (n) int64, by name, with the mask of the next
        step; nothing is updated, and that step is still the next one.

        Those of the parameters, and dlogits (n, V), dh, dhpreact and dhprebn (n, n_hidden). What
        is left of the heart's, demb and dembcat, the kernel adds up by characters and never has.
        ``loss`` is the loss itself, a scalar.
        """
        n, n_hidden = self._batch_size, self._shapes["W1"][1]
        shapes = {f"d{name}": shape for name, shape in self._shapes.items()}
        shapes["dlogits"] = torch.Size((n, self._shapes["C"][0]))
        shapes |= dict.fromkeys(("dh", "dhpreact", "dhprebn"), torch.Size((n, n_hidden)))
        gradients = {name: torch.empty(shape) for name, shape in shapes.items()}
        arrays = [tensor.numpy() for tensor in gradients.values()]
        loss = self._kernel.gradients(_array(indices), arrays)
        return gradients | {"loss": torch.tensor(loss, dtype=torch.float32)}


def _array(tensor: Tensor) -> Any:
    """The same memory as a NumPy array, which has the buffer protocol."""
    return tensor.detach().numpy()
