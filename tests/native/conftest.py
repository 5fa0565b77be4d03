"""What the native kernel's tests share."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from makemore_bp.engines import native
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import Network

INSTRUCTION_SETS = ("baseline", "avx2", "avx512")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes ``isa`` runs once for every instruction set, or says why it does not."""
    if "isa" not in metafunc.fixturenames:
        return
    present = native.instruction_sets()
    reason = native.why_not() or "this machine lacks the instruction set"
    metafunc.parametrize(
        "isa",
        [
            pytest.param(isa, marks=pytest.mark.skipif(isa not in present, reason=reason))
            for isa in INSTRUCTION_SETS
        ],
    )


@dataclass(frozen=True)
class Case:
    """A network, and a stream of random ids to train it on."""

    sizes: Sizes
    batch_size: int
    parameters: dict[str, Tensor]
    stream: Tensor
    positions: Tensor

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Xb (..., block_size) and Yb (...) of the examples at ``indices``."""
        B = self.sizes.block_size
        windows = self.stream.unfold(0, B + 1, 1)[self.positions.long()[indices]].long()
        return windows[..., :B], windows[..., B]

    def indices(self, steps: int, seed: int = 0) -> Tensor:
        """Random minibatches (steps, batch_size)."""
        g = torch.Generator().manual_seed(seed)
        return torch.randint(0, len(self.positions), (steps, self.batch_size), generator=g)

    def kernel(self, isa: str | None = None, **options: Any) -> native.NativeKernel:
        """A kernel that starts from ``parameters``; the widest instruction set if none is named."""
        with patch.dict(os.environ, {"MAKEMORE_BP_ISA": isa or ""}):
            return native.NativeKernel(
                self.parameters, self.stream, self.positions, self.batch_size, **options
            )


def make_case(
    vocabulary: int = 27,
    block_size: int = 3,
    n_embd: int = 10,
    n_hidden: int = 200,
    batch_size: int = 32,
    seed: int = 0,
    examples: int = 500,
) -> Case:
    """A case drawn from ``seed``, with the narrowest stream that holds its ids."""
    sizes = Sizes(vocabulary, block_size, n_embd, n_hidden)
    g = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, vocabulary, (examples + block_size,), generator=g)
    narrow = torch.uint8 if vocabulary <= 2**8 else torch.int16
    positions = torch.randperm(examples, generator=g).to(torch.int32)
    parameters = initialise(sizes, *generators(seed))
    return Case(sizes, batch_size, parameters, ids.to(narrow), positions)


@pytest.fixture(scope="session")
def case() -> Callable[..., Case]:
    """``make_case``; skips where the kernel was not built."""
    if not native.available():
        pytest.skip(str(native.why_not()))
    return make_case


@pytest.fixture(scope="session")
def relu_heart() -> Network:
    """The heart with ReLU in the place of tanh."""
    return Network.of(cross_entropy="fused", batchnorm="fused", activation="relu")
