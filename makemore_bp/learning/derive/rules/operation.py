"""An operation of a forward line, and how a rule says what it hands back.

A rule is a generator. It is given an ``Operation`` and yields, for each operand, a ``Flow``: the
expression of the gradient that goes to it. Or it yields ``Writes``: statements that add to ``dx``,
where a gradient goes to some places of the operand only.

Templates are Python with names for what is put in: ``op.code("(1 - y**2) * dy")``.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from torch import Tensor

from makemore_bp.learning.derive.program import Reference, text

Shape = tuple[int, ...]
OWN = "__dx__"  # stands for the gradient that a rule's statements add to


class UnknownOperation(Exception):
    """There is no rule for it, or not for the way in which it is used."""


class NeedsName(Exception):
    """The value of a part of the line is needed by name: the line is to be cut there."""

    def __init__(self, node: ast.expr) -> None:
        super().__init__()
        self.node = node


@dataclass(frozen=True)
class Flow:
    """``gradient`` goes to ``operand``; it may have a shape that is broadcast to the operand's."""

    operand: ast.expr
    gradient: ast.expr


@dataclass(frozen=True)
class Writes:
    """Statements that add to the operand's gradient ``dx`` in place."""

    operand: ast.expr
    statements: tuple[ast.stmt, ...]


Handed = Iterator[Flow | Writes]
Rule = Callable[["Operation"], Handed]


@dataclass(frozen=True)
class Known:
    """A rule and the names of the operation's arguments, in PyTorch's order."""

    rule: Rule
    parameters: tuple[str, ...]
    defaults: Mapping[str, Any]

    @property
    def idea(self) -> str:
        """The first paragraph of the rule's derivation."""
        return " ".join((inspect.getdoc(self.rule) or "").split("\n\n")[0].split())


RULES: dict[str, Known] = {}


def rule(names: str, parameters: str = "x", **defaults: Any) -> Callable[[Rule], Rule]:
    """Registers a rule for operations of these names; ``*x`` takes the arguments that are left."""

    def register(function: Rule) -> Rule:
        for name in names.split():
            RULES[name] = Known(function, tuple(parameters.split()), defaults)
        return function

    return register


@dataclass
class Operation:
    """One operation: ``node`` is its expression, ``dy`` the gradient of its result.

    result: a reference to the result, where the line has a name for it.
    """

    name: str
    node: ast.expr
    arguments: Mapping[str, Any]
    dy: ast.expr
    result: ast.expr | None
    names: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def y(self) -> ast.expr:
        """The result by its name."""
        if self.result is None:
            raise NeedsName(self.node)
        return self.result

    def operand(self, name: str = "x") -> ast.expr:
        """An argument's expression. Raises UnknownOperation if it was not given."""
        found = self.arguments.get(name)
        if not isinstance(found, ast.expr):
            raise UnknownOperation
        return found

    def given(self, name: str) -> bool:
        """Whether the line gives this argument, and not as None."""
        return name in self.arguments and self.constant(name) is not None

    def constant(self, name: str) -> Any:
        """An argument's value, or what PyTorch takes for it."""
        found = self.arguments.get(name)
        if found is None:
            return self.defaults.get(name)
        if isinstance(found, list):
            return [self.value(each) for each in found]
        return self.value(found)

    def value(self, node: ast.expr) -> Any:
        """What an expression comes to on the file's own tensors."""
        return eval(text(node), dict(self.names))

    def shape(self, node: ast.expr) -> Shape:
        """The shape of an expression's value; () for a plain number."""
        value = self.value(node)
        return tuple(value.shape) if isinstance(value, Tensor) else ()

    @property
    def output(self) -> Shape:
        """The shape of the result."""
        return self.shape(self.node if self.result is None else self.result)

    def code(self, template: str, **parts: ast.expr | float) -> ast.expr:
        """A template with its names replaced: y, dy, the operation's arguments, and ``parts``."""
        tree = ast.parse(template, mode="eval").body
        return simple(_Fill(self, parts).visit(tree))

    def statements(self, template: str, **parts: ast.expr | float) -> tuple[ast.stmt, ...]:
        """The same for statements; ``dx`` is left for the name of the operand's gradient."""
        return tuple(_Fill(self, parts).visit(each) for each in ast.parse(template).body)

    def full(self) -> ast.expr:
        """dy in the whole shape of the result."""
        if self.shape(self.dy) == self.output:
            return self.dy
        like = self.node if self.result is None and _is_small(self.node) else self.y
        if isinstance(self.value(self.dy), Tensor):
            return self.code("dy * torch.ones_like(like)", like=like)
        return self.code("torch.full_like(like, dy)", like=like)

    def summed(self, gradient: ast.expr, operand: ast.expr) -> ast.expr:
        """A gradient in the shape of the result as one in the operand's: broadcasting on the way
        forward is a sum on the way back, along the same axes."""
        to, have = self.shape(operand), self.shape(gradient)
        if to == have or (len(have) <= len(to) and have != self.output):
            return gradient
        if not to:
            return self.code("g.sum()", g=gradient)
        extra = len(have) - len(to)
        if extra:
            gradient = self.code("g.sum(axes)", g=gradient, axes=axes(range(extra)))
        kept = [k for k, length in enumerate(to) if length == 1 != have[extra + k]]
        if kept:
            gradient = self.code("g.sum(axes, keepdim=True)", g=gradient, axes=axes(kept))
        return gradient


