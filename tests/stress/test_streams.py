"""Standard streams that are closed, full, broken or a terminal without a width."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import pytest

from tests.processes import Command, finished, started

ROOT = Path(__file__).parents[2]
PROGRAM = f"'{sys.executable}' -m makemore_bp"


def in_shell(line: str, here: Path) -> subprocess.CompletedProcess[str]:
    """Runs a line in which {} stands for the program."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line.replace('{}', PROGRAM)}"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("{} config show >&-", 0, ""),
        ("{} --help >&-", 0, ""),
        ("{} config show >&- 2>&-", 0, ""),
        ("{} config show nothing.yaml 2>&-", 2, ""),
        ("{} config show nothing.yaml >&- 2>&- <&-", 2, ""),
        ("{} nonsense 2>&-", 2, ""),
        ("{} config show | true", 0, ""),
        ("{} config schema | head -n 1 >/dev/null", 0, ""),
        ("{} --help | true", 0, ""),
        ("{} train --help | true", 0, ""),
        ("{} data info bundled:towns | true", 0, ""),
        ("{} nonsense 2>&1 | true", 2, ""),
        ("{} config show nothing.yaml 2>&1 >/dev/null | true", 2, ""),
        ("{} config show >/dev/full", 2, "Error: No space left on device."),
        ("{} --version >/dev/full", 2, "Error: No space left on device."),
        ("{} --help >/dev/full", 2, "Error: No space left on device."),
        ("{} config show nothing.yaml 2>/dev/full", 2, ""),
        ("{} nonsense 2>/dev/full", 2, ""),
    ],
)
def test_a_stream_that_cannot_be_written_is_no_traceback(
    line: str, code: int, told: str, tmp_path: Path
) -> None:
    if "/dev/full" in line and not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    answer = in_shell(line, tmp_path)
    assert (answer.returncode, answer.stderr.strip(), answer.stdout) == (code, told, "")


def test_samples_may_be_cut_off_by_head(run: Path) -> None:
    answer = in_shell("{} sample run -n 100000 | head -n 2", run.parent)
    assert answer.returncode == 0 and answer.stderr == ""
    assert len(answer.stdout.splitlines()) == 2


def test_the_stream_of_samples_may_be_closed(run: Path) -> None:
    answer = finished("sample", run, streams={1: None})
    assert (answer.returncode, answer.stderr) == (0, "")


