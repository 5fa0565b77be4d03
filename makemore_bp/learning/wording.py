"""What is said of a learner's pass: the same words on the terminal, in a notebook, on a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from makemore_bp.learning.answer import Answer, mistakes, place
from makemore_bp.learning.failure import paragraph
from makemore_bp.text import visible

_RAN_ON = "A line fails; it defines nothing, so the rest was run all the same."
_ENDED = "The file did not come to its end."
LONGEST = 1000  # characters of one sentence


@dataclass(frozen=True)
class Blame:
    """A gradient at fault. name: its tensor's; heading: where and what kind; code: the line at
    fault, and below it the place in it; text: the mistake; more: the idea, or the line repaired."""

    name: str
    heading: str
    code: tuple[str, ...]
    text: str
    more: str = ""


@dataclass(frozen=True)
class Wording:
    """blames: what to fix; reasons: why something is close and not exact; remarks: what else there
    is to know; failure: an error, or nothing; ended: what it means; verdict: the last line."""

    blames: tuple[Blame, ...]
    reasons: tuple[str, ...]
    remarks: tuple[str, ...]
    failure: str
    ended: str
    verdict: str


def worded(answer: Answer, text: str, solution: str | None = None) -> Wording:
    """Everything that is said of an answer, harmless for a terminal. ``text`` is the script;
    ``solution`` names the gradient whose line is shown repaired, or ``all``."""
    lines, error = text.splitlines(), answer["error"]
    blames = tuple(
        _blame(tensor, lines, solution in ("all", tensor["name"], place(tensor)))
        for tensor in mistakes(answer)
    )
    return Wording(
        blames,
        tuple(_reasons(answer)),
        tuple(_remarks(answer)),
        paragraph(error) if error is not None else "",
        _RAN_ON if error is not None and error.get("ran_on") else _ENDED,
        _verdict(answer),
    )


def where(said: Mapping[str, Any]) -> str:
    """Where a line stands that is spoken of: ``line 12``, ``cell 3, line 4``; empty if unknown."""
    return str(said.get("where") or (f"line {said['line']}" if said.get("line") else ""))


def _blame(tensor: Mapping[str, Any], lines: list[str], solution: bool) -> Blame:
    diagnosis = tensor["diagnosis"]
    at = diagnosis if diagnosis.get("line") else tensor
    heading = f"{place(tensor)}{', ' if where(at) else ''}{where(at)}: {diagnosis['kind']}"
    number, repair = int(at.get("line") or 0), diagnosis.get("repair")
    code = tuple(_underlined(lines[number - 1], repair)) if 0 < number <= len(lines) else ()
    more = f"Idea: {diagnosis['hint']}" if diagnosis["hint"] else ""
    if solution and repair is not None:
        more = f"Repaired: {visible(repair['statement'], 400)}"
    return Blame(tensor["name"], heading, code, visible(diagnosis["text"], 1200), more)


def _underlined(line: str, repair: Mapping[str, Any] | None) -> Iterator[str]:
    shown = line.expandtabs(1)
    start = len(shown) - len(shown.lstrip())
    yield visible(shown.strip(), 200)
    if repair is not None:
        column = repair["column"] - 1 - start
        length = len(repair["old"].splitlines()[0]) if repair["old"] else 0
        if column >= 0 and 0 < length < len(shown.strip()) and column + length <= 200:
            yield " " * column + "^" * length


def _remarks(answer: Answer) -> Iterator[str]:
    for tensor in answer["tensors"]:
        if tensor.get("unfinished"):
            yield visible(tensor["unfinished"], LONGEST)
    for change in answer["changed"]:
        at = where(change).capitalize() or "A statement"
        if change["in_place"]:
            yield (
                f"{at} changes {change['name']}, a tensor of the forward pass, in place; all that "
                "reads it afterwards sees other numbers. Take a .clone() first."
            )
        else:
            yield (
                f"{at} gives {change['name']}, a tensor of the forward pass, another value; all "
                "that reads it afterwards sees other numbers."
            )
    for note in answer["notes"]:
        yield visible(note, LONGEST)
    if answer["lent"]:
        lent = ", ".join(answer["lent"])
        yield f"Not defined in the file, so autograd's were lent to it: {lent}."
    if answer["hidden_in_functions"]:
        hidden = ", ".join(answer["hidden_in_functions"])
        yield f"Defined inside functions that are not called, so not checked: {hidden}."
    if answer["unknown"]:
        shown = ", ".join(visible(name, 60) for name in answer["unknown"])
        yield f"No gradient of the lecture's has the name {shown}."


def _reasons(answer: Answer) -> Iterator[str]:
    """Why gradients are close, not exact: each reason once, those that only hand it on together."""
    reasons: dict[str, list[str]] = {}
    handed_on: list[str] = []
    for tensor in answer["tensors"]:
        reason = tensor.get("why_close")
        if reason is not None and reason.startswith("Its own line is exact"):
            handed_on.append(place(tensor))
        elif reason is not None:
            reasons.setdefault(reason, []).append(place(tensor))
    for reason, names in reasons.items():
        yield f"{', '.join(names)} close, not exact: {visible(reason, LONGEST)}"
    if handed_on:
        yield (
            f"The own lines of {', '.join(handed_on)} are exact; their last bits come from what "
            "they read."
        )


def _verdict(answer: Answer) -> str:
    right = f"{answer['right']} of {answer['expected']} gradients are right."
    if answer["passed"]:
        return f"{right} Done."
    wrong = [place(t) for t in answer["tensors"] if t["status"] in ("wrong", "shape")]
    fix = f" To fix: {', '.join(wrong)}." if wrong else ""
    following = f" Next: {answer['next']}." if answer["next"] else ""
    return right + fix + following
