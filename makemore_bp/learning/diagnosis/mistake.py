"""What is wrong with statements that do not give the true gradient: a repair, or what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from torch import Tensor

from makemore_bp.learning.diagnosis.kinds import Diagnosis, Kind
from makemore_bp.learning.diagnosis.named import Case, recognised
from makemore_bp.learning.diagnosis.repair import Repairs
from makemore_bp.learning.diagnosis.world import is_true

SURE = 2.6  # the cost up to which a repair goes before what the value itself shows


def mistake(
    repairs: Repairs, case: Case | None, hint: str, line: Callable[[], int | None]
) -> Diagnosis:
    """The likeliest mistake. ``case``: the value that the statements give, unless they give none;
    ``line``: which statement is at fault, where no repair says so."""
    found = repairs.best()
    if found is not None and found.edit.cost <= SURE:
        return repairs.diagnosis(found, hint)
    shown = next(_shown(case), None)
    if found is not None and (shown is None or shown[0] not in (Kind.missing_term, Kind.place)):
        return repairs.diagnosis(found, hint)
    if shown is not None:
        kind, text = shown
        return Diagnosis(kind, _sentence(text), hint, line())
    pair = repairs.pair()
    if pair is None:
        return unknown(hint, line())
    one, other = (repairs.diagnosis(each, hint) for each in pair)
    text = f"Two mistakes together. {one.text} And: {other.text}"
    return Diagnosis(Kind.several, text, hint, min(filter(None, (one.line, other.line))))


def unknown(hint: str, line: int | None) -> Diagnosis:
    """The honest answer."""
    text = "The kind of mistake is not one of those that can be recognised."
    return Diagnosis(Kind.unknown, text, hint, line)


def with_shapes(diagnosis: Diagnosis, shown: str, name: str, value: Tensor | None, true: Tensor) \
        -> Diagnosis:  # fmt: skip
    """For a gradient of another shape, both shapes and what comes of it."""
    if value is None or value.shape == true.shape:
        return diagnosis
    got, expected = tuple(value.shape), tuple(true.shape)
    text = f"{shown} is {got} and {name} is {expected}. {diagnosis.text}"
    if value.numel() == true.numel() and is_true(value.reshape(true.shape), true, 0.0):
        text += " The numbers are right."
        if _lines_up(got, expected):
            text += (
                " A comparison such as the lecture's cmp shows exact, because broadcasting lines "
                f"the two up; an update {name} += -lr * {shown} fails, or gives {name} another "
                "shape."
            )
        if diagnosis.kind is Kind.transposed:
            diagnosis = replace(diagnosis, kind=Kind.shape)
    return replace(diagnosis, text=text)


def _lines_up(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    return all(
        1 in pair or len(set(pair)) == 1 for pair in zip(one[::-1], other[::-1], strict=False)
    )


def _shown(case: Case | None) -> Iterator[tuple[Kind, str]]:
    if case is not None:
        yield from recognised(case)


def _sentence(text: str) -> str:
    """A full stop, and a capital where a word begins it and not a name."""
    first = text.split()[0]
    is_word = first in ("it", "every", "the", "this", "rows", "row", "column", "columns")
    return (text[:1].upper() + text[1:] if is_word else text) + "."
