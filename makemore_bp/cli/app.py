"""The command line as a whole: its commands, and how an error reaches the person."""

from __future__ import annotations

import io
import os
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from makemore_bp import __version__
from makemore_bp.cli import config, data, evaluate, exercise, experiment, gradcheck, sample, train
from makemore_bp.errors import DivergedError, RequestError
from makemore_bp.text import visible

_NO_MEMORY = "There is not enough memory for this. Make the model, batch or data smaller."


class _Commands(TyperGroup):
    """Answers the errors that every command may raise with a paragraph and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except RequestError as error:
            _say(str(error))
            raise typer.Exit(2) from None
        except DivergedError as error:
            _say(str(error))
            raise typer.Exit(1) from None
        except BrokenPipeError:
            # Whoever read our output has seen enough (`| head`). What is still buffered must go
            # somewhere, or Python complains about it at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except MemoryError:
            _say(_NO_MEMORY)
            raise typer.Exit(2) from None
        except RuntimeError as error:
            if "allocate" not in str(error):  # PyTorch has no exception of its own for this
                raise
            _say(_NO_MEMORY)
            raise typer.Exit(2) from None
        except OSError as error:
            name = f"{visible(str(error.filename))}: " if error.filename else ""
            _say(f"{name}{error.strerror or error}.")
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"makemore-bp {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train the makemore character network by backward passes that are written by hand,
    check every gradient of them, and draw fresh words."""


app.command()(train.train)
app.command()(sample.sample)
app.command("eval")(evaluate.evaluate)
app.command()(gradcheck.gradcheck)
app.add_typer(exercise.app, name="exercise")
app.add_typer(experiment.app, name="experiment")
app.add_typer(config.app, name="config")
app.add_typer(data.app, name="data")


def main() -> None:
    """Runs the command line."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a character shows its escape instead of a traceback.
            stream.reconfigure(errors="backslashreplace")
    app(prog_name="makemore-bp")


def _say(message: str) -> None:
    print(f"Error: {message}", file=sys.stderr)
