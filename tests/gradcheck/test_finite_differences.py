"""The reference that owes nothing to autograd."""

from __future__ import annotations

import math

import pytest
import torch

from makemore_bp.gradcheck.cases import ALL, SWITCHES
from makemore_bp.gradcheck.finite_differences import compare, finite_differences, slope
from makemore_bp.network.passes import LECTURE_ORDER, Network
from tests.works import network


@pytest.mark.parametrize("switches", SWITCHES)
def test_every_gradient_agrees_and_an_error_of_a_thousandth_could_not_hide(
    switches: tuple[str, str],
) -> None:
    batch = ALL["default"].build(torch.float32, network(switches))
    reports = finite_differences(batch, samples=6)
    assert [report.name for report in reports if not report.passed] == []
    assert all(report.entries for report in reports)
    zero_in_truth = {"logit_maxes", "b1"}
    assert all(r.resolution < 1e-3 for r in reports if r.name not in zero_in_truth)


@pytest.mark.parametrize("name", ["batch-of-2", "ties", "saturated-tanh", "logits-near-80"])
def test_hard_cases_agree_too(name: str) -> None:
    reports = finite_differences(ALL[name].build(torch.float64, Network()), samples=3)
    assert [report.name for report in reports if not report.passed] == []


@pytest.mark.parametrize("name", [n for n in LECTURE_ORDER if n not in ("logit_maxes", "b1")])
def test_a_gradient_that_is_off_by_a_thousandth_is_found(name: str) -> None:
    s = ALL["default"].build(torch.float64, Network())
    record = s.network.forward(s.parameters, s.Xb, s.Yb)
    gradient = s.network.backward(record)["d" + name]
    assert compare(name, s.network, record, gradient, samples=8).passed
    assert not compare(name, s.network, record, 1.001 * gradient, samples=8).passed


def test_a_kink_is_recognised_and_not_judged() -> None:
    assert slope(abs, 1.0, 1.0).kink
    assert slope(lambda x: max(x, 0.3 * x), 1.0, 1.0).kink


@pytest.mark.parametrize(
    ("function", "derivative"),
    [(math.sin, 1.0), (math.exp, 1.0), (lambda x: 3 * x + 1, 3.0), (lambda x: x**2, 0.0)],
)
def test_a_smooth_function_has_no_kink_and_the_error_is_what_is_said(
    function: object, derivative: float
) -> None:
    found = slope(function, 1.0, 1.0)  # type: ignore[arg-type]
    assert not found.kink
    assert abs(found.value - derivative) <= 8 * found.error + 1e-12


def test_where_a_logit_ties_for_the_maximum_the_loss_has_a_slope_all_the_same() -> None:
    """The branch through the maximum has a kink there; the loss, in which it cancels, has none."""
    s = ALL["ties"].build(torch.float64, Network())
    record = s.network.forward(s.parameters, s.Xb, s.Yb)
    assert bool((record["logits"][:, 0] == record["logit_maxes"][:, 0]).all())
    gradient = s.network.backward(record)["dlogits"]
    report = compare("logits", s.network, record, gradient, samples=60)
    assert report.passed and report.kinks == 0
