"""Which tensor is which variable, in which state, and under which names.

A tensor is known by its identity and by PyTorch's count of changes in place.
"""

from __future__ import annotations

import ast
from typing import Any

import torch
from torch import Tensor

from makemore_bp.learning.derive.instrument import number
from makemore_bp.learning.derive.moments import Moment
from makemore_bp.learning.derive.program import Binding, Program, Reference, Step, Variable

LIMIT = 4000  # variables; a network of a learner's own has some sixty
LARGEST = 50_000_000  # entries of a tensor that is kept


class Enough(BaseException):
    """Ends a run that has made more variables than anybody would name."""


class Ledger:
    """The variables of a run. line: of the statement under way; time: events so far; top: the
    place of the module's statement; moments: the statements under way, the outermost first."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.line = 1
        self.time = 0
        self.top = 0
        self.known: dict[int, tuple[Tensor, int, Variable]] = {}
        self.bound: dict[tuple[int, str], Variable] = {}
        self.moments: list[Moment] = []
        self._sources: dict[int, str] = {}

    def find(self, value: Any) -> Variable | None:
        """The variable that a tensor is, in its present state."""
        known = self.known.get(id(value))
        if known is None or known[0] is not value or known[1] != changes(value):
            return None
        return known[2]

    def keep(self, value: Tensor, variable: Variable) -> None:
        """Notes that ``value`` is ``variable`` from here on."""
        self.known[id(value)] = (value, changes(value), variable)

    def new(self, value: Tensor, hint: str) -> Variable:
        """A variable for a tensor that was not known."""
        if len(self.program.variables) >= LIMIT:
            raise Enough
        self.time += 1
        copy = value.detach()
        copy = copy.clone() if copy.numel() <= LARGEST and copy.layout == torch.strided else copy
        variable = Variable(copy, value, self.line, self.time, hint=hint)
        self.program.variables.append(variable)
        self.keep(value, variable)
        return variable

    def _row(self, value: Tensor) -> ast.Subscript | None:
        """``x[k]`` for a tensor that is a row of a known one, as iterating over it gives them."""
        base = value._base
        whole = None if base is None else self.find(base)
        if base is None or whole is None or value.shape != base.shape[1:] or not base.stride()[0]:
            return None
        place = (value.storage_offset() - base.storage_offset()) // base.stride()[0]
        return ast.Subscript(Reference(whole), ast.Constant(place), ast.Load())

    def as_before(self, value: Any) -> tuple[Tensor, int, Variable] | None:
        """Lets a tensor that a statement has changed in place be what that statement read."""
        known = self.known.get(id(value))
        if known is None or known[0] is not value:
            return None
        self.known[id(value)] = value, changes(value), known[2]
        return known

    def given(self, value: Tensor, hint: str) -> Variable:
        """The variable of a tensor whose making was not seen; said, if it came from others."""
        known = self.known.get(id(value))
        changed = known is not None and known[0] is value
        row = None if changed else self._row(value)
        variable = self.new(value, hint)
        if row is not None:
            variable.step = Step(variable, row, self.line, ast.unparse(row.slice), self.top)
        elif value.grad_fn is not None or value._is_view() or changed:
            what = "was changed in place" if changed else "was computed"
            variable.note = f"line {self.line}: how {hint} {what} cannot be followed"
        return variable

    def bind(
        self, variable: Variable, scope: int, name: str, statement: ast.AST, own: bool = True
    ) -> None:
        self.time += 1
        self.bound[scope, name] = variable
        moment = self.moments[-1] if self.moments else None
        source = self.text_of(statement)
        binding = Binding(scope, name, self.time, self.line, source, own, moment)
        variable.bindings.append(binding)

    def text_of(self, node: ast.AST) -> str:
        place = number(node)
        if place not in self._sources:
            segment = ast.get_source_segment(self.program.source, node)
            self._sources[place] = segment or ""
        return self._sources[place]


def changes(tensor: Tensor) -> int:
    """How often a tensor was changed in place."""
    return 0 if tensor.is_inference() else tensor._version