def unread(*arguments: object, cwd: Path) -> tuple[int, str]:
    """The exit code and the errors of a command whose output goes into a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer):
        answer = finished(*arguments, cwd=cwd, streams={1: writer})
    return answer.returncode, answer.stderr


def test_a_table_that_nobody_reads_leaves_the_answer_as_it_is(run: Path) -> None:
    """1 would say that a gradient is wrong, 0 that none is."""
    for line in ("eval run", "gradcheck --samples 0", "report run --terminal"):
        assert unread(*line.split(), cwd=run.parent) == (0, "")
    (run.parent / "wrong.py").write_text("dlogits = logits\n")
    code, _ = unread("gradcheck", "--file", "wrong.py", cwd=run.parent)
    assert code == 1


def messages(end: socket.socket) -> list[bytes]:
    """What each system call has written into the other end, until nobody holds that any more."""
    return list(iter(lambda: end.recv(2**20), b""))


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_words_are_written_in_blocks_where_nobody_watches(unbuffered: str, run: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("this system has no sockets that keep messages apart")
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    options = {"streams": {1: theirs.fileno()}, "env": {"PYTHONUNBUFFERED": unbuffered}}
    with ours, started("sample", run, "-n", 5000, **options) as process:
        theirs.close()
        blocks = messages(ours)
        assert process.wait() == 0
    assert b"".join(blocks).count(b"\n") == 5000
    assert len(blocks) < 50


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_terminal_sees_words_as_they_come(
    unbuffered: str, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)
    terminal = Terminal(["sample", str(run), "-n", "1000000000"], 80)
    first = os.read(terminal.end, 65536)
    terminal.process.send_signal(signal.SIGINT)
    assert b"\n" in first and len(first) < 4096, "less than a block is shown already"
    shown = terminal.output()
    assert terminal.code() == 130 and "Traceback" not in shown


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_goes_ends_a_sample_with_and_without_a_buffer(
    unbuffered: str, run: Path
) -> None:
    with endless_sample(run, unbuffered) as (process, words):
        assert words.readline() and words.readline()
        words.close()
        assert (process.wait(), process.said("stderr")) == (0, "")


@pytest.mark.parametrize("number", [5, 100_000])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_full_disk_ends_a_sample_with_and_without_a_buffer(
    unbuffered: str, number: int, run: Path
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        options = {"streams": {1: full.fileno()}, "env": {"PYTHONUNBUFFERED": unbuffered}}
        answer = finished("sample", run, "-n", number, **options)
    assert (answer.returncode, answer.stderr) == (2, "Error: No space left on device.\n")


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_an_interrupted_sample_ends_with_130(unbuffered: str, run: Path) -> None:
    with endless_sample(run, unbuffered) as (process, words):
        assert words.readline()
        process.send_signal(signal.SIGINT)
        words.read()
        assert (process.wait(), process.said("stderr")) == (130, "")


@contextlib.contextmanager
def endless_sample(run: Path, unbuffered: str) -> Iterator[tuple[Command, IO[bytes]]]:
    """A sample without end, and the pipe that its words come out of."""
    reader, writer = os.pipe()
    options = {"streams": {1: writer}, "env": {"PYTHONUNBUFFERED": unbuffered}}
    with (
        os.fdopen(reader, "rb") as words,
        started("sample", run, "-n", 1_000_000_000, **options) as process,
    ):
        os.close(writer)
        yield process, words


def test_a_run_trains_without_any_stream(words: Path, tmp_path: Path) -> None:
    values = ("data.path=words.txt", "train.steps=5", "model.n_hidden=4")
    settings = [part for value in values for part in ("--set", value)]
    closed = {0: None, 1: None, 2: None}
    answer = finished("train", *settings, "--out", "run", cwd=tmp_path, streams=closed)
    assert answer.returncode == 0
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["steps"] == 5


class Terminal:
    """A command that has a terminal for all three streams."""

    def __init__(self, arguments: list[str], columns: int, ignored: Sequence[int] = ()) -> None:
        self.end, other = os.openpty()
        fcntl.ioctl(other, termios.TIOCSWINSZ, struct.pack("HHHH", 0, columns, 0, 0))
        environment = {"TERM": "xterm", "COLUMNS": None, "LINES": None, "NO_COLOR": None}
        self.process = Command(*arguments, env=environment, terminal=other, ignored=ignored)
        os.close(other)

    def output(self) -> str:
        """All that appears until the command ends."""
        shown = b""
        with contextlib.suppress(OSError):  # Linux's way of saying that nobody is at the other end
            while piece := os.read(self.end, 65536):
                shown += piece
        return shown.decode()

    def code(self) -> int:
        """The exit code, or minus the signal that ended it."""
        code = self.process.wait()
        self.process.close()
        return code


@pytest.mark.parametrize("columns", [0, 1, 20])
def test_a_terminal_of_any_width_is_written_to(columns: int, run: Path, small: list[str]) -> None:
    out = str(run.parent / f"wide-{columns}")
    for arguments in (["eval", str(run)], ["train", *small, "--out", out], ["data", "--help"]):
        terminal = Terminal(arguments, columns)
        shown = terminal.output()
        assert terminal.code() == 0, shown
        assert shown and "Traceback" not in shown


@pytest.mark.parametrize("value", ["0", "-5", "x", "1"])
def test_a_window_of_nonsense_is_survived(value: str, tmp_path: Path) -> None:
    answer = in_shell(f"COLUMNS={value} LINES={value} {{}} train --help", tmp_path)
    assert answer.returncode == 0 and "Traceback" not in answer.stderr


def long_run(words: Path, folder: Path) -> list[str]:
    values = (f"data.path={words}", "engine=torch", "model.n_hidden=8", "train.steps=1000000")
    return ["train", *(part for v in values for part in ("--set", v)), "--out", str(folder)]


def wait_for_steps(folder: Path, process: Command, size: int = 300) -> None:
    lines = folder / "metrics.jsonl"
    while not lines.exists() or lines.stat().st_size < size:
        assert process.poll() is None
        time.sleep(0.01)


def test_a_terminal_that_is_closed_ends_the_run_with_its_state_saved(
    words: Path, tmp_path: Path
) -> None:
    from makemore_bp.training import run_folder

    terminal = Terminal(long_run(words, tmp_path / "run"), 80)
    wait_for_steps(tmp_path / "run", terminal.process)
    os.close(terminal.end)
    assert terminal.code() == 128 + signal.SIGHUP
    assert run_folder.read(tmp_path / "run").step > 0


def test_a_run_that_ignores_hangups_outlives_its_terminal(words: Path, tmp_path: Path) -> None:
    terminal = Terminal(long_run(words, tmp_path / "run"), 80, [signal.SIGHUP])
    wait_for_steps(tmp_path / "run", terminal.process)
    os.close(terminal.end)
    size = (tmp_path / "run" / "metrics.jsonl").stat().st_size
    wait_for_steps(tmp_path / "run", terminal.process, size + 2000)
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.code() == 143
