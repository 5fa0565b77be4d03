"""The variables' names in the program: the file's own as far as each is there once.

A tensor that is bound a second time is ``h_2``, the one after it ``h_3``.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from torch import Tensor

from makemore_bp.learning.derive.program import Program, Variable
from makemore_bp.learning.source import is_name

_DEPTH = 4  # of attributes and indices on the way to a tensor


def settle_names(program: Program, wanted: Iterable[Variable]) -> None:
    """Names every variable; the wanted ones first, and among them those of the module."""
    things = {name for name, value in program.names.items() if not isinstance(value, Tensor)}
    taken = things | set(dir(builtins))
    wanted = list(wanted)
    rest = [variable for variable in program.variables if variable not in set(wanted)]
    for group in (wanted, rest):
        for variable in sorted(group, key=lambda each: not each.is_global):
            variable.name = free_name(variable.hint, taken)
            taken.add(variable.name)


def find_places(program: Program, variables: Sequence[Variable]) -> None:
    """Says with which expression the file's namespace leads to tensors without a name of their own,
    such as ``layers[0].weight``."""
    sought = {id(v.tensor): v for v in variables if v.place is None}
    for name, value in list(program.names.items()):
        if not name.startswith("__") and is_name(name):
            for place, tensor in _within(name, value, _DEPTH):
                variable = sought.get(id(tensor))
                if variable is not None and variable.place is None:
                    variable.place = place


def _within(place: str, value: Any, depth: int) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield place, value
    elif depth and isinstance(value, list | tuple):
        for k, each in enumerate(value[:1000]):
            yield from _within(f"{place}[{k}]", each, depth - 1)
    elif depth and isinstance(value, dict):
        for key, each in value.items():
            if type(key) in (str, int):
                yield from _within(f"{place}[{key!r}]", each, depth - 1)
    elif depth and type(value).__module__ == "__main__" and hasattr(value, "__dict__"):
        for name, each in vars(value).items():
            if is_name(name):
                yield from _within(f"{place}.{name}", each, depth - 1)


def free_name(hint: str, taken: set[str]) -> str:
    """A name that is not taken: the hint itself, or with a number behind it."""
    base = hint if is_name(hint) else "t"
    if base not in taken:
        return base
    return next(name for k in range(2, 10_000) if (name := f"{base}_{k}") not in taken)
