"""Runs a file and writes down, statement by statement, which tensors it made from which.

The file runs as ``python FILE`` would run it; the hooks of ``instrument`` only look. A tensor is
known by its identity and by PyTorch's count of changes in place, so names, dictionaries, lists,
attributes, arguments and results of functions all lead to the same variable.
"""

from __future__ import annotations

import ast
import sys
import types
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from makemore_bp.learning.derive import instrument
from makemore_bp.learning.derive.instrument import instrumented, leaves, number, numbered
from makemore_bp.learning.derive.ledger import Enough
from makemore_bp.learning.derive.moments import EACH, MOST, Freezing, Moment
from makemore_bp.learning.derive.program import Program, Variable
from makemore_bp.learning.derive.tracker import Scope, Tracker, hint_of

_DRAWS = ("rand", "drop", "bernoulli", "multinomial", "normal")


class Recorder(Tracker):
    """Runs the statements of a file one by one and builds the program."""

    def __init__(self, source: str, path: str, names: dict[str, Any] | None = None) -> None:
        """``names`` is the namespace to run in. Raises SyntaxError."""
        self.tree, self.nodes = numbered(source, path)
        self.path = path
        program = Program(source, self.tree, names={} if names is None else names)
        super().__init__(program, self.tree)
        self.top = 0
        self._scope_count = 0
        self._parents = {child: node for node in self.nodes for child in ast.iter_child_nodes(node)}
        self._often: Counter[int] = Counter()
        self.hooks: dict[str, Any] = {
            instrument.AT: self._at,
            instrument.SEE: self._see,
            instrument.DONE: self._done,
            instrument.BIND: self._bind,
            instrument.ENTER: self._enter,
            instrument.LEAVE: self._leave,
            instrument.RETURN: self._return,
        }

    def run(self) -> None:
        """Runs the whole file; whatever it raises goes on to the caller."""
        try:
            for top, statement in enumerate(self.tree.body):
                self.execute(top, statement)
        finally:
            self._keep(Moment(None, 0, None, 0, self.time), self.names)

    def execute(self, top: int, statement: ast.stmt) -> None:
        """Runs one statement of the module."""
        self.top, self.line = top, statement.lineno
        self.names.update(self.hooks)
        try:
            code = compile(instrumented(statement), self.path, "exec", dont_inherit=True)
            exec(code, self.names)
        finally:
            del self.scopes[1:]
            self.moments.clear()
            for name in self.hooks:
                self.names.pop(name, None)

    def _at(self, place: int) -> None:
        """A statement is about to be executed."""
        node, scope = self.nodes[place], self.scope.number
        while self.moments and self.moments[-1].scope == scope and not self._is_in(node):
            self.moments.pop()
        around = self.moments[-1] if self.moments else None
        if around is not None and node is next(iter(getattr(around.node, "body", ())), None):
            around.rounds += 1
        moment = Moment(node, scope, around, around.rounds if around else 0, self.time)  # type: ignore[arg-type]
        self._often[place] += 1
        if self._often[place] <= EACH:
            self._keep(moment, sys._getframe(1).f_locals)
        self.moments.append(moment)

    def _keep(self, moment: Moment, local: Mapping[str, Any]) -> None:
        """Takes down what names lead to."""
        if len(self.program.moments) < MOST:
            names = local if local is self.names else {**self.names, **local}
            freezing = Freezing(self._state)
            moment.names = {
                name: freezing.frozen(value)
                for name, value in names.items()
                if name not in self.hooks
            }
            self.program.moments.append(moment)

    def _is_in(self, node: ast.AST) -> bool:
        """Whether a statement belongs to the one under way."""
        outer = self.moments[-1].node
        while node in self._parents and node is not outer:
            node = self._parents[node]
        return node is outer and outer is not None

    def _state(self, tensor: Tensor) -> Any:
        return self.find(tensor) or tensor

    def made(self, value: Any, node: ast.expr, statement: ast.AST, hints: Sequence[str]) -> None:
        """Makes variables of the tensors that an expression came to and that are not known yet."""
        if isinstance(value, Tensor):
            if self.find(value) is not None or self._in_place(value, node, statement):
                return
            if self._flattener.is_path(node) or self._flattener.happens_once(node):
                self.given(value, hints[0])
            else:
                self.step(value, node, statement, hints[0])
        elif isinstance(node, ast.Tuple | ast.List) and isinstance(value, tuple | list):
            each = hints if len(hints) == len(value) else [*hints[:1]] * len(value)
            for one, part, hint in zip(value, node.elts, each, strict=False):
                self.made(one, part, statement, [hint])
        elif isinstance(node, ast.Dict) and isinstance(value, dict):
            for (key, one), part in zip(value.items(), node.values, strict=False):
                self.made(one, part, statement, [key] if isinstance(key, str) else hints)
        elif isinstance(node, ast.IfExp):
            taken = node.body if self.scope.values.get(number(node.test)) else node.orelse
            self.made(value, taken, statement, hints)
        elif isinstance(value, tuple | list) and not (
            self._flattener.is_path(node) or self._flattener.happens_once(node)
        ):
            self._parts(value, node, statement, hints[0])

    def _parts(self, value: Any, node: ast.expr, statement: ast.AST, hint: str) -> None:
        """The tensors of a row such as ``x.chunk(3)``: each is ``x.chunk(3)[k]``."""
        fresh = [
            (place, one)
            for place, one in enumerate(value)
            if isinstance(one, Tensor) and self.find(one) is None
        ]
        for place, one in fresh:
            whole = self._flattener.flat(node)
            part = ast.Subscript(whole, ast.Constant(place), ast.Load())
            self._add_step(self.new(one, hint), part, statement)

    def _see(self, place: int, value: Any) -> Any:
        node = self.nodes[place]
        if isinstance(node, ast.expr):
            self.line = node.lineno
        self.scope.values[place] = value
        if isinstance(node, ast.Name | ast.Attribute):
            self._remember_state(node)
        elif isinstance(node, ast.GeneratorExp | ast.ListComp):
            self.scope.elements.setdefault(number(node.elt), [])
        owner = getattr(node, "owner", None)
        if owner is not None:
            self.made(value, node, node, ["t"])  # type: ignore[arg-type]
            self.scope.elements.setdefault(place, []).append(value)
        return value

    def _remember_state(self, node: ast.Name | ast.Attribute) -> None:
        name = node.attr if isinstance(node, ast.Attribute) else node.id
        if any(word in name for word in _DRAWS):
            self.scope.state = torch.get_rng_state()

    def _done(self, place: int, values: tuple[Any, ...]) -> None:
        statement = self.nodes[place]
        assert isinstance(statement, ast.stmt)
        self.line = statement.lineno
        if isinstance(statement, ast.AugAssign):
            self._augmented(statement, values[0])
            return
        value = getattr(statement, "value", None)
        if value is not None:
            self._changed_inside(value, statement)
        if isinstance(statement, ast.Expr):
            self._handed_over(statement)
        if isinstance(statement, ast.Expr) or value is None:
            self.scope.state = None
            return
        whole = self.scope.values.get(number(value))
        targets = _targets(statement)
        if not any(isinstance(target, ast.Subscript) and self._is_tensor(target.value)
                   for target in targets):  # fmt: skip
            self.made(whole, value, statement, [hint_of(target) for target in targets])
        for target, one in zip(targets, values, strict=False):
            self._assigned(target, one, value, statement)
        self.scope.state = None

    def _assigned(self, target: ast.expr, one: Any, value: ast.expr, statement: ast.stmt) -> None:
        if isinstance(target, ast.Subscript) and self._is_tensor(target.value):
            self.as_before(self.scope.values[number(target.value)])
            self._written(target, self._flattener.flat(value), statement)
        elif isinstance(one, Tensor):
            variable = self.find(one) or self.given(one, hint_of(target))
            if variable.hint == "t" or (self.scope.number == 0 and not variable.is_global):
                variable.hint = hint_of(target)
            self._name(variable, target, statement)
        elif isinstance(one, dict):
            for key, each in one.items():
                variable = self.find(each) if isinstance(key, str) else None  # type: ignore[assignment]
                if variable is not None:
                    self.bind(variable, id(one), key, statement)

    def _handed_over(self, statement: ast.Expr) -> None:
        """Tensors that are made as they are given away, as in ``hs.append(x @ W)``."""
        call = statement.value
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
            return
        for argument in call.args:
            value = self.scope.values.get(number(argument))
            if not self._flattener.is_path(argument):
                self.made(value, argument, statement, [hint_of(call.func.value)])

    def _bind(self, place: int, values: tuple[Any, ...]) -> None:
        """The variables of a loop, as each round begins."""
        loop = self.nodes[place]
        assert isinstance(loop, ast.For)
        self.line = loop.lineno
        iterated = self.scope.values.get(number(loop.iter))
        before, round_ = self.scope.rounds.get(place, (None, -1))
        round_ = round_ + 1 if before is iterated else 0
        self.scope.rounds[place] = iterated, round_
        for target, value in zip(leaves(loop.target), values, strict=True):
            if isinstance(value, Tensor):
                if self.find(value) is None:
                    self._element(loop, target, value, round_)
                self._name(self.find(value), target, loop)  # type: ignore[arg-type]

    def _element(self, loop: ast.For, target: ast.expr, value: Tensor, round_: int) -> None:
        rows: ast.expr = loop.iter
        if isinstance(rows, ast.Call) and getattr(rows.func, "id", "") in ("enumerate", "zip"):
            place = leaves(loop.target).index(target)
            place -= getattr(rows.func, "id", "") == "enumerate"
            rows = rows.args[place] if 0 <= place < len(rows.args) else rows
        if self._is_tensor(rows):
            row = ast.Subscript(self._flattener.flat(rows), ast.Constant(round_), ast.Load())
            self._add_step(self.new(value, hint_of(target)), row, loop)
        else:
            self.given(value, hint_of(target))

    def _enter(self, place: int, names: dict[str, Any]) -> None:
        function = self.nodes[place]
        assert isinstance(function, ast.FunctionDef)
        self._scope_count += 1
        plain = function.name.startswith("__") or function.name == "forward"
        scope = Scope(self._scope_count, "out" if plain else function.name)
        self.scopes.append(scope)
        for name, value in list(names.items()):
            if isinstance(value, Tensor):
                variable = self.find(value) or self._argument(value, name)
                self.bind(variable, scope.number, name, function)

    def _argument(self, value: Tensor, name: str) -> Variable:
        """An argument that is an expression, such as the sum in ``f(x + y)``: the caller's
        statement is still under way, so its expression is known."""
        for place, seen in reversed(list(self.scopes[-2].values.items())):
            if seen is value and isinstance(place, int):
                inner = self.scopes.pop()
                node = self.nodes[place]
                variable = self.step(value, node, node, name)  # type: ignore[arg-type]
                self.scopes.append(inner)
                return variable
        return self.given(value, name)

    def _leave(self) -> None:
        if len(self.scopes) > 1:
            left = self.scopes.pop()
            self._keep(Moment(None, left.number, None, 0, self.time), sys._getframe(1).f_locals)
            while self.moments and self.moments[-1].scope == left.number:
                self.moments.pop()

    def _return(self, place: int, value: Any) -> Any:
        node = self.nodes[place]
        assert isinstance(node, ast.expr)
        self.line = node.lineno
        self.made(value, node, node, [self.scope.hint])
        return value


def record(source: str, path: str = "<file>") -> Program:
    """The program of a file that is run here and now, as a module of its own.

    Whatever the file raises goes on to the caller, but SystemExit, which ends it early.
    """
    program, error = record_until_error(source, path)
    if error is not None:
        raise error
    return program


def record_until_error(source: str, path: str) -> tuple[Program, BaseException | None]:
    """The program of what ran, and what stopped the run, if something did.

    Raises SyntaxError if the file is not Python.
    """
    module = types.ModuleType("__main__")
    module.__file__ = path
    recorder = Recorder(source, path, module.__dict__)
    before = sys.modules["__main__"]
    sys.modules["__main__"] = module
    error: BaseException | None = None
    try:
        recorder.run()
    except (Enough, SystemExit):
        recorder.program.notes.append(f"line {recorder.line}: the run was ended here")
    except Exception as stopped:
        error = stopped
    finally:
        sys.modules["__main__"] = before
    return recorder.program, error


def _targets(statement: ast.stmt) -> list[ast.expr]:
    if isinstance(statement, ast.AnnAssign):
        return [statement.target]
    assert isinstance(statement, ast.Assign)
    return [leaf for target in statement.targets for leaf in leaves(target)]
