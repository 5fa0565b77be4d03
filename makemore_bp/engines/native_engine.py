"""Training steps by the C kernel, a whole chunk in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from makemore_bp.dataset import Examples
from makemore_bp.engines.native import NativeKernel


class NativeEngine:
    """Float32 on the CPU, with the fused backward passes; every size."""

    name = "native"

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        examples: Examples,
        batch_size: int,
        dropout: float = 0.0,
        weight_decay: float = 0.0,
        seed: int = 0,
        step: int = 0,
        threads: int = 1,
    ) -> None:
        self._kernel = NativeKernel(
            dict(parameters),
            examples.stream,
            examples.positions,
            batch_size,
            dropout,
            weight_decay,
            seed,
            step,
            threads,
        )

    def advance(self, indices: Tensor, rates: Sequence[float]) -> Tensor:
        """See ``Engine.advance``."""
        return self._kernel.advance(indices, torch.tensor(rates, dtype=torch.float32))

    def parameters(self) -> dict[str, Tensor]:
        """See ``Engine.parameters``."""
        return self._kernel.parameters()
