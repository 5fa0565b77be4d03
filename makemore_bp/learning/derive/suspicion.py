"""What is wrong with a gradient whose own statements are at fault, in a sentence.

A hypothesis counts only if it makes the gradient the true one, on the file's own tensors and once
more where the gradients that flow in are replaced by random ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch

from makemore_bp.learning.derive.changed import (
    SLOPES,
    first,
    product,
    reading,
    shown,
)
from makemore_bp.learning.derive.conventions import Gradient
from makemore_bp.learning.derive.local_truth import LocalTruth, Measured
from makemore_bp.learning.derive.program import (
    Program,
    Step,
)
from makemore_bp.learning.derive.replay import Replay
from makemore_bp.learning.derive.search import Search, Suspicion


def explained(
    program: Program,
    replay: Replay,
    true: Measured,
    truth: LocalTruth,
    gradients: Sequence[Gradient],
) -> Suspicion:
    """The likeliest mistake in the statements of a gradient."""
    return _Case(program, replay, true, truth, gradients).told()


class _Case(Search):
    def told(self) -> Suspicion:
        for hypothesis in (
            self._aliased,
            self._too_early,
            self._overwritten,
            self._branches,
            self._exchanged,
            self._slipped,
            self._for_another,
            self._factor_missing,
            self._multiple,
        ):
            found = hypothesis()
            if found is not None:
                return found
        return self._unknown()

    def _aliased(self) -> Suspicion | None:
        """The gradient was right until a statement changed it under another name."""
        bindings = [b for v in self.own.states for b in v.bindings if b.name == self.own.name]
        for before, after in zip(self.own.states, self.own.states[1:], strict=False):
            accident = [b for b in bindings if b in after.bindings and not b.own]
            if accident and self._fits(self._value({}, before)):
                said = (
                    f"Line {after.line} ({first(accident[0].source)}) changes {self.own.shown} as "
                    "well: it works in place, on the same memory. Assigning a tensor to a second "
                    "name makes no copy; .clone() does."
                )
                return self._say("aliased", said, after.line)
        return None

    def _too_early(self) -> Suspicion | None:
        """A gradient was read before it was complete."""
        for other in self.gradients:
            for state in other.states[:-1]:
                readers = [step for step in self.replay.steps if state in step.reads]
                if other is self.own or not readers:
                    continue
                changed = {step: reading(step, state, other.final) for step in readers}
                if self._fits(self._value(changed)):
                    said = (
                        f"It is computed from {other.shown} as it was on line {state.line}, before "
                        f"{other.shown} was complete (line {other.final.line})."
                    )
                    return self._say("wrong-input", said, readers[0].line)
        return None

    def _branches(self) -> Suspicion | None:
        """One of several branches is missing, or counted twice."""
        value = self._value({})
        if value is None or value.shape != self.true.value.shape or len(self.terms) < 2:
            return None
        for count in range(1, len(self.terms)):
            for missing in combinations(self.terms, count):
                part = torch.stack([self.terms[step] for step in missing]).sum(0)
                if self._fits(value + part):
                    return self._say("missing-term", self._branch_said(missing, "is missing"))
                if self._fits(value - part):
                    return self._say("extra-term", self._branch_said(missing, "is added twice"))
                if self._fits(value + 2 * part):
                    said = self._branch_said(missing, "has the wrong sign")
                    return self._say("sign", said)
        return None

    def _branch_said(self, steps: Sequence[Step], what: str) -> str:
        lines = " and ".join(f"line {step.line} ({shown(step)})" for step in steps)
        return (
            f"{self.own.of.hint} is read by {len(self.terms)} lines, and what {lines} hands back "
            f"{what}."
        )

    def _overwritten(self) -> Suspicion | None:
        """What earlier rounds or lines brought was lost by = where += was meant."""
        key = self.own.name, self.own.of
        rounds = [other.final.value for other in self.gradients if (other.name, other.of) == key]
        alike = len(rounds) > 1 and len({tuple(each.shape) for each in rounds}) == 1
        if not alike or not self._fits(torch.stack(rounds).sum(0)):
            return None
        said = f"{self.own.shown} is assigned (=) where it must be added to (+=)."
        return self._say("overwritten", said, self.own.states[0].line)

    def _exchanged(self) -> Suspicion | None:
        """Two gradients of one shape changed places."""
        other = self._other()
        if other is None or self.truth.measured(other.of).allows(other.final.value):
            return None
        said = f"{self.own.shown} is what {other.shown} must be; the two are exchanged."
        return self._say("exchanged", said)

    def _for_another(self) -> Suspicion | None:
        """What is made here is the gradient of another tensor."""
        other = self._other()
        if other is None:
            return None
        said = f"This is the gradient of {other.of.hint}, not of {self.own.of.hint}."
        return self._say("wrong-input", said)

    def _other(self) -> Gradient | None:
        """The gradient that what is made here would be right for."""
        value = self._value({})
        for other in self.gradients if value is not None else ():
            true = self.truth.gradients.get(other.of)
            if true is None or other.of is self.own.of or true.shape != self.true.value.shape:
                continue
            if self.truth.measured(other.of).allows(value):  # type: ignore[arg-type]
                return other
        return None

    def _factor_missing(self) -> Suspicion | None:
        """A slope or a factor is missing, or there twice."""
        value = self._value({})
        if value is None:
            return None
        readers = [step for step in self.truth.steps if self.own.of in step.depends]
        near = dict.fromkeys(v for step in readers for v in (step.result, *step.reads))
        for variable in near:
            if not variable.differentiable:
                continue
            for template, slope in SLOPES.items():
                factor = slope(variable.value)
                said = template.format(x=variable.hint)
                if self._fits(product(value, factor)):
                    return self._say("missing-factor", f"The factor {said} is missing.")
                if self._fits(product(value, 1 / factor)):
                    return self._say("extra-factor", f"The factor {said} is too many.")
        return None

    def _multiple(self) -> Suspicion | None:
        value = self._value({})
        if value is None or value.shape != self.true.value.shape:
            return None
        own, true = value.double().flatten(), self.true.value.double().flatten()
        square = float(own @ own)
        factor = float(own @ true) / square if square else 0.0
        if factor and self._fits((value.double() * factor).to(value.dtype)):
            said = f"It is {1 / factor:.6g} times the true gradient."
            return self._say("factor", said)
        return None

    def _unknown(self) -> Suspicion:
        value = self.own.final.value
        if value.shape != self.true.value.shape:
            said = (
                f"{self.own.shown} is {tuple(value.shape)}, and {self.own.of.hint} is "
                f"{tuple(self.true.value.shape)}."
            )
            return self._say("unknown", said)
        return self._say(
            "unknown", "The kind of mistake is not one of those that can be recognised."
        )
