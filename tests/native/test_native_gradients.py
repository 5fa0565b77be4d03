"""The kernel's gradients are those of the heart.

The measure is the heart in float64. A float32 gradient may differ from it for two reasons, and the
bound adds up the two:

- Rounding of hprebn, bnraw, h, the logits and the probabilities changes everything behind them. How
  much is found out by disturbing them in the float64 pass, at random, by up to four roundings of
  what their terms add up to without their signs; what eight such passes differ by is added up. This
  is what a batch with little variance amplifies, and a probability close to 1.
- Each gradient is itself a sum, and its error is up to 32 roundings of what its own terms add up
  to without their signs. This is what remains where the terms cancel, as in db1, whose true value
  is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from unittest.mock import patch

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from makemore_bp.engines import native
from makemore_bp.network import batchnorm_fused, embedding, linear
from makemore_bp.network.passes import Network
from makemore_bp.network.stage import Record, run_forward

ROUNDING = 2.0**-24
HEART = Network.of(cross_entropy="fused", batchnorm="fused")


def noise(size: Tensor) -> Tensor:
    return 4 * ROUNDING * size * (2 * torch.rand_like(size) - 1)


def disturb_hprebn(embcat: Tensor, W1: Tensor, b1: Tensor, hprebn: Tensor) -> Record:
    return {"hprebn": hprebn + noise(embcat.abs() @ W1.abs() + b1.abs())}


def disturb_bnraw(
    hprebn: Tensor, bnvar_inv: Tensor, bngain: Tensor, bnraw: Tensor, bnbias: Tensor
) -> Record:
    bnraw = bnraw + noise(bnraw.abs() + bnvar_inv * hprebn.abs())  # the mean is rounded
    return {"bnraw": bnraw, "hpreact": bngain * bnraw + bnbias + noise(bnbias.abs())}


def disturb_h(h: Tensor) -> Record:
    return {"h": h + noise(h)}


def disturb_logits(h: Tensor, W2: Tensor, b2: Tensor, logits: Tensor) -> Record:
    return {"logits": logits + noise(h.abs() @ W2.abs() + b2.abs())}


def disturb_logprobs(logprobs: Tensor) -> Record:
    return {"logprobs": logprobs + noise(torch.ones_like(logprobs))}  # probs by that factor


def disturbed(heart: Network) -> tuple[Callable[..., Record], ...]:
    """The heart's forward functions, with roundings of our own after each."""
    disturbances: tuple[Callable[..., Record], ...] = (
        disturb_hprebn,
        disturb_bnraw,
        disturb_h,
        disturb_logits,
        disturb_logprobs,
    )
    embed, *others = heart.stages
    pairs = zip(others, disturbances, strict=True)
    noisy = [each for stage, disturb in pairs for each in (stage.forward, disturb)]
    return (embed.forward, *noisy)


def sums_without_signs(record: Record, gradients: dict[str, Tensor]) -> dict[str, Tensor]:
    """The heart's rules, applied to absolute values."""
    r = {name: value.abs() for name, value in record.items() if isinstance(value, Tensor)}
    d = {name: value.abs() for name, value in gradients.items()}
    dlogits = d["dlogits"] + 1 / record["n"]
    dhprebn = r["bngain"] * r["bnvar_inv"] * d["dhpreact"].amax(0).expand_as(r["h"])
    dembcat = linear.dembcat(dhprebn, r["W1"])
    return {
        "loss": record["loss"].abs() + r["logits"].max(),
        "dlogits": dlogits,
        "dh": linear.dh(d["dlogits"], r["W2"]),
        "dW2": linear.dW2(r["h"], dlogits),
        "db2": linear.db2(dlogits),
        "dhpreact": linear.dh(d["dlogits"], r["W2"]),
        "dbngain": (r["bnraw"] * d["dhpreact"]).sum(0, keepdim=True),
        "dbnbias": d["dhpreact"].sum(0, keepdim=True),
        "dhprebn": dhprebn,
        "dW1": linear.dW1(r["embcat"], dhprebn),
        "db1": linear.db1(dhprebn),
        "dC": embedding.dC(record["C"], record["Xb"], embedding.demb(dembcat, record["emb"])),
    }


