"""Autograd's gradients, the first of the two references that hand-written ones are held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from makemore_bp.engines.fixed_order import fixed_order
from makemore_bp.network.passes import CHECKED_ORDER, Network
from makemore_bp.network.stage import Record


@dataclass(frozen=True)
class Reference:
    """The forward pass, detached, and autograd's gradient of each tensor by the tensor's name."""

    record: Record
    gradients: dict[str, Tensor]

    @property
    def finite(self) -> bool:
        """Whether no gradient holds an infinity or a NaN."""
        return all(bool(gradient.isfinite().all()) for gradient in self.gradients.values())


def autograd_reference(
    parameters: Mapping[str, Tensor],
    Xb: Tensor,
    Yb: Tensor,
    cross_entropy: str = "op-by-op",
    mask: Tensor | None = None,
) -> Reference:
    """Autograd's gradients of a batch Xb (n, block_size), Yb (n), in the parameters' precision;
    with dropout's mask (n, n_hidden), of the pass with dropout.

    The forward pass is the one with one operation a line, so that each of the 26 tensors of the
    lecture has a gradient. With ``cross_entropy="fused"`` the loss is PyTorch's own, which stays
    finite where probabilities underflow; then the tensors between logits and logprobs are absent.
    """
    leaves = {name: p.detach().clone().requires_grad_() for name, p in parameters.items()}
    with torch.enable_grad():
        network = Network.of(cross_entropy, dropout=mask is not None)
        record = network.forward(leaves, Xb, Yb, mask)
        names = [name for name in CHECKED_ORDER if name in record]
        for name in names:
            record[name].retain_grad()
        with fixed_order(str(Xb.device)):
            record["loss"].backward()
    gradients = {name: record[name].grad for name in names}
    detached = {k: v.detach() if isinstance(v, Tensor) else v for k, v in record.items()}
    return Reference(detached, gradients)
