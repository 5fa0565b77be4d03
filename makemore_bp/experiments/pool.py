"""Worker processes as their parent sees them.

A worker takes several batches of tasks one after another, because importing PyTorch takes longer
than many a run. A Ctrl-C at the terminal reaches the parent alone (see ``processes``). Each worker
notices when its standard input closes, so no worker outlives a parent that was killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import IO, Any

from makemore_bp import processes
from makemore_bp.signals import Interrupted, Stop

POLL_SECONDS = 0.1  # how long a request to stop may go unnoticed
SAVING_SECONDS = 60.0  # how long workers may take to save when they are told to stop
UNFINISHED = ("started", "progress", "evaluated")  # events after which more comes

Task = dict[str, Any]
Message = dict[str, Any]


def cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class Worker:
    """One process, and the tasks that it is at, by their names."""

    def __init__(self, threads: int, events: queue.Queue[tuple[Worker, Message | None]]) -> None:
        self.tasks: dict[str, Task] = {}
        self._events = events
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as self
        self._child = processes.Child(
            "makemore_bp.experiments.worker",
            str(threads),
            threads=threads,
            stdin=subprocess.PIPE,
            stderr=self._errors,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def give(self, batch: list[Task]) -> None:
        """Hands it tasks to do at once. If it is dead already, that is told as of any others."""
        self.tasks = {task["name"]: task for task in batch}
        self._child.send(json.dumps(batch).encode() + b"\n")

    def _listen(self) -> None:
        for line in self._child.lines():
            with contextlib.suppress(ValueError):  # a line that was cut off by its death
                self._events.put((self, json.loads(line)))
        self._child.wait()
        self._events.put((self, None))

    def close(self) -> None:
        """Lets it save and end."""
        self._child.end_input()

    def wait(self, seconds: float) -> None:
        """Waits for its end, and kills it after ``seconds``."""
        if not self._child.wait(seconds):
            self._child.kill()

    def obituary(self) -> str:
        """How it died, in a sentence."""
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace")
        return processes.obituary(self._child.code or 0, said)


class Pool:
    """At most ``size`` workers with ``threads`` threads each, for as long as it is entered."""

    def __init__(self, size: int, threads: int, stop: Stop) -> None:
        self._size = size
        self._threads = threads
        self._stop = stop
        self._events: queue.Queue[tuple[Worker, Message | None]] = queue.Queue()
        self._workers: list[Worker] = []

    def __enter__(self) -> Pool:
        """Starts the workers, so that all import PyTorch while the first tasks are made."""
        self._workers = [Worker(self._threads, self._events) for _ in range(self._size)]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Ends the workers; they save first, unless the person is too impatient for that."""
        for worker in self._workers:
            worker.close()
        for worker in self._workers:
            worker.wait(0 if kind is KeyboardInterrupt else SAVING_SECONDS)

    def work(self, batches: Iterable[list[Task]]) -> Iterator[tuple[Task, Message]]:
        """Has the tasks done, the batches in their order, and yields every message about them.

        A worker that dies fails its tasks; the others go on. Raises Interrupted when asked to stop.
        """
        pending = deque(batches)
        while pending or any(worker.tasks for worker in self._workers):
            self._distribute(pending)
            if self._stop.signal is not None:
                raise Interrupted(self._stop.signal)
            try:
                worker, message = self._events.get(timeout=POLL_SECONDS)
            except queue.Empty:
                continue
            yield from self._heard(worker, message)

    def _heard(self, worker: Worker, message: Message | None) -> Iterator[tuple[Task, Message]]:
        """The tasks that a message is about: one, or all that a dead worker leaves behind."""
        if message is None:
            self._workers.remove(worker)
            last = {"event": "failed", "reason": worker.obituary()}
            yield from ((task, last) for task in worker.tasks.values())
            worker.tasks = {}
        elif task := worker.tasks.get(message["name"]):
            if message["event"] not in UNFINISHED:
                del worker.tasks[message["name"]]
            yield task, message

    def _distribute(self, pending: deque[list[Task]]) -> None:
        for worker in self._workers:
            if not worker.tasks and pending:
                worker.give(pending.popleft())
        while pending and len(self._workers) < self._size:
            self._workers.append(Worker(self._threads, self._events))
            self._workers[-1].give(pending.popleft())
