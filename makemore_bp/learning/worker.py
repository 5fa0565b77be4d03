"""The process that learners' files are checked in: ``python -m makemore_bp.learning.worker``.

It imports PyTorch once and computes nothing itself. For each request, a line on standard input that
names a folder, it forks a process that does the job: the file can loop, exit or crash there without
harm to the check. The answer stands in the folder's answer.json; a line on standard output says
that it is there. Where there is no fork, ``--once FOLDER`` does the job of one request, and every
request has a Python of its own (see ``checkers``).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from makemore_bp.learning.job import done
from makemore_bp.learning.supervised import GRACE, JUDGING, answered, write
from makemore_bp.learning.word_files import lend_names
from makemore_bp.processes import OUTPUT_LIMIT


def serve() -> None:
    """Answers requests until standard input ends."""
    gc.freeze()
    for line in sys.stdin:
        if os.fork() == 0:
            sys.stdin.close()
            _answer(Path(json.loads(line)["folder"]))
            os._exit(0)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _answer(folder: Path) -> None:
    """Does a request in processes of its own, and says so on standard output."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    try:
        answered(folder, request, _attempt)
    finally:
        os.write(1, (json.dumps({"folder": str(folder)}) + "\n").encode())


def _attempt(folder: Path, request: dict[str, Any]) -> int:
    """One try in a process of its own; its return code, negative for a signal."""
    out, into = os.pipe()
    pid = os.fork()
    if pid == 0:
        _become_the_child(into)
        write(folder, _done(request, folder))
        os._exit(0)
    os.close(into)
    try:
        return _watched(pid, out, request["timeout"] + GRACE, folder)
    finally:
        os.close(out)


def _done(request: dict[str, Any], folder: Path) -> dict[str, Any]:
    said: list[str] = []
    lend_names([Path(request["path"]).resolve().parent], said.append)
    try:
        answer = done(request, folder / "marks")
        return {**answer, "notes": [*answer.get("notes", []), *said]}
    except Exception as error:  # a mistake of ours must not be told as one of the learner's
        where = traceback.extract_tb(error.__traceback__)[-1]
        return {
            "refused": f"{request['path']} could not be judged, by a mistake of this program "
            f"({type(error).__name__}: {error}, at {Path(where.filename).name}:{where.lineno}). "
            "Please report it with the file."
        }


def _become_the_child(into: int) -> None:
    os.setsid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # Linux: dies with the process that watches it
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(into, 1)
    os.dup2(into, 2)
    os.closerange(3, 64)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("900")
    sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115


def _watched(pid: int, out: int, seconds: float, folder: Path) -> int:
    """Waits for a process, and kills it and all that it has started when it goes too far."""
    deadline, size, over = time.monotonic() + seconds + JUDGING, 0, False
    script_ends = time.monotonic() + seconds
    try:
        while time.monotonic() < deadline and size <= 2 * OUTPUT_LIMIT:
            if not over and select.select([out], [], [], 0.05)[0]:
                chunk = os.read(out, 65536)
                size, over = size + len(chunk), not chunk
            elif over:
                time.sleep(0.005)
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > script_ends and not (folder / "judging").exists():
                break
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status)


def once(folder: Path) -> None:
    """The job of one request, in this process."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    (folder / "started").touch()
    write(folder, _done(request, folder))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--once"]:
        once(Path(sys.argv[2]))
    else:
        serve()
