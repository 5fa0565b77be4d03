"""Dropout's masks: how often they switch off, of what they are a function, and by whom."""

from __future__ import annotations

import math

import pytest
import torch

from makemore_bp.engines import native
from makemore_bp.engines.masks import LOW, Masks, lowbias32, splitmix64
from makemore_bp.network.parameters import Sizes, generators, initialise

SHAPE = (32, 300)


def test_the_key_is_splitmix64() -> None:
    """The generator's first outputs from seed 0, as its authors' program prints them."""
    assert splitmix64(0) == 0xE220A8397B1DCDAF
    assert splitmix64(0x9E3779B97F4A7C15) == 0x6E789E6AA1B965F4


@pytest.mark.parametrize("key", [0, 0x9E3779B9])
def test_no_two_numbers_become_the_same(key: int) -> None:
    x = torch.cat([torch.arange(2**20), LOW - torch.arange(2**20), 2**12 * torch.arange(1, 2**20)])
    mixed = lowbias32(x, key)
    assert len(set(mixed.tolist())) == len(set(x.tolist()))
    assert int(mixed.min()) >= 0 and int(mixed.max()) <= LOW
    assert [lowbias32(number, key) for number in x[:50].tolist()] == lowbias32(x[:50], key).tolist()
    assert lowbias32(0) == 0


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_a_unit_is_off_with_probability_p_and_else_scaled_up(p: float) -> None:
    masks = Masks(p, 42, SHAPE, torch.float64)
    drawn = torch.stack([masks.at(step) for step in range(200)])
    assert bool(((drawn == 0) | (drawn == 1 / (1 - p))).all())
    share = float((drawn == 0).double().mean())
    assert abs(share - p) < 4 * math.sqrt(p * (1 - p) / drawn.numel())
    assert abs(float(drawn.mean()) - 1) < 0.01


def test_units_rows_steps_and_seeds_are_independent() -> None:
    masks, other = Masks(0.2, 42, SHAPE), Masks(0.2, 43, SHAPE)
    drawn = torch.stack([masks.at(step) for step in range(300)]).double() - 1
    strange = torch.stack([other.at(step) for step in range(300)]).double() - 1
    variance = 0.2 / 0.8
    pairs = {
        "units": drawn[:, :, 1:] * drawn[:, :, :-1],
        "rows": drawn[:, 1:] * drawn[:, :-1],
        "steps": drawn[1:] * drawn[:-1],
        "seeds": drawn * strange,
    }
    for name, product in pairs.items():
        assert abs(float(product.mean())) / variance < 4 / math.sqrt(product.numel()), name


def test_a_mask_is_a_function_of_seed_and_step_in_either_precision() -> None:
    single, double = Masks(0.3, 7, SHAPE), Masks(0.3, 7, SHAPE, torch.float64)
    later = double.at(2**40)
    assert torch.equal(single.at(2**40) == 0, later == 0)
    assert not torch.equal(double.at(2**40 + 1), later)
    assert torch.equal(double.at(2**40), later)


@pytest.mark.skipif(not native.available(), reason=native.why_not() or "built")
@pytest.mark.parametrize("n_hidden", [1, 7, 64, 129])
@pytest.mark.parametrize(("p", "seed", "step"), [(0.25, 42, 0), (0.7, 2**63 - 1, 2**50 + 3)])
def test_the_native_engine_has_the_same_masks(
    n_hidden: int, p: float, seed: int, step: int
) -> None:
    """With equal columns in W2 a unit's dh would be 0 by itself; with these it is 0 where the mask
    is, and there only."""
    parameters = initialise(Sizes(27, n_hidden=n_hidden), *generators(1))
    stream = torch.randint(0, 27, (203,), generator=torch.Generator().manual_seed(1))
    kernel = native.NativeKernel(
        parameters,
        stream.to(torch.uint8),
        torch.arange(200),
        33,
        dropout=p,
        seed=seed,
        step=step,
    )
    indices = torch.arange(99).view(3, 33)
    masks = Masks(p, seed, (33, n_hidden))
    for later in range(3):
        dh = kernel.gradients(indices[later])["dh"]
        mask = masks.at(step + later)
        assert torch.equal(dh == 0, mask == 0)
        assert mask.count_nonzero() not in (0, mask.numel())
        kernel.advance(indices[later : later + 1], torch.tensor([0.1]))
