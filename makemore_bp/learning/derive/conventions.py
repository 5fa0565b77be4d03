"""Which tensor is the loss, and which gradient belongs to which tensor, by how people name them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from makemore_bp.errors import RequestError
from makemore_bp.learning.derive.program import Program, Reference, Variable, wanted
from makemore_bp.learning.places import told_by

LOSSES = ("loss", "cost", "nll", "objective", "total_loss", "L", "J", "E", "error")
_HOLDERS = r"(?:d|g|grads?|gradients?|dparams|d_params|derivatives|dp)"
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"{_HOLDERS}\[(?:d_?|grad_?)?(.+)\]",
        r"d_?(?:L|J|E|C|l|loss|cost|Loss)_?(?:over_|by_|_)?d_?(.+)",
        r"d_?(.+)",
        r"(?:grad|gradient|delta|g)_?(.+)",
        r"(.+?)_?(?:grad|gradient|g|bar|delta)",
    )
)


@dataclass(eq=False)
class Gradient:
    """One gradient as the file made it: the states it went through, the last is what it came to.

    name: as the learner calls it; of: the tensor that it belongs to; others: tensors of the same
    name that it may belong to as well, as in a loop; loss: what it is the gradient of.
    """

    name: str
    of: Variable
    loss: Variable
    others: tuple[Variable, ...] = ()
    states: list[Variable] = field(default_factory=list)
    scope: int = 0

    @property
    def shown(self) -> str:
        """Its name as it is written in the file: ``grads['W1']``."""
        if self.name.startswith("grad of "):
            return f"{self.of.hint}.grad"
        return re.sub(r"\[([^\W\d]\w*)\]", r"['\1']", self.name)

    @property
    def final(self) -> Variable:
        return self.states[-1]


def find_loss(program: Program, name: str | None = None) -> Variable:
    """The loss of a file: the variable called ``name``, or one that is called like a loss, or the
    last number that depends on most.

    Raises RequestError if there is none.
    """
    return find_losses(program, name)[-1]


def find_losses(program: Program, name: str | None = None) -> list[Variable]:
    """Every state of the loss, in the order in which they were computed."""
    scalars = [
        variable
        for variable in program.variables
        if variable.value.numel() == 1 and variable.differentiable and variable.step is not None
    ]
    named = {v: {b.name for b in v.bindings} | {v.hint} for v in scalars}
    if name is not None:
        found = [v for v in scalars if name in named[v]]
        if not found:
            raise RequestError(
                "There is no number with the name {name} that the file computes. The loss is a "
                "tensor with a single entry; name it with --loss NAME.", name=name
            )  # fmt: skip
        return found
    for known in [*_with_backward(program.source), *LOSSES]:
        found = [v for v in scalars if known in named[v]]
        if found:
            return found
    found = [v for v in scalars if any(wanted(read, False) for read in v.step.reads)]  # type: ignore[union-attr]
    if not found:
        raise RequestError(
            "The file computes no loss: no tensor with a single entry depends on another tensor. "
            "If there is one inside a function that is never called, call it; name the loss with "
            "--loss NAME."
        )
    longest = max(found, key=lambda v: len(program.steps_to(v)))
    return [longest]


def _with_backward(source: str) -> Iterator[str]:
    """The names of what the file calls ``backward()`` of."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr="backward"):
                yield name


def tensor_names(gradient: str) -> Iterator[str]:
    """The names that a tensor may have whose gradient is called ``gradient``."""
    for pattern in _PATTERNS:
        found = pattern.fullmatch(gradient)
        if found:
            yield found[1]


def find_gradients(
    program: Program, losses: Iterable[Variable], said: Mapping[str, str] | None = None
) -> list[Gradient]:
    """Every gradient in the file of a tensor that a loss depends on, in the order in which they
    were begun. ``said`` names tensors by their gradients, where neither the names nor the file's
    own comparisons, such as ``torch.allclose(mine, W.grad)``, show it."""
    losses = list(losses)
    tensors = {
        v.hint for loss in losses for s in program.steps_to(loss) for v in (*s.reads, s.result)
    }
    told = {re.sub("['\"]", "", mine): of for mine, of in told_by(program.tree, tensors).items()}
    return _Finder(program, losses, {**told, **(said or {})}).gradients()


