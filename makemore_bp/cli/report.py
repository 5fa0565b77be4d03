"""makemore-bp report"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Annotated

import typer

from makemore_bp.cli import streams
from makemore_bp.cli.options import run_argument
from makemore_bp.errors import RequestError
from makemore_bp.text import LONGEST_PATH, visible

MENTIONED = 10  # characters without a font that a message shows


def report(
    run: Annotated[Path, run_argument("The folder of a run, or of an experiment")],
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
    require_matplotlib()
    from makemore_bp.experiments import results
    from makemore_bp.report import output
    from makemore_bp.report.comparison import comparison
    from makemore_bp.report.observations import observe
    from makemore_bp.report.run_report import run_report

    if results.is_experiment(run):
        found = results.read_any(run)
        where = output.place(run, out)
        page, pictures = comparison(found)
    else:
        seen = observe(run)
        where = output.place(run, out)  # refused before the pictures are drawn
        page, pictures = run_report(seen)
    output.write(where, page, pictures)
    print(visible(str(where.page)))
    tell_of_boxes({c for picture in pictures for c in picture.boxes})


def require_matplotlib() -> None:
    """Raises RequestError, with what to install, where there is no matplotlib."""
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


def tell_of_boxes(characters: set[str]) -> None:
    """Says for which characters there is no font, if there are any."""
    if not characters:
        return
    shown = ", ".join(visible(c) for c in sorted(characters)[:MENTIONED])
    more = len(characters) - MENTIONED
    streams.tell(
        f"No installed font has {shown}{f' and {more:,} more characters' if more > 0 else ''}. "
        "A PNG file shows boxes in their place. Install a font that has them, such as Noto Sans "
        "CJK for Chinese, and draw again."
    )


def _print(run: Path) -> None:
    from makemore_bp.cli.report_text import show_report
    from makemore_bp.experiments import folder as folders
    from makemore_bp.experiments import results
    from makemore_bp.report.observations import observe

    if results.is_experiment(run):
        first = next(iter(results.run_folders(run)), run / folders.RUNS / "NAME")
        raise RequestError(
            "--terminal shows one run. Name the folder of one, such as {run}.", run=first
        )
    show_report(observe(run))


def _export(run: Path, folder: Path) -> None:
    from makemore_bp.experiments import results
    from makemore_bp.report import tensorboard
    from makemore_bp.training import run_folder

    if not results.is_experiment(run):
        run_folder.read(run)  # says what is wrong with a folder that is not a run's
    for one in results.run_folders(run) if results.is_experiment(run) else [run]:
        target = folder / one.resolve().name
        tensorboard.export(one, target)
        print(visible(str(target), LONGEST_PATH))
