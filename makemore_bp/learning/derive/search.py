"""The search for one change to a gradient's statements that makes it true."""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from makemore_bp.learning.derive.changed import (
    SLOPES,
    filled,
    quiet,
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


class Search:
    """A gradient that is wrong, and what may be changed in the statements that make it."""

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

    def _say(self, kind: str, said: str, line: int | None = None) -> Suspicion:
        return Suspicion(kind, said, line or self.line, self.hint)

    def _fits(self, value: Tensor | None) -> bool:
        return value is not None and self.true.allows(value)

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
