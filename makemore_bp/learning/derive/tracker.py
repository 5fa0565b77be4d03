"""A statement's tensors: new ones, those that it changed in place, the names that it gave."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from torch import Tensor

from makemore_bp.learning.derive.flatten import Flattener
from makemore_bp.learning.derive.instrument import leaves, number
from makemore_bp.learning.derive.ledger import Ledger
from makemore_bp.learning.derive.program import Program, Reference, Step, Variable


class Scope:
    """A running function, or the module: what its expressions came to last."""

    def __init__(self, number: int, hint: str = "t") -> None:
        self.number = number
        self.hint = hint
        self.values: dict[int, Any] = {}
        self.elements: dict[int, list[Any]] = {}
        self.rounds: dict[int, tuple[Any, int]] = {}
        self.state: Tensor | None = None


class Tracker(Ledger):
    """Turns what a statement did into steps of the program."""

    def __init__(self, program: Program, tree: ast.Module) -> None:
        super().__init__(program)
        self.names = program.names
        self.scopes = [Scope(0)]
        self._counts = _bindings(tree)
        self._flattener = Flattener(self)

    @property
    def scope(self) -> Scope:
        return self.scopes[-1]

    def constant(self, name: str) -> bool:
        """Whether a name of the module is bound once, so that it means the same to the end."""
        return name in self.names and self._counts.get(name, 0) <= 1

    def step(self, value: Tensor, node: ast.expr, statement: ast.AST, hint: str) -> Variable:
        """A new variable, computed by the expression ``node``."""
        expression = self._flattener.flat(node)
        variable = self.new(value, hint)
        self._add_step(variable, expression, statement)
        return variable

    def _add_step(self, variable: Variable, expression: ast.expr, statement: ast.AST,
                  base: Variable | None = None, index: ast.expr | None = None) -> None:  # fmt: skip
        variable.step = Step(
            variable, expression, self.line, self.text_of(statement), self.top, base, index,
            self.scope.state,
            self.moments[-1] if self.moments else None,
        )  # fmt: skip

    def _is_tensor(self, node: ast.expr) -> bool:
        return isinstance(self.scope.values.get(number(node)), Tensor)

    def _written(self, target: ast.Subscript, value: ast.expr, statement: ast.stmt) -> None:
        """``x[index] = value`` makes another variable of the tensor x."""
        tensor = self.scope.values[number(target.value)]
        known = self.known.get(id(tensor))
        base = (
            known[2] if known and known[0] is tensor else self.given(tensor, hint_of(target.value))
        )
        index = self._flattener.flat(target.slice)
        variable = self.new(tensor, base.hint)
        self._add_step(variable, value, statement, base, index)
        self._inherit(base, variable, statement, target.value)

    def _augmented(self, statement: ast.AugAssign, value: Any) -> None:
        """``x += e``, in place where x is a tensor and its old state was a variable."""
        target = statement.target
        if isinstance(target, ast.Subscript) and self._is_tensor(target.value):
            self.as_before(self.scope.values[number(target.value)])
            old = self._flattener.flat(target)
            added = ast.BinOp(old, statement.op, self._flattener.flat(statement.value))
            self._written(target, added, statement)
            return
        before = self.scope.values.get(number(target))
        if not isinstance(value, Tensor):
            return
        known = self.as_before(before)
        if isinstance(before, Tensor) and known is not None and known[0] is before:
            old = Reference(known[2])
        elif isinstance(before, int | float):
            old = ast.Constant(before)
        else:
            self._name(self.given(value, hint_of(target)), target, statement)
            return
        expression = ast.BinOp(old, statement.op, self._flattener.flat(statement.value))
        variable = self.new(value, hint_of(target))
        self._add_step(variable, expression, statement)
        if before is value and known is not None:
            self._inherit(known[2], variable, statement, target)
        self._name(variable, target, statement)

    def _changed_inside(self, value: ast.expr, statement: ast.stmt) -> None:
        """Methods such as ``x.mul_(2)``: the object x is another variable from here on."""
        for node in ast.walk(value):
            function = getattr(node, "func", None)
            if isinstance(function, ast.Attribute) and function.attr.endswith("_"):
                tensor = self.scope.values.get(number(function.value))
                if isinstance(tensor, Tensor) and self.find(tensor) is None:
                    assert isinstance(node, ast.Call)
                    self._in_place(tensor, node, statement)

    def _in_place(self, value: Tensor, node: ast.expr, statement: ast.AST) -> bool:
        """Whether ``node`` is a call that changed a known tensor in place; then it is a step."""
        function = getattr(node, "func", None)
        known = self.known.get(id(value))
        if known is None or known[0] is not value or not isinstance(function, ast.Attribute):
            return False
        if (
            not function.attr.endswith("_")
            or self.scope.values[number(function.value)] is not value
        ):
            return False
        self.as_before(value)
        expression = self._flattener.out_of_place(node)  # type: ignore[arg-type]
        variable = self.new(value, known[2].hint)
        if expression is None:
            variable.note = f"line {self.line}: what {function.attr} leaves counts as given"
        else:
            self._add_step(variable, expression, statement)
        if isinstance(statement, ast.stmt):
            self._inherit(known[2], variable, statement, function.value)
        return True

    def _inherit(self, old: Variable, new: Variable, statement: ast.stmt, own: ast.expr) -> None:
        """The names of a tensor that was changed in place lead to its new state. Those that the
        statement does not speak of are reached by accident."""
        for scope, name in dict.fromkeys((b.scope, b.name) for b in old.bindings):
            if self.bound.get((scope, name)) is old:
                self.bind(new, scope, name, statement, name == hint_of(own))

    def _name(self, variable: Variable, target: ast.expr, statement: ast.AST) -> None:
        for scope, name in self._addresses(target):
            self.bind(variable, scope, name, statement)

    def _addresses(self, target: ast.expr) -> Iterator[tuple[int, str]]:
        """Where a target stands: a name in its scope, an attribute of an object, a key."""
        if isinstance(target, ast.Name):
            yield self.scope.number, target.id
        elif isinstance(target, ast.Attribute):
            yield from self._inside(target.value, target.attr)
        elif isinstance(target, ast.Subscript):
            key = self._key(target.slice)
            if isinstance(key, str):
                yield from self._inside(target.value, key)

    def _inside(self, holder: ast.expr, name: str) -> Iterator[tuple[int, str]]:
        value = self.scope.values.get(number(holder))
        if isinstance(value, Tensor):
            known = self.known.get(id(value))
            if name == "grad" and known is not None:
                yield -1, f"grad of {self.program.variables.index(known[2])}"
            return
        yield id(value), name
        if isinstance(value, dict):
            yield 0, f"{hint_of(holder)}[{name}]"

    def _key(self, node: ast.expr) -> Any:
        return node.value if isinstance(node, ast.Constant) else self.scope.values.get(number(node))


def hint_of(target: ast.AST) -> str:
    """A name for what a target holds: x, and for ``layer.weight`` or ``p["W"]`` its last part."""
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Attribute):
        return target.attr
    if isinstance(target, ast.Subscript):
        key = target.slice
        if (
            isinstance(key, ast.Constant)
            and isinstance(key.value, str)
            and key.value.isidentifier()
        ):
            return key.value
        return hint_of(target.value)
    return "t"


def _bindings(tree: ast.Module) -> dict[str, int]:
    """How often each name is bound anywhere in the file; a loop counts twice."""
    counts: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            counts[node.id] = counts.get(node.id, 0) + 1
        elif isinstance(node, ast.arg):
            counts[node.arg] = counts.get(node.arg, 0) + 2
        for target in leaves(node.target) if isinstance(node, ast.For) else []:
            if isinstance(target, ast.Name):
                counts[target.id] = counts.get(target.id, 0) + 1
    return counts
