"""What is wrong with a gradient whose own statements are at fault, in a sentence.

A hypothesis counts only if it makes the gradient the true one, on the file's own tensors and once
more where the gradients that flow in are replaced by random ones.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import torch
from torch import Tensor

from makemore_bp.learning.derive.changed import (
    SLOPES,
    filled,
    first,
    product,
    quiet,
    reading,
    shown,
    with_expression,
    with_index,
    words,
)
from makemore_bp.learning.derive.conventions import Gradient
from makemore_bp.learning.derive.local_truth import LocalTruth, Measured
from makemore_bp.learning.derive.program import (
    Program,
    Reference,
    Step,
    Variable,
)
from makemore_bp.learning.derive.replay import Replay
from makemore_bp.learning.derive.slips import Slip, slips

MOST = 4000  # changes that are tried for one gradient
_KINDS = {
    "sign": "the sign is wrong",
    "factor": "a factor is wrong",
    "reduction": "the sum is wrong",
    "transposed": "rows and columns are exchanged",
    "wrong-input": "another tensor is meant",
    "extra-factor": "a factor is too many",
    "extra-term": "a term is too many",
    "operation": "another operation is meant",
    "index": "another index is meant",
}


@dataclass(frozen=True)
class Suspicion:
    """kind, text: what is wrong; line: where; hint: what the forward lines say."""

    kind: str
    text: str
    line: int
    hint: str = ""

    def as_json(self) -> dict[str, str]:
        """In the form of gradcheck's diagnosis."""
        return {"kind": self.kind, "text": self.text, "hint": self.hint, "line": str(self.line)}


def explained(
    program: Program,
    replay: Replay,
    true: Measured,
    truth: LocalTruth,
    gradients: Sequence[Gradient],
) -> Suspicion:
    """The likeliest mistake in the statements of a gradient."""
    return _Case(program, replay, true, truth, gradients).told()


