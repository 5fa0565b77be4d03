"""Training steps as the tests of engines ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from makemore_bp.dataset import Examples
from makemore_bp.engines.engine import Work
from makemore_bp.network.parameters import Sizes
from makemore_bp.network.passes import Network


def network(switches: tuple[str, str], dropout: bool = False) -> Network:
    """The network with these two kinds of backward passes: cross-entropy's and batchnorm's."""
    cross_entropy, batchnorm = switches
    return Network.of(cross_entropy=cross_entropy, batchnorm=batchnorm).dropping(dropout)


def work(
    of: Network, parameters: Mapping[str, Tensor], examples: Examples, batch_size: int, **more: Any
) -> Work:
    """Steps of a network with parameters of these shapes and precision."""
    (V, E), (fan_in, n_hidden) = parameters["C"].shape, parameters["W1"].shape
    sizes = Sizes(V, fan_in // E, E, n_hidden)
    return Work(of, sizes, examples, batch_size, dtype=parameters["C"].dtype, **more)
