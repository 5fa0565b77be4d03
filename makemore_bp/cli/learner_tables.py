"""How the check of a learner's own file is shown to the learner."""

from __future__ import annotations

from collections.abc import Iterator

from rich.padding import Padding
from rich.text import Text

from makemore_bp.cli.gradcheck_tables import tensor_table
from makemore_bp.cli.tables import output
from makemore_bp.learning.check import LearnerCheck
from makemore_bp.text import visible

OUTPUT_LINES = 20  # of what the script printed


def show_learner(check: LearnerCheck) -> None:
    """The table, then every mistake with its diagnosis, then what comes next."""
    out = output()
    _show_output(check)
    out.print(tensor_table(check.reports))
    for heading, paragraphs in _blamed(check):
        out.print(Text(heading, style="bold red"))
        for paragraph in paragraphs:
            out.print(Padding(Text(paragraph), (0, 0, 0, 2), expand=False))
    for line in _remarks(check):
        out.print(line)
    if check.result.error is not None:
        out.print(Text("The file did not come to its end.", style="bold red"))
        out.print(Padding(Text(check.result.error.paragraph()), (0, 0, 0, 2), expand=False))
    out.print(_verdict(check))


def _show_output(check: LearnerCheck) -> None:
    lines = check.result.output.splitlines()
    if lines:
        out = output()
        out.print("Printed by the file:")
        for line in lines[:OUTPUT_LINES]:
            out.print(Padding(Text(visible(line, 200)), (0, 0, 0, 2), expand=False))
        if len(lines) > OUTPUT_LINES:
            out.print(f"  ... and {len(lines) - OUTPUT_LINES:,} lines more (--json has them)")


def _blamed(check: LearnerCheck) -> Iterator[tuple[str, list[str]]]:
    for report in check.reports:
        finding = check.findings[report.name]
        if finding.diagnosis is not None:
            kind = finding.diagnosis.kind
            told = [visible(finding.diagnosis.text, 1000), f"Idea: {finding.diagnosis.hint}"]
            yield f"d{report.name}, {_line(check, report.name)}: {kind}", told
        elif report.status == "shape" and report.got is not None:
            got = " x ".join(map(str, report.got)) or "a scalar"
            expected = " x ".join(map(str, report.shape))
            yield (
                f"d{report.name} (shape)",
                [f"It is {got}, and must be {expected}, as its tensor."],
            )


def _line(check: LearnerCheck, name: str) -> str:
    """Where the gradient was given its last value."""
    return f"line {check.result.evidence.history['d' + name][-1].line}"


def _remarks(check: LearnerCheck) -> Iterator[str]:
    result = check.result
    reasons: dict[str, list[str]] = {}
    for report in check.reports:
        finding = check.findings[report.name]
        if finding.unfinished:
            yield f"d{report.name}: {visible(finding.unfinished, 1000)}"
        if finding.why_close:
            reasons.setdefault(finding.why_close, []).append(f"d{report.name}")
    for reason, names in reasons.items():
        yield f"{', '.join(names)} close, not exact: {visible(reason, 1000)}"
    for name, mutation in result.mutated.items():
        yield (
            f"Line {mutation.line} changes {name}, a tensor of the forward pass, in place; "
            "all that reads it afterwards sees other numbers. Take a .clone() first."
        )
    for note in result.notes:
        yield visible(note, 1000)
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
    mend = f" To mend: {', '.join(wrong)}." if wrong else ""
    following = f" Next: {check.next}." if check.next else ""
    return right + mend + following
