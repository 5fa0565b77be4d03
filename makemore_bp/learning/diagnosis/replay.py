"""Statements of a learner's, run again on what the script had, in a world of one's choice.

The world says what every gradient is: the true ones, to ask whether a gradient's own statements
are right; or the script's own, to see that running them again gives what they gave. It is a world
in float64, in which rounding hides nothing.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from makemore_bp.learning.blocks import Blocks, Home, Unit
from makemore_bp.learning.diagnosis.compare import scale
from makemore_bp.learning.diagnosis.edits import Words
from makemore_bp.learning.diagnosis.running import (
    SETTING,
    Bounded,
    execute,
    rebind,
    setting_in,
    with_settings,
)
from makemore_bp.learning.diagnosis.world import (
    AS_READ,
    Given,
    World,
    as_number,
    exact,
    is_true,
    near,
    private,
)
from makemore_bp.learning.places import Place, places, tensor_meant
from makemore_bp.learning.source import is_name
from makemore_bp.learning.truth import Truth

_OWN = "__makemore_bp_own__"  # what the statements have made of the gradient so far


@dataclass(frozen=True)
class Change:
    """The statement or definition ``old`` of the script, to be taken as ``new``."""

    old: ast.stmt
    new: ast.stmt


class Bench:
    """The statements that make one gradient, to be run again."""

    def __init__(
        self, blocks: Blocks, home: Home, tensor: str, truth: Truth, last: int | None = None
    ) -> None:
        """``last`` is the unit at which the definition in question ends, by default the last."""
        self.block, self.place, self.tensor, self.truth = home.block, home.place, tensor, truth
        self.last = home.definitions[-1] if last is None else last
        self._blocks, self.source = blocks, blocks.trace.source
        self._told = blocks.told
        self._worlds: dict[tuple[int, int, Given], World] = {}
        self._begun: dict[tuple[str, int, int], Tensor | None] = {}

    @cached_property
    def plan(self) -> tuple[int, ...]:
        """The units that make the gradient, with those that make what only they use."""
        return self._back_from(self.last, forgets=True)

    @cached_property
    def history(self) -> tuple[int, ...]:
        """The same, with what gave the gradient the values that were replaced."""
        return self._back_from(self.last, forgets=False)

    def _back_from(self, last: int, forgets: bool) -> tuple[int, ...]:
        needed, units = {self.place.root}, []
        for index in range(last, -1, -1):
            unit = self.block.units[index]
            written = {
                name
                for name in needed
                if unit.writes(self.place if name == self.place.root else Place(name))
                or self._works_on(unit, name)
            }
            if not written or isinstance(unit.node, ast.FunctionDef | ast.ClassDef):
                continue
            units.append(index)
            keeps = set() if forgets else {self.place.root}
            needed -= {name for name in written if unit.starts(name)} - keeps
            needed |= unit.reads - self._given(unit)
        return tuple(reversed(units))

    def _works_on(self, unit: Unit, name: str) -> bool:
        """Whether a unit calls a method of an object of the script's own."""
        value = unit.before.names.get(name)
        return type(value).__name__ in self._classes and any(
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == name
            for call in ast.walk(unit.node)
            if isinstance(call, ast.Call)
            for node in [call.func]
        )

    @cached_property
    def _classes(self) -> dict[str, ast.ClassDef]:
        """The script's own classes."""
        body = self.source.tree.body
        return {node.name: node for node in body if isinstance(node, ast.ClassDef)}

    @property
    def nodes(self) -> list[Unit]:
        """The units of the plan."""
        return [self.block.units[index] for index in self.plan]

    @property
    def text(self) -> str:
        """The statements as the learner wrote them."""
        return "\n".join(self.source.segment(unit.node) for unit in self.nodes)

    def words(self, site: ast.stmt, unit: Unit) -> Words:
        """The names that may stand in a statement."""
        names = {n: v for n, v in unit.before.names.items() if is_name(n.removesuffix(".grad"))}
        own = self.place.root
        inner = [
            node.id
            for node in ast.walk(site)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            if node.id != own and not self._is_zero(node.id)
        ]
        if isinstance(site, ast.FunctionDef):
            inner += [argument.arg for argument in site.args.args]
        floats = [n for n, v in names.items() if n != own and self._says_something(n, v)]
        integers = [n for n, v in names.items() if _is_integer(v)]
        tensors = self.truth.gradients
        return Words(
            floats={n: tuple(names[n].shape) if n in floats else None for n in (*floats, *inner)},
            gradients=frozenset(n for n in floats if tensor_meant(n, tensors) and n != own),
            integers=list(dict.fromkeys([*inner, *integers])),
            tensor=self.tensor,
            said=self._said,
            made=frozenset(n for each in self.nodes for n in each.changes)
            - self.truth.tensors.keys(),
        )

    def _says_something(self, name: str, value: Any) -> bool:
        """Whether a name holds floating numbers that are not zero in truth, where all repairs."""
        if not isinstance(value, Tensor) or not value.is_floating_point():
            return False
        return not self._is_zero(name)

    def _is_zero(self, name: str) -> bool:
        """Whether a name means a gradient that is zero in truth."""
        gradients = self.truth.gradients
        tensor = tensor_meant(name, gradients)
        return tensor is not None and scale(gradients[tensor]) <= self.truth.noise(tensor)

    @cached_property
    def _said(self) -> frozenset[str]:
        return frozenset(_words(self.source.tree))

    @cached_property
    def random(self) -> Mapping[str, Tensor]:
        """A world of random gradients, in which a gradient that is zero in truth is not."""
        g = torch.Generator().manual_seed(0)
        return {
            name: torch.randn(gradient.shape, generator=g, dtype=torch.float64)
            for name, gradient in self.truth.gradients.items()
        }

    def right_at_random(self, value: Tensor | None) -> bool:
        """Whether a value is what the rule gives in the random world."""
        local = self.truth.local(self.tensor, self.random)
        return value is not None and is_true(value, local, 1e-9 * scale(local))

    def reads(self) -> dict[str, list[int]]:
        """The other gradients that the plan reads, by tensor, with the units that read them."""
        found: dict[str, list[int]] = {}
        for index in self.plan:
            unit = self.block.units[index]
            for tensor, place in self._places(unit).items():
                if place.root in unit.reads and tensor != self.tensor:
                    found.setdefault(tensor, []).append(index)
        return found

    def true(self, change: Change | None = None) -> Tensor | None:
        """What the statements give where every other gradient is true; None if they fail."""
        return self.run(self.truth.gradients, change)

    def run(
        self,
        world: Mapping[str, Tensor],
        *changes: Change | None,
        upto: int | None = None,
        given: Given = AS_READ,
    ) -> Tensor | None:
        """What the statements give in a world of gradients (by tensor name, float64). ``upto``
        ends the plan after that unit."""
        made: dict[str, Any] = {}
        for index in self.history if changes else self.plan:
            names = self._names(index, world, made, given)
            if not execute(self._statements(index, changes), names):
                return None
            unit = self.block.units[index]
            own = unit.changes - self._others(unit) - {self.place.root}
            for name in own & names.keys():
                made[name] = private(names[name])  # it may be a tensor of the world itself
            if self.place.root in unit.changes or unit.opaque:
                made[_OWN] = private(self.place.get(names))
            if index == upto:
                break
        return as_number(made.get(_OWN))

    def agrees(self, value: Tensor | None, truth: Tensor | None = None) -> bool:
        """Whether a value is the true gradient."""
        truth = self.truth.gradients[self.tensor] if truth is None else truth
        return value is not None and is_true(value, truth, self.truth.noise(self.tensor))

    @cached_property
    def faithful(self) -> bool:
        """Whether the statements, run again on the script's own gradients, give its own result."""
        made = self.place.get(self.block.units[self.last].after.names)
        own = as_number(made)
        again = self.run({})
        if own is None or again is None or own.shape != again.shape:
            return False
        own, again = own.double().nan_to_num(), again.double().nan_to_num()
        return scale(own - again) <= 1e-3 * scale(own) + self._noise32()

    def _noise32(self) -> float:
        unit = torch.finfo(torch.float32).eps / torch.finfo(torch.float64).eps
        return self.truth.noise(self.tensor) * unit

    def _statements(self, index: int, changes: tuple[Change | None, ...]) -> list[ast.stmt]:
        unit = self.block.units[index]
        new = {change.old: change.new for change in changes if change is not None}
        node = new.get(unit.node, unit.node)
        definitions = {
            old.name: statement
            for old, statement in new.items()
            if isinstance(old, ast.FunctionDef) and old not in self._methods
        }
        if unit.opaque:
            definitions = {**self._makers, **definitions}
        whole = [
            self._cut(d, d.name) for d in definitions.values() if isinstance(d, ast.FunctionDef)
        ]
        whole += [_with_methods(each, new) for each in self._classes.values()]
        compound = isinstance(node, ast.For | ast.While)
        statements = [*whole, self._cut(node, self.block.function) if compound else node]
        return (
            [Bounded().visit(copy.deepcopy(s)) for s in statements] if self._loops else statements
        )

    @cached_property
    def _loops(self) -> bool:
        """Whether there is a loop that a change may keep from ending."""
        return any(isinstance(node, ast.While) for node in ast.walk(self.source.tree))

    @cached_property
    def _methods(self) -> set[ast.stmt]:
        return {method for each in self._classes.values() for method in each.body}

    @cached_property
    def _makers(self) -> dict[str, ast.stmt]:
        """The functions of the script in which other gradients are made."""
        made_in = {home.block.function for home in self._homes.values()}
        return {
            node.name: node
            for node in self.source.tree.body
            if isinstance(node, ast.FunctionDef) and node.name in made_in
        }

    @cached_property
    def _homes(self) -> dict[str, Home]:
        """The homes of the other gradients."""
        found = {t: self._blocks.home(t) for t in self.truth.gradients if t != self.tensor}
        return {tensor: home for tensor, home in found.items() if home is not None}

    def _cut(self, node: ast.stmt, function: str) -> ast.stmt:
        """A loop or function that makes several gradients, with every other one set to what it is
        in the world as soon as it is made."""
        own = {
            home.place.root: tensor
            for tensor, home in self._homes.items()
            if home.block.function == function and home.place.key is None
        }
        return with_settings(node, own) if own else node

    def _names(
        self, index: int, world: Mapping[str, Tensor], made: Mapping[str, Any], given: Given
    ) -> dict[str, Any]:
        """The namespace for a unit: private copies of what it reads."""
        key = index, id(world), given
        known = self._worlds.get(key)
        if (
            known is None or known.touched
        ):  # a change may make a statement write where it should not
            known = self._worlds[key] = World.of(self._world(index, world, given))
        names = dict(known.names)
        unit = self.block.units[index]
        for name in unit.reads | unit.changes:
            if name in names:
                names[name] = private(names[name])
        names.update(made)
        if made.get(_OWN) is not None:
            self.place.put(names, made[_OWN])
        names[SETTING] = lambda tensor, value: setting_in(world, tensor, value)
        rebind(names)
        return names

    def _world(self, index: int, world: Mapping[str, Tensor], given: Given) -> dict[str, Any]:
        unit = self.block.units[index]
        if given.single:
            names = dict(unit.before.names)
        else:
            names = {name: exact(value) for name, value in unit.before.names.items()}
            for name, tensor in self.truth.tensors.items():
                value = names.get(name)
                if isinstance(tensor, Tensor) and isinstance(value, Tensor):
                    names[name] = tensor if given.forward or near(value, tensor) else value
        for other, place in self._places(unit).items():
            if other == self.tensor or other not in world:
                continue
            value, true = place.get(names), self.truth.gradients[other]
            right = isinstance(value, Tensor) and near(value, true)
            if right or given.finished or not self.unfinished(place, index):
                place.put(names, world[other])
            elif not given.single and place.root in unit.reads:
                begun = self._so_far(other, place, index, world)
                if begun is not None and isinstance(value, Tensor) and begun.shape == value.shape:
                    place.put(names, begun)
        return names

    def _so_far(
        self, tensor: str, place: Place, index: int, world: Mapping[str, Tensor]
    ) -> Tensor | None:
        """What a gradient that is added to later is at a unit, in float64."""
        key = tensor, index, id(world)
        if key not in self._begun:
            self._begun[key] = None  # for two gradients that read each other
            writes = tuple(i for i in range(index) if self.block.units[i].writes(place))
            if writes:
                home = Home(self.block, place, writes)
                bench = Bench(self._blocks, home, tensor, self.truth, writes[-1])
                bench._begun = self._begun
                self._begun[key] = bench.run(world)
        return self._begun[key]

    def unfinished(self, place: Place, index: int) -> bool:
        """Whether a gradient that a unit reads is added to later: it was read too early."""
        for unit in self.block.units[index:]:
            if unit.writes(place):
                return not unit.starts(place.root)
        return False

    def _places(self, unit: Unit) -> dict[str, Place]:
        found = places(unit.before.names, self.truth.gradients, self._told)
        if self.place.key is None:
            return found
        # A function may know a dictionary of gradients by a name of its own.
        own = {t: replace(p, root=self.place.root) for t, p in found.items() if p.key is not None}
        return found | {t: p for t, p in own.items() if p.get(unit.before.names) is not None}

    def _others(self, unit: Unit) -> set[str]:
        """The names of other gradients after a unit: the world says what they are."""
        after = places(unit.after.names, self.truth.gradients, self._told)
        return {p.root for t, p in after.items() if t != self.tensor} - {self.place.root}

    def _given(self, unit: Unit) -> set[str]:
        """The names that are not the plan's to make: other gradients and what the script found."""
        others = {p.root for t, p in self._places(unit).items() if t != self.tensor}
        return (others | set(self.truth.tensors)) - {self.place.root}


def _with_methods(node: ast.ClassDef, new: Mapping[ast.stmt, ast.stmt]) -> ast.ClassDef:
    """A class with some of its methods exchanged."""
    changed = copy.copy(node)
    changed.body = [new.get(method, method) for method in node.body]
    return changed


def _words(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name):
                yield name
            case ast.Subscript(slice=ast.Constant(value=str(key))):
                yield f'"{key}"'


def _is_integer(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not value.is_floating_point() and value.dtype != torch.bool
    return isinstance(value, int) and not isinstance(value, bool)