class _Case:
    def __init__(
        self,
        program: Program,
        replay: Replay,
        true: Measured,
        truth: LocalTruth,
        gradients: Sequence[Gradient],
    ) -> None:
        self.program, self.replay, self.true, self.truth = program, replay, true, truth
        self.gradients = gradients
        self.own = replay.gradient
        self.line = self.own.final.line
        readers = [step for step in truth.steps if self.own.of in step.depends]
        lines = "; ".join(f"line {step.line}: {shown(step)}" for step in readers)
        self.hint = f"{self.own.of.hint} is read by {lines}." if readers else ""
        self.terms = truth.terms(self.own.of, lambda variable: truth.gradients[variable]) \
            if len(readers) > 1 else {}  # fmt: skip
        self.left = MOST

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

    def _say(self, kind: str, said: str, line: int | None = None) -> Suspicion:
        return Suspicion(kind, said, line or self.line, self.hint)

    def _fits(self, value: Tensor | None) -> bool:
        return value is not None and self.true.allows(value)

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

    def _slipped(self) -> Suspicion | None:
        """One change to one of the statements makes the gradient true."""
        seen: set[Step] = set()
        for step in reversed(self.replay.steps):
            if step in seen:
                continue
            rounds = [
                s for s in self.replay.steps if s.line == step.line and s.source == step.source
            ]
            seen |= set(rounds)
            tried = (
                slips(
                    each.expression,
                    self._sizes(),
                    partial(self._alike, each),
                    self._slopes(each),
                    self._factors,
                    place,
                )
                for place, each in enumerate(sorted(rounds, key=lambda s: s.result.time))
            )
            rounds.sort(key=lambda s: s.result.time)
            for same in zip(*tried, strict=False):
                if self.left == 0:
                    return None
                self.left -= 1
                changed = {
                    s: with_expression(s, slip.expression)
                    for s, slip in zip(rounds, same, strict=True)
                }
                if self._fits(self._value(changed)):
                    return self._slip_said(rounds[0], same[0])
            found = self._added_to(rounds) or self._at_another_place(rounds)
            if found is not None:
                return found
        return None

    def _slopes(self, step: Step) -> list[ast.expr]:
        """Slopes of the lines that made what a statement's gradients belong to."""
        read = [g.of for variable in step.reads for g in self.gradients if g.final is variable]
        return [filled(template, of) for of in dict.fromkeys(read) for template in SLOPES]

    def _added_to(self, rounds: Sequence[Step]) -> Suspicion | None:
        """``x[i] = e`` where ``x[i] += e`` was meant."""
        changed: dict[Step, Step] = {}
        for step in rounds:
            if step.base is None or step.index is None:
                return None
            place = ast.Subscript(Reference(step.base), step.index, ast.Load())
            changed[step] = with_expression(step, ast.BinOp(place, ast.Add(), step.expression))
        if self._fits(self._value(changed)):
            said = f"Line {rounds[0].line} assigns (=) where it must add (+=)."
            return self._say("overwritten", said, rounds[0].line)
        return None

    def _at_another_place(self, rounds: Sequence[Step]) -> Suspicion | None:
        """``x[a > 0] = 0`` where ``x[a < 0] = 0`` was meant, or another index."""
        if any(step.index is None for step in rounds):
            return None
        tried = (
            slips(step.index, [], partial(self._alike, step), [], lambda _: (), place)  # type: ignore[arg-type]
            for place, step in enumerate(rounds)
        )
        for same in zip(*tried, strict=False):
            pairs = list(zip(rounds, same, strict=True))
            if self._fits(self._value({s: with_index(s, slip.expression) for s, slip in pairs})):
                old, new = words(same[0].old), words(same[0].new)
                said = f"In line {rounds[0].line}, the place is wrong: {new} in place of {old}."
                return self._say("index", said, rounds[0].line)
        return None

    def _slip_said(self, step: Step, slip: Slip) -> Suspicion:
        old, new = words(slip.old), words(slip.new)
        if old == new and isinstance(slip.old, Reference) and isinstance(slip.new, Reference):
            later = slip.new.variable.time > slip.old.variable.time
            said = f"In line {step.line}, the {old} of another round is meant: the one "
            return self._say("index", said + ("after" if later else "before") + " it.", step.line)
        if slip.kind == "missing-factor":
            return self._say(
                slip.kind, f"In line {step.line}, the factor {new} is missing.", step.line
            )
        if (
            slip.old is step.expression
            and isinstance(slip.new, ast.BinOp)
            and slip.kind == "factor"
        ):
            said = f"a factor is missing or wrong: {new} is the true gradient"
        else:
            said = f"{_KINDS[slip.kind]}: {new} in place of {old} makes it right"
        return self._say(slip.kind, f"In line {step.line}, {said}.", step.line)

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

    @quiet
    def _value(self, changed: Mapping[Step, Step], of: Variable | None = None) -> Tensor | None:
        try:
            value = self.replay.value(changed, of)
        except Exception:
            return None
        return value if isinstance(value, Tensor) else None

    def _sizes(self) -> list[tuple[str, float]]:
        """Plain numbers that a factor may be: the file's own, and the lengths of axes."""
        named = [
            (name, float(value))
            for name, value in self.program.names.items()
            if type(value) in (int, float) and 1 != abs(value) > 0 and abs(value) < 1e6
        ]
        known = {value for _, value in named}
        lengths = {n for step in self.truth.steps for v in step.reads for n in v.value.shape}
        return named + [
            (str(n), float(n)) for n in sorted(lengths) if n > 1 and float(n) not in known
        ]

    def _neighbours(self, variable: Variable) -> list[Variable]:
        """The states before and after one of several rounds."""
        last = {id(v.tensor): v for v in self.program.variables}
        rows = [row for row in self.program.names.values() if isinstance(row, list)]
        for row in rows:
            states = [last[id(each)] for each in row if id(each) in last]
            if variable in states:
                break
        else:
            reads = dict.fromkeys(v for s in self.truth.steps for v in (*s.reads, s.result))
            states = [v for v in reads if v.hint == variable.hint]
        place = states.index(variable) if variable in states else 0
        return [*states[max(place - 1, 0) : place], *states[place + 1 : place + 2]]

    def _factors(self, node: ast.expr) -> list[ast.expr]:
        """Tensors that may be missing as factors of a part: those near the gradient's tensor."""
        readers = [step for step in self.truth.steps if self.own.of in step.depends]
        near = dict.fromkeys(v for step in readers for v in (step.result, *step.depends))
        return [Reference(v) for v in near if v.differentiable and v.value.dim()]

    def _alike(self, step: Step, variable: Variable) -> list[Variable]:
        """Tensors of the same shape that the statement could have meant; in a function its own
        come first, in one order for every call."""
        known = self._neighbours(variable)
        if step.scope:
            local: dict[str, Variable] = {}
            for each in self.program.variables:
                for binding in each.bindings:
                    if binding.scope == step.scope and each.time < step.result.time:
                        local[binding.name] = each
            known += [v for v in local.values() if v.value.shape == variable.value.shape]
        known += dict.fromkeys(v for s in self.truth.steps for v in (*s.reads, s.result))
        known += [gradient.final for gradient in self.gradients if gradient is not self.own]
        return [
            other
            for other in known
            if other is not variable and other.value.shape == variable.value.shape
            and other.value.is_floating_point() == variable.value.is_floating_point()
        ]  # fmt: skip
