"""A trace as blocks of statements that follow one another, and where each gradient is made.

A block is what the top level, a function's body or a loop's body executes in a row; ``with``,
``if`` and ``try`` are flattened, a loop in it is one statement, taken as a whole.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from makemore_bp.learning.places import Place, places, told_by
from makemore_bp.learning.source import changed_by_name, may_change_anything, names_read
from makemore_bp.learning.trace import RETURNED, Snapshot, Source, Step, Trace, own_statements


@dataclass(frozen=True, eq=False)
class Unit:
    """One statement of a block, with what the names held before and after it. ``at`` is the
    position of its step in the trace."""

    node: ast.stmt
    before: Snapshot
    after: Snapshot
    at: int

    @cached_property
    def changes(self) -> set[str]:
        """The names that it says it changes."""
        return changed_by_name(self.node)

    @cached_property
    def opaque(self) -> bool:
        """Whether it calls a function of the learner's, which may change anything."""
        return may_change_anything(self.node)

    @cached_property
    def reads(self) -> set[str]:
        """The names that it reads."""
        return names_read(self.node)

    def changed(self, place: Place) -> bool:
        """Whether the place holds something else after it."""
        return not same(place.get(self.before.names), place.get(self.after.names))

    def writes(self, place: Place) -> bool:
        """Whether it changes the place and says so: not by way of another name."""
        return self.changed(place) and (place.root in self.changes or self.opaque)

    def starts(self, name: str) -> bool:
        """Whether it gives the name a value that owes nothing to the one before."""
        if name in self.reads:
            return False
        return any(
            isinstance(target, ast.Name) and target.id == name
            for node in ast.walk(self.node)
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for whole in (node.targets if isinstance(node, ast.Assign) else [node.target])
            for target in (whole.elts if isinstance(whole, ast.Tuple | ast.List) else [whole])
        )


@dataclass(frozen=True, eq=False)
class Block:
    """Statements in the order of execution; function: whose, or ``<module>``."""

    units: tuple[Unit, ...]
    function: str
    frame: int

    @property
    def end(self) -> Mapping[str, Any]:
        """What the names hold after the last statement."""
        return self.units[-1].after.names if self.units else {}


@dataclass(frozen=True)
class Home:
    """Where a gradient is made: the block, its place there, and the units that write it."""

    block: Block
    place: Place
    writes: tuple[int, ...]

    @property
    def value(self) -> Any:
        """What the place holds when the block is done."""
        return self.place.get(self.block.end)

    @cached_property
    def definitions(self) -> tuple[int, ...]:
        """The last unit of each definition: a gradient may be given a new value from scratch, as a
        file does that holds exercise 1 and exercise 3."""
        following = self.writes[1:]
        last = [
            unit
            for unit, after in zip(self.writes, following, strict=False)
            if self.block.units[after].starts(self.place.root)
        ]
        return (*last, self.writes[-1]) if self.writes else ()


