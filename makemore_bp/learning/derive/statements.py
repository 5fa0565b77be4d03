"""A derivation's terms as statements: the first term of a gradient begins it, the others add."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from makemore_bp.learning.derive.program import Reference, Step, Variable, replaced, text
from makemore_bp.learning.derive.rules import RULES
from makemore_bp.learning.derive.rules.operation import OWN

_VIEWS = frozenset(
    [
        "view",
        "reshape",
        "expand",
        "expand_as",
        "transpose",
        "permute",
        "squeeze",
        "unsqueeze",
        "flatten",
        "flip",
        "T",
        "mT",
    ]
)


@dataclass(frozen=True)
class Term:
    """What one line hands back for one variable: an expression, or statements that add to ``dx``.

    rules: the names of the rules that made it, from the line's outermost operation inwards.
    """

    variable: Variable
    gradient: ast.expr | None
    statements: tuple[ast.stmt, ...] = ()
    rules: tuple[str, ...] = ()

    @property
    def ideas(self) -> list[str]:
        """Why, in words."""
        return [RULES[name].idea for name in self.rules]


@dataclass
class Part:
    """The way back through one forward line: its terms, and the code.

    left: whether it is left to autograd.
    """

    step: Step
    terms: list[Term]
    left: bool = False
    code: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Writer:
    """name: of a variable's gradient; value: what an expression comes to; gradient: the expression
    of the gradient of a line's result."""

    name: Callable[[Variable], str]
    value: Callable[[ast.expr], Any]
    gradient: Callable[[Variable], ast.expr]

    def write(self, parts: Sequence[Part]) -> None:
        """Fills in the code of every part, in the order of the backward pass."""
        every = [term.variable for part in parts for term in part.terms]
        begun: set[Variable] = set()
        for part in parts:
            if part.left:
                part.code += self._left_to_autograd(part, begun)
                begun |= {term.variable for term in part.terms}
                continue
            for term in part.terms:
                more = every.count(term.variable) > 1
                part.code += self._lines(term, term.variable in begun, more)
                begun.add(term.variable)

    def _lines(self, term: Term, begun: bool, more: bool) -> list[str]:
        name = self.name(term.variable)
        if term.gradient is None:
            start = [] if begun else [f"{name} = torch.zeros_like({term.variable.name})"]
            return start + [written(each, name, first=not begun) for each in term.statements]
        if not term.statements:
            return [self._assignment(name, term, term.gradient, begun, more)]
        own = "d_" if begun else name
        lines = [f"{own} = {text(term.gradient)}.clone()"]
        lines += [written(each, own) for each in term.statements]
        return lines + ([f"{name} += d_"] if begun else [])

    def _assignment(self, name: str, term: Term, node: ast.expr, begun: bool, more: bool) -> str:
        if begun:
            return f"{name} += {text(node)}"
        value = self.value(node)
        if not isinstance(value, Tensor):
            return f"{name} = torch.full_like({term.variable.name}, {text(node)})"
        if value.shape != term.variable.value.shape:
            node = ast.Call(ast.Attribute(node, "expand_as"), [Reference(term.variable)], [])
        if more and _may_share(node):
            node = ast.Call(ast.Attribute(node, "clone"), [], [])
        return f"{name} = {text(node)}"

    def _left_to_autograd(self, part: Part, begun: set[Variable]) -> Iterator[str]:
        step, dy = part.step, text(self.gradient(part.step.result))
        arguments = ", ".join(term.variable.name for term in part.terms)
        function = f"lambda {arguments}: {text(step.expression)}"
        if step.base is not None:
            function = "line"
            yield f"def line({arguments}):"
            yield from (f"    {line}" for line in step.lines())
            yield f"    return {step.result.name}"
        given = dy if dy != "1.0" else f"torch.ones_like({step.result.name})"
        names = [(self.name(term.variable), term.variable in begun) for term in part.terms]
        targets = [name + ("_part" if added else "") for name, added in names]
        comma = "," if len(targets) == 1 else ""
        yield f"{', '.join(targets)}{comma} = left_to_autograd({function}, {given}, {arguments})"
        yield from (f"{name} += {name}_part" for name, added in names if added)


def written(statement: ast.stmt, name: str, first: bool = False) -> str:
    """A statement of a rule with the gradient's name in it; the first one assigns."""
    if first and isinstance(statement, ast.AugAssign):
        statement = ast.Assign([statement.target], statement.value, lineno=0)

    def change(node: ast.AST) -> ast.expr | None:
        if isinstance(node, Reference):
            return ast.Name(node.variable.name, ast.Load())
        own = isinstance(node, ast.Name) and node.id == OWN
        return ast.Name(name, ast.Load()) if own else None

    return ast.unparse(ast.fix_missing_locations(replaced(statement, change)))


def _may_share(node: ast.expr) -> bool:
    """Whether an expression may be a view of another tensor, or that tensor."""
    called = node.func if isinstance(node, ast.Call) else node
    if isinstance(called, ast.Attribute):
        return called.attr in _VIEWS
    return isinstance(called, ast.Name | ast.Subscript | Reference)