def bounds(
    heart: Network, parameters: dict[str, Tensor], Xb: Tensor, Yb: Tensor
) -> tuple[Any, dict[str, float]]:
    """The float64 gradients with the loss, and how far each float32 one may be from it."""

    def run(functions: Iterable[Callable[..., Record]]) -> tuple[Record, dict[str, Tensor]]:
        record = run_forward(functions, {**parameters, "Xb": Xb, "Yb": Yb, "n": len(Yb)})
        return record, heart.backward(record)

    record, gradients = run(stage.forward for stage in heart.stages)
    true = gradients | {"loss": record["loss"]}
    allowed = {
        name: 32 * ROUNDING * float(size.max())
        for name, size in sums_without_signs(record, gradients).items()
    }
    for _ in range(8):
        noisy_record, noisy = run(disturbed(heart))
        noisy["loss"] = noisy_record["loss"]
        for name in allowed:
            allowed[name] += float((noisy[name] - true[name]).abs().max())
    return true, allowed


def assert_gradients_agree(
    case: Any, isa: str, indices: Tensor, heart: Network = HEART, **options: Any
) -> None:
    found = case.kernel(isa, **options).gradients(indices)
    parameters = {name: tensor.double() for name, tensor in case.parameters.items()}
    true, allowed = bounds(heart, parameters, *case.batch(indices))
    assert set(found) == set(allowed)
    for name, bound in allowed.items():
        assert found[name].shape == true[name].shape, name
        off = float((found[name] - true[name]).abs().max())
        assert off <= bound, f"{name} is off by {off:.3g}, more than {bound:.3g}"


sizes = st.fixed_dictionaries(
    {
        "vocabulary": st.sampled_from([1, 2, 3, 16, 17, 27, 48, 300]) | st.integers(1, 70),
        "block_size": st.sampled_from([1, 2, 3, 16]),
        "n_embd": st.sampled_from([1, 2, 10, 16, 17]) | st.integers(1, 40),
        "n_hidden": st.sampled_from([1, 2, 7, 64, 200]) | st.integers(1, 150),
        "batch_size": st.sampled_from([2, 3, 32, 257]) | st.integers(2, 140),
    }
)


@settings(max_examples=70, deadline=None)
@given(drawn=sizes, seed=st.integers(0, 2**31), scale=st.sampled_from([0.1, 1.0, 4.0]))
def test_every_gradient_is_the_hearts_whatever_the_sizes(
    case: Callable[..., Any], isa: str, drawn: dict[str, int], seed: int, scale: float
) -> None:
    some = case(**drawn, seed=seed)
    for tensor in some.parameters.values():
        tensor.mul_(scale)
    torch.manual_seed(seed)
    assert_gradients_agree(some, isa, some.indices(1, seed)[0])


def test_the_lectures_own_sizes(case: Callable[..., Any], isa: str) -> None:
    some = case()
    assert_gradients_agree(some, isa, some.indices(1)[0])


def test_what_keeps_the_root_away_from_zero_is_the_hearts(
    case: Callable[..., Any], isa: str
) -> None:
    some = case()
    small = some.kernel(isa).gradients(some.indices(1)[0])["dhprebn"]
    with patch.object(batchnorm_fused, "EPS", 0.5), patch.object(native, "EPS", 0.5):
        assert_gradients_agree(some, isa, some.indices(1)[0])
        large = some.kernel(isa).gradients(some.indices(1)[0])["dhprebn"]
    assert (small - large).abs().max() > 1e-3


def test_a_batch_of_one_example_over_and_over(case: Callable[..., Any], isa: str) -> None:
    some = case()
    assert_gradients_agree(some, isa, torch.full((32,), 7))


def test_a_character_that_fills_a_context_gets_the_sum_of_its_places(
    case: Callable[..., Any], isa: str
) -> None:
    some = case(vocabulary=2, block_size=16, n_embd=3)
    some.stream.fill_(1)
    dC = some.kernel(isa).gradients(some.indices(1)[0])["dC"]
    assert dC[0].eq(0).all()
    assert_gradients_agree(some, isa, some.indices(1)[0])


def test_saturated_units_pass_nothing_back(case: Callable[..., Any], isa: str) -> None:
    some = case()
    some.parameters["bnbias"].fill_(30.0)
    found = some.kernel(isa).gradients(some.indices(1)[0])
    for name in ("dhpreact", "dhprebn", "dC", "dW1", "dbngain", "dbnbias"):
        assert found[name].eq(0).all(), name
    assert_gradients_agree(some, isa, some.indices(1)[0])


