"""metrics.jsonl as event files, which TensorBoard shows."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_write, write_whole
from makemore_bp.report.history import History, Series


def export(history: History, folder: Path) -> None:
    """Writes every series of ``history`` into a new event file in ``folder``, which is made.

    Raises RequestError if tensorboardX is missing, if the file cannot be written, which leaves
    none behind, or if the folder holds event files already, for TensorBoard would show both as one.
    """
    content = _events(history)
    if folder.is_dir() and any(folder.glob("events.out.tfevents.*")):
        raise RequestError(
            "{folder} holds an export already, and TensorBoard would show both as one. "
            "Remove it, or name another folder.",
            folder=folder,
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    name = f"events.out.tfevents.{int(time.time())}.{socket.gethostname()}"
    write_whole(folder / name, content)


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


def _events(history: History) -> bytes:
    """The content of an event file with every number of ``history``."""
    try:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import register_writer_factory
        from tensorboardX.summary import scalar
    except ImportError:
        raise RequestError(
            "--tensorboard needs the package tensorboardX, which is not installed. Install it with "
            "pip install 'makemore-bp[tensorboard]', or pip install tensorboardX."
        ) from None
    memory = _Memory()
    register_writer_factory("memory", memory)
    writer = EventsWriter("memory://events")
    for tag, series in _tagged(history).items():
        for step, value in zip(series.steps, series.values, strict=True):
            summary = scalar(tag, float(value))
            writer.write_event(Event(wall_time=time.time(), step=int(step), summary=summary))
    return bytes(memory.content)


def _tagged(history: History) -> dict[str, Series]:
    """The series by the name under which TensorBoard lists them; a slash makes a group."""
    tags = {
        "loss/minibatch": history.loss,
        "loss/train": history.train,
        "loss/val": history.val,
        "learning_rate": history.rate,
    }
    for kind, of_parameters in history.sizes.items():
        tags |= {f"{kind}/{name}": series for name, series in of_parameters.items()}
    return tags
