"""How large the parameters, their gradients and the step's updates are."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from makemore_bp.network.passes import Network

DIGITS = 6  # significant ones; more would only make the lines longer


@torch.no_grad()
def parameter_statistics(
    network: Network, parameters: Mapping[str, Tensor], Xb: Tensor, Yb: Tensor, lr: float
) -> dict[str, dict[str, float | None]]:
    """For each parameter, before a step of plain SGD on the batch Xb (n, block_size), Yb (n):

    ``weight`` and ``gradient``, the standard deviations over its entries, and ``update_ratio``,
    log10 of std(lr * gradient) / std(weight). What is not finite, or not defined because there is
    a single entry or nothing moves, is None.
    """
    gradients = network.backward(network.forward(parameters, Xb, Yb))
    return {
        name: _of(parameter, gradients["d" + name], lr) for name, parameter in parameters.items()
    }


def _of(parameter: Tensor, gradient: Tensor, lr: float) -> dict[str, float | None]:
    weight, slope = _std(parameter), _std(gradient)
    ratio = None
    if weight and slope and lr:
        ratio = _rounded(math.log10(lr) + math.log10(slope) - math.log10(weight))
    return {"weight": weight, "gradient": slope, "update_ratio": ratio}


def _std(tensor: Tensor) -> float | None:
    if tensor.numel() < 2:
        return None
    return _rounded(float(tensor.cpu().double().std()))


def _rounded(value: float) -> float | None:
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
