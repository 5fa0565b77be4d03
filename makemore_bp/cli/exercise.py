"""makemore-bp exercise"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from makemore_bp.cli.options import Json
from makemore_bp.text import visible

if TYPE_CHECKING:
    from makemore_bp.learning.exercises.checking import Progress
    from makemore_bp.learning.grading import Grade
    from makemore_bp.learning.networks.exercises import Exercise

app = typer.Typer(no_args_is_help=True, help="The lecture's exercises, as files to fill in.")

Exercises = Annotated[
    Path, typer.Argument(metavar="DIR", help="The folder, or one exercise's file.")
]
Timeout = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        max=86_400,
        help="Seconds that each script may take; without it 30, and 180 for exercise 4.",
        show_default=False,
    ),
]
Steps = Annotated[int, typer.Option(min=1, max=1_000_000, help="Steps that exercise 4 trains.")]


@app.command()
def new(
    what: Annotated[
        str,
        typer.Argument(metavar="DIR_OR_NAME", help="The folder to write into, or an exercise."),
    ] = "exercises",
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder for that exercise.")
    ] = Path("exercises"),
    list_: Annotated[
        bool, typer.Option("--list", help="List the exercises beyond the lecture.")
    ] = False,
    forward: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FORWARD",
            help="Make an exercise of a file with a forward pass of your own.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write the lecture's exercises 1 to 4 as files, or one beyond it; nothing is overwritten."""
    from makemore_bp.learning.networks import exercises as beyond

    if list_:
        _show_list(beyond.exercises())
    elif forward is not None:
        print(visible(str(beyond.write(beyond.from_forward(forward), Path(what))), 1000))
    elif what in [one.name for one in beyond.exercises()]:
        print(visible(str(beyond.write(beyond.exercise(what), folder)), 1000))
    else:
        from makemore_bp.learning.exercises.writing import write_exercises

        for path in write_exercises(Path(what)):
            print(visible(str(path), 1000))


def _show_list(exercises: Iterable[Exercise]) -> None:
    from makemore_bp.cli.tables import FoldedTable, output

    table = FoldedTable()
    for heading in ("exercise", "what it is", "what is new in it"):
        table.add_column(heading)
    for one in exercises:
        table.add_row(one.name, one.title, " ".join(one.new.split()).partition(". ")[0] + ".")
    output().print(table)


@app.command()
def check(
    path: Exercises = Path("exercises"),
    timeout: Timeout = None,
    steps: Steps = 1000,
    as_json: Json = False,
) -> None:
    """Show how far the exercises are done; exit code 0 if they all are."""
    from makemore_bp.learning.exercises.checking import check_exercises, exercise_files

    progress = list(check_exercises(exercise_files(path), timeout, steps))
    complete = all(one.complete for one in progress)
    if as_json:
        print(json.dumps({"complete": complete, "exercises": [p.as_json() for p in progress]}))
    else:
        _show(progress)
    if not complete:
        raise typer.Exit(1)


@app.command()
def watch(
    path: Exercises = Path("exercises"),
    timeout: Timeout = None,
    steps: Steps = 1000,
) -> None:
    """Check an exercise each time its file is saved; keys show hints, the list and the next."""
    from makemore_bp.cli.watch import watch_exercises

    watch_exercises(path, timeout, steps)


@app.command()
def grade(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Hand-ins: files, or a folder for each.")
    ],
    timeout: Annotated[
        float, typer.Option(min=0.1, max=86_400, help="Seconds that each script may take.")
    ] = 30.0,
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a table for a spreadsheet.")] = False,
) -> None:
    """Check many hand-ins at once. Their code is run, with your rights, each file in a process of
    its own.

    Exit code 0 if all of them are right.
    """
    from makemore_bp.learning import grading

    if not as_json and not as_csv:
        print("Their code is run on this machine, with your rights.", file=sys.stderr)
    grades = list(grading.graded(folder, timeout))
    if as_json:
        mistakes = [{"kind": kind, "title": title, "hand-ins": number}
                    for kind, title, number in grading.commonest(grades)]  # fmt: skip
        print(json.dumps({"hand-ins": [g.row() for g in grades], "mistakes": mistakes}))
    elif as_csv:
        print(grading.as_csv(grades), end="")
    else:
        _show_grades(grades, grading.commonest(grades))
    if not all(g.passed for g in grades):
        raise typer.Exit(1)


def _show_grades(grades: Sequence[Grade], mistakes: Sequence[tuple[str, str, int]]) -> None:
    from makemore_bp.cli.tables import FoldedTable, output

    console = output()
    table = FoldedTable()
    table.add_column("hand-in")
    table.add_column("file")
    table.add_column("right", justify="right", no_wrap=True)
    table.add_column("line", justify="right")
    table.add_column("what to say")
    for g in grades:
        lines = ", ".join(map(str, g.lines))
        message = visible(" ".join(g.message.split()), 1000)
        right = f"{g.right} of {g.expected}"
        table.add_row(visible(g.who), visible(g.file), right, lines, message)
    console.print(table)
    everybody, wrong = {g.who for g in grades}, {g.who for g in grades if not g.passed}
    console.print(f"{len(everybody - wrong)} of {len(everybody)} hand-ins are right.")
    if mistakes:
        console.print("The commonest mistakes, by hand-ins:")
        for kind, title, number in mistakes:
            console.print(f"  {number:>4}  {kind} ({title})")


def _show(progress: Iterable[Progress]) -> None:
    from makemore_bp.cli.tables import FoldedTable, output

    console = output()
    table = FoldedTable()
    table.add_column("exercise")
    table.add_column("right", justify="right", no_wrap=True)
    table.add_column("what to say")
    for one in progress:
        message = " ".join(visible(line, 1000) for line in one.message.splitlines())
        table.add_row(visible(one.path.name), f"{one.right} of {one.expected}", message)
    console.print(table)
