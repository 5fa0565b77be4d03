"""A gradient's statements, run again as the learner wrote them or with one thing changed.

The statements are those of one block: of the file's top level, of a function's body, or of one
round of a loop. Every tensor that they find is what the world says: another gradient is true,
whatever the file made of it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from makemore_bp.learning.derive.moments import Moment, Thawing, Thing, paths, same
from makemore_bp.learning.derive.program import Program, Variable
from makemore_bp.learning.derive.replay import Replay
from makemore_bp.learning.diagnosis.edits import Words
from makemore_bp.learning.diagnosis.replay import Change
from makemore_bp.learning.diagnosis.running import execute
from makemore_bp.learning.diagnosis.shapes import is_length
from makemore_bp.learning.diagnosis.walk import exchanged
from makemore_bp.learning.diagnosis.world import as_number
from makemore_bp.learning.source import changed_by_name
from makemore_bp.learning.trace import Source

_DEFINITIONS = (ast.FunctionDef, ast.ClassDef)
_LONG = 24  # letters of an expression that may be meant in place of another
_RESULT = "__result__"


def benches(
    program: Program, replay: Replay, gradients: Mapping[Variable, bool]
) -> Iterator[Bench]:
    """The blocks in which a gradient is made, the innermost first. ``gradients`` are the states of
    all gradients of the file, and whether each holds anything but rounding."""
    chains = [moment.chain for moment in replay.moments()]
    if not chains:
        return
    depth = 0
    while all(len(chain) > depth + 1 for chain in chains) and _go_on(chains, depth):
        depth += 1
    for level in range(depth, -1, -1):
        units = sorted(dict.fromkeys(chain[level] for chain in chains), key=lambda u: u.time)
        bench = Bench(program, replay, units, gradients)
        if bench.faithful:
            yield bench


def _go_on(chains: Sequence[list[Moment]], depth: int) -> bool:
    """Whether all lie within one round of one statement."""
    first = chains[0]
    return all(
        chain[depth] is first[depth] and chain[depth + 1].round == first[depth + 1].round
        for chain in chains
    )


class Bench:
    """The statements of one block that make a gradient."""

    def __init__(self, program: Program, replay: Replay, units: Sequence[Moment],
                 gradients: Mapping[Variable, bool]) -> None:  # fmt: skip
        self._program, self._replay, self._gradients = program, replay, gradients
        self.source = Source(program.source, "<file>", program.tree)
        self.nodes = units
        self._afters = [self._after(unit) for unit in units]
        self._known: dict[bool, dict[Variable, Tensor]] = {True: {}, False: {}}

    @property
    def statements(self) -> list[ast.stmt | None]:
        """The statements as they are written."""
        return [unit.node for unit in self.nodes]

    @cached_property
    def faithful(self) -> bool:
        """Whether the statements, run again on what the file had, give what they gave."""
        own = self._replay.gradient.final.value
        again = self._run((), true=False) if self._reading is not None else None
        return again is not None and again.shape == own.shape and bool(
            torch.isclose(again.double(), own.double(), 1e-3, 1e-6, equal_nan=True).all()
        )  # fmt: skip

    def run(self, *changes: Change | None) -> Tensor | None:
        """What the statements give where every other gradient is true."""
        return self._run(tuple(change for change in changes if change is not None), true=True)

    def words(self, site: ast.stmt, unit: Moment) -> Words:
        """The names that may stand in a statement."""
        known = [(text, v) for text, v in paths(unit.names or {}) if isinstance(v, Variable)]
        shapes = {t: tuple(v.value.shape) for t, v in known
                  if v.differentiable and self._says_something(v)}  # fmt: skip
        whole = [text for text, v in known if not v.differentiable and v.value.dtype != torch.bool]
        numbers = {n: v for n, v in (unit.names or {}).items() if type(v) in (int, float)}
        inner = [n.id for n in ast.walk(site) if isinstance(n, ast.Name)
                 and isinstance(n.ctx, ast.Store)]  # fmt: skip
        if isinstance(site, ast.FunctionDef):
            inner += [argument.arg for argument in site.args.args]
        sizes = tuple(n for n, v in numbers.items() if v not in (0, 1) and n not in self._loops)
        integers = [n for n, v in numbers.items() if type(v) is int]
        own = self._replay.gradient
        return Words(
            floats={**dict.fromkeys([*self._parts(shapes), *inner]), **shapes},
            gradients=frozenset(text for text, v in known if v in self._gradients),
            integers=list(dict.fromkeys([*inner, *whole, *integers])),
            tensor=own.of.hint,
            said=frozenset(n.id for n in ast.walk(self.source.tree) if isinstance(n, ast.Name)),
            sizes=sizes,
            factors=(
                "2",
                "0.5",
                *(f"{one}{n}" for n in (*sizes, *self._lengths) for one in ("1/", "")),
            ),
        )

    @cached_property
    def _loops(self) -> set[str]:
        """The names of what loops run over."""
        loops = (n for n in ast.walk(self.source.tree) if isinstance(n, ast.For))
        return {each.id for n in loops for each in ast.walk(n.target) if isinstance(each, ast.Name)}

    @cached_property
    def _lengths(self) -> list[str]:
        """Lengths as the file writes them: ``len(x)``, ``x.shape[0]``."""
        found = [ast.unparse(n) for n in ast.walk(self.source.tree) if is_length(n)]
        return list(dict.fromkeys(text for text in found if len(text) < _LONG))

    def _parts(self, floats: Mapping[str, Any]) -> Iterator[str]:
        """Tensors as the file reads them: ``h[:, None]``, ``u.unsqueeze(1)``."""
        for node in ast.walk(self.source.tree):
            match node:
                case ast.Subscript(value=ast.Name(id=name), slice=place, ctx=ast.Load()):
                    computed = isinstance(place, ast.JoinedStr)  # a key, as in acts[f"h{k}"]
                    if name in floats or computed:
                        yield ast.unparse(node)
                case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=method)):
                    if name in floats and method in ("unsqueeze", "transpose"):
                        yield ast.unparse(node)

    def _says_something(self, variable: Variable) -> bool:
        return variable not in self._replay.gradient.states and self._gradients.get(variable, True)

    def _run(self, changes: tuple[Change, ...], true: bool) -> Tensor | None:
        tensors = self._known[true]

        def tensor(variable: Variable) -> Tensor:
            if variable not in tensors:
                value = self._replay.world(variable) if true else variable.value
                tensors[variable] = value.clone()
            return tensors[variable]

        value = self._result(changes, tensor)
        if any(known._version for known in tensors.values()):  # a statement has written into one
            self._known[true] = {}
        return value

    def _result(
        self, changes: tuple[Change, ...], tensor: Callable[[Variable], Tensor]
    ) -> Tensor | None:
        names = self._definitions(changes)
        if names is None:
            return None
        defined = frozenset(names)
        seen: Mapping[str, Any] = {}
        for unit, after in zip(self.nodes, self._afters, strict=True):
            if unit.names is None or after is None:
                return None
            _catch_up(names, seen, unit.names, defined, tensor)
            if not execute([self._statement(unit, changes)], names):
                return None
            seen = after
        return self._read(names)

    def _read(self, names: dict[str, Any]) -> Tensor | None:
        try:
            return as_number(eval(self._reading or "None", names))
        except Exception:
            return None

    @cached_property
    def _reading(self) -> str | None:
        """An expression that leads to the gradient when the statements are done."""
        own = self._replay.gradient
        changed = {n for unit in self.nodes if unit.node for n in changed_by_name(unit.node)}
        found = [t for t, v in paths(self._afters[-1] or {}, 3) if v is own.final]
        roots = {text: re.split(r"\W", text)[0] for text in found}
        likely = sorted(found, key=lambda t: (t != own.shown, roots[t] not in changed, len(t)))
        return next(iter(likely), None)

    def _statement(self, unit: Moment, changes: tuple[Change, ...]) -> ast.stmt:
        assert unit.node is not None
        new = next((c.new for c in changes if c.old is unit.node), unit.node)
        if isinstance(new, ast.Return):
            value = new.value or ast.Constant(None)
            result = ast.Assign([ast.Name(_RESULT, ast.Store())], value)
            return ast.fix_missing_locations(ast.copy_location(result, new))
        return new

    def _definitions(self, changes: tuple[Change, ...]) -> dict[str, Any] | None:
        """The file's functions and classes, by name, in a namespace of their own."""
        first = self.nodes[0].names or {}
        plain = {
            n: v for n, v in first.items() if not isinstance(v, Variable | Thing | dict | list)
        }
        own = [node for node in self.source.tree.body if isinstance(node, _DEFINITIONS)]
        if not own:
            return {}
        body: list[ast.stmt] = [*own]
        for change in changes:
            body = [exchanged(node, change.old, change.new) or node for node in body]
        space = dict(plain)
        if not execute(body, space):
            return None
        for name in plain.keys() - {node.name for node in own}:
            del space[name]
        return space

    def _after(self, unit: Moment) -> Mapping[str, Any] | None:
        """What the names lead to when a statement is done."""
        moments = self._program.moments
        if unit not in moments:
            return None
        for later in moments[moments.index(unit) + 1 :]:
            if later.scope == unit.scope and unit not in later.chain:
                return later.names
        return None


def _catch_up(
    names: dict[str, Any], seen: Mapping[str, Any], now: Mapping[str, Any],
    defined: frozenset[str], tensor: Callable[[Variable], Tensor],
) -> None:  # fmt: skip
    """Gives names what the statements in between, which are not run again, have made of them."""
    kinds = {name: names[name] for name in defined if isinstance(names[name], type)}
    thawing = Thawing(tensor, kinds)
    for name, value in now.items():
        if (name in seen and same(seen[name], value)) or (name in defined and callable(value)):
            continue
        kept = names.get(name)
        if name in seen and type(seen[name]) is type(value) and isinstance(value, dict | Thing):
            old, new = _entries(seen[name]), _entries(value)
            changed = {k: v for k, v in new.items() if k not in old or not same(old[k], v)}
            entries = kept if isinstance(kept, dict) else vars(kept)
            entries.update({k: thawing.thawed(v) for k, v in changed.items()})
        else:
            names[name] = thawing.thawed(value)


def _entries(value: Any) -> Mapping[Any, Any]:
    return value.values if isinstance(value, Thing) else value
