"""Every stage's rules against autograd, stage by stage, for sizes drawn at random."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from makemore_bp.network import (
    batchnorm,
    batchnorm_fused,
    cross_entropy,
    cross_entropy_fused,
    linear,
)
from makemore_bp.network import embedding as embedding_module
from makemore_bp.network import tanh as tanh_module
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import LECTURE_ORDER, Network
from makemore_bp.network.stage import Stage, call, run_backward

SIZES = st.tuples(st.integers(2, 9), st.integers(1, 12))
# Each gradient may be off by so many roundings of the largest number that went into it.
TOLERANCE = 1e-10


def randn(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(*shape, generator=g, dtype=torch.float64)


def autograd(stage: Stage, given: Mapping[str, Any], out: str, upstream: Tensor) -> dict[str, Any]:
    """Autograd's gradients of what ``stage`` reads, and of what it computes on the way."""
    leaves = {
        name: value.clone().requires_grad_()
        if isinstance(value, Tensor) and value.is_floating_point()
        else value
        for name, value in given.items()
    }
    record = {**leaves, **call(stage.forward, leaves)}
    tensors = {k: v for k, v in record.items() if isinstance(v, Tensor) and v.requires_grad}
    for tensor in tensors.values():
        tensor.retain_grad()
    (record[out] * upstream).sum().backward()
    return {"d" + name: tensor.grad for name, tensor in tensors.items()}


def assert_right(stage: Stage, given: Mapping[str, Any], out: str, upstream: Tensor) -> None:
    """Each rule's gradient is autograd's, and of its tensor's shape."""
    true = autograd(stage, given, out, upstream)
    record = {**given, **call(stage.forward, given), "d" + out: upstream}
    found = run_backward(stage.backward, record)
    assert found, "a stage without rules would pass"
    for name, gradient in found.items():
        assert gradient.shape == record[name[1:]].shape, name
        torch.testing.assert_close(gradient, true[name], rtol=TOLERANCE, atol=TOLERANCE, msg=name)


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(1, 6), st.integers(0, 99))
def test_the_embedding_adds_up_all_places_of_a_character(
    sizes: tuple[int, int], block_size: int, seed: int
) -> None:
    n, V = sizes
    g = torch.Generator().manual_seed(seed)
    Xb = torch.randint(0, V, (n, block_size), generator=g)
    given_ = {"C": randn(V, 4, seed=seed), "Xb": Xb}
    assert_right(
        embedding_module.embedding, given_, "embcat", randn(n, 4 * block_size, seed=seed + 1)
    )


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(1, 8), st.integers(0, 99))
def test_the_linear_layers(sizes: tuple[int, int], inner: int, seed: int) -> None:
    n, width = sizes
    upstream = randn(n, width, seed=seed + 2)
    weights = {"W": randn(inner, width, seed=seed), "b": randn(width, seed=seed)}
    X = randn(n, inner, seed=seed + 1)
    first = {"embcat": X, "W1": weights["W"], "b1": weights["b"]}
    second = {"h": X, "W2": weights["W"], "b2": weights["b"]}
    assert_right(linear.hidden, first, "hprebn", upstream)
    assert_right(linear.output, second, "logits", upstream)


@settings(max_examples=40, deadline=None)
@given(SIZES, st.integers(0, 99), st.sampled_from([1e-3, 1.0, 30.0]))
def test_tanh(sizes: tuple[int, int], seed: int, scale: float) -> None:
    given_ = {"hpreact": scale * randn(*sizes, seed=seed)}
    assert_right(tanh_module.tanh, given_, "h", randn(*sizes, seed=seed + 1))


@pytest.mark.parametrize("stage", [batchnorm.op_by_op, batchnorm_fused.fused], ids=["op", "fused"])
@settings(max_examples=40, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 99))
def test_batchnorm_both_ways(stage: Stage, sizes: tuple[int, int], seed: int) -> None:
    n, width = sizes
    given_ = {
        "hprebn": randn(n, width, seed=seed),
        "bngain": randn(1, width, seed=seed + 1),
        "bnbias": randn(1, width, seed=seed + 2),
        "n": n,
    }
    assert_right(stage, given_, "hpreact", randn(n, width, seed=seed + 3))


@pytest.mark.parametrize(
    "stage", [cross_entropy.op_by_op, cross_entropy_fused.fused], ids=["op", "fused"]
)
@settings(max_examples=40, deadline=None)
@given(sizes=SIZES, seed=st.integers(0, 99), scale=st.sampled_from([0.1, 1.0, 10.0]))
def test_cross_entropy_both_ways(
    stage: Stage, sizes: tuple[int, int], seed: int, scale: float
) -> None:
    n, V = sizes
    Yb = torch.randint(0, V, (n,), generator=torch.Generator().manual_seed(seed))
    given_ = {"logits": scale * randn(n, V, seed=seed), "Yb": Yb, "n": n}
    assert_right(stage, given_, "loss", torch.ones((), dtype=torch.float64))


def test_both_ways_compute_the_same_loss_and_the_same_activations() -> None:
    parameters = initialise(Sizes(27, n_hidden=20), *generators(1), torch.float64)
    g = torch.Generator().manual_seed(2)
    Xb, Yb = torch.randint(0, 27, (16, 3), generator=g), torch.randint(0, 27, (16,), generator=g)
    one = Network().forward(parameters, Xb, Yb)
    other = Network.of(cross_entropy="fused", batchnorm="fused").forward(parameters, Xb, Yb)
    for name in ("loss", "hpreact", "h", "logits", "logprobs", "bnraw"):
        torch.testing.assert_close(other[name], one[name], rtol=1e-12, atol=1e-12)


def test_the_op_by_op_pass_gives_all_of_the_lectures_gradients_and_no_others() -> None:
    rules = [rule.__name__ for rule in Network().rules]
    assert sorted(rules) == sorted("d" + name for name in LECTURE_ORDER)
    assert len(set(rules)) == 26


def test_a_pass_changes_nothing_that_it_is_given() -> None:
    parameters = initialise(Sizes(5, n_hidden=6), *generators(1))
    before = {name: tensor.clone() for name, tensor in parameters.items()}
    Xb, Yb = torch.arange(12).view(4, 3) % 5, torch.arange(4)
    for switches in (("op-by-op", "op-by-op"), ("fused", "fused")):
        network = Network.of(cross_entropy=switches[0], batchnorm=switches[1])
        record = network.forward(parameters, Xb, Yb)
        kept = {k: v.clone() for k, v in record.items() if isinstance(v, Tensor)}
        network.backward(record)
        assert all(torch.equal(record[name], tensor) for name, tensor in kept.items())
    assert all(torch.equal(parameters[name], tensor) for name, tensor in before.items())


def test_inference_with_the_batchs_own_statistics_is_the_training_pass() -> None:
    parameters = initialise(Sizes(9, n_hidden=12), *generators(4), torch.float64)
    Xb, Yb = torch.arange(24).view(8, 3) % 9, torch.arange(8)
    record = Network().forward(parameters, Xb, Yb)
    for network in (Network(), Network.of(batchnorm="fused").dropping(True)):
        found = network.logits(parameters, record["bnmeani"], record["bnvar"], Xb)
        torch.testing.assert_close(found, record["logits"], rtol=1e-12, atol=1e-12)
