"""Op-by-op, every gradient equals autograd's to the last bit."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from makemore_bp.gradcheck.batch import Batch
from makemore_bp.gradcheck.cases import SWITCHES
from makemore_bp.gradcheck.check import Check, check
from makemore_bp.network.parameters import Sizes, generators, initialise
from tests.works import network

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
N_HIDDEN, BATCHES = (1, 7, 64, 77, 200, 513), (2, 3, 32, 33, 257)
SIXTY = list(product(N_HIDDEN, BATCHES, PRECISIONS))


def checked(
    n_hidden: int, batch: int, dtype: str, switches: tuple[str, str] = ("op-by-op", "op-by-op")
) -> Check:
    g, g_batchnorm = generators(2147483647)
    parameters = initialise(Sizes(27, n_hidden=n_hidden), g, g_batchnorm, PRECISIONS[dtype])
    Xb = torch.randint(0, 27, (batch, 3), generator=g)
    Yb = torch.randint(0, 27, (batch,), generator=g)
    return check(Batch(network(switches), parameters, Xb, Yb))


def test_there_are_sixty_settings() -> None:
    assert len(SIXTY) == 60


@pytest.mark.parametrize(("n_hidden", "batch", "dtype"), SIXTY)
def test_all_26_gradients_are_exact(n_hidden: int, batch: int, dtype: str) -> None:
    found = checked(n_hidden, batch, dtype)
    assert len(found.tensors) == 26
    assert [report.name for report in found.tensors if not report.exact] == []
    assert all(report.max_ulp == 0 and report.max_abs_diff == 0 for report in found.tensors)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_number_of_threads_changes_no_bit(threads: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert all(report.exact for report in checked(513, 257, "float32").tensors)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("switches", SWITCHES)
def test_the_four_combinations_pass_in_both_precisions(
    switches: tuple[str, str], dtype: str
) -> None:
    found = checked(200, 32, dtype, switches)
    assert found.passed
    assert (
        len(found.tensors)
        == {
            ("op-by-op", "op-by-op"): 26,
            ("op-by-op", "fused"): 20,
            ("fused", "op-by-op"): 19,
            ("fused", "fused"): 13,
        }[switches]
    )
