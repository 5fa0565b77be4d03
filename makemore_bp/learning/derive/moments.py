"""What a run's names led to before each of its statements, so that statements can be run again.

Tensors are kept as variables, so that a statement can be run in a world in which some of them are
others. Lists, dictionaries and objects of the file's own classes are looked into.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from makemore_bp.learning.derive.program import Variable
from makemore_bp.learning.source import is_name

MOST = 4000  # moments whose names are kept
EACH = 300  # of one statement
_ENTRIES = 200  # of a list or dictionary that is looked into
_DEPTH = 4


@dataclass(eq=False, repr=False)
class Moment:
    """A statement that is about to be executed; none as a function or the file ends. around: the
    statement during which it is, a loop or one that calls a function; round: how often the body of
    that loop has begun; names: None where there were too many moments."""

    node: ast.stmt | None
    scope: int
    around: Moment | None
    round: int
    time: int
    names: Mapping[str, Any] | None = None
    rounds: int = 0

    @property
    def chain(self) -> list[Moment]:
        """The moments around it, the outermost first, and itself."""
        return [*(self.around.chain if self.around is not None else ()), self]


@dataclass(frozen=True)
class Thing:
    """An object of one of the file's classes."""

    kind: type
    values: Mapping[str, Any]


class Freezing:
    """Values with variables in place of their tensors; what is one object stays one."""

    def __init__(self, variable: Callable[[Tensor], Any]) -> None:
        self._variable = variable
        self._known: dict[int, Any] = {}

    def frozen(self, value: Any, depth: int = _DEPTH) -> Any:
        """The value as it is at this moment."""
        if isinstance(value, Tensor):
            return self._variable(value)
        if not depth or isinstance(value, int | float | str | type):
            return value
        if id(value) not in self._known:
            self._known[id(value)] = self._looked_into(value, depth - 1)
        return self._known[id(value)]

    def _looked_into(self, value: Any, depth: int) -> Any:
        if isinstance(value, dict) and len(value) <= _ENTRIES:
            return {key: self.frozen(each, depth) for key, each in value.items()}
        if type(value) in (list, tuple) and len(value) <= _ENTRIES:
            return type(value)(self.frozen(each, depth) for each in value)
        if _own(value):
            return Thing(type(value), {k: self.frozen(v, depth) for k, v in vars(value).items()})
        return value


class Thawing:
    """The same with tensors again, those that ``tensor`` gives; ``kinds`` are classes that take the
    place of those with the same names."""

    def __init__(self, tensor: Callable[[Variable], Tensor], kinds: Mapping[str, type]) -> None:
        self._tensor, self._kinds = tensor, kinds
        self._known: dict[int, Any] = {}

    def thawed(self, value: Any) -> Any:
        """A value that statements may change."""
        if isinstance(value, Variable):
            return self._tensor(value)
        if type(value) not in (dict, list, tuple, set, Thing):
            return value
        if id(value) not in self._known:
            self._known[id(value)] = self._made(value)
        return self._known[id(value)]

    def _made(self, value: Any) -> Any:
        if isinstance(value, Thing):
            made: Any = object.__new__(self._kinds.get(value.kind.__name__, value.kind))
            made.__dict__.update(self._made(value.values))
            return made
        if type(value) is dict:
            return {key: self.thawed(each) for key, each in value.items()}
        return type(value)(self.thawed(each) for each in value)


def _own(value: Any) -> bool:
    return (
        type(value).__module__ in ("__main__", "types")
        and hasattr(value, "__dict__")
        and type(value).__name__ not in ("function", "ModuleType")
    )


def paths(names: Mapping[str, Any], depth: int = 1) -> Iterator[tuple[str, Any]]:
    """What names lead to, by the expressions that do: ``x``, ``p['w']``, ``layer.w``."""
    for name, value in names.items():
        if not name.startswith("__") and is_name(name):
            yield from _within(name, value, depth)


def _within(text: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    yield text, value
    if not depth:
        return
    if isinstance(value, Thing):
        for name, each in value.values.items():
            if is_name(name):
                yield from _within(f"{text}.{name}", each, depth - 1)
    elif type(value) is dict:
        for key, each in value.items():
            if type(key) in (str, int):
                yield from _within(f"{text}[{key!r}]", each, depth - 1)
    elif type(value) in (list, tuple) and depth > 1:
        for place, each in enumerate(value):
            yield from _within(f"{text}[{place}]", each, depth - 1)


def same(one: Any, other: Any) -> bool:
    """Whether two frozen values are one."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, Thing):
        return one.kind is other.kind and same(one.values, other.values)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(v, other[k]) for k, v in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool | int | float | str) and one == other
