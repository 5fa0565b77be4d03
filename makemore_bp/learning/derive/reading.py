"""From a file to its program, its loss and its derivation, with an answer for every file."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from makemore_bp.errors import RequestError
from makemore_bp.learning.derive.conventions import find_losses
from makemore_bp.learning.derive.derivation import Derivation
from makemore_bp.learning.derive.local_truth import LocalTruth
from makemore_bp.learning.derive.naming import settle_names
from makemore_bp.learning.derive.program import Program, Variable
from makemore_bp.learning.derive.recorder import record
from makemore_bp.learning.reading import read_script


@dataclass(frozen=True)
class Forward:
    """A file's forward pass: its program, the loss, and the true gradients."""

    program: Program
    loss: Variable
    truth: LocalTruth

    @property
    def notes(self) -> list[str]:
        """What could not be followed on the way to the loss, each with its line."""
        reads = [read for step in self.program.steps_to(self.loss) for read in step.reads]
        return [*self.program.notes, *(v.note for v in dict.fromkeys(reads) if v.note is not None)]


def read_forward(path: Path, loss: str | None = None) -> Forward:
    """Runs the file at ``path`` and reads its forward pass; what it prints goes to standard error.

    Raises RequestError if it cannot be read, does not run, or computes no loss.
    """
    source = read_script(path)
    folder = str(path.resolve().parent)
    with _imports_from(folder), contextlib.redirect_stdout(sys.stderr):
        program = _recorded(source, path)
    return forward_of(program, loss, path)


def _recorded(source: str, path: Path) -> Program:
    try:
        return record(source, str(path))
    except RequestError:
        raise
    except SyntaxError as error:
        raise RequestError(
            "{path}, line {line}: {reason}.", path=path, line=error.lineno or 1, reason=error.msg
        ) from None
    except Exception as error:
        raise RequestError(
            "{path}, line {line}: {kind}: {reason}. The forward pass must run by itself, as "
            "'python {path}' would run it.",
            path=path,
            line=line_of(error, str(path)),
            kind=type(error).__name__,
            reason=str(error) or "no message",
        ) from None


def forward_of(program: Program, loss: str | None, path: Path) -> Forward:
    """The forward pass that leads to the loss. Raises RequestError."""
    losses = find_losses(program, loss)
    last = losses[-1]
    steps = program.steps_to(last)
    settle_names(program, dict.fromkeys(v for step in steps for v in (*step.reads, step.result)))
    truth = LocalTruth(program, last)
    if not truth.steps:
        raise RequestError(
            "{path}: {loss} on line {line} depends on no tensor of floating-point numbers, so "
            "there is no gradient to speak of.", path=path, loss=last.name, line=last.line,
        )  # fmt: skip
    return Forward(program, last, truth)


def derive(path: Path, loss: str | None = None) -> Derivation:
    """The backward pass of the file at ``path``. Raises RequestError."""
    forward = read_forward(path, loss)
    derivation = Derivation(forward.program, forward.truth)
    derivation.notes[:0] = forward.notes
    return derivation


@contextlib.contextmanager
def _imports_from(folder: str) -> Iterator[None]:
    """Lets the file import its neighbours, behind everything that is installed."""
    sys.path.append(folder)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def line_of(error: BaseException, path: str) -> int:
    """The last line of the file that an error passed through."""
    line, trace = 1, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == path:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
