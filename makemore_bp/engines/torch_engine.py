"""Training steps as PyTorch calls: the heart's forward and backward passes, and the update."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from makemore_bp.engines.engine import Engine, Work
from makemore_bp.engines.fixed_order import fixed_order
from makemore_bp.engines.masks import Masks
from makemore_bp.network.parameters import WEIGHTS
from makemore_bp.network.passes import Network


class TorchEngine(Engine):
    """Runs every network on any device and in either precision."""

    name = "torch"

    @classmethod
    def obstacle(cls, work: Work) -> str | None:
        return None

    def __init__(self, work: Work, parameters: Mapping[str, Tensor], step: int = 0) -> None:
        self._network = work.network
        self._parameters = {name: p.to(work.device, copy=True) for name, p in parameters.items()}
        self._updated = list(self._parameters.values())
        self._examples = work.examples.to(work.device)
        self._device = work.device
        self._weight_decay = work.weight_decay
        self._masks = masks(work)
        self._step_number = step
        self._threads = work.threads

    @torch.inference_mode()
    def advance(self, indices: Tensor, rates: Sequence[float]) -> Tensor:
        """See ``Engine.advance``. Nothing waits for the device before the losses at the end."""
        Xs, Ys = self._examples.batch(indices.to(self._device))
        with fixed_order(self._device, self._threads):
            losses = [self._step(Xb, Yb, lr) for Xb, Yb, lr in zip(Xs, Ys, rates, strict=True)]
        return torch.stack(losses).cpu()

    @torch.no_grad()
    def gradients(self, indices: Tensor) -> dict[str, Tensor]:
        """See ``Engine.gradients``; all of the network's."""
        Xb, Yb = self._examples.batch(indices.to(self._device))
        with fixed_order(self._device, self._threads):
            loss, gradients = self._passes(Xb, Yb, self._given())
        return {**gradients, "loss": loss}

    def parameters(self) -> dict[str, Tensor]:
        """See ``Engine.parameters``. The tensors lie on the engine's device."""
        return self._parameters

    def _step(self, Xb: Tensor, Yb: Tensor, lr: float) -> Tensor:
        loss, gradients = self._subtracted(Xb, Yb, self._given())
        torch._foreach_add_(self._updated, gradients, alpha=-lr)
        self._step_number += 1
        return loss

    def _given(self) -> dict[str, Any]:
        """What the stages read besides parameters and batch: the mask of the next step."""
        return {} if self._masks is None else {"mask": self._masks.at(self._step_number)}

    def _subtracted(
        self, Xb: Tensor, Yb: Tensor, given: Mapping[str, Any]
    ) -> tuple[Tensor, list[Tensor]]:
        """The minibatch's loss, and what is subtracted from each parameter at a rate of 1."""
        loss, gradients = self._passes(Xb, Yb, given)
        if self._weight_decay:
            for name in WEIGHTS:
                decay = self._weight_decay
                gradients["d" + name] = gradients["d" + name].add(
                    self._parameters[name], alpha=decay
                )
        return loss, [gradients["d" + name] for name in self._parameters]

    def _passes(
        self, Xb: Tensor, Yb: Tensor, given: Mapping[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The minibatch's loss and its gradients by name."""
        return passes(self._network, self._parameters, Xb, Yb, given)


def passes(
    network: Network,
    parameters: Mapping[str, Tensor],
    Xb: Tensor,
    Yb: Tensor,
    given: Mapping[str, Any],
) -> tuple[Tensor, dict[str, Tensor]]:
    """A minibatch's loss and its gradients by name; ``given`` is what else the stages read."""
    record = network.forward(parameters, Xb, Yb, **given)
    return record["loss"], network.backward(record)


def masks(work: Work) -> Masks | None:
    """Dropout's masks of some work, on its device and in its precision; None without dropout."""
    if not work.network.drops:
        return None
    shape = (work.batch_size, work.sizes.n_hidden)
    return Masks(work.dropout, work.seed, shape, work.dtype, work.device)
