"""metrics.jsonl as event files, which TensorBoard shows: afterwards, or while a run goes on."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from torch import Tensor

from makemore_bp.errors import RequestError
from makemore_bp.experiments.results import is_number
from makemore_bp.files import cannot_write, write_whole
from makemore_bp.report.history import KINDS, LAST_STEP
from makemore_bp.training import metrics
from makemore_bp.training.loop import Beginning, Reporter

FILES = "events.out.tfevents.*"
TAGS = {  # the numbers of a line, by the name under which TensorBoard lists them
    "loss": "loss/minibatch",
    "train_loss": "loss/train",
    "val_loss": "loss/val",
    "lr": "learning_rate",
}


def export(run: Path, folder: Path) -> None:
    """Writes every number of a run's metrics into a new event file in ``folder``, which is made.

    Raises RequestError if tensorboardX is missing, if the file cannot be written, which leaves
    none behind, or if the folder holds event files already, for TensorBoard would show both as one.
    """
    events = Events()
    if _holds_events(folder):
        raise RequestError(
            "{folder} holds an export already, and TensorBoard would show both as one. "
            "Remove it, or name another folder.",
            folder=folder,
        )
    for line in metrics.read(run):
        events.add(line)
    _make(folder)
    write_whole(folder / _name(), events.taken())


class Live:
    """A reporter that writes event files to a folder in ``board`` as the run goes on, and hands
    everything to another reporter.

    A run that goes on continues what is there: its new file says that the steps from there on are
    taken again. Raises RequestError if tensorboardX is missing, or if a file cannot be written; the
    run then stops as if its own folder could not be written.
    """

    def __init__(self, board: Path, inner: Reporter) -> None:
        self._board, self._inner = board, inner
        self._events = Events()
        self._file: BinaryIO | None = None

    def started(self, beginning: Beginning) -> None:
        """See ``Reporter.started``."""
        folder = self._board / beginning.folder.resolve().name
        self._first = beginning.step if _holds_events(folder) else 0
        self._metrics = metrics.Reader(beginning.folder)
        self._path = folder / _name()
        _make(folder)
        try:
            self._file = self._path.open("ab", buffering=0)
        except OSError as error:
            raise cannot_write(self._path, error) from None
        self._events.begin_again(self._first)
        self._write()
        self._inner.started(beginning)

    def advanced(self, step: int, losses: Tensor, lr: float) -> None:
        """See ``Reporter.advanced``."""
        self._write()
        self._inner.advanced(step, losses, lr)

    def evaluated(self, step: int, train_loss: float, val_loss: float | None) -> None:
        """See ``Reporter.evaluated``."""
        self._inner.evaluated(step, train_loss, val_loss)

    def close(self) -> None:
        """Closes the file."""
        if self._file is not None:
            self._file.close()

    def _write(self) -> None:
        """Writes what the run has written into its metrics since."""
        for line in self._metrics.lines():
            if line["step"] >= self._first:
                self._events.add(line)
        left = memoryview(self._events.taken())
        try:
            while self._file is not None and left:
                left = left[self._file.write(left) :]
        except OSError as error:
            raise cannot_write(self._path, error) from None


class _Memory:
    """A file in memory, as tensorboardX's writers take one.

    Their own files are written by a thread; a full disk ends it and leaves its parent waiting.
    """

    def __init__(self) -> None:
        self.content = bytearray()

    def open(self, path: str) -> _Memory:
        """The file for a path of ours; there is one."""
        return self

    def write(self, part: bytes) -> None:
        """Appends."""
        self.content += part

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is held open."""


class Events:
    """Lines of metrics as the bytes of an event file; raises RequestError without tensorboardX."""

    def __init__(self) -> None:
        try:
            from tensorboardX import summary
            from tensorboardX.event_file_writer import EventsWriter
            from tensorboardX.proto import event_pb2
            from tensorboardX.record_writer import register_writer_factory
        except ImportError:
            raise RequestError(
                "--tensorboard needs the package tensorboardX, which is not installed. Install it "
                "with pip install 'makemore-bp[tensorboard]', or pip install tensorboardX."
            ) from None
        self._memory = _Memory()
        register_writer_factory("memory", self._memory)
        self._writer = EventsWriter("memory://events")
        self._scalar, self._kinds = summary.scalar, event_pb2

    def add(self, line: dict[str, Any]) -> None:
        """Adds the numbers of a line."""
        if not 0 <= line["step"] < LAST_STEP:
            return
        for tag, value in _numbers(line):
            self._add(line["step"], summary=self._scalar(tag, value))

    def begin_again(self, step: int) -> None:
        """Says that what came before of ``step`` and the steps after it does not count."""
        log = self._kinds.SessionLog(status=self._kinds.SessionLog.START)
        self._add(step, session_log=log)

    def taken(self) -> bytes:
        """The bytes since the last call."""
        content = bytes(self._memory.content)
        self._memory.content.clear()
        return content

    def _add(self, step: int, **content: Any) -> None:
        event = self._kinds.Event(wall_time=time.time(), step=step, **content)
        self._writer.write_event(event)


def _numbers(line: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The finite numbers of a line with their tags; a slash makes a group."""
    named = {tag: line.get(key) for key, tag in TAGS.items()}
    parameters = line.get("parameters")
    for name, sizes in parameters.items() if isinstance(parameters, dict) else ():
        if isinstance(sizes, dict):
            named |= {f"{kind}/{name}": sizes.get(kind) for kind in KINDS}
    for tag, value in named.items():
        if is_number(value):
            yield tag, float(value)


def _holds_events(folder: Path) -> bool:
    return folder.is_dir() and any(folder.glob(FILES))


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None


def _name() -> str:
    """A name for an event file. TensorBoard reads a folder's in their order, so each is later."""
    return f"events.out.tfevents.{time.time_ns() / 1e9:.6f}.{socket.gethostname()}"