@pytest.mark.parametrize("height", [80.0, -80.0, 1000.0])
def test_logits_far_apart_neither_overflow_nor_vanish(
    case: Callable[..., Any], isa: str, height: float
) -> None:
    some = case()
    some.parameters["b2"][3] = height
    found = some.kernel(isa).gradients(some.indices(1)[0])
    assert all(tensor.isfinite().all() for tensor in found.values())
    assert_gradients_agree(some, isa, some.indices(1)[0])


def test_a_gradient_pass_leaves_the_parameters_alone(case: Callable[..., Any], isa: str) -> None:
    some = case()
    kernel = some.kernel(isa)
    kernel.gradients(some.indices(1)[0])
    for name, tensor in kernel.parameters().items():
        assert torch.equal(tensor, some.parameters[name]), name


@pytest.mark.parametrize(
    "sizes",
    [
        {},
        {"n_hidden": 1, "batch_size": 2},
        {"n_hidden": 65, "batch_size": 33, "vocabulary": 5},
        {"n_hidden": 7, "batch_size": 257, "n_embd": 17, "block_size": 16},
    ],
)
@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
def test_with_relu_every_gradient_is_the_hearts(
    case: Callable[..., Any], isa: str, relu_heart: Network, sizes: dict[str, int], scale: float
) -> None:
    some = case(**sizes)
    for tensor in some.parameters.values():
        tensor.mul_(scale)
    torch.manual_seed(0)
    assert_gradients_agree(some, isa, some.indices(1)[0], relu_heart, activation="relu")


def test_gradcheck_finds_the_kernels_gradients_right_with_relu(
    case: Callable[..., Any], cli: Any
) -> None:
    case()
    result = cli("gradcheck", "--engine", "native", "--set", "model.activation=relu")
    assert result.code == 0, result.out


def test_a_unit_that_relu_switches_off_passes_nothing_back(
    case: Callable[..., Any], isa: str
) -> None:
    some = case()
    some.parameters["bnbias"].fill_(-30.0)
    found = some.kernel(isa, activation="relu").gradients(some.indices(1)[0])
    for name in ("dhpreact", "dhprebn", "dC", "dW1", "dW2", "dbngain", "dbnbias"):
        assert found[name].eq(0).all(), name
    assert found["dh"].ne(0).any()


def test_relu_at_exactly_zero_passes_nothing_back(case: Callable[..., Any], isa: str) -> None:
    some = case()
    some.parameters["bngain"].zero_()
    some.parameters["bnbias"].zero_()
    found = some.kernel(isa, activation="relu").gradients(some.indices(1)[0])
    assert found["dhpreact"].eq(0).all() and found["dh"].ne(0).any()


def test_relu_hands_on_what_is_not_a_number(case: Callable[..., Any], isa: str) -> None:
    some = case()
    some.parameters["bnbias"][0, 3] = float("nan")
    assert some.kernel(isa, activation="relu").gradients(some.indices(1)[0])["loss"].isnan()


def test_tanh_is_right_to_a_few_roundings_from_the_smallest_to_the_largest_number(
    case: Callable[..., Any], isa: str
) -> None:
    """With one hidden unit a row, bnbias as the only input of tanh and W2 = 1, h comes out as dW2.

    dW2 = sum over the batch of h * dlogits: all h are alike where bngain is 0, and with two
    characters, of which the target is never the first, dlogits[:, 0] adds up to the probability of
    the first, known from b2.
    """
    some = case(vocabulary=2, n_hidden=1000, batch_size=2)
    some.stream.fill_(1)
    some.parameters["bngain"].zero_()
    some.parameters["W2"].zero_()
    some.parameters["b2"].zero_()
    exponents = torch.linspace(-36, 5, 1000, dtype=torch.float64)
    x = (torch.exp(exponents) * (-1.0) ** torch.arange(1000)).float()
    some.parameters["bnbias"].copy_(x)
    dW2 = some.kernel(isa).gradients(some.indices(1)[0])["dW2"][:, 0].double()
    true = torch.tanh(x.double()) * 0.5
    assert ((dW2 - true) / true).abs().max() < 8 * ROUNDING
    assert dW2[x.abs() > 20].abs().eq(0.5).all()
