"""A broken rule is blamed by name, and what lies below it is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.gradcheck import reference as references
from makemore_bp.gradcheck.batch import Batch
from makemore_bp.gradcheck.judge import TensorReport, judge
from makemore_bp.gradcheck.reference import Reference
from makemore_bp.network import passes
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import LECTURE_ORDER, Network
from makemore_bp.network.stage import call, run_backward

RULES = {rule.__name__: rule for rule in Network().rules}
# Their true value is zero, so scaling what rounding leaves of them is no mistake.
ZERO = {"dlogit_maxes", "db1"}


@pytest.fixture(scope="module")
def reference() -> Reference:
    g, g_batchnorm = generators(2147483647)
    parameters = initialise(Sizes(27, n_hidden=64), g, g_batchnorm)
    Xb = torch.randint(0, 27, (33, 3), generator=g)
    Yb = torch.randint(0, 27, (33,), generator=g)
    return references.reference(Batch(Network(), parameters, Xb, Yb))


def judged(reference: Reference, gradients: dict[str, Tensor]) -> dict[str, TensorReport]:
    return {report.name: report for report in judge(gradients, reference, Network().rules)}


def pass_with(
    reference: Reference, name: str, mistake: Callable[[Tensor], Tensor]
) -> dict[str, Tensor]:
    """Our own pass with one rule's result spoilt, on which everything below goes on."""
    known, gradients = dict(reference.record), {}
    for rule_name, rule in RULES.items():
        value = call(rule, known)
        gradients[rule_name] = known[rule_name] = mistake(value) if rule_name == name else value
    return gradients


@pytest.mark.parametrize("name", [name for name in RULES if name not in ZERO])
@pytest.mark.parametrize(
    "mistake", [lambda t: -t, lambda t: 1.01 * t, lambda t: t + 0.01 * t.abs().max()],
    ids=["sign", "one per cent", "an offset"],
)  # fmt: skip
def test_one_wrong_rule_is_wrong_and_all_else_is_right_or_inherits(
    reference: Reference, name: str, mistake: Callable[[Tensor], Tensor]
) -> None:
    reports = judged(reference, pass_with(reference, name, mistake))
    assert [r.name for r in reports.values() if r.status == "wrong"] == [name[1:]]
    others = {r.status for r in reports.values() if r.name != name[1:]}
    assert others <= {"exact", "close", "inherits"}


def test_what_lies_above_a_mistake_stays_exact(reference: Reference) -> None:
    reports = judged(reference, pass_with(reference, "dhpreact", lambda t: 2 * t))
    above = LECTURE_ORDER[: LECTURE_ORDER.index("hpreact")]
    assert all(reports[name].status == "exact" for name in above)
    assert reports["C"].status == reports["W1"].status == "inherits"


def test_two_mistakes_are_both_blamed(reference: Reference) -> None:
    gradients = pass_with(reference, "dh", lambda t: 1.5 * t)
    gradients["dW1"] = -gradients["dW1"]
    reports = judged(reference, gradients)
    assert [r.name for r in reports.values() if r.status == "wrong"] == ["h", "W1"]


def test_a_shape_is_blamed_with_what_was_expected_and_what_came(reference: Reference) -> None:
    gradients = run_backward(Network().rules, reference.record)
    gradients["dbngain"] = gradients["dbngain"].squeeze(0)
    report = judged(reference, gradients)["bngain"]
    assert (report.status, report.shape, report.got) == ("shape", (1, 64), (64,))
    plain = report.as_json()
    assert plain["got"] == [64] and plain["expected_shape"] == [1, 64]


def test_a_gradient_that_is_not_there_is_missing(reference: Reference) -> None:
    gradients = run_backward(Network().rules, reference.record)
    del gradients["dbnvar"]
    assert judged(reference, gradients)["bnvar"].status == "missing"


def test_a_nan_is_wrong_and_has_no_distance(reference: Reference) -> None:
    gradients = run_backward(Network().rules, reference.record)
    gradients["dW2"] = gradients["dW2"].clone()
    gradients["dW2"][0, 0] = torch.nan
    report = judged(reference, gradients)["W2"]
    assert report.status == "wrong" and report.max_abs_diff is None


def without_bessel(bndiff2: Tensor, dbnvar: Tensor, n: int) -> Tensor:
    return 1 / n * torch.ones_like(bndiff2) * dbnvar


@pytest.mark.parametrize(
    ("kind", "way", "rule", "name"),
    [
        ("batchnorm", "op-by-op", without_bessel, "dbndiff2"),
        ("cross_entropy", "op-by-op", lambda logprobs: 0.01 * logprobs, "dlogprobs"),
        ("cross_entropy", "fused", lambda logprobs: logprobs.exp(), "dlogits"),
        ("batchnorm", "fused", lambda bngain, dhpreact: bngain * dhpreact, "dhprebn"),
    ],
)
def test_a_broken_backward_makes_gradcheck_exit_1_and_name_the_tensor(
    cli: Any,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    way: str,
    rule: Callable[..., Tensor],
    name: str,
) -> None:
    rule.__name__ = name
    stage = passes.CHOICES[kind][way]
    rules = tuple(rule if right.__name__ == name else right for right in stage.backward)
    monkeypatch.setitem(passes.CHOICES[kind], way, replace(stage, backward=rules))
    option = f"--{kind}".replace("_", "-")
    result = cli("gradcheck", option, way, "--samples", 0, "--json")
    assert result.code == 1
    found = json.loads(result.out)
    assert not found["passed"]
    assert [t["name"] for t in found["tensors"] if t["status"] == "wrong"] == [name[1:]]
    assert f"{name[1:]} " in cli("gradcheck", option, way, "--samples", 0).out
    differences = json.loads(cli("gradcheck", option, way, "--json").out)["finite_differences"]
    assert name[1:] in [d["name"] for d in differences if not d["passed"]]


def test_a_pass_whose_forward_pass_is_off_is_told_so_and_no_gradient_is_blamed(
    cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = TorchEngine.gradients

    def without_the_bias(engine: TorchEngine, indices: Tensor) -> dict[str, Tensor]:
        engine.parameters()["b2"].zero_()
        return own(engine, indices)

    monkeypatch.setattr(TorchEngine, "gradients", without_the_bias)
    result = cli("gradcheck", "--samples", 0, "--json")
    found = json.loads(result.out)
    assert result.code == 1 and not found["passed"] and not found["forward_is_right"]
    assert found["own_loss"] != found["loss"]
    assert {tensor["status"] for tensor in found["tensors"]} <= {"exact", "close", "inherits"}
    assert "The forward pass is off" in cli("gradcheck", "--samples", 0).out
