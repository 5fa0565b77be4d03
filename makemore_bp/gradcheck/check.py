"""One check of a whole backward pass: run it, judge it, and say whether it passed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from makemore_bp.engines.fixed_order import fixed_order
from makemore_bp.gradcheck.judge import TensorReport, judge
from makemore_bp.gradcheck.reference import Reference, autograd_reference
from makemore_bp.network.passes import Network


@dataclass(frozen=True)
class Check:
    """passed: whether every gradient that was computed is exact or close; loss: the batch's;
    tensors: the reports, in the lecture's order."""

    passed: bool
    loss: float
    tensors: tuple[TensorReport, ...]

    def as_json(self) -> dict[str, Any]:
        """The check as plain data."""
        tensors = [report.as_json() for report in self.tensors]
        return {"passed": self.passed, "loss": self.loss, "tensors": tensors}


def check(
    parameters: Mapping[str, Tensor],
    Xb: Tensor,
    Yb: Tensor,
    cross_entropy: str = "op-by-op",
    batchnorm: str = "op-by-op",
    gradients: Mapping[str, Tensor] | None = None,
    mask: Tensor | None = None,
) -> Check:
    """Judges our own pass, as the two switches choose it, on a batch Xb (n, block_size), Yb (n).

    gradients: another pass's in its place, by name (``dC``, ...), such as those that the native
    engine computes; the switches say which rules it follows. Only what was computed is listed.
    mask: dropout's (n, n_hidden), for the pass with that stage.
    """
    network = Network.of(cross_entropy, batchnorm, dropout=mask is not None)
    if gradients is None:
        record = network.forward(parameters, Xb, Yb, mask)
        with fixed_order(str(Xb.device)):
            gradients = network.backward(record)
    reference = reference_for(parameters, Xb, Yb, cross_entropy, mask)
    reports = judge(gradients, reference, network.rules)
    computed = tuple(report for report in reports if report.status != "missing")
    passed = all(report.passed for report in computed)
    return Check(passed, float(reference.record["loss"]), computed)


def reference_for(
    parameters: Mapping[str, Tensor],
    Xb: Tensor,
    Yb: Tensor,
    cross_entropy: str,
    mask: Tensor | None = None,
) -> Reference:
    """Autograd's gradients of the op-by-op forward pass; where a probability underflows, so that
    they are not finite, and the pass in question is fused, those of PyTorch's own cross-entropy.
    """
    reference = autograd_reference(parameters, Xb, Yb, mask=mask)
    if cross_entropy == "fused" and not reference.finite:
        return autograd_reference(parameters, Xb, Yb, "fused", mask)
    return reference
