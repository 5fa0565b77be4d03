"""From the judge's reports on a learner's pass to what the learner is told.

The judge sees the final gradients only. Here the script's own history is put beside them: a
gradient that was right until a later statement reached its memory through another name is wrong
all the same (``aliased``), and what was computed from it before is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor

from makemore_bp.learning.diagnosis.compare import agrees, same_bits, scale
from makemore_bp.learning.diagnosis.evidence import Evidence, Version
from makemore_bp.learning.diagnosis.forms import rule_of
from makemore_bp.learning.diagnosis.rounding import ZERO, why_close
from makemore_bp.learning.diagnosis.verdict import Diagnosis, diagnose, idea
from makemore_bp.network.stage import Rule, call, reads


class Judged(Protocol):
    """What is needed of a judge's report."""

    @property
    def name(self) -> str: ...
    @property
    def status(self) -> str: ...


@dataclass(frozen=True)
class Finding:
    """The status of one gradient after the examination; for a wrong one its diagnosis, for a close
    one the reason why it is not exact, for one that is not finished (``missing``) what it lacks."""

    status: str
    diagnosis: Diagnosis | None = None
    why_close: str | None = None
    unfinished: str | None = None


def examine(
    reports: Sequence[Judged],
    gradients: Mapping[str, Tensor],
    reference: Mapping[str, Tensor],
    record: Mapping[str, Any],
    rules: Sequence[Rule],
    evidence: Evidence | None = None,
) -> dict[str, Finding]:
    """What to say of each reported gradient, by the report's name.

    ``gradients`` are the pass's own by dx, ``reference`` autograd's by tensor name, ``record`` the
    true op-by-op forward pass, ``rules`` what the pass is held to. A gradient that a rule reads and
    the pass does not define is taken from the reference, as the script itself got it.
    """
    examiner = _Examiner(
        dict(gradients),
        reference,
        record,
        {rule.__name__: rule for rule in rules},
        evidence or Evidence(),
    )
    return {report.name: examiner.finding(report.name, report.status) for report in reports}


