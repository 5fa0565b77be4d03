"""One check of a whole backward pass: run it, judge it, and say whether it passed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from makemore_bp import threads
from makemore_bp.gradcheck.batch import Batch
from makemore_bp.gradcheck.judge import SAFETY, Status, TensorReport, agree, judge
from makemore_bp.gradcheck.reference import Reference, reference
from makemore_bp.gradcheck.running_error import loss_error


@dataclass(frozen=True)
class Check:
    """What there is to say of a pass.

    passed: whether the loss is right and every gradient that was computed exact or close; loss: the
    batch's; own_loss: the one that the pass itself computed, None if it told none; tensors: the
    reports, in the lecture's order. Where own_loss is another loss, the forward pass is off: no
    gradient is blamed, and what is not right inherits.
    """

    passed: bool
    loss: float
    own_loss: float | None
    forward_is_right: bool
    tensors: tuple[TensorReport, ...]

    def as_json(self) -> dict[str, Any]:
        """The check as plain data."""
        tensors = [report.as_json() for report in self.tensors]
        plain = {"passed": self.passed, "loss": self.loss, "tensors": tensors}
        return plain | {"own_loss": self.own_loss, "forward_is_right": self.forward_is_right}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Check:
        """The check that ``as_json`` made this of."""
        return cls(**{**plain, "tensors": tuple(map(TensorReport.from_json, plain["tensors"]))})


def check(batch: Batch, gradients: Mapping[str, Tensor] | None = None) -> Check:
    """Judges the network's own pass on a batch, or another pass's ``gradients``, by name (``dC``,
    ..., and ``loss``), such as an engine's. Only what was computed is listed."""
    with threads.for_numbers(len(batch.Xb) * max(batch.parameters["W2"].shape)):
        return _check(batch, gradients)


def _check(batch: Batch, gradients: Mapping[str, Tensor] | None) -> Check:
    if gradients is None:
        record = batch.forward()
        gradients = {**batch.backward(record), "loss": record["loss"]}
    true = reference(batch)
    reports = judge(gradients, true, batch.network.rules)
    computed = tuple(report for report in reports if report.status is not Status.MISSING)
    own_loss = gradients.get("loss")
    right = own_loss is None or _same_loss(own_loss, true)
    if not right:
        computed = tuple(_not_blamed(report) for report in computed)
    return Check(
        right and all(report.passed for report in computed),
        float(true.record["loss"]),
        None if own_loss is None else float(own_loss),
        right,
        computed,
    )


def worst(checks: Iterable[str]) -> Check:
    """Of each tensor the report that is worst, from checks of one batch, each as JSON text."""
    found = [Check.from_json(json.loads(text)) for text in checks]
    columns = zip(*(one.tensors for one in found), strict=True)
    first = next((one for one in found if not one.forward_is_right), found[0])
    reports = tuple(max(column, key=TensorReport.badness) for column in columns)
    return replace(first, passed=all(one.passed for one in found), tensors=reports)


def _same_loss(own: Tensor, true: Reference) -> bool:
    tolerance = SAFETY * loss_error(true.network, true.record)
    return agree(own.detach().cpu().reshape(()), true.record["loss"].cpu(), tolerance.cpu())


def _not_blamed(report: TensorReport) -> TensorReport:
    return report if report.passed else replace(report, status=Status.INHERITS)
