"""Training steps on a GPU in few launches of any size, captured as those of the graph engine are.

The numbers are the heart's but for rounding, and two runs of the same steps end in the same bits.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from makemore_bp.engines.cuda_graphs import Capture
from makemore_bp.engines.engine import Work, unfused
from makemore_bp.engines.graph_engine import GraphEngine, first_line
from makemore_bp.network.parameters import NAMES

if TYPE_CHECKING:
    from makemore_bp.engines.triton_step import TritonStep

# Seconds that Triton takes where it has not kept the kernels from another run, and what they save
# of a step: launches, and work for each example. The figures are an H100's (docs/speed.md).
COMPILING, SAVED, SAVED_BY_EXAMPLE = 5.0, 90e-6, 0.2e-6
CHARACTERS, PAIRS = 256, 1024  # the largest vocabulary; and the largest times the context's places
ACTIVATIONS = ("tanh", "relu")


class TritonEngine(GraphEngine):
    """The fused passes on a GPU, where Triton is installed: PyTorch's CUDA build brings it."""

    @classmethod
    def obstacle(cls, work: Work) -> str | None:
        return (
            super().obstacle(work)
            or unfused(work, "the Triton kernels run")
            or unknown(work)
            or too_large(work)
            or too_short(work)
            or (None if find_spec("triton") else "Triton is not installed")
        )

    @classmethod
    def remark(cls, work: Work) -> str:
        return "its steps are ten launches each, by Triton and cuBLAS, replayed as CUDA graphs"

    def __init__(
        self,
        work: Work,
        parameters: Mapping[str, Tensor],
        step: int = 0,
        capture: Capture | None = None,
    ) -> None:
        """See ``GraphEngine``. Compiles the kernels; where that fails, a warning says why, and the
        steps are the graph engine's."""
        super().__init__(work, parameters, step, capture)
        self._launches = self._compiled(work)
        if self._launches is not None:
            self._parameters = {name: self._launches.parameters[name] for name in NAMES}
            self._updated = list(self._parameters.values())

    @property
    def ten_launches(self) -> bool:
        """Whether its steps are those, and not the graph engine's."""
        return self._launches is not None

    @torch.no_grad()
    def gradients(self, indices: Tensor) -> dict[str, Tensor]:
        """See ``Engine.gradients``; those that the kernels ever have."""
        if self._launches is None:
            return super().gradients(indices)
        for static, chunk in self._inputs(indices[None], [0.0]):
            static[:1].copy_(chunk)
        self._run(self._launches, slice(0, 1))
        found = {f"d{name}": d.clone() for name, d in self._launches.gradients.items()}
        found |= {name: getattr(self._launches, name).clone() for name in ("dlogits", "dhpreact")}
        return found | {"loss": found.pop("dloss")}

    def _steps(self, length: int) -> None:
        if self._launches is None:
            super()._steps(length)
            return
        held = self._launches.held
        for first in range(0, length, held):
            self._run(self._launches, slice(first, min(first + held, length)))

    def _run(self, launches: TritonStep, steps: slice) -> None:
        """Some steps of the static tensors, as many as can be made ready at once."""
        here = torch.cuda.device_of(self._rates)  # type: ignore[no-untyped-call]
        with here:  # Triton launches on the current device
            launches.prepare(self._indices[steps])
            for s in range(steps.stop - steps.start):
                launches(s, self._keys[steps], self._rates[steps], self._losses[steps])

    def _compiled(self, work: Work) -> TritonStep | None:
        """The step, every kernel of which has run once; None where one cannot."""
        try:
            from makemore_bp.engines.triton_step import TritonStep

            launches = TritonStep(work, self._parameters, self._examples, self._longest)
            self._run(launches, slice(0, 1))
        except Exception as error:  # there is no compiler, it fails, or the memory is too small
            warnings.warn(
                f"The Triton kernels do not run here ({first_line(error)}), so the steps are "
                "PyTorch's own: the numbers differ by rounding, and a step takes longer.",
                RuntimeWarning,
                stacklevel=3,
            )
            return None
        launches.set(self._parameters)
        return launches


def unknown(work: Work) -> str | None:
    """Why the kernels have no such network."""
    if (kind := work.network.kind("activation")) in ACTIVATIONS:
        return None
    return f"the Triton kernels know {' and '.join(ACTIVATIONS)}, and model.activation is {kind}"


def too_large(work: Work) -> str | None:
    """Why the one-hot rows would be too long."""
    V, B = work.sizes.vocabulary, work.sizes.block_size
    if V <= CHARACTERS and B * V <= PAIRS:
        return None
    return f"the Triton kernels add up by character, and {V:,} at {B} places are too many for them"


def too_short(work: Work) -> str | None:
    """Why the kernels would not be worth their compilation."""
    saved = SAVED + SAVED_BY_EXAMPLE * work.batch_size
    if work.steps is None or work.steps * saved > COMPILING:
        return None
    return f"{work.steps:,} steps are too few for Triton's compilation, {COMPILING:.0f} seconds"
