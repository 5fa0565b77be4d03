"""What is wrong with a gradient whose own statements are at fault."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from itertools import combinations

import torch
from torch import Tensor

from makemore_bp.learning.blocks import Blocks, Home, Unit, same
from makemore_bp.learning.diagnosis.compare import scale
from makemore_bp.learning.diagnosis.kinds import Diagnosis, Kind
from makemore_bp.learning.diagnosis.mistake import mistake, unknown, with_shapes
from makemore_bp.learning.diagnosis.named import Case
from makemore_bp.learning.diagnosis.repair import Repairs
from makemore_bp.learning.diagnosis.replay import Bench
from makemore_bp.learning.diagnosis.shapes import SIZES
from makemore_bp.learning.diagnosis.world import Given, exact, is_true, near
from makemore_bp.learning.source import changed_by_name
from makemore_bp.learning.truth import Truth


class Blame:
    """One gradient: what happened to it, and the kind of mistake in its statements."""

    def __init__(self, blocks: Blocks, home: Home, name: str, truth: Truth) -> None:
        self._blocks, self._home, self._name, self._truth = blocks, home, name, truth
        self._shown = str(home.place)
        self._hint = truth.idea(name)

    def aliased(self, value: Tensor, lines_are_right: bool) -> Diagnosis | None:
        """The gradient was better before a statement changed it by way of another name: nearer to
        the truth, or what its own lines rightly make of wrong inputs."""
        place, units = self._home.place, self._home.block.units
        last = self._home.writes[-1]
        before = place.get(units[last].after.names)
        harm = next((unit for unit in units[last + 1 :] if unit.changed(place)), None)
        if harm is None or not isinstance(before, Tensor) or before.shape != value.shape:
            return None
        true = self._truth.reference[self._name]
        nearer = before.shape == true.shape and scale(before - true) < scale(value - true)
        if not nearer and not (lines_are_right and not torch.equal(before, value)):
            return None
        line = self._segment(harm.node).splitlines()[0].strip()
        text = (
            f"Line {harm.node.lineno} ({line}) changes {self._shown} as well: it works in place, "
            f"on the memory of {self._shown}. Assigning a tensor to a second name makes no copy; "
            ".clone() does."
        )
        return Diagnosis(Kind.aliased, text, self._hint, self._aliasing(harm).lineno)

    def _aliasing(self, harm: Unit) -> ast.stmt:
        """The statement that gave the tensor its second name."""
        root = self._home.place.root
        for unit in self._home.block.units:
            storage = unit.after.storages.get(root)
            for name in unit.changes - {root}:
                shared = storage is not None and unit.after.storages.get(name) == storage
                if shared and root in unit.reads and unit.at < harm.at and name in harm.changes:
                    return unit.node
        return harm.node

    def used(self, last: int) -> bool:
        """Whether what the statements up to ``last`` made is read by another gradient before it is
        replaced."""
        following = [write for write in self._home.writes if write > last]
        return any(self._built_on(last + 1, min(following)))

    def _built_on(self, start: int, end: int | None) -> Iterator[bool]:
        """For each unit in a range, whether another gradient is computed from this one there."""
        for unit in self._home.block.units[start:end]:
            others = self._blocks.places(unit.after.names)
            yield self._home.place.root in unit.reads and any(
                unit.writes(place) for tensor, place in others.items() if tensor != self._name
            )

    def unfinished(self, bench: Bench) -> str | None:
        """What a gradient waits for that has some of its branches and is not read by another."""
        if any(self._built_on(bench.last + 1, None)):
            return None
        value = bench.true()
        if value is None or value.shape != self._truth.gradients[self._name].shape:
            return None
        if scale(value) == 0 and not bench.reads() and "zeros" in bench.text:
            return f"{self._shown} starts at zero, and nothing is added to it yet."
        missing = self._missing(value, bench)
        if missing is None:
            return None
        there = self._blocks.places(self._home.block.end)
        waits = [name for name in missing if name not in there]
        if waits:
            shown = " and ".join("d" + name for name in waits)
            return (
                f"{self._shown} has one of its branches; the other comes from {shown}, not defined "
                "yet."
            )
        goes_on = (name for name in self._truth.gradients if self._name in self._truth.terms(name))
        end = self._home.block.end
        if all(name in there and _is_begun(there[name].get(end)) for name in goes_on):
            return None
        return f"{self._shown} has one of its branches; the other is not added yet."

    def _missing(self, value: Tensor, bench: Bench) -> list[str] | None:
        """The branches that a value lacks, if it is the sum of the others and made from them. A
        fused line is written at once and waits for nothing."""
        terms = self._truth.terms(self._name)
        reads = set(bench.reads())
        noise = self._truth.noise(self._name)
        for count in range(1, len(terms)):
            for chosen in combinations(terms, count):
                partial = torch.stack([terms[name] for name in chosen]).sum(0)
                if reads & set(chosen) and is_true(value, partial, noise):
                    return [name for name in terms if name not in chosen]
        return None

    def diagnosis(self, bench: Bench, zero: bool) -> Diagnosis | None:
        """The kind of mistake and its place; None if ``zero``, where only a repair counts, and
        there is none."""
        if zero:
            early = self._read_early(bench, bench.random, bench.right_at_random)
            if early is not None:
                return early
            world = bench.random
            repairs = Repairs(bench, lambda *c: bench.run(world, *c), bench.right_at_random)
            found = repairs.best()
            return repairs.diagnosis(found, self._hint) if found is not None else None
        return self._events(bench) or self._recognised(bench)

    def _recognised(self, bench: Bench) -> Diagnosis:
        world, true = self._truth.gradients, self._truth.gradients[self._name]
        repairs = Repairs(bench, lambda *c: bench.run(world, *c), bench.agrees)
        told = mistake(repairs, self._case(bench), self._hint, lambda: self._line(bench))
        if told.kind is Kind.unknown:
            return told
        return with_shapes(told, self._shown, self._name, bench.true(), true)

    def unknown(self, bench: Bench) -> Diagnosis:
        """The honest answer."""
        return unknown(self._hint, self._line(bench))

    def _events(self, bench: Bench) -> Diagnosis | None:
        """The mistake is in the order of events: a gradient read too early, a changed tensor."""
        early = self._read_early(bench, self._truth.gradients, bench.agrees)
        return early or self._changed_forward(bench)

    def _read_early(
        self, bench: Bench, world: Mapping[str, Tensor], right: Callable[[Tensor | None], bool]
    ) -> Diagnosis | None:
        for read, indices in bench.reads().items():
            unit = self._home.block.units[indices[0]]
            place = self._blocks.places(unit.before.names)[read]
            if read not in world or not bench.unfinished(place, indices[0]):
                continue
            if right(bench.run(world, given=Given(finished=True))):
                text = (
                    f"It is computed from {place} as it was after line "
                    f"{self._last_write(place.root, indices[0])}, before {place} was complete."
                )
                return Diagnosis(Kind.wrong_input, text, self._hint, unit.node.lineno)
        return None

    def _last_write(self, root: str, index: int) -> int:
        for unit in reversed(self._home.block.units[:index]):
            if root in unit.changes:
                return unit.node.lineno
        return self._home.block.units[index].node.lineno

    def _changed_forward(self, bench: Bench) -> Diagnosis | None:
        world = self._truth.gradients
        unit = bench.nodes[-1]
        for name, tensor in self._truth.tensors.items():
            value = unit.before.names.get(name)
            if not isinstance(tensor, Tensor) or not isinstance(value, Tensor):
                continue
            read = any(name in each.reads for each in bench.nodes)
            if not read or near(value, tensor):
                continue
            if bench.agrees(bench.run(world, given=Given(forward=True))):
                text = (
                    f"Line {self._changes(name)} changes {name}, a tensor of the forward pass, and "
                    "this gradient reads it afterwards."
                )
                return Diagnosis(Kind.wrong_input, text, self._hint, unit.node.lineno)
        return None

    def _changes(self, name: str) -> int | None:
        for unit in (*self._blocks.top.units, *self._home.block.units):
            if not same(unit.before.names.get(name), unit.after.names.get(name)):
                return unit.node.lineno
        return None

    def _case(self, bench: Bench) -> Case | None:
        value = bench.true()
        if value is None:
            return None
        names = bench.nodes[-1].before.names
        sizes = {n: float(names[n]) for n in SIZES if isinstance(names.get(n), int)}
        tensors = {
            n: exact(v) for n, v in names.items() if n in self._truth.tensors and _is_float(v)
        }
        tensors |= {"d" + n: g for n, g in self._truth.gradients.items() if n != self._name}
        return Case(self._name, self._shown, value, self._truth, sizes, tensors, set(bench.reads()))

    def _line(self, bench: Bench) -> int:
        """The statement that does not give what one of the branches is."""
        writes = [i for i in bench.plan if bench.block.units[i].writes(self._home.place)]
        before: Tensor | None = None
        for index in writes if len(writes) > 1 else ():
            if "empty" in self._segment(bench.block.units[index].node):
                continue
            value = bench.run(self._truth.gradients, upto=index)
            if value is None:
                break
            step = value if before is None else _difference(value, before)
            if step is None or not self._is_branch(step):
                return self._inner_line(bench.block.units[index].node)
            before = value
        return self._inner_line(bench.block.units[writes[-1] if writes else bench.last].node)

    def _inner_line(self, node: ast.stmt) -> int:
        """For a loop, the statement inside that changes the gradient."""
        root = self._home.place.root
        inner = [
            each
            for each in ast.walk(node)
            if isinstance(each, ast.stmt)
            and not hasattr(each, "body")
            and root in changed_by_name(each)
        ]
        return inner[0].lineno if inner else node.lineno

    def _is_branch(self, step: Tensor) -> bool:
        terms = self._truth.terms(self._name)
        noise = self._truth.noise(self._name)
        return scale(step) == 0 or any(
            is_true(step, torch.stack([terms[name] for name in chosen]).sum(0), noise)
            for count in range(1, len(terms) + 1)
            for chosen in combinations(terms, count)
        )

    def _segment(self, node: ast.stmt) -> str:
        return self._blocks.trace.source.segment(node)


def _is_begun(value: object) -> bool:
    """Whether a gradient is more than the zeros that it starts from."""
    return not isinstance(value, Tensor) or scale(value.double()) > 0


def _difference(one: Tensor, other: Tensor) -> Tensor | None:
    try:
        return one - other
    except RuntimeError:
        return None


def _is_float(value: object) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()
