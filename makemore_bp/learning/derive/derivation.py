"""The backward pass of a program, line by line, from the rules.

The lines of the forward pass are gone through from the last to the first. A line of several
operations is differentiated as it stands where that stays short; else it is cut, and the part in
the middle gets a name. Whatever a rule says is held against autograd on the file's own tensors
before it is written down; a line that has no rule, or whose rule does not agree, is left to
autograd, and that is said.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from makemore_bp.learning.derive.local_truth import LocalTruth
from makemore_bp.learning.derive.naming import free_name
from makemore_bp.learning.derive.program import (
    Program,
    Reference,
    Step,
    Variable,
    evaluate,
    put,
    references,
    text,
    wanted,
)
from makemore_bp.learning.derive.rules import RULES
from makemore_bp.learning.derive.rules.operation import (
    OWN,
    Flow,
    NeedsName,
    Operation,
    UnknownOperation,
    simple,
)
from makemore_bp.learning.derive.rules.recognition import operation_name, recognised
from makemore_bp.learning.derive.statements import Part, Term, Writer, written

SHORT = 4  # operations that a gradient may have on its way through the inside of a line
_OPERATIONS = (ast.BinOp, ast.UnaryOp, ast.Call, ast.Compare, ast.Subscript)


class Derivation:
    """The backward pass of ``loss``.

    forward: the lines of the forward pass as they are differentiated; parts: the way back through
    each, from the last line to the first; names: of the gradients, by variable.
    """

    def __init__(self, program: Program, truth: LocalTruth) -> None:
        self.program, self.truth, self.loss = program, truth, truth.loss
        self.tracked = self.loss.tracked
        self.notes: list[str] = []
        self.cuts: list[Variable] = []
        self.names: dict[Variable, str] = {}
        self.values: dict[Variable, Tensor] = dict(truth.gradients)
        forward = program.steps_to(self.loss)
        self._taken = {v.name for step in forward for v in (*step.reads, step.result)}
        self._taken |= {name for name, v in program.names.items() if not isinstance(v, Tensor)}
        self._space = program.namespace({v.name: v.value for v in program.variables})
        self._space.setdefault("torch", torch)
        self.parts = self._parts()
        Writer(self.name, self._value, self._gradient_of).write(self.parts)

    @property
    def forward(self) -> list[Step]:
        return [part.step for part in reversed(self.parts)]

    @property
    def variables(self) -> list[Variable]:
        """Those that have a gradient, in the order in which the backward pass completes them."""
        last = {term.variable: k for k, part in enumerate(self.parts) for term in part.terms}
        return sorted(last, key=lambda variable: last[variable])

    def name(self, variable: Variable) -> str:
        """The name of a variable's gradient."""
        if variable not in self.names:
            self.names[variable] = free_name(f"d{variable.name}", self._taken)
            self._taken.add(self.names[variable])
            self._space[self.names[variable]] = self.values[variable]
        return self.names[variable]

    def _parts(self) -> list[Part]:
        parts, pending, reached = [], list(self.truth.steps), {self.loss}
        while pending:
            step = self._in_two(pending.pop())
            try:
                parts.append(self._part(step) if step.result in reached else Part(step, []))
                reached |= {term.variable for term in parts[-1].terms}
            except NeedsName as cut:
                pending += self._cut(step, cut.node)
        return parts

    def _part(self, step: Step) -> Part:
        try:
            terms = list(self._terms(step))
            if self._agrees(step, terms):
                return Part(step, terms)
            reason = "the rule for it does not agree with autograd here"
        except UnknownOperation:
            reason = "no rule is known for it"
        self.notes.append(f"line {step.line}: {step.source.strip()} is left to autograd; {reason}")
        return Part(step, [Term(v, None) for v in self._read(step)], left=True)

    def _read(self, step: Step) -> list[Variable]:
        return [variable for variable in step.depends if self._wanted(variable)]

    def _wanted(self, variable: Variable) -> bool:
        return wanted(variable, self.tracked) and variable in self.values

    def _terms(self, step: Step) -> Iterator[Term]:
        dy = self._gradient_of(step.result)
        if step.base is None:
            yield from self._walk(step, step.expression, dy, root=True)
            return
        assert step.index is not None
        if self._wanted(step.base):
            written = ast.Subscript(ast.Name(OWN, ast.Store()), step.index, ast.Store())
            zeroed = [ast.Assign([written], ast.Constant(0), lineno=0)]
            yield Term(step.base, dy, tuple(zeroed), ("masked_fill",))
        there = ast.Subscript(dy, step.index, ast.Load())
        shape = self._value(step.expression)
        operation = Operation("setitem", there, {}, there, None, self._space)
        if isinstance(shape, Tensor):
            there = operation.summed(there, step.expression)  # type: ignore[assignment]
        yield from self._walk(step, step.expression, there, root=False)

    def _gradient_of(self, variable: Variable) -> ast.expr:
        if variable is not self.loss:
            return ast.Name(self.name(variable), ast.Load())
        if variable.value.dim() == 0:
            return ast.Constant(1.0)
        return ast.parse(f"torch.ones_like({variable.name})", mode="eval").body

    def _walk(
        self,
        step: Step,
        node: ast.expr,
        gradient: ast.expr,
        root: bool,
        rules: tuple[str, ...] = (),
    ) -> Iterator[Term]:
        """The terms of the variables in ``node``, whose own gradient is ``gradient``."""
        if isinstance(node, Reference):
            if self._wanted(node.variable):
                yield Term(node.variable, gradient, rules=rules)
            return
        inside = [v for v in references(node, numbers=True) if self._wanted(v)]
        if not inside or not _is_float(self._value(node)):
            return
        if not root and not (_is_plain(gradient) or (len(inside) == 1 and _is_short(gradient))):
            raise NeedsName(node)
        result = Reference(step.result) if root and step.base is None else None
        try:
            operation = recognised(node, gradient, result, self._space)
            handed = list(RULES[operation.name].rule(operation))
        except UnknownOperation:
            if root:
                raise
            raise NeedsName(node) from None
        rules = *rules, operation.name
        for each in handed:
            if isinstance(each, Flow):
                yield from self._walk(step, each.operand, simple(each.gradient), False, rules)
            elif isinstance(each.operand, Reference):
                if self._wanted(each.operand.variable):
                    yield Term(each.operand.variable, None, each.statements, rules)
            elif any(self._wanted(v) for v in references(each.operand, numbers=True)):
                raise NeedsName(each.operand)

    def _agrees(self, step: Step, terms: list[Term]) -> bool:
        """Whether the terms come to what autograd gives back for the line."""
        for variable in self._read(step):
            true = self.truth.through(step, self.values[step.result], variable)
            own = torch.zeros_like(true)
            for term in terms:
                if term.variable is variable:
                    own = own + self._worth(term, true)
            typical = float((true.double() ** 2).mean().sqrt()) if true.numel() else 0.0
            if own.shape != true.shape or not torch.allclose(
                own, true, 1e-3, 1e-4 * typical + 1e-12
            ):
                return False
        return True

    def _worth(self, term: Term, like: Tensor) -> Tensor:
        """A term's value, added to zeros."""
        space = dict(self._space)
        space[OWN] = torch.zeros_like(like)
        if term.gradient is not None:
            space[OWN] = space[OWN] + self._value(term.gradient)
        for statement in term.statements:
            exec(written(statement, OWN), space)
        worth: Tensor = space[OWN]
        return worth

    def _value(self, node: ast.expr) -> Any:
        return eval(text(node), dict(self._space))

    def _cut(self, step: Step, node: ast.expr) -> list[Step]:
        """The line as two, with a name for the value of ``node``."""
        hint = step.result.hint if step.result in self.cuts else f"{step.result.name}_in"
        name = free_name(hint, self._taken)
        self._taken.add(name)
        value = self._value(node)
        inner = Variable(value.detach(), value, step.line, step.result.time, name=name, hint=hint)
        inner.tensor.requires_grad_(self.tracked)
        inner.step = Step(inner, node, step.line, step.source, step.top, state=step.state)
        self._space[name] = inner.value
        self.cuts.append(inner)
        expression = put(step.expression, node, Reference(inner))
        outer = Step(
            step.result, expression, step.line, step.source, step.top, step.base, step.index
        )
        self.values[inner] = self.truth.through(outer, self.values[step.result], inner)
        return [inner.step, outer]

    def _in_two(self, step: Step) -> Step:
        """Two operations of PyTorch's that are written as two, so that the way back stays short."""
        node = step.expression
        name = None if step.base is not None else operation_name(node, self._space)
        if name not in ("dropout", "layer_norm") or not isinstance(node, ast.Call):
            return step
        operation = recognised(node, ast.Constant(1.0), None, self._space)
        if name == "layer_norm":
            return self._with_gain(step, operation)
        if operation.constant("training") and isinstance(operation.operand(), Reference):
            return self._with_mask(step, operation)
        return step

    def _with_gain(self, step: Step, operation: Operation) -> Step:
        """``F.layer_norm(x, shape, gain, bias)`` as ``F.layer_norm(x, shape) * gain + bias``."""
        gain, bias = (operation.arguments.get(name) for name in ("weight", "bias"))
        assert isinstance(step.expression, ast.Call)
        plain: ast.expr = ast.Call(
            step.expression.func,
            [operation.operand(), operation.operand("shape")],
            [ast.keyword("eps", ast.Constant(operation.constant("eps")))],
        )
        for factor, op in ((gain, ast.Mult()), (bias, ast.Add())):
            if isinstance(factor, ast.expr) and self._value(factor) is not None:
                plain = ast.BinOp(plain, op, factor)
        return Step(step.result, plain, step.line, step.source, step.top)

    def _with_mask(self, step: Step, operation: Operation) -> Step:
        """``F.dropout(x, p)`` as ``x * mask``, so that the mask has a name on the way back."""
        mask = put(step.expression, operation.operand(), operation.code("torch.ones_like(x)"))
        name = free_name(f"{step.result.name}_mask", self._taken)
        self._taken.add(name)
        drawn = Step(step.result, mask, step.line, step.source, step.top, state=step.state)
        value = evaluate(drawn, dict(self._space))
        variable = Variable(value, value, step.line, step.result.time, name=name, hint=name)
        variable.step = Step(variable, mask, step.line, step.source, step.top)
        self._space[name] = value
        self.cuts.append(variable)
        product = ast.BinOp(operation.operand(), ast.Mult(), Reference(variable))
        return Step(step.result, product, step.line, step.source, step.top)


def _is_float(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _is_plain(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Name | ast.Constant | Reference)


def _is_short(node: ast.expr) -> bool:
    parts = list(ast.walk(node))
    products = [each for each in parts if isinstance(getattr(each, "op", None), ast.MatMult)]
    return not products and sum(isinstance(each, _OPERATIONS) for each in parts) <= SHORT
