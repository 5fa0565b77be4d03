"""makemore-bp run"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from makemore_bp.cli import streams
from makemore_bp.cli.options import Json
from makemore_bp.errors import RequestError
from makemore_bp.text import LONGEST_PATH, visible

if TYPE_CHECKING:
    from makemore_bp.experiments.catalogue import Catalogue, Known

app = typer.Typer(no_args_is_help=True, help="The runs that were trained: listed, compared.")

MENTIONED = 10  # folders that were passed over and are named


@app.command("list")
def list_(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where the runs lie.")] = Path(
        "runs"
    ),
    sort: Annotated[
        str,
        typer.Option(
            "--sort",
            metavar="COLUMN",
            help="By name, when, words, recipe, steps, train, val, engine, speed, state or note; "
            "with a minus in front from the largest to the smallest.",
        ),
    ] = "-when",
    as_json: Json = False,
) -> None:
    """What was trained, a run a line: the latest first. Experiments' runs are among them.

    A narrow window shows fewer columns; --json has all.

    Example: makemore-bp run list --sort val
    """
    from makemore_bp.cli import run_tables
    from makemore_bp.experiments import catalogue

    by = run_tables.order(sort)
    found = catalogue.find(folder)
    runs = by(found.runs)
    if as_json:
        skipped = [{"folder": str(path), "reason": why} for path, why in found.skipped.items()]
        facts = [run.facts for run in runs]
        print(json.dumps({"folder": str(folder), "runs": facts, "skipped": skipped}, indent=2))
        return
    _tell_of_skipped(found)
    if runs:
        run_tables.show_list(runs, folder, sort.removeprefix("-"))
    else:
        streams.tell(f"{visible(str(folder), LONGEST_PATH)} holds no runs.")


def _tell_of_skipped(found: Catalogue) -> None:
    for why in [*found.skipped.values()][:MENTIONED]:
        streams.tell(f"Skipped: {why}")
    if (more := len(found.skipped) - MENTIONED) > 0:
        streams.tell(f"Skipped: {more:,} more folders, which --json names.")


@app.command()
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="The folders of two or more.", show_default=False),
    ],
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            help="Write the comparison as a page, with pictures, too.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Several runs side by side: the keys that differ, the losses, the curves.

    Example: makemore-bp run compare runs/lecture runs/quick --html compared.html
    """
    from makemore_bp.experiments import catalogue, results

    if len(runs) < 2:
        raise RequestError("To compare takes two runs or more. 'eval' and 'report' show one.")
    known = [catalogue.read(run) for run in runs]
    differing = results.differences([run.config for run in known])
    page = None if html is None else _write_page(known, html)
    if as_json:
        facts = [run.facts for run in known]
        print(json.dumps({"runs": facts, "differences": differing}, indent=2))
        return
    from makemore_bp.cli import run_tables

    run_tables.show_comparison(known, differing)
    if page is not None:
        print(f"\nThe page: {visible(str(page), LONGEST_PATH)}")


def _write_page(runs: Sequence[Known], path: Path) -> Path:
    """Writes the page that ``report`` makes of an experiment's runs, and returns where it is."""
    from makemore_bp.cli.report import require_matplotlib, tell_of_boxes

    require_matplotlib()
    from makemore_bp.experiments import results
    from makemore_bp.report import output
    from makemore_bp.report.comparison import comparison

    where = output.place(path.parent, path)
    title = ", ".join(run.folder.name for run in runs)
    page, pictures = comparison(results.of([run.folder for run in runs], title))
    output.write(where, page, pictures)
    tell_of_boxes({c for picture in pictures for c in picture.boxes})
    return where.page
