"""makemore-bp train"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from makemore_bp.cli import streams
from makemore_bp.cli.options import ConfigArgument, Json, Overrides
from makemore_bp.errors import RequestError
from makemore_bp.ranks import launch
from makemore_bp.text import visible

if TYPE_CHECKING:
    from makemore_bp.config import Config
    from makemore_bp.training.loop import Reporter

FRESH_NAMES = 20
LONGEST_NAME = 100  # characters of a run's title


def train(
    config: ConfigArgument = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FILE",
            help="Train on this list of words, one a line.",
            show_default=False,
        ),
    ] = None,
    set_: Overrides = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="The run's folder; without it runs/NAME, NAME-2, ...",
            show_default=False,
        ),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN", help="Go on with a run.", show_default=False),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            metavar="NAME",
            help="What the run is called; without --out its folder is runs/NAME.",
            show_default=False,
        ),
    ] = None,
    note: Annotated[
        str | None,
        typer.Option(
            "--note",
            metavar="TEXT",
            help="What you want to know of it later; 'run list' shows it.",
            show_default=False,
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the run that --out holds.")
    ] = False,
    tensorboard: Annotated[
        Path | None,
        typer.Option(
            "--tensorboard",
            metavar="DIR",
            help="Write event files for TensorBoard to DIR/NAME of the run as it goes on.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Train a network; without CONFIG the lecture's recipe.

    Example: makemore-bp train --data names.txt --set train.steps=20000 --name first --note "a try"
    """
    from makemore_bp.cli.progress import ProgressReporter
    from makemore_bp.ranks import group
    from makemore_bp.signals import Interrupted
    from makemore_bp.training import start
    from makemore_bp.training.about import Origin

    if resume is not None:
        _refuse_with_resume(config, data, out, name, note, overwrite=overwrite)
    title = _title(name)
    origin = Origin(title, note or None, shlex.join(["makemore-bp", *sys.argv[1:]]))
    quiet = quiet or not launch.speaks()
    with (
        _folder(resume or out, title, config, data) as folder,
        ProgressReporter(quiet) as shown,
        _on_board(tensorboard, shown) as reporter,
    ):
        try:
            with group.here() as ranks:
                if resume is not None:
                    summary = start.resume(folder, set_ or [], reporter, ranks, origin=origin)
                else:
                    summary = start.new(
                        lambda: _config(config, data, set_ or []),
                        folder,
                        reporter,
                        overwrite,
                        ranks,
                        origin=origin,
                    )
        except Interrupted as stopped:
            shown.close()
            if not quiet:
                streams.tell(_stopped(folder))
            raise typer.Exit(stopped.exit_code) from None
    if not launch.speaks():
        return
    if as_json:
        print(json.dumps({"run": str(folder), **summary}))
    elif not quiet and shown.began:
        _show(folder, summary)
    elif not quiet:
        print(
            f"{visible(str(folder), 1000)} is finished: its {summary['steps']:,} steps are "
            "trained, and there is nothing left to do. To train longer: "
            f"{_command('train --resume', folder)} --set train.steps={2 * summary['steps']}"
        )


def _config(config: str | None, data: Path | None, overrides: list[str]) -> Config:
    from makemore_bp import config as configs

    config, data = _apart(config, data)
    words = [] if data is None else [f"data.path={data}"]
    return configs.load(config, [*words, *overrides])


def _apart(config: str | None, data: Path | None) -> tuple[str | None, Path | None]:
    """The configuration and the list of words; a list in the configuration's place is taken for
    what it is."""
    from makemore_bp import config as configs

    if config is None or data is not None or not configs.is_word_list(config):
        return config, data
    return None, Path(config)


def _title(name: str | None) -> str | None:
    """The run's title; raises RequestError for one that could not be shown on a line."""
    if name is not None and not 0 < len(name.strip()) <= LONGEST_NAME:
        raise RequestError(
            "--name {name}: a name has 1 to {most} characters. What is longer is a --note.",
            name=name,
            most=LONGEST_NAME,
        )
    return name and name.strip()


@contextmanager
def _on_board(board: Path | None, shown: Reporter) -> Iterator[Reporter]:
    """The reporter of a run that also writes for TensorBoard, if that is asked for."""
    if board is None or not launch.speaks():
        yield shown
        return
    from makemore_bp.report.tensorboard import Live

    live = Live(board, shown)
    try:
        yield live
    finally:
        live.close()


@contextmanager
def _folder(
    named: Path | None, title: str | None, config: str | None, data: Path | None
) -> Iterator[Path]:
    """The run's folder: the one that was named, or a new one under runs/."""
    from makemore_bp.experiments.expansion import slug
    from makemore_bp.training import run_folder

    if named is not None:
        yield named
        return
    if launch.place() is not None:
        raise RequestError(
            "Under torchrun name the run's folder by --out, so that ranks that are restarted find "
            "the run again."
        )
    config, data = _apart(config, data)
    stem = slug(title) if title else Path(config or data or "lecture").stem
    with run_folder.claimed(stem) as folder:
        yield folder


def _refuse_with_resume(*chosen: object, overwrite: bool) -> None:
    """Raises RequestError if anything was chosen that a run keeps from its beginning."""
    if overwrite or any(one is not None for one in chosen):
        raise RequestError(
            "--resume goes on with a run as it was configured and called, in its own folder: leave "
            "out CONFIG, --data, --out, --name, --note and --overwrite. --set train.steps=N trains "
            "longer."
        )


def _stopped(folder: Path) -> str:
    from makemore_bp.training import run_folder

    if not (folder / run_folder.CHECKPOINT).exists():
        return "Stopped before there was anything to save."
    return f"Stopped and saved. To go on: {_command('train --resume', folder)}"


def _command(words: str, folder: Path) -> str:
    return visible(f"makemore-bp {words} {shlex.quote(str(folder))}", 10_000)


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
    console.print(f"\nMore of them: {_command('sample', folder)}", soft_wrap=True)
    console.print(f"Pictures of the run: {_command('report', folder)}", soft_wrap=True)
