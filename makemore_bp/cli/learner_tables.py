"""How the check of a learner's own file is shown to the learner."""

from __future__ import annotations

from rich.padding import Padding
from rich.text import Text

from makemore_bp.cli.tables import gradient_table, output
from makemore_bp.learning.answer import Answer
from makemore_bp.learning.wording import Blame, worded
from makemore_bp.text import visible

OUTPUT_LINES = 20  # of what the script printed


def show_learner(answer: Answer, text: str, solution: str | None = None) -> None:
    """The table, then every mistake with its diagnosis, then what comes next. ``text`` is the
    learner's file; ``solution`` names the gradient whose line is shown repaired, or ``all``."""
    out, said = output(), worded(answer, text, solution)
    _show_output(answer)
    out.print(gradient_table(answer["tensors"]))
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


def _show_blame(blame: Blame) -> None:
    """A heading with the line at fault, that line with the place in it, and what is wrong."""
    out = output()
    out.print(Text(blame.heading, style="bold red"))
    for line in blame.code:
        out.print(Padding(Text(line, style="dim"), (0, 0, 0, 4), expand=False))
    out.print(_indented(blame.text))
    if blame.more:
        out.print(_indented(blame.more))