class _Finder:
    def __init__(self, program: Program, losses: list[Variable], said: Mapping[str, str]) -> None:
        self.program, self.losses, self.said = program, losses, said
        self.behind = {loss: self._ancestors(loss) for loss in losses}
        self.addresses: dict[tuple[int, str], list[tuple[int, Variable]]] = {}
        self.anywhere: dict[str, list[tuple[int, Variable]]] = {}
        for variable in program.variables:
            for b in variable.bindings:
                self.addresses.setdefault((b.scope, b.name), []).append((b.time, variable))
                self.anywhere.setdefault(b.name, []).append((b.time, variable))

    def _ancestors(self, loss: Variable) -> set[Variable]:
        steps = self.program.steps_to(loss)
        return {v for step in steps for v in (*step.reads, step.result)}

    def gradients(self) -> list[Gradient]:
        found: list[Gradient] = []
        events = [
            (b.time, b, variable) for variable in self.program.variables for b in variable.bindings
        ]
        latest: dict[tuple[int, str], Gradient] = {}
        for time, binding, variable in sorted(events, key=lambda event: event[0]):
            loss = self._loss_before(time)
            if loss is None or variable in self.behind[loss] or (variable is loss and binding.own):
                continue
            address = binding.scope, binding.name
            running = latest.get(address)
            if running is not None and continues(variable, running.final):
                if variable is not running.final:
                    running.states.append(variable)
                continue
            tensors = self._tensors(binding.name, binding.scope, time, loss)
            if tensors and variable not in tensors:
                name = binding.name
                latest[address] = Gradient(
                    name, tensors[-1], loss, tensors, [variable], binding.scope
                )
                found.append(latest[address])
        return self._once([*found, *self._in_rows()])

    def _in_rows(self) -> Iterator[Gradient]:
        """Gradients in a list or a dictionary beside the one that holds their tensors: ``dhs[t]``
        of ``hs[t]``, as they are at the end."""
        last = {id(v.tensor): v for v in self.program.variables}
        for name, row in list(self.program.names.items()):
            for candidate in tensor_names(name) if isinstance(row, list | dict) else ():
                tensors = dict(_items(self.program.names.get(candidate)))
                for key, gradient in _items(row):
                    final, of = last.get(id(gradient)), tensors.get(key)
                    loss = next((x for x in self.losses[::-1] if self._behind(x, of)), None)
                    if final is not None and loss is not None and final.time > loss.time:
                        states = [v for v in self.program.variables if v.tensor is gradient]
                        variable = self._behind(loss, of)
                        assert variable is not None
                        shown = f"{name}[{key}]"
                        yield Gradient(shown, variable, loss, (variable,), states)

    def _behind(self, loss: Variable, tensor: Any) -> Variable | None:
        """The last state of a tensor that the loss depends on."""
        states = [v for v in self.program.variables if v.tensor is tensor]
        return next((v for v in reversed(states) if v in self.behind[loss]), None)

    def _once(self, found: list[Gradient]) -> list[Gradient]:
        """A gradient of several names is one: a result has a name inside its function and one
        outside; the longest history counts, and of two alike the name outside."""
        kept: dict[tuple[Variable, Variable], Gradient] = {}
        for gradient in found:
            key = gradient.of, gradient.states[0]
            rank = len(gradient.states), gradient.scope == 0, "[" not in gradient.name
            known = kept.get(key)
            if known is None or rank > (len(known.states), known.scope == 0, "[" not in known.name):
                kept[key] = gradient
        return list(kept.values())

    def _loss_before(self, time: int) -> Variable | None:
        return next((loss for loss in reversed(self.losses) if loss.time < time), None)

    def _tensors(self, name: str, scope: int, time: int, loss: Variable) -> tuple[Variable, ...]:
        """The tensors that a gradient of this name may belong to, the likeliest last."""
        if name.startswith("grad of "):
            of = self.program.variables[int(name.removeprefix("grad of "))]
            return (of,) if of in self.behind[loss] else ()
        for candidate in [self.said[name]] if name in self.said else tensor_names(name):
            for address in ((scope, candidate), (0, candidate)):
                found = self._earlier(self.addresses.get(address, ()), time, loss)
                if found:
                    return found
            if "[" in name or name in self.said:
                found = self._earlier(self.anywhere.get(candidate, ()), time, loss)
                if found:
                    return found
            named = [v for v in self.behind[loss] if v.hint == candidate and not v.bindings]
            if named and named[0].time < time:
                return (named[0],)
        return ()

    def _earlier(
        self, bound: Iterable[tuple[int, Variable]], time: int, loss: Variable
    ) -> tuple[Variable, ...]:
        behind = self.behind[loss]
        earlier = (v for t, v in bound if t < time and v in behind and v.differentiable)
        return tuple(dict.fromkeys(earlier))


def _items(row: Any) -> Iterator[tuple[int, Any]]:
    """The tensors of a row by their places, or of a dictionary by its numbers."""
    pairs = (
        row.items() if isinstance(row, dict) else enumerate(row if isinstance(row, list) else ())
    )
    for key, value in pairs:
        if type(key) is int and isinstance(value, Tensor):
            yield key, value


def continues(variable: Variable, before: Variable) -> bool:
    """Whether a state of a gradient goes on from the one before: changed in place, or added to."""
    if variable is before or variable.tensor is before.tensor:
        return True
    step = variable.step
    return step is not None and before in _summands(step.expression)


def _summands(node: ast.expr) -> Iterator[Variable]:
    if isinstance(node, Reference):
        yield node.variable
    elif isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Sub):
        yield from _summands(node.left)
        yield from _summands(node.right)
