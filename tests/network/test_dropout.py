"""Dropout's stage: its backward against autograd and the loss itself, and what it leaves alone."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor

from makemore_bp.gradcheck.batch import Batch
from makemore_bp.gradcheck.cases import ALL, PRECISIONS, SWITCHES, run
from makemore_bp.gradcheck.check import check
from makemore_bp.gradcheck.finite_differences import finite_differences
from makemore_bp.network.passes import LECTURE_ORDER, Network

CASE = ALL["dropout"]


@pytest.fixture
def setting() -> Batch:
    return CASE.build(torch.float32, Network())


def gradients(setting: Batch, mask: Tensor | None) -> dict[str, Tensor]:
    network, given = (
        Network().dropping(mask is not None),
        {"mask": mask} if mask is not None else {},
    )
    return network.backward(network.forward(setting.parameters, setting.Xb, setting.Yb, **given))


@pytest.mark.parametrize(("dtype", "switches"), list(product(PRECISIONS, SWITCHES)))
def test_every_gradient_is_autograds(dtype: str, switches: tuple[str, str]) -> None:
    found = run(CASE, dtype, *switches).check
    assert found.passed
    by_name = {report.name: report for report in found.tensors}
    assert {"hdrop", "h", "W2", "C"} <= set(by_name)
    if switches == ("op-by-op", "op-by-op"):
        assert set(by_name) == {"hdrop", *LECTURE_ORDER}
        assert all(report.exact for report in found.tensors)


def test_every_gradient_is_the_slope_of_the_loss(setting: Batch) -> None:
    reports = finite_differences(setting, samples=6)
    assert [r.name for r in reports if r.name in ("hdrop", "h")] == ["hdrop", "h"]
    assert all(report.passed and report.entries for report in reports)


@pytest.mark.parametrize("mistake", ["the mask is forgotten", "the scale is forgotten"])
def test_a_wrong_backward_is_blamed_on_h(setting: Batch, mistake: str) -> None:
    s = setting
    assert s.mask is not None
    wrong = gradients(s, s.mask)
    scale = s.mask.max()
    wrong["dh"] = wrong["dhdrop"] if "mask" in mistake else wrong["dh"] / scale
    found = check(s, wrong)
    status = {report.name: report.status for report in found.tensors}
    assert (status["hdrop"], status["h"], found.passed) == ("exact", "wrong", False)


def test_a_unit_that_is_off_everywhere_is_not_trained(setting: Batch) -> None:
    mask = torch.full_like(setting.mask if setting.mask is not None else torch.empty(0), 2.0)
    mask[:, 3] = 0.0
    found = gradients(setting, mask)
    assert found["dh"][:, 3].eq(0).all() and found["dW2"][3].eq(0).all()
    assert found["dW1"][:, 3].eq(0).all() and found["dbngain"][0, 3] == 0
    assert found["dW2"][4].ne(0).any() and found["dW1"][:, 4].ne(0).any()


def test_a_mask_of_ones_changes_no_bit(setting: Batch) -> None:
    assert setting.mask is not None
    plain, dropped = gradients(setting, None), gradients(setting, torch.ones_like(setting.mask))
    assert set(dropped) - set(plain) == {"dhdrop"}
    for name, gradient in plain.items():
        assert torch.equal(gradient, dropped[name])
