"""Training steps as PyTorch calls: the heart's forward and backward passes, and a plain update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from makemore_bp.dataset import Examples
from makemore_bp.network.passes import Network


class TorchEngine:
    """Runs on any device and in either precision, with any combination of backward passes."""

    name = "torch"

    def __init__(
        self,
        network: Network,
        parameters: Mapping[str, Tensor],
        examples: Examples,
        device: str = "cpu",
    ) -> None:
        self._network = network
        self._parameters = {name: p.to(device, copy=True) for name, p in parameters.items()}
        self._examples = examples.to(device)
        self._device = device

    @torch.inference_mode()
    def advance(self, indices: Tensor, rates: Sequence[float]) -> Tensor:
        """See ``Engine.advance``. Nothing waits for the device before the losses at the end."""
        Xs, Ys = self._examples.batch(indices.to(self._device))
        losses = [self._step(Xb, Yb, lr) for Xb, Yb, lr in zip(Xs, Ys, rates, strict=True)]
        return torch.stack(losses).cpu()

    def _step(self, Xb: Tensor, Yb: Tensor, lr: float) -> Tensor:
        record = self._network.forward(self._parameters, Xb, Yb)
        gradients = self._network.backward(record)
        torch._foreach_add_(
            list(self._parameters.values()),
            [gradients["d" + name] for name in self._parameters],
            alpha=-lr,
        )
        loss: Tensor = record["loss"]
        return loss

    def parameters(self) -> dict[str, Tensor]:
        """See ``Engine.parameters``. The tensors lie on the engine's device."""
        return self._parameters
