"""makemore-bp train"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from makemore_bp.cli import streams
from makemore_bp.cli.options import ConfigArgument, Json, Overrides
from makemore_bp.errors import RequestError
from makemore_bp.ranks import launch
from makemore_bp.text import visible

if TYPE_CHECKING:
    pass

FRESH_NAMES = 20


def train(
    config: ConfigArgument = None,
    set_: Overrides = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            help="The run's folder; without it runs/NAME, NAME-2, ...",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN", help="Go on with a run.", show_default=False),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that --out holds.")
    ] = False,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Train a network; without CONFIG the lecture's recipe on the bundled names."""
    from makemore_bp import config as configs
    from makemore_bp.cli.progress import ProgressReporter
    from makemore_bp.ranks import group
    from makemore_bp.signals import Interrupted
    from makemore_bp.training import start

    quiet = quiet or not launch.speaks()
    if resume is not None:
        _refuse_with_resume(config, out, overwrite)
    folder = resume or _folder(out, config)
    with ProgressReporter(quiet=quiet) as reporter:
        try:
            with group.here() as ranks:
                if resume is not None:
                    summary = start.resume(folder, set_ or [], reporter, ranks)
                else:
                    summary = start.new(
                        lambda: configs.load(config, set_ or []), folder, reporter, overwrite, ranks
                    )
        except Interrupted as stopped:
            reporter.close()
            if not quiet:
                command = shlex.join(["makemore-bp", "train", "--resume", str(folder)])
                streams.tell(f"Stopped and saved. To go on: {visible(command, 10_000)}")
            raise typer.Exit(stopped.exit_code) from None
    if not launch.speaks():
        return
    if as_json:
        print(json.dumps({"run": str(folder), **summary}))
    elif not quiet:
        _show(folder, summary)


def _folder(out: Path | None, config: str | None) -> Path:
    """The folder of a new run."""
    from makemore_bp.training import run_folder

    if out is not None:
        return out
    if launch.place() is not None:
        raise RequestError(
            "Under torchrun name the run's folder by --out, so that ranks that are restarted find "
            "the run again."
        )
    return run_folder.free_name(Path(config or "lecture").stem)


def _refuse_with_resume(config: str | None, out: Path | None, overwrite: bool) -> None:
    if config is not None or out is not None or overwrite:
        raise RequestError(
            "--resume goes on with a run as it was configured, in its own folder: leave "
            "out CONFIG, --out and --overwrite. --set train.steps=N trains longer."
        )


def _show(folder: Path, summary: dict[str, Any]) -> None:
    """The end of a run as a person wants to see it: losses, time, fresh names, what next."""
    from itertools import islice

    from makemore_bp.cli.curve import show_curve
    from makemore_bp.cli.tables import loss_table, output
    from makemore_bp.report import history
    from makemore_bp.sampling import Sampler, Settings
    from makemore_bp.training import run_folder

    console = output()
    console.print(loss_table(summary, summary["baselines"]))
    speed = summary["steps_per_second"]
    trained = f", {speed:,.0f} steps a second" if speed else ""
    console.print(
        f"{summary['steps']:,} steps in {summary['seconds']:.1f} s "
        f"with the {summary['engine']} engine{trained}."
    )
    if console.is_terminal:
        show_curve(console, history.read(folder).loss)
    sampler = Sampler(run_folder.read(folder), Settings())
    names = [visible(name, 40) for name in islice(sampler.words(), FRESH_NAMES)]
    console.print("\nFresh names: " + ", ".join(names))
    quoted = visible(shlex.quote(str(folder)), 10_000)
    console.print(f"\nMore of them: makemore-bp sample {quoted}", soft_wrap=True)
    console.print(f"Pictures of the run: makemore-bp report {quoted}", soft_wrap=True)
