"""The training step in C: the same forward, backward and update as the heart, for a whole chunk.

    this file       the class that trains: tensors in, tensors out
    checks.py       what it refuses before C reads anything
    library.py      the compiled kernel, or why it is not there; the choice of an instruction set

    step.c          the training step from top to bottom, under the heart's names and in its order
    step_avx2.c, step_avx512.c      the same step compiled for wider vectors
    products.h      matrix products
    vectors.h       portable vectors, with exp and tanh
    batch.h         a minibatch's ids, and what differs in them
    network.h       what the step works on
    memory.c        where all of that lies, and how it gets in and out
    kernel.h        what Python calls; cffi makes the module ``_kernel`` from it
    kernel.c        which version of the step runs, and how many threads share it
    team.h, team.c  threads that share the work
    thread.h        a thread on POSIX and on Windows
    extent.h        sizes, strides and indices

Float32 on the CPU, with the fused backward passes. Built when the package is installed
if a C compiler is there. The environment variable ``MAKEMORE_BP_ISA`` (``baseline``, ``avx2`` or
``avx512``) picks the instruction set; without it the widest that the processor has is taken.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from makemore_bp.engines.native import checks
from makemore_bp.engines.native.checks import ACTIVATIONS
from makemore_bp.engines.native.library import (
    available,
    ffi,
    instruction_set,
    instruction_sets,
    lib,
    why_not,
)
from makemore_bp.network.batchnorm import EPS

__all__ = [
    "ACTIVATIONS",
    "NativeKernel",
    "available",
    "instruction_set",
    "instruction_sets",
    "why_not",
]


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
    activation      of the hidden layer: ``tanh``, or ``relu`` (h = max(hpreact, 0), and
                    dhpreact = dh where h > 0, else 0)

    Raises TypeError, ValueError or OverflowError for tensors and numbers of another type, shape or
    range than these, MemoryError where the network does not fit, RequestError for an instruction
    set that is not there, and RuntimeError if the kernel was not built.
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
        activation: str = "tanh",
    ) -> None:
        if not available():
            raise RuntimeError(why_not())
        checks.refuse_options(batch_size, dropout, weight_decay, threads)
        self._sizes = checks.sizes_of(parameters)
        self._batch_size, self._threads = batch_size, threads
        self.instruction_set, self._number = instruction_set()
        self._door = _Door()
        options = {
            "activation": checks.activation(activation),
            "dropout": dropout,
            "weight_decay": weight_decay,
            "seed": seed,
            "eps": EPS,
        }
        self._network = self._create(options, step)
        self.load(parameters)
        self._examples, self._kept = checks.examples(self._sizes, stream, positions)
        self._count = len(positions)

    def advance(self, indices: Tensor, lrs: Tensor) -> Tensor:
        """Trains k steps: step s on the examples indices[s] (k, n) int64, at lrs[s] (k) float32.

        Returns the minibatch losses (k), each from before its own update; what overflows comes out
        as inf or nan. How a run is cut into calls changes no bit. Other threads run meanwhile, and
        signals are answered after the call: keep k to what a tenth of a second does.

        Raises ValueError, before the first step, for an index that is not an example's.
        """
        rates, steps = checks.rates(lrs)
        taken = checks.pointer("indices", indices, (steps, self._batch_size), torch.int64)
        with self._door:
            return self._run(taken, rates, steps)

    def parameters(self) -> dict[str, Tensor]:
        """A copy of the parameters as they are now, by name."""
        copies = _empty(self._sizes.shapes)
        with self._door:
            lib.network_store(self._network, checks.pointers(copies, self._sizes.shapes))
        return copies

    def load(self, parameters: Mapping[str, Tensor]) -> None:
        """Replaces the parameters by others of the same shapes."""
        held = {name: parameters[name] for name in self._sizes.shapes}
        with self._door:
            lib.network_load(self._network, checks.pointers(held, self._sizes.shapes))

    def gradients(self, indices: Tensor) -> dict[str, Tensor]:
        """Every gradient of the minibatch ``indices`` (n) int64, by name, with the mask of the next
        step; nothing is updated, and that step is still the next one.

        Those of the parameters, and dlogits (n, V), dh, dhpreact and dhprebn (n, n_hidden). What
        is left of the heart's, demb and dembcat, the kernel adds up by characters and never has.
        ``loss`` is the loss itself, a scalar.
        """
        hidden = (self._batch_size, self._sizes.n_hidden)
        shapes = {f"d{name}": shape for name, shape in self._sizes.shapes.items()}
        shapes["dlogits"] = (self._batch_size, self._sizes.vocabulary)
        shapes |= dict.fromkeys(("dh", "dhpreact", "dhprebn"), hidden)
        gradients = _empty(shapes)
        taken = checks.pointer("indices", indices, (self._batch_size,), torch.int64)
        with self._door:
            loss = self._run(taken, ffi.NULL, 1)[0]
            lib.network_store_gradients(self._network, checks.pointers(gradients, shapes))
        return gradients | {"loss": loss}

    def _create(self, options: Mapping[str, float], step: int) -> Any:
        sizes = vars(self._sizes) | {"batch": self._batch_size}
        network = lib.network_create(ffi.new("Sizes *", sizes), ffi.new("Options *", options), step)
        if network == ffi.NULL:
            raise MemoryError("a network of these sizes does not fit into memory")
        return ffi.gc(network, lib.network_destroy)

    def _run(self, indices: Any, rates: Any, steps: int) -> Tensor:
        """The losses (steps) of these steps; without rates they only leave gradients behind."""
        bad = lib.first_bad_index(indices, steps * self._batch_size, self._count)
        if bad >= 0:
            raise ValueError(f"index {indices[bad]} is not an example: there are {self._count}")
        losses = torch.empty(steps, dtype=torch.float32)
        done = lib.network_advance(
            self._network,
            self._examples,
            self._number,
            self._threads,
            indices,
            rates,
            steps,
            ffi.cast("float *", losses.data_ptr()),
        )
        if done < steps:
            raise RuntimeError("the examples were changed while the kernel used them")
        return losses


class _Door:
    """Lets one thread into the kernel at a time and sends the others away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @property
    def closed(self) -> bool:
        """Whether a thread is inside."""
        return self._lock.locked()

    def __enter__(self) -> None:
        if not self._lock.acquire(blocking=False):
            raise RuntimeError("another thread is using this kernel")

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _empty(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    return {name: torch.empty(shape, dtype=torch.float32) for name, shape in shapes.items()}
