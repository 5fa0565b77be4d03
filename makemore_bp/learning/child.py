"""Starts a Python process that a learner's code runs in, and stops it when it goes too far."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import makemore_bp

OUTPUT_LIMIT = 200_000  # bytes; whoever prints more is stopped
START = 120.0  # seconds that Python and PyTorch may take to be there


@dataclass(frozen=True)
class Ended:
    """How the process ended: its return code, what it printed, and why it was stopped if it was."""

    code: int
    output: str
    timed_out: bool
    too_much_output: bool


def run_module(module: str, folder: Path, timeout: float) -> Ended:
    """Runs ``python -m module folder`` for at most ``timeout`` seconds.

    The clock starts when the process writes journal.jsonl into ``folder``. The process leads a
    session of its own; when it is over, whatever it has started is killed with it.
    """
    environment = dict(os.environ)
    package = str(Path(makemore_bp.__file__).resolve().parent.parent)
    paths = [package, *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    environment["PYTHONIOENCODING"] = "utf-8:backslashreplace"
    # The current folder is not searched: a learner's random.py must not replace Python's.
    environment["PYTHONSAFEPATH"] = "1"
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", module, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    )
    try:
        output, timed_out, too_much = _listen(process, folder / "journal.jsonl", timeout)
    finally:
        _stop(process)
    text = bytes(output[:OUTPUT_LIMIT]).decode("utf-8", errors="replace")
    return Ended(process.returncode, text, timed_out, too_much)


def _listen(
    process: subprocess.Popen[bytes], started: Path, timeout: float
) -> tuple[bytearray, bool, bool]:
    """Collects what the process prints until it ends, or until its time or space is used up."""
    assert process.stdout is not None
    output = bytearray()
    pipe = process.stdout.fileno()
    os.set_blocking(pipe, False)
    deadline, running = time.monotonic() + START, False
    open_pipe = True
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not running and started.exists():
                deadline, running = time.monotonic() + timeout, True
            over = process.poll() is not None
            if open_pipe:
                selector.select(0 if over else 0.02)
                open_pipe = _read(pipe, output)
            elif not over:
                time.sleep(0.01)
            if len(output) > OUTPUT_LIMIT:
                return output, False, True
            if over:
                return output, False, False
            if time.monotonic() > deadline:
                return output, True, False


def _read(pipe: int, output: bytearray) -> bool:
    """Reads what is there, at most a little more than is allowed; False at the end."""
    while len(output) <= OUTPUT_LIMIT:
        try:
            chunk = os.read(pipe, 65536)
        except BlockingIOError:
            return True
        if not chunk:
            return False
        output += chunk
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Kills the process and all that it started in its session; its number is ours until wait."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.wait()
    if process.stdout is not None:
        process.stdout.close()
