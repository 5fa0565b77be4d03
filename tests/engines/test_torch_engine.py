"""The torch engine's steps."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from makemore_bp import config
from makemore_bp.dataset import load
from makemore_bp.engines.fixed_order import fixed_order
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.gradcheck.batch import Batch
from makemore_bp.gradcheck.check import check
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import Network
from tests.works import network, work

BATCH = 4096  # so large that PyTorch shares the sums of dC between its threads


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def started() -> tuple[dict[str, Tensor], Tensor]:
    parameters = initialise(Sizes(27, n_hidden=16), *generators(3))
    return parameters, torch.randint(0, 10_000, (5, BATCH), generator=generators(4)[0])


@pytest.mark.parametrize("switch", ["fused", "op-by-op"])
def test_large_batches_give_the_same_bits_every_time(switch: str) -> None:
    examples = load(config.Data(), block_size=3).train
    ends = []
    for _ in range(3):
        parameters, indices = started()
        engine = TorchEngine(
            work(network((switch, switch)), parameters, examples, BATCH), parameters
        )
        losses = engine.advance(indices, [0.1] * len(indices))
        ends.append([losses, *engine.parameters().values()])
    for other in ends[1:]:
        assert all(torch.equal(a, b) for a, b in zip(ends[0], other, strict=True))


def test_every_gradient_of_a_large_batch_is_autograds_to_the_bit() -> None:
    parameters, indices = started()
    Xb, Yb = load(config.Data(), block_size=3).train.batch(indices[0])
    batch = Batch(Network(), parameters, Xb, Yb)
    for _ in range(3):
        assert all(report.status == "exact" for report in check(batch).tensors)


def test_a_step_leaves_pytorchs_switches_as_they_were() -> None:
    examples = load(config.Data(), block_size=3).train
    parameters, indices = started()
    fused = work(network(("fused", "fused")), parameters, examples, BATCH)
    TorchEngine(fused, parameters).advance(indices[:1], [0.1])
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]


def test_turning_the_switches_loads_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Importing PyTorch's takes a second, which every start of a run would wait for."""
    monkeypatch.setitem(sys.modules, "torch._inductor", None)
    with fixed_order("cpu"):
        assert torch.are_deterministic_algorithms_enabled()
