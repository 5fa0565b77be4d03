"""The first values of the parameters are the lecture's."""

from __future__ import annotations

import torch

from makemore_bp.network.parameters import NAMES, Sizes, generators, initialise


def test_the_lectures_own_lines_draw_the_same_numbers() -> None:
    g = torch.Generator().manual_seed(2147483647)
    C = torch.randn((27, 10), generator=g)
    W1 = torch.randn((30, 200), generator=g) * (5 / 3) / (30**0.5)
    b1 = torch.randn(200, generator=g) * 0.1
    W2 = torch.randn((200, 27), generator=g) * 0.1
    b2 = torch.randn(27, generator=g) * 0.1
    batch = torch.randint(0, 1000, (32,), generator=g)

    ours, ours_batchnorm = generators(2147483647)
    drawn = initialise(Sizes(27), ours, ours_batchnorm)
    for name, tensor in {"C": C, "W1": W1, "b1": b1, "W2": W2, "b2": b2}.items():
        assert torch.equal(drawn[name], tensor), name
    assert torch.equal(torch.randint(0, 1000, (32,), generator=ours), batch)


def test_the_lectures_two_networks_have_the_recorded_numbers_of_parameters() -> None:
    for n_hidden, count in ((64, 4137), (200, 12297)):
        drawn = initialise(Sizes(27, n_hidden=n_hidden), *generators(0))
        assert sum(tensor.numel() for tensor in drawn.values()) == count
        assert tuple(drawn) == NAMES


def test_float64_starts_from_the_numbers_of_float32() -> None:
    narrow = initialise(Sizes(27), *generators(3), torch.float32)
    wide = initialise(Sizes(27), *generators(3), torch.float64)
    assert all(torch.equal(wide[name], narrow[name].double()) for name in NAMES)


def test_neighbouring_seeds_share_nothing() -> None:
    one, two = (initialise(Sizes(27), *generators(seed)) for seed in (5, 6))
    assert not any(torch.equal(one[name], two[name]) for name in NAMES)


def test_minibatches_drawn_in_chunks_are_those_drawn_one_by_one() -> None:
    one, many = (torch.Generator().manual_seed(9) for _ in range(2))
    singly = torch.stack([torch.randint(0, 182_625, (32,), generator=one) for _ in range(50)])
    assert torch.equal(torch.randint(0, 182_625, (50, 32), generator=many), singly)
