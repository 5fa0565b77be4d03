"""How the check of a learner's own file is shown to the learner."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from makemore_bp.cli.tables import FoldedTable, output
from makemore_bp.learning.answer import Answer, mistakes, place
from makemore_bp.learning.failure import paragraph
from makemore_bp.text import visible

OUTPUT_LINES = 20  # of what the script printed
STYLES = {
    "wrong": "bold red",
    "inherits": "yellow",
    "shape": "bold red",
    "missing": "dim",
}


def show_learner(answer: Answer, text: str, solution: str | None = None) -> None:
    """The table, then every mistake with its diagnosis, then what comes next. ``text`` is the
    learner's file; ``solution`` names the gradient whose line is shown repaired, or ``all``."""
    out = output()
    _show_output(answer)
    out.print(_table(answer))
    for tensor in mistakes(answer):
        _show_mistake(tensor, text.splitlines(), solution in ("all", tensor["name"], place(tensor)))
    for line in _remarks(answer):
        out.print(line)
    if answer["error"] is not None:
        ended = "A line fails; it defines nothing, so the rest was run all the same."
        if not answer["error"].get("ran_on"):
            ended = "The file did not come to its end."
        out.print(Text(ended, style="bold red"))
        out.print(_indented(paragraph(answer["error"])))
    out.print(_verdict(answer))


def _indented(text: str) -> Padding:
    return Padding(Text(text), (0, 0, 0, 2), expand=False)


def _show_output(answer: Answer) -> None:
    lines = answer["output"].splitlines()
    if lines:
        out = output()
        out.print("Printed by the file:")
        for line in lines[:OUTPUT_LINES]:
            out.print(_indented(visible(line, 200)))
        if len(lines) > OUTPUT_LINES:
            out.print(f"  ... and {len(lines) - OUTPUT_LINES:,} lines more (--json has them)")


def _table(answer: Answer) -> Table:
    table = FoldedTable()
    for heading in ("tensor", "shape", "status"):
        table.add_column(heading, no_wrap=True)
    table.add_column("largest difference", justify="right")
    table.add_column("ulp", justify="right")
    for tensor in answer["tensors"]:
        shape = " x ".join(map(str, tensor["shape"]))
        row = [tensor["name"], shape, tensor["status"], *_distances(tensor)]
        table.add_row(*row, style=STYLES.get(tensor["status"]))
    return table


def _distances(tensor: Mapping[str, Any]) -> tuple[str, str]:
    if tensor.get("got") is not None:
        return f"got {' x '.join(map(str, tensor['got'])) or 'a scalar'}", ""
    if tensor["max_abs_diff"] is None or tensor["max_ulp"] is None:
        return "", ""
    difference = f"{tensor['max_abs_diff']:.1e}" if tensor["max_abs_diff"] else "0"
    # Across zero, or at a not-a-number, steps are counted in billions and say nothing.
    return difference, f"{tensor['max_ulp']:,}" if tensor["max_ulp"] < 1_000_000 else "> 1,000,000"


def _show_mistake(tensor: Mapping[str, Any], lines: list[str], solution: bool) -> None:
    """A heading with the line at fault, that line with the place in it, and what is wrong."""
    out, diagnosis = output(), tensor["diagnosis"]
    number = diagnosis.get("line") or tensor.get("line")
    where = f", line {number}" if number else ""
    out.print(Text(f"{place(tensor)}{where}: {diagnosis['kind']}", style="bold red"))
    if number and number <= len(lines):
        for shown in _underlined(lines[number - 1], diagnosis.get("repair")):
            out.print(Padding(Text(shown, style="dim"), (0, 0, 0, 4), expand=False))
    out.print(_indented(visible(diagnosis["text"], 1200)))
    repair = diagnosis.get("repair")
    if solution and repair is not None:
        out.print(_indented(f"Repaired: {visible(repair['statement'], 400)}"))
    elif diagnosis["hint"]:
        out.print(_indented(f"Idea: {diagnosis['hint']}"))


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
    yield from (visible(t["unfinished"], 1000) for t in answer["tensors"] if t.get("unfinished"))
    yield from _closeness(answer)
    for change in answer["changed"]:
        where = f"Line {change['line']}" if change["line"] else "A statement"
        if change["in_place"]:
            yield (
                f"{where} changes {change['name']}, a tensor of the forward pass, in place; all "
                "that reads it afterwards sees other numbers. Take a .clone() first."
            )
        else:
            yield (
                f"{where} gives {change['name']}, a tensor of the forward pass, another value; all "
                "that reads it afterwards sees other numbers."
            )
    for note in answer["notes"]:
        yield visible(note, 1000)
    if answer["lent"]:
        lent = ", ".join(answer["lent"])
        yield f"Not defined in the file, so autograd's were lent to it: {lent}."
    if answer["hidden_in_functions"]:
        hidden = ", ".join(answer["hidden_in_functions"])
        yield f"Defined inside functions that are not called, so not checked: {hidden}."
    if answer["unknown"]:
        shown = ", ".join(visible(name, 60) for name in answer["unknown"])
        yield f"No gradient of the lecture's has the name {shown}."


def _closeness(answer: Answer) -> Iterator[str]:
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
        yield f"{', '.join(names)} close, not exact: {visible(reason, 1000)}"
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
