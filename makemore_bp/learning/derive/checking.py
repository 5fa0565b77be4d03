"""A file with a forward pass of its own, judged: every gradient against autograd on the file's own
tensors, each mistake blamed once, and named where one change to the learner's line explains it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from makemore_bp.errors import RequestError
from makemore_bp.gradcheck.judge import Status, TensorReport, ulp_distance
from makemore_bp.learning.derive.conventions import Gradient, find_gradients, find_losses
from makemore_bp.learning.derive.local_truth import LocalTruth, Measured
from makemore_bp.learning.derive.named_truth import NamedTruth
from makemore_bp.learning.derive.naming import settle_names
from makemore_bp.learning.derive.program import Program, Variable
from makemore_bp.learning.derive.reading import Forward
from makemore_bp.learning.derive.replay import Replay
from makemore_bp.learning.derive.suspicion import Suspicion
from makemore_bp.learning.diagnosis.kinds import Diagnosis

RIGHT = ("exact", "close")


@dataclass(frozen=True)
class Finding:
    """One gradient: how it stands, where it was made, and what is wrong."""

    gradient: Gradient
    report: TensorReport
    diagnosis: Diagnosis | None = None
    note: str | None = None

    @property
    def status(self) -> str:
        return str(self.report.status)

    def as_json(self) -> dict[str, Any]:
        """As gradcheck gives it for the lecture's network, with the line."""
        told = self.report.as_json() | {"gradient": self.gradient.shown, "line": self.line}
        return told | ({"note": self.note} if self.note else {})

    @property
    def line(self) -> int:
        """The line that gave the gradient its last value."""
        return self.gradient.final.line


@dataclass(frozen=True)
class OwnCheck:
    """What is to be said of a file with a forward pass of its own.

    findings: in the order of the file's backward pass; notes: what could not be followed; error:
    why the file did not come to its end.
    """

    loss: Variable
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    error: str | None = None

    @property
    def reports(self) -> tuple[TensorReport, ...]:
        return tuple(finding.report for finding in self.findings)

    @property
    def right(self) -> tuple[str, ...]:
        """The tensors whose gradients are right."""
        return tuple(f.report.name for f in self.findings if f.status in RIGHT)

    @property
    def passed(self) -> bool:
        """Whether the file came to its end and every gradient in it is right."""
        return self.error is None and len(self.right) == len(self.findings) > 0

    def as_json(self) -> dict[str, Any]:
        """The check as plain data, in the manner of ``gradcheck --json``."""
        return {
            "passed": self.passed,
            "loss": float(self.loss.value.reshape(())),
            "tensors": [finding.as_json() for finding in self.findings],
            "found": self.found,
            "notes": list(self.notes),
            "error": self.error,
        }

    @property
    def found(self) -> str:
        """Which loss and which gradients were found, in a sentence."""
        pairs = ", ".join(f"{f.gradient.shown} of {f.report.name}" for f in self.findings)
        return f"The loss is {self.loss.name} (line {self.loss.line}); gradients: {pairs}."


def check_program(
    program: Program,
    loss: str | None = None,
    said: Mapping[str, str] | None = None,
    error: str | None = None,
) -> OwnCheck:
    """Judges what a run has recorded; ``said`` gives tensors by their gradients' names.

    Raises RequestError if there is no loss, or no gradient of anything that it depends on.
    """
    return _Check(program, loss, said, error).result()


