"""The command line as a whole: its commands, and how an error reaches the person."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from makemore_bp import __version__
from makemore_bp.cli import (
    config,
    data,
    derive,
    evaluate,
    exercise,
    experiment,
    export,
    gradcheck,
    report,
    run,
    sample,
    streams,
    train,
)
from makemore_bp.errors import DivergedError, LostRankError, RequestError
from makemore_bp.ranks import launch
from makemore_bp.text import LONGEST_PATH, visible

# Under torchrun rank 0 alone runs the others.
_OVER_RANKS = ("train", "sample", "eval", "gradcheck")
_NO_MEMORY = "There is not enough memory for this. Make the model, batch or data smaller."


# Typer brings click along, under a name that changes with its version.
_UsageError: Any = typer.BadParameter.__base__


_Context: Any = TyperGroup.context_class


class _Formatter(_Context.formatter_class):  # type: ignore[misc]
    """Help whose explanations keep most of a narrow window."""

    def write_dl(self, rows: Any, col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl(rows, min(col_max, self.width * 2 // 5), col_spacing)


_Context.formatter_class = _Formatter


class _Commands(TyperGroup):
    """Answers the errors that every command may raise with a paragraph and an exit code."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except _UsageError as error:
            raise _helpful(error) from None

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            raise _helpful(error) from None
        except RequestError as error:
            _say(str(error))
            raise typer.Exit(2) from None
        except DivergedError as error:
            _say(str(error))
            raise typer.Exit(1) from None
        except LostRankError as error:
            _say(str(error), on_every_rank=True)  # rank 0 may be the one that is gone
            raise typer.Exit(1) from None
        except BrokenPipeError:
            raise typer.Exit(0) from None  # whoever read our output has seen enough (`| head`)
        except MemoryError:
            _say(_NO_MEMORY)
            raise typer.Exit(2) from None
        except RuntimeError as error:
            # PyTorch has no exception of its own for this.
            if not any(word in str(error) for word in ("allocate", "calculation overflowed")):
                raise
            _say(_NO_MEMORY)
            raise typer.Exit(2) from None
        except OSError as error:
            streams.finish()  # or what a full disk has not taken would be told of again at the end
            _say(_explain(error))
            raise typer.Exit(2) from None


app = typer.Typer(
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain text breaks no word in a narrow window and cuts nothing off
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"makemore-bp {__version__}")
        raise typer.Exit()


@app.callback()
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Train the makemore character network by backward passes that are written by hand,
    check every gradient of them, and draw fresh words."""
    os.getcwd()  # PyTorch's libraries would end the process where there is none
    if context.invoked_subcommand not in _OVER_RANKS and not launch.speaks():
        raise typer.Exit()


app.command()(train.train)
app.command()(sample.sample)
app.command("eval")(evaluate.evaluate)
app.command()(gradcheck.gradcheck)
app.command()(derive.derive)
app.command()(report.report)
app.command()(export.export)
app.add_typer(exercise.app, name="exercise")
app.add_typer(experiment.app, name="experiment")
app.add_typer(run.app, name="run")
app.add_typer(config.app, name="config")
app.add_typer(data.app, name="data")


def main() -> None:
    """Runs the command line."""
    streams.prepare()
    warnings.showwarning = _warn
    code: int | str | None = 0
    try:
        app(prog_name="makemore-bp", terminal_width=_width())
    except SystemExit as stopped:
        code = _code(stopped)
    except KeyboardInterrupt:  # while nothing was there to answer it
        code = 130
    except OSError as error:  # from the help or a usage message, which no command has printed
        streams.finish()
        _say(_explain(error))
        code = 2
    failed = streams.finish()
    if failed and not isinstance(failed, BrokenPipeError):
        _say(_explain(failed))
        code = code or 2
    raise SystemExit(code)


def _code(stopped: SystemExit) -> int | str | None:
    """The exit code; or, if the help or a usage message was not read to its end (`| head`), that
    of the help or the message."""
    unread = stopped.__context__
    if isinstance(unread, BrokenPipeError):
        return getattr(unread.__context__, "exit_code", 0)
    return stopped.code


def _warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """A warning as one line, without the line of source that raised it."""
    streams.tell(f"Warning: {message}")


def _width() -> int:
    """Columns for help and usage messages."""
    return max(20, min(100, shutil.get_terminal_size().columns))


def _helpful(error: Any) -> Any:
    """A usage message with what was typed, which may be the name of somebody's file, escaped; and
    with the key that may be meant by an option that there is not."""
    lines = [visible(line, 1000) for line in error.message.splitlines()]
    if meant := _key_meant(error):
        error.possibilities = None  # such as --set alone
    error.message = "\n".join([*lines, *meant])
    return error


def _key_meant(error: Any) -> list[str]:
    """``--set KEY=VALUE`` for an option that is called like a configuration's key."""
    name, command = getattr(error, "option_name", "") or "", getattr(error.ctx, "command", None)
    options = {option for one in getattr(command, "params", ()) for option in one.opts}
    if "--set" not in options or not name.startswith("--"):
        return []
    from makemore_bp.config import keys_called, nearest_keys

    name = name.removeprefix("--")
    keys = nearest_keys(name) if "." in name else keys_called(name)
    values = [word.partition("=")[2] for word in sys.argv if word.startswith(f"--{name}=")]
    value = visible(values[0]) if values else "VALUE"
    meant = [f"--set {key}={value}" for key in keys]
    return [f"A configuration's key is set by {' or '.join(meant)}."] if meant else []


def _explain(error: OSError) -> str:
    if isinstance(error, FileNotFoundError) and not error.filename:  # asked for by Path.cwd()
        return "The working folder does not exist any more. Change to another one."
    name = f"{visible(str(error.filename), LONGEST_PATH)}: " if error.filename else ""
    return f"{name}{error.strerror or error}."


def _say(message: str, on_every_rank: bool = False) -> None:
    """An error of a run over several ranks is every rank's; rank 0 tells it."""
    if on_every_rank or launch.speaks():
        streams.tell(f"Error: {message}")