class Blocks:
    """All blocks of a trace."""

    def __init__(self, trace: Trace, tensors: Collection[str]) -> None:
        self.trace, self.tensors = trace, tensors
        self.told = told_by(trace.source.tree, tensors)
        self._homes: dict[str, Home | None] = {}
        self._frames: dict[int, list[tuple[int, Step]]] = {}
        for at, step in enumerate(trace.steps):
            self._frames.setdefault(step.frame, []).append((at, step))

    @cached_property
    def top(self) -> Block:
        """The script's own statements."""
        return self._block(0, self.trace.source.tree.body)

    @cached_property
    def functions(self) -> tuple[Block, ...]:
        """The bodies of functions that were called, in the order of the calls."""
        found = []
        for frame, steps in self._frames.items():
            body = self._body(steps) if frame else None
            if body is not None:
                found.append(self._block(frame, body))
        return tuple(found)

    def home(self, tensor: str) -> Home | None:
        """Where the gradient of ``tensor`` is made; None if nowhere."""
        if tensor not in self._homes:
            self._homes[tensor] = self._found(tensor)
        return self._homes[tensor]

    def _found(self, tensor: str) -> Home | None:
        home = self._in(self.top, tensor)
        if home is not None and home.value is not None:
            return self._inner(home, tensor)
        for block in self.functions:
            home = self._in(block, tensor)
            if home is not None and home.writes and home.place.root in block.units[-1].after.local:
                return self._inner(home, tensor)
        return None

    def places(self, names: Mapping[str, Any]) -> dict[str, Place]:
        """The places of all gradients in a namespace, by tensor."""
        return places(names, self.tensors, self.told)

    def _in(self, block: Block, tensor: str) -> Home | None:
        own = block.units[-1].after.local if block.units else frozenset()
        first = {name: value for name, value in block.end.items() if name in own}
        place = self.places({**first, **block.end}).get(tensor)
        if place is None:
            return None
        writes = tuple(i for i, unit in enumerate(block.units) if unit.writes(place))
        return Home(block, place, writes)

    def _inner(self, home: Home, tensor: str) -> Home:
        """The home inside the one loop or function that makes the gradient, if there is one."""
        if len(home.writes) != 1:
            return home
        unit = home.block.units[home.writes[0]]
        if isinstance(unit.node, ast.For | ast.While) and unit.starts(home.place.root):
            inner = self._in(self._block(home.block.frame, unit.node.body), tensor)
            return self._inner(inner, tensor) if inner is not None and inner.writes else home
        if unit.opaque or RETURNED in unit.reads:
            for block in self._called_by(home.block, unit):
                inner = self._in(block, tensor)
                if inner is not None and inner.writes and same_value(inner.value, home.value):
                    return self._inner(inner, tensor)
        return home

    def _called_by(self, block: Block, unit: Unit) -> Iterator[Block]:
        later = [other.at for other in block.units if other.at > unit.at]
        end = min(later, default=len(self.trace.steps))
        start = 0 if RETURNED in unit.reads else unit.at
        frames = {step.frame for step in self.trace.steps[start:end]} - {block.frame}
        yield from (block for block in self.functions if block.frame in frames)

    def _body(self, steps: list[tuple[int, Step]]) -> list[ast.stmt] | None:
        source = self.trace.source
        numbers = [step.statement for _, step in steps if step.statement >= 0]
        node = source.parents.get(source.statements[numbers[0]]) if numbers else None
        while node is not None and not isinstance(node, ast.FunctionDef):
            node = source.parents.get(node)
        return node.body if isinstance(node, ast.FunctionDef) else None

    def _block(self, frame: int, body: list[ast.stmt]) -> Block:
        own = set(own_statements(body))
        steps = self._frames.get(frame, [])
        units = []
        for index, (at, step) in enumerate(steps):
            node = self._node(step)
            if node in own and step.execution == 0 and node is not None:
                after = self._after(node, steps[index + 1 :], frame)
                if after is not None:
                    units.append(Unit(node, step.before, after, at))
        return Block(tuple(units), self.trace.functions[frame], frame)

    def _after(self, node: ast.stmt, later: list[tuple[int, Step]], frame: int) -> Snapshot | None:
        for _, step in later:
            other = self._node(step)
            if other is None or not _inside(self.trace.source, other, node):
                return step.before
        return self.trace.end if frame == 0 else None

    def _node(self, step: Step) -> ast.stmt | None:
        return self.trace.source.statements[step.statement] if step.statement >= 0 else None


def _inside(source: Source, node: ast.AST, outer: ast.AST) -> bool:
    parent = source.parents.get(node)
    while parent is not None and parent is not outer:
        parent = source.parents.get(parent)
    return parent is outer


def same(one: Any, other: Any) -> bool:
    """Whether two frozen values are one: what changed was copied anew."""
    if one is other:
        return True
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        return False
    if type(one) is type(other) and isinstance(one, list | tuple) and len(one) == len(other):
        return all(same(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        return all(same(one[key], other[key]) for key in one)
    return isinstance(one, bool | int | float | str) and type(one) is type(other) and one == other


def same_value(one: Any, other: Any) -> bool:
    """Whether two tensors hold the same numbers."""
    if not isinstance(one, Tensor) or not isinstance(other, Tensor):
        return one is other
    return one.shape == other.shape and torch.equal(one, other)