class _Check:
    def __init__(
        self, program: Program, loss: str | None, said: Mapping[str, str] | None, error: str | None
    ) -> None:
        self.program, self.error = program, error
        losses = find_losses(program, loss)
        self.gradients = _first_rounds(find_gradients(program, losses, said))
        if not self.gradients:
            raise RequestError(
                "No gradient was found in the file: no tensor is called like one of what {loss} "
                "depends on. Write the first one, such as d{example}, or say which belongs to "
                "which with --gradient dz=z.",
                loss=losses[-1].hint,
                example=_example(program, losses[-1]),
            )
        self.losses = list(dict.fromkeys(gradient.loss for gradient in self.gradients))
        self.forward = {loss: self._behind(loss) for loss in self.losses}
        settle_names(program, dict.fromkeys(v for loss in self.losses for v in self.forward[loss]))
        self.truths = {loss: LocalTruth(program, loss, every=True) for loss in self.losses}
        self.named: dict[Variable, NamedTruth] = {}
        self._pair()
        self.gradients = list(self._joined())
        self.gradients = list(self._in_use())
        self.given = {g: _like(self._true(g).value, g.final.value) for g in self.gradients}

        self._settle()

    def result(self) -> OwnCheck:
        findings: list[Finding] = []
        suspected: set[object] = set()
        for gradient in sorted(self.gradients, key=lambda g: g.states[0].time):
            finding = self._finding(gradient, suspected)
            findings.append(finding)
        reads = dict.fromkeys(v for f in self.forward.values() for v in f)
        notes = [*self.program.notes, *(v.note for v in reads if v.note is not None)]
        return OwnCheck(self.losses[-1], tuple(findings), tuple(notes), self.error)

    def _behind(self, loss: Variable) -> dict[Variable, None]:
        steps = self.program.steps_to(loss)
        return dict.fromkeys(v for step in steps for v in (*step.reads, step.result))

    def _true(self, gradient: Gradient) -> Measured:
        return self.truths[gradient.loss].measured(gradient.of)

    def _pair(self) -> None:
        """Gradients of one name in a loop, and the tensors of one name that they belong to: those
        that agree, and of the rest the first gradient to the last tensor."""
        groups: dict[tuple[Any, ...], list[Gradient]] = {}
        for gradient in self.gradients:
            key = gradient.name, gradient.scope, gradient.loss
            groups.setdefault(key, []).append(gradient)
        for group in groups.values():
            free = list(dict.fromkeys(v for g in group for v in g.others))[::-1]
            left = []
            for gradient in group:
                truth = self.truths[gradient.loss]
                fits = [
                    v for v in free if v in truth.gradients and _fits(truth.measured(v), gradient)
                ]
                if fits:
                    gradient.of = fits[0]
                    free.remove(fits[0])
                else:
                    left.append(gradient)
            for gradient, variable in zip(left, [v for v in free if _hands(self, v)], strict=False):
                gradient.of = variable

    def _joined(self) -> Iterator[Gradient]:
        """Without gradients that are only on their way: ``dscores = dscores / n`` goes on from the
        one before it, and so does a result that a function divides as it returns it. What goes on
        from a gradient that is right already is a helper of the next."""
        left_out: set[Gradient] = set()
        for later in self.gradients:
            for earlier in self.gradients:
                step = later.states[0].step
                if earlier is later or earlier.of is not later.of or step is None:
                    continue
                if earlier.final in step.reads:
                    right = _fits(self._true(earlier), earlier)
                    if not right:
                        later.states = [*earlier.states, *later.states]
                        left_out.add(earlier)
                    elif earlier.name == later.name:
                        left_out.add(later)
        return (gradient for gradient in self.gradients if gradient not in left_out)

    def _in_use(self) -> Iterator[Gradient]:
        """Without those that are wrong and lost: nothing reads them before the name is given to
        another, as in ``dW = x.T @ dz`` and then ``dW = penalty`` for ``+=``."""
        read = {v for x in self.program.variables if x.step is not None for v in x.step.reads}
        last = {(g.name, g.scope, g.of): g for g in self.gradients}
        for gradient in self.gradients:
            lost = last[gradient.name, gradient.scope, gradient.of] is not gradient
            if not lost or gradient.final in read or _fits(self._true(gradient), gradient):
                yield gradient

    def _finding(self, gradient: Gradient, suspected: set[object]) -> Finding:
        true = self._true(gradient)
        report, note = _measured(gradient, true)
        if report.status in RIGHT:
            return Finding(gradient, report, note=note)
        replayed = self._replay(gradient)
        again = self._replay(gradient, latest=True)
        if self._follows(replayed, true) or self._follows(again, true):
            return Finding(gradient, replace(report, status=Status.INHERITS), note=note)
        statement = gradient.final.step.statement if gradient.final.step else None
        if replayed.helpers() & suspected or (statement is not None and statement in suspected):
            return Finding(gradient, replace(report, status=Status.INHERITS), note=note)
        truth = self.truths[gradient.loss]
        alike = [self._replay(g) for g in self.gradients if _made_alike(g, gradient)]
        told = Suspicion(
            self.program, replayed, truth, self.gradients, self._named(gradient.loss), alike
        ).diagnosis()
        if (told.line, told.kind) in suspected:
            return Finding(gradient, replace(report, status=Status.INHERITS), note=note)
        suspected |= {*replayed.helpers(), (told.line, told.kind), statement}
        return Finding(gradient, replace(report, diagnosis=told.as_json()), told, note)

    def _settle(self) -> None:
        """Gradients of one name in a loop that are wrong belong to the tensors whose gradients they
        would be, were all that flows in right."""
        for gradient in self.gradients:
            truth = self.truths[gradient.loss]
            if len(gradient.others) < 2 or _fits(self._true(gradient), gradient):
                continue
            belongs = gradient.of
            for variable in (v for v in gradient.others if v in truth.gradients):
                gradient.of = variable
                if self._follows(self._replay(gradient), self._true(gradient)):
                    break
            else:
                gradient.of = belongs

    def _replay(self, gradient: Gradient, latest: bool = False) -> Replay:
        """Where two gradients are one tensor, it is the true one of the first; or of the last."""
        forward = set(self.forward[gradient.loss])
        given = {
            g.final: self.given[g]
            for g in sorted(self.gradients, key=_since, reverse=not latest)
            if g.of is not gradient.of
            and (g.final is not gradient.final or _since(g) < _since(gradient))
        }
        return Replay(self.program, gradient, given, forward)

    def _named(self, loss: Variable) -> NamedTruth:
        if loss not in self.named:
            self.named[loss] = NamedTruth(Forward(self.program, loss, self.truths[loss]))
        return self.named[loss]

    def _follows(self, replayed: Replay, true: Measured) -> bool:
        """Whether the gradient's statements are right where what flows into them is."""
        try:
            value = replayed.value()
        except Exception:
            return any(self._misshapen(replayed))
        return true.allows(_as(value, true.value))

    def _misshapen(self, replayed: Replay) -> Iterator[bool]:
        """For each gradient that flows in, whether its shape is another than its tensor's."""
        read = {v for step in replayed.steps for v in step.reads}
        for gradient in self.gradients:
            if gradient.final in read and gradient is not replayed.gradient:
                yield gradient.final.value.shape != gradient.of.value.shape


