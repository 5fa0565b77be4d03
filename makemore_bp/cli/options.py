"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from makemore_bp.cli import streams
from makemore_bp.ranks import launch
from makemore_bp.text import LONGEST_PATH, visible

ConfigArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="CONFIG",
        help="A YAML file, or the name of a bundled one; 'config list' shows them.",
        show_default=False,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override one key, for example train.steps=1000. Repeatable.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def latest_run() -> Path:
    """The run that a command means which names none; says on standard error which one it is."""
    from makemore_bp.experiments import catalogue

    run = catalogue.latest()
    if launch.speaks():
        streams.tell(f"The latest run: {visible(str(run), LONGEST_PATH)}")
    return run


def run_argument(what: str = "The folder of a run") -> Any:
    """The argument RUN of a command; without it the command takes the latest run."""
    return typer.Argument(
        metavar="RUN",
        help=f"{what}; without it the latest one under runs/.",
        default_factory=latest_run,
        show_default=False,
    )


RunArgument = Annotated[Path, run_argument()]
