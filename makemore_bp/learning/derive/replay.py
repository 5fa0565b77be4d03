"""A gradient's own statements, run again on what the file had, with true gradients flowing in.

If they then give the true gradient, the mistake is further up. If not, it is here. What a gradient
was before it was complete is not replaced: whoever reads it then has made a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from makemore_bp.learning.derive.conventions import Gradient
from makemore_bp.learning.derive.moments import Moment
from makemore_bp.learning.derive.program import Program, Step, Variable, evaluate


class Replay:
    """The statements that make one gradient.

    given: true gradients by the variables that the file has them in; forward: what the loss depends
    on, which is taken as it was.
    """

    def __init__(
        self,
        program: Program,
        gradient: Gradient,
        given: Mapping[Variable, Tensor],
        forward: frozenset[Variable] | set[Variable],
    ) -> None:
        self.gradient = gradient
        self._given = dict(given)
        self._forward = forward
        self._space = program.namespace()
        self.steps = list(self._own_steps(gradient.final, set()))

    def value(
        self, changed: Mapping[Step, Step] | None = None, of: Variable | None = None
    ) -> Tensor:
        """What the statements give, with some of them changed, at the end or for an earlier state;
        whatever a change raises goes on."""
        return self._value(of or self.gradient.final, changed or {}, {})

    def world(self, variable: Variable) -> Tensor:
        """What a variable is where every other gradient is true."""
        return self._given.get(variable, variable.value)

    def moments(self) -> list[Moment]:
        """The statements under way as the gradient was made, and as it got its name."""
        made = [step.moment for step in self.steps]
        inside = {moment for each in made if each is not None for moment in each.chain}
        states = self.gradient.states
        named = [b.moment for v in states for b in v.bindings if b.name == self.gradient.name]
        made += [moment for moment in named if moment not in inside]
        return [moment for moment in dict.fromkeys(made) if moment is not None]

    def helpers(self) -> set[Variable]:
        """Tensors on the way that are neither gradients nor of the forward pass."""
        return {step.result for step in self.steps} - set(self.gradient.states)

    def _is_given(self, variable: Variable) -> bool:
        return variable in self._given or variable in self._forward or variable.step is None

    def _own_steps(self, variable: Variable, seen: set[Variable]) -> Iterator[Step]:
        if variable in seen or self._is_given(variable):
            return
        seen.add(variable)
        assert variable.step is not None
        for read in variable.step.reads:
            yield from self._own_steps(read, seen)
        yield variable.step

    def _value(
        self, variable: Variable, changed: Mapping[Step, Step], made: dict[Variable, Tensor]
    ) -> Tensor:
        if variable in self._given:
            return self._given[variable]
        if self._is_given(variable):
            return variable.value
        if variable not in made:
            step = variable.step
            assert step is not None
            step = changed.get(step, step)
            names: dict[str, Any] = dict(self._space)
            for read in step.reads:
                names[read.name] = self._value(read, changed, made)
            made[variable] = evaluate(step, names)
        return made[variable]
