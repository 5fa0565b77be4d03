"""The network as it is used after training: batchnorm's mean and variance are fixed numbers.

The lecture passes the whole training set once through the first layer and keeps the mean and the
unbiased variance of hprebn. From then on a row's output does not depend on the other rows.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from makemore_bp.network import embedding, linear, tanh
from makemore_bp.network.batchnorm import EPS
from makemore_bp.network.stage import call


def hidden(parameters: Mapping[str, Tensor], Xb: Tensor) -> Tensor:
    """hprebn (n, n_hidden) of contexts Xb (n, block_size): all that comes before batchnorm."""
    record = dict(parameters) | {"Xb": Xb}
    record |= call(embedding.forward, record)
    hprebn: Tensor = call(linear.forward_hidden, record)["hprebn"]
    return hprebn


def logits(parameters: Mapping[str, Tensor], bnmean: Tensor, bnvar: Tensor, Xb: Tensor) -> Tensor:
    """Logits (n, V) of contexts Xb (n, block_size), with fixed statistics (1, n_hidden)."""
    scale = parameters["bngain"] * (bnvar + EPS) ** -0.5
    hpreact = scale * (hidden(parameters, Xb) - bnmean) + parameters["bnbias"]
    h = tanh.forward(hpreact)["h"]
    out: Tensor = linear.forward_output(h, parameters["W2"], parameters["b2"])["logits"]
    return out
