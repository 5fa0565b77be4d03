"""Labelled learner files that the checker's code was not written with.

`cases()` yields them, `half_done()` every state of three half-written right solutions,
`everything()` both. What a label means stands in case.py; verify.py holds all of them against
autograd.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import fused, halfdone, more, names, rights, singles, special, styles
from .bases import EXERCISE1
from .case import Case, numbered, right
from .halfdone import half_done

__all__ = ["Case", "cases", "everything", "half_done"]


def _all() -> Iterator[Case]:
    for base in EXERCISE1:
        yield right(base)
    for module in (singles, more, special, fused, rights, names, styles, halfdone):
        yield from module.cases()


def cases() -> Iterator[Case]:
    yield from numbered(_all())


def everything() -> Iterator[Case]:
    yield from cases()
    yield from half_done()
