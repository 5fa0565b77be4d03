"""What is wrong with a gradient whose own statements are at fault.

First what the order of events shows; then a repair, or what the value shows, as for every network.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from makemore_bp.learning.derive.bench import Bench, benches
from makemore_bp.learning.derive.conventions import Gradient
from makemore_bp.learning.derive.local_truth import LocalTruth
from makemore_bp.learning.derive.named_truth import NamedTruth
from makemore_bp.learning.derive.program import Program, Reference, Step, Variable, replaced
from makemore_bp.learning.derive.replay import Replay
from makemore_bp.learning.diagnosis.kinds import Diagnosis, Kind
from makemore_bp.learning.diagnosis.mistake import mistake, unknown, with_shapes
from makemore_bp.learning.diagnosis.named import Case
from makemore_bp.learning.diagnosis.repair import Repairs
from makemore_bp.learning.diagnosis.replay import Change

MOST = 4  # rounds or calls in which a repair is tried as well


class Suspicion:
    """One gradient that is wrong, and what may be wrong about it."""

    def __init__(self, program: Program, replay: Replay, truth: LocalTruth,
                 gradients: Sequence[Gradient], named: NamedTruth,
                 alike: Sequence[Replay]) -> None:  # fmt: skip
        """alike: the gradients that the same statement makes, in other rounds or calls."""
        self._program, self._replay, self._truth = program, replay, truth
        self._gradients, self._named, self._alike = gradients, named, alike
        self._own = replay.gradient
        self._true = truth.measured(self._own.of)
        readers = [step for step in truth.steps if self._own.of in step.depends]
        lines = "; ".join(f"line {step.line}: {first(step.source)}" for step in readers)
        self._hint = f"{self._own.of.hint} is read by {lines}." if readers else ""

    def diagnosis(self) -> Diagnosis:
        """The likeliest mistake."""
        return self._aliased() or self._too_early() or self._exchanged() or self._mistake()

    def _mistake(self) -> Diagnosis:
        found = [self._in(bench) for bench in self._benches(self._replay)]
        repaired = [told for told in found if told.repair is not None]
        known = [told for told in found if told.kind is not Kind.unknown]
        rest = self._exchanged(), self._overwritten()
        likely = [*repaired, *rest, *known, unknown(self._hint, self._line())]
        told = next(each for each in likely if each is not None)
        value = self._value()
        return with_shapes(told, self._own.shown, self._own.of.hint, value, self._true.value)

    def _benches(self, replay: Replay) -> Iterator[Bench]:
        states = {v: self._is_something(g) for g in self._gradients for v in g.states}
        return benches(self._program, replay, states)

    def _in(self, bench: Bench) -> Diagnosis:
        """What is wrong with the statements of one block."""
        others = [
            (other, self._truth.measured(replay.gradient.of))
            for replay in self._alike[:MOST]
            for other in self._benches(replay)
            if other.statements == bench.statements
        ]

        def run(*changes: Change | None) -> Tensor | None:
            value = bench.run(*changes)
            if not self._is_true(value):
                return value
            again = ((other.run(*changes), true) for other, true in others)
            return value if all(v is not None and true.allows(v) for v, true in again) else None

        repairs = Repairs(bench, run, self._is_true)
        return mistake(repairs, self._case(bench), self._hint, self._line)

    def _line(self) -> int:
        """The statement that made the gradient, or gave it its name."""
        made = {step.moment for step in self._replay.steps}
        named = [m.node for m in self._replay.moments() if m not in made and m.node is not None]
        return named[-1].lineno if named else self._own.final.line

    def _is_true(self, value: Tensor | None) -> bool:
        return value is not None and self._true.allows(value)

    def _is_something(self, gradient: Gradient) -> bool:
        """Whether the true gradient is more than rounding."""
        true = self._truth.gradients.get(gradient.of)
        if true is None:
            return True
        measured = self._truth.measured(gradient.of)
        return bool((true.abs() > measured.tolerance).any())

    def _value(
        self, changed: Mapping[Step, Step] | None = None, of: Variable | None = None
    ) -> Tensor | None:
        try:
            return self._replay.value(changed, of)
        except Exception:
            return None

    def _case(self, bench: Bench) -> Case | None:
        value = self._value()
        if value is None:
            return None
        words = bench.nodes[-1].names or {}
        sizes = {
            n: float(v) for n, v in words.items() if type(v) in (int, float) and v not in (0, 1)
        }
        tensors = {
            n: v.value.double()
            for n, v in words.items()
            if isinstance(v, Variable) and v.differentiable and v not in self._own.states
        }
        reads = {
            g.of.name
            for g in self._gradients
            for step in self._replay.steps
            if g.final in step.reads
        }
        return Case(self._own.of.name, self._own.shown, value, self._named, sizes, tensors, reads)

    def _aliased(self) -> Diagnosis | None:
        """The gradient was right until a statement changed it under another name."""
        bindings = [b for v in self._own.states for b in v.bindings if b.name == self._own.name]
        for before, after in zip(self._own.states, self._own.states[1:], strict=False):
            accident = [b for b in bindings if b in after.bindings and not b.own]
            if accident and self._is_true(self._value({}, before)):
                said = (
                    f"Line {after.line} ({first(accident[0].source)}) changes {self._own.shown} as "
                    "well: it works in place, on the same memory. Assigning a tensor to a second "
                    "name makes no copy; .clone() does."
                )
                return Diagnosis(Kind.aliased, said, self._hint, after.line)
        return None

    def _too_early(self) -> Diagnosis | None:
        """A gradient was read before it was complete."""
        for other in self._gradients:
            for state in other.states[:-1]:
                readers = [step for step in self._replay.steps if state in step.reads]
                if other is self._own or not readers:
                    continue
                changed = {step: _reading(step, state, other.final) for step in readers}
                if self._is_true(self._value(changed)):
                    said = (
                        f"It is computed from {other.shown} as it was on line {state.line}, before "
                        f"{other.shown} was complete (line {other.final.line})."
                    )
                    return Diagnosis(Kind.wrong_input, said, self._hint, readers[0].line)
        return None

    def _overwritten(self) -> Diagnosis | None:
        """What earlier rounds or lines brought was lost by = where += was meant."""
        key = self._own.name, self._own.of
        rounds = [g.final.value for g in self._gradients if (g.name, g.of) == key]
        alike = len(rounds) > 1 and len({tuple(each.shape) for each in rounds}) == 1
        if not alike or not self._is_true(torch.stack(rounds).sum(0)):
            return None
        said = f"{self._own.shown} is assigned (=) where it must be added to (+=)."
        return Diagnosis(Kind.overwritten, said, self._hint, self._own.final.line)

    def _exchanged(self) -> Diagnosis | None:
        """Two gradients of one shape changed places."""
        value = self._value()
        for other in self._gradients:
            true = self._truth.gradients.get(other.of)
            if true is None or value is None or other.of is self._own.of:
                continue
            measured = self._truth.measured(other.of)
            if true.shape != self._true.value.shape or not measured.allows(value):
                continue
            if not measured.allows(other.final.value) and self._true.allows(other.final.value):
                said = f"{self._own.shown} is what {other.shown} must be; the two are exchanged."
                return Diagnosis(Kind.exchanged, said, self._hint, self._line())
        return None


def _reading(step: Step, old: Variable, new: Variable) -> Step:
    """A step that reads another variable."""

    def change(node: ast.AST) -> ast.expr | None:
        wanted = isinstance(node, Reference) and node.variable is old
        return Reference(new) if wanted else None

    base = new if step.base is old else step.base
    return Step(
        step.result, replaced(step.expression, change), step.line, step.source, step.top, base,
        replaced(step.index, change), step.state,
    )  # fmt: skip


def first(source: str) -> str:
    """The first line of a statement."""
    return source.strip().splitlines()[0] if source.strip() else ""