@dataclass(frozen=True)
class _Examiner:
    gradients: dict[str, Tensor]
    reference: Mapping[str, Tensor]
    record: Mapping[str, Any]
    rules: Mapping[str, Rule]
    evidence: Evidence

    def finding(self, report: str, status: str) -> Finding:
        """The finding for one report, whose name is x or dx."""
        name = report if report in self.rules else "d" + report
        if name not in self.gradients or name not in self.rules or status in ("missing", "exact"):
            return Finding(status)
        before = self.evidence.before_alias(name)
        if before is not None and self._was_better(name, before):
            return self._aliased(name, before)
        if status in ("wrong", "shape") and self._follows_from_what_it_read(name):
            return Finding("inherits")
        if status in ("wrong", "shape"):
            diagnosis = self._diagnosed(name)
            lacks = self._lacks(name) if diagnosis.kind == "missing-term" else ()
            return self._unfinished(name, lacks) if lacks else Finding(status, diagnosis)
        if status != "close":
            return Finding(status)
        if name in ZERO:
            diagnosis = self._diagnose(name, self.gradients[name], exactly=True)
            if diagnosis.kind != "unknown":
                return Finding("wrong", diagnosis)
        given = self._handed()
        return Finding(
            status,
            why_close=why_close(name, given, self.reference, self.record, self.rules[name]),
        )

    def _lacks(self, name: str) -> tuple[str, ...]:
        """What a gradient still waits for: what its rule reads and the script has not come to, if
        the script does not use the unfinished gradient for another yet. A fused line is written at
        once and waits for nothing."""
        if self.rules[name] is not rule_of(name):
            return ()
        used = (d for d in self.gradients if d in self.rules and name in reads(self.rules[d]))
        known = self.reference.keys()
        lacks = (d for d in reads(self.rules[name]) if d[1:] in known and d not in self.gradients)
        return () if any(used) else tuple(lacks)

    def _unfinished(self, name: str, lacks: tuple[str, ...]) -> Finding:
        waits = " and ".join(lacks)
        text = f"{name} has one of its branches; the other comes from {waits}, not defined yet."
        return Finding("missing", unfinished=text)

    def _handed(self) -> dict[str, Tensor]:
        """Every gradient as the script could read it: its own, else autograd's; the two sums that
        fused batchnorm reads are computed from its own dhpreact where it does not define them."""
        handed = {"d" + name: gradient for name, gradient in self.reference.items()}
        handed |= self.gradients
        if "dhpreact" in self.gradients:
            for name in {"dbngain", "dbnbias"} - self.gradients.keys():
                value = self._by_rule(name, handed)
                handed |= {name: value} if value is not None else {}
        return handed

    def _by_rule(self, name: str, gradients: Mapping[str, Tensor]) -> Tensor | None:
        if name not in self.rules:
            return None
        try:
            value: Tensor = call(self.rules[name], {**self.record, **gradients})
        except (RuntimeError, IndexError, KeyError):
            return None  # a gradient of a wrong shape flows in
        return value

    def _as_read(self, name: str) -> dict[str, Tensor]:
        """What the statement that made ``name`` found, where later statements changed it by way of
        another name."""
        handed = self._handed()
        step = self.evidence.step(name)
        for read in reads(self.rules[name]):
            if step is None or self.evidence.before_alias(read) is None:
                continue
            version = self.evidence.as_read(read, step)
            if version is not None:
                handed[read] = version.tensor
        return handed

    def _follows_from_what_it_read(self, name: str) -> bool:
        given = self._as_read(name)
        value = self._by_rule(name, given)
        if value is not None:
            return agrees(value, self.gradients[name])
        # The rule cannot be tried: what flows in has shapes that do not fit together.
        inputs = (read for read in reads(self.rules[name]) if read in self.gradients)
        return any(given[read].shape != self.reference[read[1:]].shape for read in inputs)

    def _was_better(self, name: str, before: Version) -> bool:
        """Whether a gradient was nearer to its rule before it was changed under another name."""
        truth, after = self._by_rule(name, self._as_read(name)), self.gradients[name]
        if truth is None or before.tensor.shape != truth.shape or after.shape != truth.shape:
            return False
        return scale(before.tensor - truth) < scale(after - truth)

    def _aliased(self, name: str, before: Version) -> Finding:
        change = next(v for v in self.evidence.history[name] if v.step > before.step and not v.own)
        text = (
            f"Line {change.line} ({change.source.splitlines()[0].strip()}) changes {name} as well: "
            f"it works in place, on the memory of {name}. Assigning a tensor to a second name "
            "makes no copy; .clone() does."
        )
        diagnosis = Diagnosis("aliased", text, idea(name, self.rules[name]))
        truth = self._by_rule(name, self._as_read(name))
        if truth is not None and not agrees(before.tensor, truth):
            earlier = self._diagnose(name, before.tensor)
            if earlier.kind != "unknown":
                diagnosis = Diagnosis(earlier.kind, f"{earlier.text} {text}", earlier.hint)
        return Finding("wrong", diagnosis)

    def _diagnosed(self, name: str) -> Diagnosis:
        diagnosis = self._diagnose(name, self.gradients[name])
        if diagnosis.kind != "unknown":
            return diagnosis
        for pair in self.evidence.shared:
            for other in sorted(pair - {name}) if name in pair else ():
                if same_bits(self.gradients[name], self.gradients[other]):
                    text = (
                        f"{name} and {other} are one tensor under two names: what was added to "
                        f"{other} in place is in {name} as well. .clone() makes a copy."
                    )
                    return Diagnosis("aliased", text, diagnosis.hint)
        return diagnosis

    def _diagnose(self, name: str, tensor: Tensor, exactly: bool = False) -> Diagnosis:
        gradients = {**self._as_read(name), name: tensor}
        return diagnose(name, gradients, self.record, self.rules[name], self.evidence, exactly)
