"""What is said of a learner's pass: the same words on the terminal, in a notebook, on a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from makemore_bp.learning.check import LearnerCheck
from makemore_bp.learning.notebook import Source
from makemore_bp.text import visible

LONGEST = 1000  # characters of one sentence


@dataclass(frozen=True)
class Blame:
    """A gradient at fault. heading: where and what kind; paragraphs: the mistake, and a hint."""

    name: str
    heading: str
    paragraphs: tuple[str, ...]


@dataclass(frozen=True)
class Told:
    """blames: what to fix; reasons: why something is close and not exact; remarks: what else there
    is to know; failure: why the file did not come to its end, or nothing; verdict: the last line.
    """

    blames: tuple[Blame, ...]
    reasons: tuple[str, ...]
    remarks: tuple[str, ...]
    failure: str
    verdict: str


def told(check: LearnerCheck, source: Source | None = None) -> Told:
    """Everything that is said of a check, harmless for a terminal; ``source`` knows where a line of
    the script stands in the learner's file."""
    place = (source or Source("")).place
    error = check.result.error
    return Told(
        tuple(_blames(check, place)),
        tuple(_reasons(check)),
        tuple(_remarks(check, place)),
        error.paragraph() if error is not None else "",
        _verdict(check),
    )


def _blames(check: LearnerCheck, place: Callable[[int], str]) -> Iterator[Blame]:
    for report in check.reports:
        diagnosis = check.findings[report.name].diagnosis
        if diagnosis is not None:
            history = check.result.evidence.history.get(f"d{report.name}", ())
            where = f", {place(history[-1].line)}" if history else ""
            heading = f"d{report.name}{where}: {diagnosis.kind}"
            text = visible(diagnosis.text, LONGEST)
            yield Blame(report.name, heading, (text, f"Idea: {diagnosis.hint}"))
        elif report.status == "shape" and report.got is not None:
            got = " x ".join(map(str, report.got)) or "a scalar"
            expected = " x ".join(map(str, report.shape))
            text = f"It is {got}, and must be {expected}, as its tensor."
            yield Blame(report.name, f"d{report.name} (shape)", (text,))


def _reasons(check: LearnerCheck) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for report in check.reports:
        reason = check.findings[report.name].why_close
        if reason:
            reasons.setdefault(reason, []).append(f"d{report.name}")
    for reason, names in reasons.items():
        yield f"{', '.join(names)} close, not exact: {visible(reason, LONGEST)}"


def _remarks(check: LearnerCheck, place: Callable[[int], str]) -> Iterator[str]:
    result = check.result
    for report in check.reports:
        unfinished = check.findings[report.name].unfinished
        if unfinished:
            yield f"d{report.name}: {visible(unfinished, LONGEST)}"
    for name, mutation in result.mutated.items():
        yield (
            f"{place(mutation.line).capitalize()} changes {name}, a tensor of the forward pass, "
            "in place; all that reads it afterwards sees other numbers. Take a .clone() first."
        )
    for note in result.notes:
        yield visible(note, LONGEST)
    if result.lent:
        yield f"Not defined in the file, so autograd's were lent to it: {', '.join(result.lent)}."
    if result.hidden:
        yield f"Defined inside functions only, so not checked: {', '.join(result.hidden)}."
    if result.unknown:
        shown = ", ".join(visible(name, 60) for name in result.unknown)
        yield f"No gradient of the lecture's has the name {shown}."


def _verdict(check: LearnerCheck) -> str:
    right = f"{len(check.right)} of {len(check.scope.expected)} gradients are right."
    if check.passed:
        return f"{right} Done."
    wrong = [f"d{r.name}" for r in check.reports if r.status in ("wrong", "shape")]
    to_fix = f" To fix: {', '.join(wrong)}." if wrong else ""
    following = f" Next: {check.next}." if check.next else ""
    return right + to_fix + following
