"""The standard streams, which may be closed, full or broken, and what may then not go wrong."""

from __future__ import annotations

import io
import os
import sys
from typing import TextIO


def prepare() -> None:
    """Makes both streams usable.

    One that is closed (``>&-``) becomes the null device, so that no file of ours is opened under
    its number. A terminal that cannot show a character shows its escape. What goes anywhere else is
    UTF-8, like the files that the program reads, unless PYTHONIOENCODING asks for something else.
    """
    _forget_nonsense()
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115  (it stays open to the end)
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            plain = stream.isatty() or "PYTHONIOENCODING" in os.environ
            encoding = stream.encoding if plain else "utf-8"
            stream.reconfigure(encoding=encoding, errors="backslashreplace")
    _buffer()


def _forget_nonsense() -> None:
    """Takes a window's size away that is no positive number, with which nothing would be shown."""
    for name in ("COLUMNS", "LINES", "TERMINAL_WIDTH"):
        value = os.environ.get(name, "1")
        if not value.isdecimal() or int(value) == 0:
            del os.environ[name]


def _buffer() -> None:
    """Gives standard output a buffer if it has none, as under ``python -u``, with which torchrun
    starts its ranks: a system call for every word would cost more than the word. A terminal is
    still written to line by line."""
    out = sys.stdout
    if isinstance(out, io.TextIOWrapper) and isinstance(out.buffer, io.RawIOBase):
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(out.buffer), out.encoding, out.errors, line_buffering=out.isatty()
        )


def tell(message: str) -> None:
    """Prints a message on standard error; if nobody can read it, the exit code has to do."""
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def finish() -> OSError | None:
    """Writes out what is buffered and returns why that failed, if it did.

    What cannot be written is thrown away: Python would try again at exit and print a traceback.
    """
    failed: OSError | None = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            failed = failed or (error if stream is sys.stdout else None)
            discard(stream)
    return failed


def discard(stream: TextIO) -> None:
    """Sends what the stream still holds, and all that follows, nowhere."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)
    except (OSError, ValueError):  # the stream has no file, as in a test
        pass
