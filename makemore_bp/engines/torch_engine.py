"""Training steps as PyTorch calls: the heart's forward and backward passes, and the update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from makemore_bp.dataset import Examples
from makemore_bp.engines.fixed_order import fixed_order
from makemore_bp.engines.masks import Masks
from makemore_bp.network.parameters import WEIGHTS
from makemore_bp.network.passes import Network


class TorchEngine:
    """Runs on any device and in either precision, with any combination of backward passes.

    masks: dropout's, for a network with that stage. step: the number of the first step to come.
    """

    name = "torch"

    def __init__(
        self,
        network: Network,
        parameters: Mapping[str, Tensor],
        examples: Examples,
        device: str = "cpu",
        weight_decay: float = 0.0,
        masks: Masks | None = None,
        step: int = 0,
    ) -> None:
        self._network = network
        self._parameters = {name: p.to(device, copy=True) for name, p in parameters.items()}
        self._updated = list(self._parameters.values())
        self._examples = examples.to(device)
        self._device = device
        self._weight_decay = weight_decay
        self._masks = masks
        self._step_number = step

    @torch.inference_mode()
    def advance(self, indices: Tensor, rates: Sequence[float]) -> Tensor:
        """See ``Engine.advance``. Nothing waits for the device before the losses at the end."""
        Xs, Ys = self._examples.batch(indices.to(self._device))
        with fixed_order(self._device):
            losses = [self._step(Xb, Yb, lr) for Xb, Yb, lr in zip(Xs, Ys, rates, strict=True)]
        return torch.stack(losses).cpu()

    def _step(self, Xb: Tensor, Yb: Tensor, lr: float) -> Tensor:
        mask = None if self._masks is None else self._masks.at(self._step_number)
        loss, gradients = self._gradients(Xb, Yb, mask)
        torch._foreach_add_(self._updated, gradients, alpha=-lr)
        self._step_number += 1
        return loss

    def _gradients(
        self, Xb: Tensor, Yb: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """The minibatch's loss, and what is subtracted from each parameter at a rate of 1."""
        loss, gradients = self._passes(Xb, Yb, mask)
        if self._weight_decay:
            for name in WEIGHTS:
                decay = self._weight_decay
                gradients["d" + name] = gradients["d" + name].add(
                    self._parameters[name], alpha=decay
                )
        return loss, [gradients["d" + name] for name in self._parameters]

    def _passes(
        self, Xb: Tensor, Yb: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The minibatch's loss and its gradients by name."""
        record = self._network.forward(self._parameters, Xb, Yb, mask)
        return record["loss"], self._network.backward(record)

    def parameters(self) -> dict[str, Tensor]:
        """See ``Engine.parameters``. The tensors lie on the engine's device."""
        return self._parameters
