"""torchrun as a process, with the words of every rank.

torchrun and its ranks are forks; ``real=True`` starts new interpreters, as a person does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.processes import TORCHRUN, Command, started

ROOT = Path(__file__).parents[2]


@dataclass
class Torchrun:
    """A running torchrun and where its workers' words go."""

    process: Command | subprocess.Popen[bytes]
    logs: Path

    def finish(self) -> int:
        """The exit code, when torchrun and all its ranks have ended and said what they say."""
        workers = self.workers() if self.process.poll() is None else []
        code = self.process.wait()
        while any(map(_lives, workers)):
            time.sleep(0.01)
        return code

    def said(self, rank: int, attempt: int = 0, stream: str = "stderr") -> str:
        (path,) = self.logs.glob(f"*/attempt_{attempt}/{rank}/{stream}.log")
        return path.read_text()

    def workers(self) -> list[int]:
        """The process ids of the ranks that live, in no order."""
        task = Path(f"/proc/{self.process.pid}/task")
        lists = [path.read_text() for path in task.glob("*/children")]
        return [int(number) for line in lists for number in line.split()]

    def rank(self, number: int) -> int:
        """The process id of a rank, which is known by where its words go."""
        (found,) = (
            worker
            for worker in self.workers()
            if Path(f"/proc/{worker}/fd/2").readlink().parent.name == str(number)
        )
        return found


def _lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def line(logs: Path, ranks: int, *program: object, restarts: int = 0, kept: int = 3) -> list[str]:
    """The arguments of torchrun that run a module with arguments of its own.

    ``kept`` says whose words go to files: 3 those of both streams, 2 those of standard error.
    """
    return [
        *("--standalone", f"--nproc-per-node={ranks}", f"--max-restarts={restarts}"),
        *(f"--redirects={kept}", f"--log-dir={logs}", "-m", *map(str, program)),
    ]


@contextmanager
def torchrun(
    cache: Path,
    logs: Path,
    ranks: int,
    *arguments: object,
    restarts: int = 0,
    module: str = "makemore_bp",
    real: bool = False,
) -> Iterator[Torchrun]:
    """The workers' streams go to files; torchrun's own tracebacks are not looked at."""
    start = _new_interpreter if real else _fork
    with start(line(logs, ranks, module, *arguments, restarts=restarts), cache) as process:
        running = Torchrun(process, logs)
        try:
            yield running
        finally:
            for worker in running.workers() if process.poll() is None else []:
                os.kill(worker, signal.SIGKILL)
            process.kill()


def _fork(line: list[str], cache: Path) -> AbstractContextManager[Command]:
    return started(*line, module=TORCHRUN, env={"MAKEMORE_BP_CACHE": str(cache)})


def _new_interpreter(line: list[str], cache: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MAKEMORE_BP_CACHE": str(cache)}
    nowhere = subprocess.DEVNULL
    command = [sys.executable, "-m", TORCHRUN, *line]
    return subprocess.Popen(command, env=environment, stdout=nowhere, stderr=nowhere)
