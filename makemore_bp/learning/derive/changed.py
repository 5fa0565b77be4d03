"""Statements with one thing changed, and words for them."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any

from torch import Tensor

from makemore_bp.learning.derive.program import Reference, Step, Variable, replaced, with_names

SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "{x}": lambda x: x,
    "1 / {x}": lambda x: 1 / x,
    "(1 - {x}**2)": lambda x: 1 - x**2,
    "{x} * (1 - {x})": lambda x: x * (1 - x),
    "(1 - {x})": lambda x: 1 - x,
    "({x} > 0)": lambda x: (x > 0).to(x.dtype),
    "2 * {x}": lambda x: 2 * x,
    "{x}**2": lambda x: x**2,
}


def quiet(function: Callable[..., Tensor | None]) -> Callable[..., Tensor | None]:
    """Without the warnings of what is only tried."""

    @wraps(function)
    def quietly(*arguments: Any, **named: Any) -> Tensor | None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return function(*arguments, **named)

    return quietly


def filled(template: str, variable: Variable) -> ast.expr:
    """A slope as an expression of a variable."""

    class Put(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return Reference(variable)

    tree = ast.parse(template.format(x="x"), mode="eval").body
    return Put().visit(tree)  # type: ignore[no-any-return]


def product(one: Tensor, other: Tensor) -> Tensor | None:
    try:
        return one * other
    except RuntimeError:
        return None


def with_index(step: Step, index: ast.expr) -> Step:
    return Step(
        step.result, step.expression, step.line, step.source, step.top, step.base, index, step.state
    )


def with_expression(step: Step, expression: ast.expr) -> Step:
    return Step(
        step.result, expression, step.line, step.source, step.top, step.base, step.index, step.state
    )


def reading(step: Step, old: Variable, new: Variable) -> Step:
    """A step that reads another variable."""

    def change(node: ast.AST) -> ast.expr | None:
        wanted = isinstance(node, Reference) and node.variable is old
        return Reference(new) if wanted else None

    base = new if step.base is old else step.base
    return Step(
        step.result, replaced(step.expression, change), step.line, step.source, step.top, base,
        replaced(step.index, change), step.state,
    )  # fmt: skip


def words(node: ast.expr) -> str:
    """An expression in the learner's own names."""
    return ast.unparse(with_names(node, lambda variable: variable.hint))


def shown(step: Step) -> str:
    return first(step.source) if "\n" not in step.source else words(step.expression)


def first(source: str) -> str:
    return source.strip().splitlines()[0] if source.strip() else ""
