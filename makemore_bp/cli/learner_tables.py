"""How the check of a learner's own file is shown to the learner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from makemore_bp.cli.tables import FoldedTable, output
from makemore_bp.learning.answer import Answer
from makemore_bp.learning.wording import Blame, worded
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
    out, said = output(), worded(answer, text, solution)
    _show_output(answer)
    out.print(_table(answer))
    for blame in said.blames:
        _show_blame(blame)
    for line in (*said.reasons, *said.remarks):
        out.print(line)
    if said.failure:
        out.print(Text(said.ended, style="bold red"))
        out.print(_indented(said.failure))
    out.print(said.verdict)


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


def _show_blame(blame: Blame) -> None:
    """A heading with the line at fault, that line with the place in it, and what is wrong."""
    out = output()
    out.print(Text(blame.heading, style="bold red"))
    for line in blame.code:
        out.print(Padding(Text(line, style="dim"), (0, 0, 0, 4), expand=False))
    out.print(_indented(blame.text))
    if blame.more:
        out.print(_indented(blame.more))
