"""The parameters: their shapes and their first values.

Source of the scales: the lecture. W1 gets the activation's gain over the root of its fan-in (He,
Zhang, Ren and Sun, "Delving Deep into Rectifiers", 2015; 5/3 for tanh); the rest are small random
numbers instead of zeros and ones, so that a mistake in a gradient cannot hide behind a zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from makemore_bp.network.tanh import tanh

NAMES = ("C", "W1", "b1", "W2", "b2", "bngain", "bnbias")
WEIGHTS = ("W1", "W2")  # what weight decay shrinks: neither biases nor gains nor the embedding


@dataclass(frozen=True)
class Sizes:
    """The sizes that fix the shape of every tensor but the batch's."""

    vocabulary: int
    block_size: int = 3
    n_embd: int = 10
    n_hidden: int = 200

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of each parameter by name."""
        fan_in = self.block_size * self.n_embd
        return {
            "C": (self.vocabulary, self.n_embd),
            "W1": (fan_in, self.n_hidden),
            "b1": (self.n_hidden,),
            "W2": (self.n_hidden, self.vocabulary),
            "b2": (self.vocabulary,),
            "bngain": (1, self.n_hidden),
            "bnbias": (1, self.n_hidden),
        }


def generators(seed: int) -> tuple[Generator, Generator]:
    """Two generators: the lecture's own, and one for bngain and bnbias.

    The lecture draws those two from the global, unseeded generator. A run must be reproducible and
    the first generator's stream must stay the lecture's, so they get one of their own. Its seed is
    a far-away function of the first (one step of Knuth's MMIX linear congruential generator):
    runs with neighbouring seeds share nothing.
    """
    derived = (seed * 6364136223846793005 + 1442695040888963407) % 2**63
    return Generator().manual_seed(seed), Generator().manual_seed(derived)


def initialise(
    sizes: Sizes,
    g: Generator,
    g_batchnorm: Generator,
    dtype: torch.dtype = torch.float32,
    bngain: float = 1.0,
    gain: float = tanh.gain,
) -> dict[str, Tensor]:
    """Draws the parameters as the lecture does, in its order; float32 draws in every precision,
    so that a float64 run starts from the same numbers and sees the same minibatches. ``bngain`` is
    the mean of the batchnorm gain, ``gain`` that of the activation.
    """
    shapes = sizes.shapes
    fan_in = shapes["W1"][0]

    def randn(name: str, generator: Generator = g) -> Tensor:
        return torch.randn(shapes[name], generator=generator)

    drawn = {
        "C": randn("C"),
        "W1": randn("W1") * gain / (fan_in**0.5),
        "b1": randn("b1") * 0.1,
        "W2": randn("W2") * 0.1,
        "b2": randn("b2") * 0.1,
        "bngain": randn("bngain", g_batchnorm) * 0.1 + bngain,
        "bnbias": randn("bnbias", g_batchnorm) * 0.1,
    }
    return {name: tensor.to(dtype) for name, tensor in drawn.items()}
