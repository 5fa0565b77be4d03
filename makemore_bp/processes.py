"""Child processes: how one is started, listened to, and ended with all that it has started.

    with Child("makemore_bp.learning.process", str(folder)) as child:
        ended = child.finish(seconds=30, begins=folder / "journal.jsonl")

A child runs a module with this Python and leads a process group of its own: a Ctrl-C at the
terminal reaches the parent alone. Pipes are read by threads and groups are killed by whatever the
system has for it, so the same code serves POSIX and Windows. Nothing here needs PyTorch.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from makemore_bp.text import visible

OUTPUT_LIMIT = 200_000  # bytes; whoever prints more is stopped
START_SECONDS = 120.0  # how long Python and PyTorch may take until a child's own work begins
POLL_SECONDS = 0.05  # how long an end, a first sign of work or too much output may go unnoticed
DRAIN_SECONDS = 1.0  # how long output is waited for that a process of another group holds back


@dataclass(frozen=True)
class Ended:
    """How a child ended: its return code, what it printed, and why it was stopped if it was."""

    code: int
    output: str
    timed_out: bool
    too_much_output: bool


class Child:
    """A running module, ``python -m MODULE ARGUMENTS``. Leaving its context kills it.

    stdin and stderr are what ``subprocess.Popen`` takes; standard output is read by ``lines`` or by
    ``finish``, and holds standard error as well unless that goes elsewhere.
    """

    def __init__(
        self,
        module: str,
        *arguments: str,
        threads: int | None = None,
        stdin: int = subprocess.DEVNULL,
        stderr: int | IO[bytes] = subprocess.STDOUT,
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", module, *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment(threads),
            start_new_session=True,  # Windows has no sessions and passes this over,
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),  # for it has groups
        )
        self._heard = False  # whether somebody reads its output and closes the pipe at the end

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    @property
    def code(self) -> int | None:
        """Its return code; None while it runs."""
        return self._process.poll()

    def send(self, content: bytes) -> None:
        """Writes to its standard input. A child that is dead already does not take it."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(content)
            self._process.stdin.flush()

    def end_input(self) -> None:
        """Closes its standard input, if that is a pipe."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def lines(self) -> Iterator[bytes]:
        """What it prints, line by line, to its end; for a thread of its own."""
        with self._output() as output:
            yield from output

    def wait(self, seconds: float | None = None) -> bool:
        """Whether it ends within ``seconds``; without them it is waited for."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def finish(
        self, seconds: float, begins: Path | None = None, limit: int = OUTPUT_LIMIT
    ) -> Ended:
        """Waits for its end, at most ``seconds``; afterwards all that it started is gone.

        The clock starts when the file ``begins`` appears, if one is named; it may take
        ``START_SECONDS`` to do so. A child that prints more than ``limit`` bytes is stopped.
        """
        output = _Output(self._output(), limit)
        try:
            timed_out = self._outlasts(seconds, begins, output)
        finally:
            self.kill()
        text = output.text()
        return Ended(self._process.returncode, text, timed_out, output.too_much)

    def _output(self) -> IO[bytes]:
        self._heard = True
        assert self._process.stdout is not None
        return self._process.stdout

    def _outlasts(self, seconds: float, begins: Path | None, output: _Output) -> bool:
        """Waits until it ends or prints too much; True if its time is used up before."""
        deadline = time.monotonic() + (seconds if begins is None else START_SECONDS)
        while not self.wait(POLL_SECONDS) and not output.too_much:
            if begins is not None and begins.exists():
                deadline, begins = time.monotonic() + seconds, None
            elif time.monotonic() > deadline:
                return True
        return False

    def kill(self) -> None:
        """Ends it by force, and all that it has started and not put into a group of its own.

        Windows finds what a process has started only while that process lives.
        """
        with contextlib.suppress(OSError):  # nobody is left, or there is no such tool
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, signal.SIGKILL)
            elif self.code is None:
                command = ["taskkill", "/F", "/T", "/PID", str(self._process.pid)]
                subprocess.run(command, capture_output=True, check=False)
        self._process.kill()
        self._process.wait()
        self.end_input()
        if not self._heard:
            self._output().close()


class _Output:
    """What comes out of a pipe, read by a thread, a little more than ``limit`` bytes at most."""

    def __init__(self, pipe: IO[bytes], limit: int) -> None:
        self._pipe, self._limit = pipe, limit
        self._content = bytearray()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._pipe:
            while not self.too_much and (chunk := os.read(self._pipe.fileno(), 2**16)):
                self._content += chunk

    @property
    def too_much(self) -> bool:
        """Whether more came than is allowed."""
        return len(self._content) > self._limit

    def text(self) -> str:
        """All of it, once nobody writes any more."""
        self._thread.join(DRAIN_SECONDS)
        text = bytes(self._content[: self._limit]).decode("utf-8", errors="replace")
        return text.replace(os.linesep, "\n")


def environment(threads: int | None = None) -> dict[str, str]:
    """This process's environment for a child.

    The package is found wherever the child runs, the current folder is not searched (a learner's
    random.py must not replace Python's), output is UTF-8, and mathematics takes ``threads`` threads
    if that is said.
    """
    found = dict(os.environ)
    package = str(Path(__file__).resolve().parent.parent)
    paths = [package, *filter(None, [found.get("PYTHONPATH")])]
    found["PYTHONPATH"] = os.pathsep.join(paths)
    found["PYTHONSAFEPATH"] = "1"
    found["PYTHONIOENCODING"] = "utf-8:backslashreplace"
    if threads is not None:
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            found[name] = str(threads)
    return found


def obituary(code: int, said: str = "") -> str:
    """How a process died, in a sentence: by its return code and the last line that it said."""
    if code < 0:
        hint = " (often because memory ran out)" if -code == 9 else ""
        return f"Its process was ended by {signal_name(-code)}{hint}."
    last = f": {visible(said.splitlines()[-1])}" if said.strip() else ""
    return f"Its process ended with code {code}{last}."


def signal_name(number: int) -> str:
    """SIGTERM for 15; a number that has no name here as a number."""
    known = {one.value: one.name for one in signal.Signals}
    return known.get(number, f"signal {number}")
