"""Commands in processes of their own, forked from one that has PyTorch loaded.

A new interpreter spends seconds on importing PyTorch, a fork none. What a fork starts as
``python -m MODULE`` is forked as well. A fork does not show how Python itself starts: options of
the interpreter and locales are looked at in new interpreters.
"""

from __future__ import annotations

import ctypes
import gc
import io
import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from multiprocessing import reduction, resource_tracker
from pathlib import Path
from typing import Any, NoReturn

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

    ``env`` is added to the environment of the test; None takes a variable away. Standard input is
    empty, and what is written is kept. ``streams`` has descriptors for other streams than these,
    None for one that is closed; then Python itself comes to its end as well, with what it does to
    streams. ``terminal`` is the descriptor of one that becomes the process's own, with all three
    streams. Signals are answered as by a new process, whatever the test runner ignores; those in
    ``ignored`` are not answered.
    """

    def __init__(
        self,
        *arguments: object,
        module: str = "makemore_bp",
        cwd: Path | None = None,
        env: Mapping[str, str | None] | None = None,
        streams: Mapping[int, int | None] | None = None,
        terminal: int | None = None,
        ignored: Sequence[int] = (),
    ) -> None:
        self._folder = tempfile.TemporaryDirectory()
        line = [module, *map(str, arguments)]
        environment = {**os.environ, **(env or {})}
        known = {name: value for name, value in environment.items() if value is not None}
        own = {n: None if to is None else _Descriptor(to) for n, to in (streams or {}).items()}
        place = Path(self._folder.name) if terminal is None else _Descriptor(terminal)
        arguments = (line, cwd or Path.cwd(), known, place, own, ignored)
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
    place: Path | _Descriptor,
    streams: Mapping[int, _Descriptor | None],
    ignored: Sequence[int],
) -> None:
    assert "torch" in sys.modules, "the process that is forked has not loaded PyTorch"
    os.chdir(cwd)
    if isinstance(place, _Descriptor):
        os.login_tty(place.number)
    else:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(place / name, os.O_WRONLY | os.O_CREAT), number)
    for number, stream in streams.items():
        if stream is None:
            os.close(number)
        else:
            os.dup2(stream.number, number)
            os.close(stream.number)  # or a pipe would still have its other end here
    for module in ("subprocess", AGENT):
        sys.modules[module].Popen = Forked  # type: ignore[attr-defined]
    _answer_signals(ignored)
    _become(line, environment, finalize=bool(streams))


def _answer_signals(ignored: Sequence[int] = ()) -> None:
    """The dispositions that a new interpreter has."""
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, signal.SIG_IGN if number in ignored else signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)


def _become(line: list[str], environment: Mapping[str, str], finalize: bool = False) -> NoReturn:
    """Runs a module as the program that this process is, to its end."""
    os.environ.clear()
    os.environ.update(environment)
    sys.stdin, sys.stdout, sys.stderr = _streams(bool(environment.get("PYTHONUNBUFFERED")))
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]
    sys.argv = list(line)
    code = _code(line[0])
    if finalize:
        gc.freeze()  # taking PyTorch apart would take longer than most commands
        ctypes.pythonapi.Py_Exit(code)
    threading._shutdown()  # type: ignore[attr-defined]
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _code(module: str) -> int:
    """Runs a module and returns its exit code."""
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as stopped:
        return stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _streams(unbuffered: bool) -> tuple[Any, Any, Any]:
    """Those that a new interpreter has: none where the descriptor is closed."""

    def stream(number: int, mode: str, buffering: int, **options: Any) -> Any:
        try:
            raw = os.fdopen(number, mode, buffering, closefd=False)
        except OSError:
            return None
        return io.TextIOWrapper(raw, "utf-8", **options)

    out = {"line_buffering": not unbuffered and os.isatty(1), "write_through": unbuffered}
    return (
        stream(0, "rb", -1),
        stream(1, "wb", 0 if unbuffered else -1, **out),
        stream(2, "wb", 0 if unbuffered else -1, errors="backslashreplace", line_buffering=True),
    )


class Forked(subprocess.Popen[Any]):
    """Runs ``python -m MODULE ARGUMENTS`` as a fork of this process, any other command as ever.

    What a child may do between fork and exec is here the whole work: it never comes to the exec.
    """

    def __init__(self, args: Sequence[str], **options: Any) -> None:
        if args[0] == sys.executable and "-m" in args[1:3]:
            line = list(args[args.index("-m") + 1 :])
            environment = {**(options.get("env") or os.environ)}
            if "-u" in args[1:3]:
                environment["PYTHONUNBUFFERED"] = "1"
            options["preexec_fn"] = lambda: _instead_of_exec(line, environment)
        super().__init__(args, **options)


def _instead_of_exec(line: list[str], environment: Mapping[str, str]) -> NoReturn:
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # the last of them tells the parent to go on
    resource_tracker._resource_tracker._fd = None  # type: ignore[attr-defined]
    _answer_signals()
    _become(line, environment)
