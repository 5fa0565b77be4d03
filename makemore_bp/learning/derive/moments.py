"""What a run's names led to before each of its statements, so that statements can be run again.

Tensors are kept as variables, so that a statement can be run in a world in which some of them are
others. Lists, dictionaries and objects of the file's own classes are looked into.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from makemore_bp.learning.derive.program import Variable

MOST = 4000  # moments whose names are kept
EACH = 300  # of one statement
_ENTRIES = 200  # of a list or dictionary that is looked into
_DEPTH = 4


@dataclass(eq=False)
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


def frozen(value: Any, variable: Callable[[Tensor], Any], depth: int = _DEPTH) -> Any:
    """A value with variables in place of its tensors."""
    if isinstance(value, Tensor):
        return variable(value)
    if not depth or isinstance(value, int | float | str | type):
        return value
    if isinstance(value, dict) and len(value) <= _ENTRIES:
        return {key: frozen(each, variable, depth - 1) for key, each in value.items()}
    if type(value) in (list, tuple) and len(value) <= _ENTRIES:
        return type(value)(frozen(each, variable, depth - 1) for each in value)
    if _own(value):
        values = {k: frozen(each, variable, depth - 1) for k, each in vars(value).items()}
        return Thing(type(value), values)
    return value


def thawed(value: Any, tensor: Callable[[Variable], Tensor], kinds: Mapping[str, type]) -> Any:
    """The same with tensors again, those that ``tensor`` gives; ``kinds`` are classes that take the
    place of those with the same names."""
    if isinstance(value, Variable):
        return tensor(value)
    if type(value) is dict:
        return {key: thawed(each, tensor, kinds) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(thawed(each, tensor, kinds) for each in value)
    if isinstance(value, Thing):
        made: Any = object.__new__(kinds.get(value.kind.__name__, value.kind))
        made.__dict__.update({k: thawed(each, tensor, kinds) for k, each in value.values.items()})
        return made
    return copy.copy(value) if type(value) in (set, bytearray) else value


def _own(value: Any) -> bool:
    return (
        type(value).__module__ in ("__main__", "types")
        and hasattr(value, "__dict__")
        and type(value).__name__ not in ("function", "ModuleType")
    )


def paths(names: Mapping[str, Any], depth: int = 1) -> Iterator[tuple[str, Any]]:
    """What names lead to, by the expressions that do: ``x``, ``p['w']``, ``layer.w``."""
    for name, value in names.items():
        if not name.startswith("__"):
            yield from _within(name, value, depth)


def _within(text: str, value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    yield text, value
    if not depth:
        return
    if isinstance(value, Thing):
        for name, each in value.values.items():
            yield from _within(f"{text}.{name}", each, depth - 1)
    elif type(value) is dict:
        for key, each in value.items():
            if isinstance(key, str | int):
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
