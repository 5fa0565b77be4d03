"""makemore-bp report"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from makemore_bp.errors import RequestError
from makemore_bp.text import visible


def report(
    run: Annotated[
        Path,
        typer.Argument(
            metavar="RUN", help="The folder of a run, or of an experiment.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR_OR_FILE",
            help="A folder, or a file that ends in .html; without it RUN/report.",
            show_default=False,
        ),
    ] = None,
    terminal: Annotated[
        bool, typer.Option("--terminal", help="Print a report of a run as text instead.")
    ] = False,
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            "--tensorboard",
            metavar="DIR",
            help="Export the metrics for TensorBoard to DIR/NAME of the run instead.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Pictures of what happened in a run: one HTML file, and the same as PNG.

    With --terminal or --tensorboard the page is written only if --out is given too.
    """
    if tensorboard is not None:
        _export(run, tensorboard)
    if terminal:
        _print(run)
    if out is not None or not (terminal or tensorboard):
        _write(run, out)


def _write(run: Path, out: Path | None) -> None:
    _require_matplotlib()
    from makemore_bp.report import comparison, experiment_folder, output
    from makemore_bp.report.observations import observe
    from makemore_bp.report.run_report import run_report

    if experiment_folder.is_one(run):
        where = output.place(run, out)
        page, pictures = comparison.comparison(run, experiment_folder.read(run))
    else:
        seen = observe(run)
        where = output.place(run, out)  # refused before the pictures are drawn
        page, pictures = run_report(seen)
    output.write(where, page, pictures)
    print(visible(str(where.page)))


def _require_matplotlib() -> None:
    # Nothing of a user's settings has a say here, so nothing that is wrong with them matters.
    os.environ["MPLBACKEND"] = "agg"
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise RequestError(
            "Pictures need the package matplotlib, which is not installed. Install it with "
            "pip install 'makemore-bp[report]', or pip install matplotlib. "
            "'report RUN --terminal' works without it."
        ) from None


def _print(run: Path) -> None:
    from makemore_bp.cli.report_text import show_report
    from makemore_bp.report import experiment_folder
    from makemore_bp.report.observations import observe

    if experiment_folder.is_one(run):
        first = visible(str(experiment_folder.runs(run)[0]))
        raise RequestError(f"--terminal shows one run. Name the folder of one, such as {first}.")
    show_report(observe(run))


def _export(run: Path, folder: Path) -> None:
    from makemore_bp.report import experiment_folder, history, tensorboard
    from makemore_bp.training import run_folder

    runs = experiment_folder.runs(run) if experiment_folder.is_one(run) else [run]
    for one in runs:
        if one is run:
            run_folder.read(one)  # says what is wrong with a folder that is no run's
        target = folder / one.resolve().name
        tensorboard.export(history.read(one), target)
        print(visible(str(target)))
