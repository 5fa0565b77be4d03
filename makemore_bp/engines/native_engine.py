"""Training steps by the C kernel, a whole chunk in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from makemore_bp.engines import native
from makemore_bp.engines.engine import Engine, Work, unfused


class NativeEngine(Engine):
    """Float32 on the CPU, with the fused backward passes; every size."""

    name = "native"
    device = "cpu"

    @classmethod
    def obstacle(cls, work: Work) -> str | None:
        if work.device != "cpu":
            return f"the native engine runs on the CPU, not on {work.device}"
        if work.dtype != torch.float32:
            return f"the native engine computes in float32, not in {str(work.dtype)[6:]}"
        if other := unfused(work, "the native engine runs"):
            return other
        known = native.ACTIVATIONS
        if (kind := work.network.kind("activation")) not in known:
            return f"the native engine knows {' and '.join(known)}, and model.activation is {kind}"
        if missing := native.why_not():
            return missing
        native.instruction_set()  # refuses a wrong name before anything is written
        return None

    @classmethod
    def remark(cls, work: Work) -> str:
        by = f", shared by {work.threads:,} threads" if work.threads > 1 else ""
        millions = work.multiplications / 1e6
        return f"the fastest for {millions:,.1f} million multiplications a step{by}"

    def __init__(self, work: Work, parameters: Mapping[str, Tensor], step: int = 0) -> None:
        self._kernel = native.NativeKernel(
            dict(parameters),
            work.examples.stream,
            work.examples.positions,
            work.batch_size,
            work.dropout,
            work.weight_decay,
            work.seed,
            step,
            work.threads,
            work.network.kind("activation"),
        )

    def advance(self, indices: Tensor, rates: Sequence[float]) -> Tensor:
        """See ``Engine.advance``."""
        return self._kernel.advance(indices, torch.tensor(rates, dtype=torch.float32))

    def gradients(self, indices: Tensor) -> dict[str, Tensor]:
        """See ``Engine.gradients``; those that the kernel ever has."""
        return self._kernel.gradients(indices)

    def parameters(self) -> dict[str, Tensor]:
        """See ``Engine.parameters``."""
        return self._kernel.parameters()
