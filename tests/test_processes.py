"""Child processes, with and without what only POSIX has."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from makemore_bp import processes
from makemore_bp.processes import Child, Ended


@pytest.fixture(params=["posix", "windows"])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """This system, and one that lacks what Windows lacks and has its ``taskkill``."""
    if request.param == "windows":
        for module, name in ((os, "killpg"), (os, "set_blocking")):
            monkeypatch.delattr(module, name)
        tool = tmp_path / "bin" / "taskkill"
        tool.parent.mkdir()
        tool.write_text('#!/bin/sh\n[ "$1$2$3" = /F/T/PID ] && kill -9 "-$4"\n')
        tool.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")


Finished = Callable[..., Ended]


@pytest.fixture
def finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: None) -> Finished:
    """Runs a script as a child to its end."""

    def run(script: str, **limits: object) -> Ended:
        (tmp_path / "some_module.py").write_text(script)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        with Child("some_module", str(tmp_path)) as child:
            return child.finish(**{"seconds": 60, **limits})  # type: ignore[arg-type]

    return run


def test_output_errors_and_return_code_of_a_child_come_back(finished: Finished) -> None:
    script = "import sys\nprint('né')\nprint('bad', file=sys.stderr)\nsys.exit(3)\n"
    assert finished(script) == Ended(3, "né\nbad\n", False, False)


def test_a_child_finds_the_package_and_not_the_current_folders_modules(
    finished: Finished,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "random.py").write_text("print('mine')\n")
    monkeypatch.chdir(tmp_path / "here")
    assert finished("import random, makemore_bp\n") == Ended(0, "", False, False)


def test_a_child_reads_nothing_from_the_terminal(finished: Finished) -> None:
    assert "EOFError" in finished("input()\n").output


BEGIN = "import pathlib, sys, time\n(pathlib.Path(sys.argv[1]) / 'begun').touch()\n"


def test_a_child_that_goes_on_for_too_long_is_stopped_by_a_clock_that_starts_with_its_work(
    finished: Finished, tmp_path: Path
) -> None:
    script = f"print('here')\n{BEGIN}time.sleep(600)\n"
    ended = finished(script, seconds=0, begins=tmp_path / "begun")
    assert ended.timed_out and ended.output == "here\n" and ended.code != 0


def test_a_child_that_prints_too_much_is_stopped(finished: Finished) -> None:
    ended = finished("while True:\n    print('x' * 99)\n", limit=5000)
    assert ended.too_much_output and not ended.timed_out and len(ended.output) == 5000


def test_what_a_stopped_child_has_started_goes_with_it(finished: Finished, tmp_path: Path) -> None:
    script = (
        "import subprocess, sys\n"
        "other = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"print(other.pid)\n{BEGIN}other.wait()\n"
    )
    ended = finished(script, seconds=0, begins=tmp_path / "begun")
    assert ended.timed_out
    while (stat := Path(f"/proc/{int(ended.output)}/stat")).exists():
        if stat.read_text().rpartition(")")[2].split()[0] == "Z":
            break  # dead, and nobody has asked how it ended
        time.sleep(0.01)


def test_output_that_a_process_of_another_session_holds_back_is_not_waited_for(
    finished: Finished,
) -> None:
    script = (
        "import subprocess\nprint('done', flush=True)\n"
        "subprocess.Popen(['sleep', '5'], start_new_session=True)\n"
    )
    assert finished(script) == Ended(0, "done\n", False, False)


def test_a_child_may_be_talked_to_line_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "echo.py").write_text("for line in open(0):\n    print(line.upper(), end='')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Child("echo", stdin=subprocess.PIPE) as child:
        child.send(b"one\ntwo\n")
        child.end_input()
        assert list(child.lines()) == [b"ONE\n", b"TWO\n"]
        assert child.wait() and child.code == 0


def test_what_is_sent_to_a_dead_child_is_lost_without_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deaf.py").write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Child("deaf", stdin=subprocess.PIPE) as child:
        assert child.wait() and child.code == 0
        child.send(b"anybody there?\n")


def test_a_child_is_killed_without_a_tool_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sleeper.py").write_text("import time\ntime.sleep(600)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.delattr(os, "killpg")
    monkeypatch.setenv("PATH", str(tmp_path))
    child = Child("sleeper")
    assert not child.wait(0.0)
    child.kill()
    assert child.code is not None and child.code != 0


def test_threads_are_counted_only_where_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert "OMP_NUM_THREADS" not in processes.environment()
    assert processes.environment(threads=2)["OMP_NUM_THREADS"] == "2"


@pytest.mark.parametrize(
    ("code", "said", "sentence"),
    [
        (-9, "x", "Its process was ended by SIGKILL (often because memory ran out)."),
        (-15, "", "Its process was ended by SIGTERM."),
        (-4242, "", "Its process was ended by signal 4242."),
        (1, "Traceback\nOSError: no\n", "Its process ended with code 1: OSError: no."),
        (3221225477, " \n", "Its process ended with code 3221225477."),
        (1, "\x1b[31mred\n", "Its process ended with code 1: \\x1b[31mred."),
    ],
)
def test_how_a_process_died_is_a_sentence(code: int, said: str, sentence: str) -> None:
    assert processes.obituary(code, said) == sentence


def test_this_module_needs_no_pytorch() -> None:
    code = "import sys, makemore_bp.processes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
