"""torchrun as a child process, with the words of every rank."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE = 300  # seconds until a run that hangs fails the test


@dataclass
class Torchrun:
    """A running torchrun and where its workers' words go."""

    process: subprocess.Popen[bytes]
    logs: Path

    def finish(self) -> int:
        return self.process.wait(timeout=PATIENCE)

    def said(self, rank: int, attempt: int = 0, stream: str = "stderr") -> str:
        (path,) = self.logs.glob(f"*/attempt_{attempt}/{rank}/{stream}.log")
        return path.read_text()

    def workers(self) -> list[int]:
        """The process ids of the ranks that live, in no order."""
        task = Path(f"/proc/{self.process.pid}/task")
        lists = [path.read_text() for path in task.glob("*/children")]
        return [int(number) for line in lists for number in line.split()]

    def rank(self, number: int) -> int:
        """The process id of a rank."""
        (found,) = (
            worker
            for worker in self.workers()
            if f"\0RANK={number}\0".encode() in Path(f"/proc/{worker}/environ").read_bytes()
        )
        return found


@contextmanager
def torchrun(
    cache: Path,
    logs: Path,
    ranks: int,
    *arguments: object,
    restarts: int = 0,
    program: Sequence[str] = ("-m", "makemore_bp"),
) -> Iterator[Torchrun]:
    """torchrun's own tracebacks go nowhere; the workers' streams go to files."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *(f"--nproc-per-node={ranks}", f"--max-restarts={restarts}"),
        *("--redirects=3", f"--log-dir={logs}", *program, *map(str, arguments)),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MAKEMORE_BP_CACHE": str(cache)}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    running = Torchrun(process, logs)
    try:
        yield running
    finally:
        for worker in running.workers() if process.poll() is None else []:
            os.kill(worker, signal.SIGKILL)
        process.kill()
        process.wait()
