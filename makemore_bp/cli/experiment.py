"""makemore-bp experiment"""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from makemore_bp.cli import bundled, streams
from makemore_bp.cli.options import Json
from makemore_bp.errors import RequestError
from makemore_bp.text import visible

if TYPE_CHECKING:
    from makemore_bp.experiments.results import Results

MENTIONED = 5  # failed runs that --quiet still names

app = typer.Typer(no_args_is_help=True, help="Grids of runs, described by a file and compared.")

EXPERIMENTS = bundled.Kind("configs/experiments", "experiment")

Times = Annotated[
    bool, typer.Option("--times", help="With speeds and seconds, which no two runs share.")
]


@app.command()
def run(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A YAML file, or the name of a bundled experiment (learning-rate, ...).",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="The experiment's folder; without it experiments/NAME.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs",
            min=1,
            max=1024,
            help="Runs at a time; without it one for each core.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Redo runs whose configuration has changed.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and say what would be done.")
    ] = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Train every run that FILE asks for, several at a time; go on if it was interrupted.

    Exit code 1 if one of the runs has failed.
    """
    from makemore_bp.cli.experiment_progress import ExperimentProgress
    from makemore_bp.experiments import results, runner, schema
    from makemore_bp.experiments.folder import PLAN
    from makemore_bp.signals import Interrupted

    experiment = schema.read(file)
    folder = out or Path("experiments") / _stem(experiment.content.name)
    with ExperimentProgress(quiet) as progress:
        try:
            runner.run(experiment, folder, progress, jobs, overwrite, dry_run)
        except Interrupted as stopped:
            progress.close()
            if not quiet:
                command = ["makemore-bp", "experiment", "run", file, "--out", str(folder)]
                command += ["--jobs", str(jobs)] if jobs else []
                shown = visible(shlex.join(command), 1000)
                saved = (
                    "Stopped and saved." if (folder / PLAN).exists() else "Nothing has begun yet."
                )
                print(f"{saved} To go on: {shown}", file=sys.stderr)
            raise typer.Exit(stopped.exit_code) from None
    if dry_run:
        return
    found = results.read(folder)
    if as_json:
        _print_json(found)
    elif not quiet:
        _show(found, folder)
    if found.failed:
        if quiet:
            streams.tell(f"Error: {_failures(found)}")
        raise typer.Exit(1)


@app.command()
def show(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="The folder of an experiment.", show_default=False),
    ],
    as_json: Json = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print a line for every run.")] = False,
    as_markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the table for a paper.")
    ] = False,
    times: Times = False,
    plot: Annotated[
        Path | None,
        typer.Option("--plot", metavar="FILE", help="Draw it, as FILE.png.", show_default=False),
    ] = None,
) -> None:
    """Compare the runs of an experiment, the lowest validation loss first."""
    from makemore_bp.experiments import formats, results

    if as_json + as_csv + as_markdown > 1:
        raise RequestError("--json, --csv and --markdown exclude each other. Take one of them.")
    found = results.read(folder)
    if plot is not None:
        _plot(found, plot)
    if as_json:
        _print_json(found, times)
    elif as_csv:
        print(formats.as_csv(found, times), end="")
    elif as_markdown:
        print(formats.as_markdown(found, times), end="")
    else:
        _show(found, folder, times)


@app.command("list")
def list_(as_json: Json = False) -> None:
    """The experiments that come with the program.

    Any of their names stands for the file: makemore-bp experiment run learning-rate
    """
    bundled.show(EXPERIMENTS, as_json)


@app.command()
def copy(name: bundled.Name, file: bundled.Target = None) -> None:
    """Copy a bundled experiment, as a file to begin with.

    Example: makemore-bp experiment copy learning-rate ours.yaml
    """
    bundled.copy(EXPERIMENTS, name, file)


def _plot(found: Results, path: Path) -> None:
    from makemore_bp.cli.report import require_matplotlib, tell_of_boxes

    require_matplotlib()
    from makemore_bp.report import drawing, experiment_pictures

    picture = experiment_pictures.losses(found)
    if picture is None:
        raise RequestError("There is nothing to plot: no run with a validation loss is finished.")
    tell_of_boxes(set(drawing.save(picture, path)))


def _stem(name: str) -> str:
    """The experiment's name as a folder's."""
    from makemore_bp.experiments.expansion import slug

    return slug(name)


def _failures(found: Results) -> str:
    """Which runs have failed and why, the first few of them."""
    shown = [f"{visible(run.name)} ({visible(run.what_happened)})" for run in found.failed]
    more = len(shown) - MENTIONED
    rest = f", and {more:,} more" if more > 0 else ""
    failed = f"{len(shown):,} of {len(found.runs):,} runs"
    return f"{failed} failed: {', '.join(shown[:MENTIONED])}{rest}."


def _print_json(found: Results, times: bool = False) -> None:
    from makemore_bp.experiments import formats

    print(json.dumps(formats.as_json(found, times), indent=2))


def _show(found: Results, folder: Path, times: bool = True) -> None:
    """The ranked table, what has failed, how to train the best run again and draw from it."""
    from makemore_bp.cli.tables import FoldedTable, output
    from makemore_bp.experiments import folder as folders
    from makemore_bp.experiments import formats

    console = output()
    head, rows = formats.table(found, times)
    table = FoldedTable(title=visible(found.name), title_justify="left")
    for k, name in enumerate(head):
        if k < len(found.columns):
            table.add_column(visible(name))
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*(visible(text) for text in row))
    console.print(table)
    for one in found.failed:
        console.print(f"{visible(one.name)}: {visible(one.what_happened, 500)}")
    if found.unfinished:
        console.print(f"{len(found.unfinished)} of {len(found.runs)} runs are not finished.")
    if found.best:
        where = shlex.quote(str(folder / folders.RUNS / found.best.name))
        console.print(f"\nThe best again: {visible(found.best.command, 1000)}", soft_wrap=True)
        console.print(f"Names from it:  makemore-bp sample {visible(where, 1000)}", soft_wrap=True)