def _is_small(node: ast.expr) -> bool:
    return sum(isinstance(each, ast.Call | ast.BinOp) for each in ast.walk(node)) <= 1


class _Fill(ast.NodeTransformer):
    def __init__(self, op: Operation, parts: Mapping[str, ast.expr | float]) -> None:
        self._op, self._parts = op, parts

    def visit_Name(self, node: ast.Name) -> ast.expr:
        if node.id in self._parts:
            part = self._parts[node.id]
            return part if isinstance(part, ast.expr) else number(part)
        if node.id == "dx":
            return ast.Name(OWN, ast.Load())
        if node.id == "dy":
            return self._op.dy
        if node.id == "y":
            return self._op.y
        found = self._op.arguments.get(node.id)
        return found if isinstance(found, ast.expr) else node

    def generic_visit(self, node: ast.AST) -> ast.AST:
        # What has been put in is not looked into: its names are the file's own.
        for name, value in ast.iter_fields(node):
            if isinstance(value, list):
                setattr(node, name, [self._visited(each) for each in value])
            elif isinstance(value, ast.AST):
                setattr(node, name, self._visited(value))
        return node

    def _visited(self, value: Any) -> Any:
        return self.visit(value) if isinstance(value, ast.AST) else value


def number(value: Any) -> ast.expr:
    """A plain value as an expression."""
    return ast.parse(repr(value), mode="eval").body


def axes(which: Iterable[int]) -> ast.expr:
    """One axis, or several, as an argument."""
    places = list(which)
    return number(places[0] if len(places) == 1 else tuple(places))


def simple(node: ast.expr) -> ast.expr:
    """The expression without factors of one and double signs."""
    if isinstance(node, Reference):
        return node
    if isinstance(node, ast.BinOp):
        left, right = simple(node.left), simple(node.right)
        if isinstance(node.op, ast.Mult) and _is(left, 1.0):
            return right
        if isinstance(node.op, ast.Mult | ast.Div | ast.Pow) and _is(right, 1.0):
            return left
        if isinstance(node.op, ast.Mult) and _is_inverse(right):
            return ast.BinOp(left, right.op, right.right)
        if isinstance(node.op, ast.Mult) and _is(left, -1.0):
            return simple(ast.UnaryOp(ast.USub(), right))
        if isinstance(node.op, ast.Mult) and _is(right, -1.0):
            return simple(ast.UnaryOp(ast.USub(), left))
        return ast.BinOp(left, node.op, right)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = simple(node.operand)
        if isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.USub):
            return inner.operand
        if isinstance(inner, ast.Constant) and isinstance(inner.value, int | float):
            return ast.Constant(-inner.value)
        if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Div):
            return ast.BinOp(simple(ast.UnaryOp(node.op, inner.left)), inner.op, inner.right)
        return ast.UnaryOp(node.op, inner)
    return node


def _is_inverse(node: ast.expr) -> TypeGuard[ast.BinOp]:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and _is(node.left, 1.0)


def _is(node: ast.expr, value: float) -> bool:
    return (
        isinstance(node, ast.Constant) and type(node.value) in (int, float) and node.value == value
    )
