"""Autograd's gradients, the first of the two references that hand-written ones are held to."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, enable_grad

from makemore_bp.engines.fixed_order import fixed_order
from makemore_bp.gradcheck.batch import Batch
from makemore_bp.network.passes import Network
from makemore_bp.network.stage import Record


@dataclass(frozen=True)
class Reference:
    """The network with one operation a line, its forward pass, detached, and autograd's gradient of
    each tensor by the tensor's name."""

    network: Network
    record: Record
    gradients: dict[str, Tensor]

    @property
    def finite(self) -> bool:
        """Whether no gradient holds an infinity or a NaN."""
        return all(bool(gradient.isfinite().all()) for gradient in self.gradients.values())


def reference(batch: Batch) -> Reference:
    """Autograd's gradients of a batch, in the parameters' precision.

    The forward pass is the one with one operation a line, so that each of the 26 tensors of the
    lecture has a gradient. Where a probability underflows, those are not finite: then a network
    whose own cross-entropy is fused is held to that of PyTorch's, and the tensors between logits
    and logprobs are absent.
    """
    network = batch.network.op_by_op
    found = _by_autograd(network, batch)
    if found.finite or batch.network.cross_entropy is network.cross_entropy:
        return found
    return _by_autograd(replace(network, cross_entropy=batch.network.cross_entropy), batch)


def _by_autograd(network: Network, batch: Batch) -> Reference:
    leaves = {name: p.detach().clone().requires_grad_() for name, p in batch.parameters.items()}
    with enable_grad():
        record = network.forward(leaves, batch.Xb, batch.Yb, **batch.given)
        names = [name for name in network.tensors if name in record]
        for name in names:
            record[name].retain_grad()
        with fixed_order(str(batch.Xb.device)):
            record["loss"].backward()
    gradients = {name: record[name].grad for name in names}
    detached = {k: v.detach() if isinstance(v, Tensor) else v for k, v in record.items()}
    return Reference(network.op_by_op, detached, gradients)
