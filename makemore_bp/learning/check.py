"""A learner's file from beginning to end: run it, judge it, say what is wrong and what is next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from makemore_bp.gradcheck.batch import Batch
from makemore_bp.gradcheck.judge import Status, TensorReport, judge
from makemore_bp.gradcheck.reference import Reference
from makemore_bp.gradcheck.reference import reference as autograd_reference
from makemore_bp.learning.diagnosis import Finding, examine
from makemore_bp.learning.scope import Scope, scope_of
from makemore_bp.learning.script import TIMEOUT, LearnerResult, run_learner
from makemore_bp.network.passes import Network

RIGHT = ("exact", "close")


@dataclass(frozen=True)
class LearnerCheck:
    """What is to be said of a learner's file.

    reports: of every gradient that is expected or defined, in the lecture's order, with its final
    status and diagnosis; findings: the same by the report's name, with the reason why one is close.
    """

    result: LearnerResult
    scope: Scope
    reports: tuple[TensorReport, ...]
    findings: Mapping[str, Finding]

    def as_json(self) -> dict[str, Any]:
        """The check as plain data: what gradcheck gives for any pass, and what a script adds."""
        result = self.result
        tensors = [r.as_json() | _said(self.findings[r.name]) for r in self.reports]
        return {
            "passed": self.passed,
            "loss": float(result.record["loss"]),
            "tensors": tensors,
            "exercise": self.scope.exercise,
            "next": self.next,
            "error": result.error.as_json() if result.error is not None else None,
            "timed_out": result.timed_out,
            "too_much_output": result.too_much_output,
            "lent": list(result.lent),
            "hidden_in_functions": list(result.hidden),
            "unknown": list(result.unknown),
            "changed": [{"name": name, "line": m.line} for name, m in result.mutated.items()],
            "notes": list(result.notes),
            "output": result.output,
        }

    @property
    def right(self) -> tuple[str, ...]:
        """The expected tensors whose gradients are right."""
        return tuple(name for name in self.scope.expected if self.findings[name].status in RIGHT)

    @property
    def next(self) -> str | None:
        """The first expected gradient that is not defined yet, such as ``dlogprobs``."""
        return self.scope.next(self.result.gradients)

    @property
    def passed(self) -> bool:
        """Whether the script came to its end and every expected gradient is right."""
        return self.result.error is None and len(self.right) == len(self.scope.expected)


def check_learner(
    path: Path,
    parameters: Mapping[str, Tensor],
    Xb: Tensor,
    Yb: Tensor,
    timeout: float = TIMEOUT,
    reference: Reference | None = None,
) -> LearnerCheck:
    """Runs and judges the file at ``path`` on a batch Xb (n, block_size), Yb (n).

    Raises RequestError if the file cannot be read.
    """
    reference = reference or autograd_reference(Batch(Network(), parameters, Xb, Yb))
    result = run_learner(path, parameters, Xb, Yb, timeout, reference)
    scope = scope_of(result.gradients, result.source)
    reports = [
        report
        for report in judge(result.gradients, reference, scope.rules)
        if report.name in scope.expected or report.status != "missing"
    ]
    findings = examine(
        reports,
        result.gradients,
        reference.gradients,
        result.record,
        scope.rules,
        result.evidence,
    )
    final = tuple(_with(report, findings[report.name]) for report in reports)
    return LearnerCheck(result, scope, final, findings)


def _with(report: TensorReport, finding: Finding) -> TensorReport:
    diagnosis = finding.diagnosis.as_json() if finding.diagnosis is not None else None
    return replace(report, status=Status(finding.status), diagnosis=diagnosis)


def _said(finding: Finding) -> dict[str, str]:
    said = {"why_close": finding.why_close, "unfinished": finding.unfinished}
    return {key: text for key, text in said.items() if text is not None}