def _since(gradient: Gradient) -> int:
    """When the gradient's value got this name."""
    times = [b.time for b in gradient.final.bindings if b.name == gradient.name]
    return min(times, default=gradient.final.time)


def _made_alike(one: Gradient, other: Gradient) -> bool:
    """Whether two gradients are made by one statement, in two rounds of a loop or two calls."""
    if one is other or one.loss is not other.loss or one.of is other.of:
        return False
    made, also = one.final.step, other.final.step
    if made is None or also is None or made.moment is also.moment:
        return False
    return made.statement is not None and made.statement is also.statement


def _hands(check: _Check, variable: Variable) -> bool:
    return any(variable in truth.gradients for truth in check.truths.values())


def _fits(measured: Measured, gradient: Gradient) -> bool:
    return measured.allows(_as(gradient.final.value, measured.value))


def _as(value: Tensor, true: Tensor) -> Tensor:
    """A gradient with the leading axes of length 1 that it lacks, as the lecture's dbnmeani."""
    missing = true.dim() - value.dim()
    lacks = missing > 0 and value.dim() > 0 and value.shape == true.shape[missing:]
    ones = all(length == 1 for length in true.shape[: max(missing, 0)])
    return value.reshape(true.shape) if lacks and ones else value


def _like(true: Tensor, own: Tensor) -> Tensor:
    """The true gradient without the axes of length 1 in front that the file's own lacks."""
    return true.reshape(own.shape) if _as(own, true).shape == true.shape else true


def _measured(gradient: Gradient, true: Measured) -> tuple[TensorReport, str | None]:
    name, shape = gradient.of.name, tuple(true.value.shape)
    final = gradient.final.value
    got = _as(final, true.value).to(true.value.dtype)
    note = None
    if got.shape != final.shape:
        note = (
            f"{gradient.shown} has the shape {tuple(final.shape)} where {gradient.of.hint} has "
            f"{shape}; broadcasting makes up for it."
        )
    if got.shape != true.value.shape:
        return TensorReport(name, shape, Status.SHAPE, got=tuple(got.shape)), note
    exact = bool(((got == true.value) | (got.isnan() & true.value.isnan())).all())
    close = exact or true.allows(got)
    difference = (got.double() - true.value.double()).abs()
    finite = bool(difference.isfinite().all()) and difference.numel() > 0
    largest = float(difference.max()) if finite else None
    steps = int(ulp_distance(got, true.value).max()) if finite and _plain(got.dtype) else None
    status = Status.EXACT if exact else Status.CLOSE if close else Status.WRONG
    return TensorReport(name, shape, status, exact, close, largest, steps), note


def _plain(dtype: torch.dtype) -> bool:
    return dtype in (torch.float32, torch.float64)


def _first_rounds(gradients: list[Gradient]) -> list[Gradient]:
    """Of a training loop, in which every round has a loss of its own, the first round."""
    seen: dict[tuple[str, int, int], Variable] = {}
    return [
        gradient
        for gradient in gradients
        if seen.setdefault((gradient.name, gradient.scope, gradient.states[0].line), gradient.loss)
        is gradient.loss
    ]


def _example(program: Program, loss: Variable) -> str:
    reads = [v.hint for step in program.steps_to(loss) for v in step.reads if v.differentiable]
    return reads[-1] if reads else "x"
