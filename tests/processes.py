"""Commands in processes of their own, forked from one that has PyTorch loaded.

A new interpreter spends seconds on importing PyTorch, a fork none. A fork does not show how Python
itself starts and ends: options of the interpreter, locales and broken streams are looked at in new
interpreters.
"""

from __future__ import annotations

import io
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import reduction
from pathlib import Path
from typing import Any

TORCHRUN = "torch.distributed.run"
AGENT = "torch.distributed.elastic.multiprocessing.subprocess_handler.subprocess_handler"
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["pytest", TORCHRUN, AGENT, "makemore_bp.cli.app", "makemore_bp.training.start"]
)


class _Descriptor:
    """A file descriptor that travels to a process."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> Any:
        return _arrived, (reduction.DupFd(self.number),)


def _arrived(sent: Any) -> _Descriptor:
    return _Descriptor(sent.detach())


class Command:
    """``python -m MODULE ARGUMENTS`` as a process, with what ``subprocess.Popen`` can do with one.

    ``env`` is added to the environment of the test; None takes a variable away. ``terminal`` is the
    descriptor of one that becomes the process's own, with all three streams. Without it standard
    input is empty, and what is written is kept. Signals are answered as by a new process, whatever
    the test runner ignores; those in ``ignored`` are not answered.
    """

    def __init__(
        self,
        *arguments: object,
        module: str = "makemore_bp",
        cwd: Path | None = None,
        env: Mapping[str, str | None] | None = None,
        terminal: int | None = None,
        ignored: Sequence[int] = (),
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        line = [module, *map(str, arguments)]
        environment = {**os.environ, **(env or {})}
        known = {name: value for name, value in environment.items() if value is not None}
        streams = Path(self._folder.name) if terminal is None else _Descriptor(terminal)
        arguments = (line, cwd or Path.cwd(), known, streams, ignored)
        self._process = FORKS.Process(target=_run, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self) -> int:
        self._process.join()
        assert self._process.exitcode is not None
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Kills it if it still lives, and forgets what it has written."""
        self.kill()
        self.wait()
        self._folder.cleanup()

    def said(self, stream: str) -> str:
        """What it has written so far to ``stdout`` or ``stderr``."""
        path = Path(self._folder.name, stream)
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def communicate(self) -> tuple[str, str]:
        """What it has written to both by its end."""
        self.wait()
        return self.said("stdout"), self.said("stderr")


@contextmanager
def started(*arguments: object, **options: Any) -> Iterator[Command]:
    """A command that is killed in the end."""
    process = Command(*arguments, **options)
    try:
        yield process
    finally:
        process.close()


def finished(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command that has come to its end."""
    with started(*arguments, **options) as process:
        out, err = process.communicate()
        return subprocess.CompletedProcess((), process.wait(), out, err)


def _run(
    line: list[str],
    cwd: Path,
    environment: Mapping[str, str],
    streams: Path | _Descriptor,
    ignored: Sequence[int],
) -> None:
    assert "torch" in sys.modules, "the process that is forked has not loaded PyTorch"
    os.chdir(cwd)
    if isinstance(streams, _Descriptor):
        os.login_tty(streams.number)
    else:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(streams / name, os.O_WRONLY | os.O_CREAT), number)
    for module in ("subprocess", AGENT):
        sys.modules[module].Popen = Forked  # type: ignore[attr-defined]
    _answer_signals(ignored)
    _become(line, environment)


def _answer_signals(ignored: Sequence[int] = ()) -> None:
    """The dispositions that a new interpreter has."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def _become(line: list[str], environment: Mapping[str, str]) -> None:
    """Runs a module as the program that this process is."""
    os.environ.clear()
    os.environ.update(environment)
    unbuffered = bool(environment.get("PYTHONUNBUFFERED"))
    out = os.fdopen(1, "wb", 0 if unbuffered else -1, closefd=False)
    lines = os.isatty(1)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = io.TextIOWrapper(out, "utf-8", line_buffering=lines, write_through=unbuffered)
    sys.stderr = os.fdopen(2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False)
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]
    sys.argv = list(line)
    runpy.run_module(line[0], run_name="__main__", alter_sys=True)


class Forked(subprocess.Popen[Any]):
    """Runs ``python -m MODULE ARGUMENTS`` as a fork of this process, any other command as ever.

    What a child may do between fork and exec is here the whole work: it never comes to the exec.
    """

    def __init__(self, command: Sequence[str], **options: Any) -> None:
        if command[0] == sys.executable and "-m" in command[1:3]:
            line = list(command[command.index("-m") + 1 :])
            environment = options.get("env") or dict(os.environ)
            options["preexec_fn"] = lambda: _instead_of_exec(line, environment)
        super().__init__(command, **options)


def _instead_of_exec(line: list[str], environment: Mapping[str, str]) -> None:
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # the last of them tells the parent to go on
    _answer_signals()
    code: object = 0
    try:
        _become(line, environment)
    except SystemExit as stopped:
        code = stopped.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code if isinstance(code, int) else 1)
