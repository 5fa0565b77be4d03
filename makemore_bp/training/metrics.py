"""metrics.jsonl: a JSON object a line, in the order of the steps."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from makemore_bp.files import cannot_write

NAME = "metrics.jsonl"


class Metrics:
    """The open file of a run."""

    def __init__(self, folder: Path, before: int) -> None:
        """Opens the file and keeps the lines of steps below ``before``.

        A run that was stopped anywhere goes on from its checkpoint: the lines that came after it
        are written again, the same ones.
        """
        self._path = folder / NAME
        try:
            self._file: BinaryIO = self._path.open("a+b")
            self._file.seek(0)
            self._file.truncate(_length(self._file, before))
        except OSError as error:
            raise cannot_write(self._path, error) from None

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Appends the line of one step."""
        self._guard(lambda: self._file.write(json.dumps({"step": step, **values}).encode() + b"\n"))

    def flush(self) -> None:
        """Hands what was written to the system, so that others can read it."""
        self._guard(self._file.flush)

    def sync(self) -> None:
        """Puts what was written on the disk; a checkpoint must not know more than the metrics."""
        self.flush()
        self._guard(lambda: os.fsync(self._file.fileno()))

    def close(self) -> None:
        """Closes the file."""
        self._guard(self._file.close)

    def _guard(self, action: Any) -> None:
        try:
            action()
        except OSError as error:
            raise cannot_write(self._path, error) from None


class Unwritten(Metrics):
    """The metrics of a rank that does not write."""

    def __init__(self) -> None:
        pass

    def write(self, step: int, values: dict[str, Any]) -> None:
        pass

    def flush(self) -> None:
        pass

    def sync(self) -> None:
        pass

    def close(self) -> None:
        pass


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's metrics, as far as they are whole."""
    path = folder / NAME
    if path.is_file():
        with path.open("rb") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:
                    return


def _length(file: BinaryIO, before: int) -> int:
    """Up to which byte the file holds whole lines of steps below ``before``."""
    length = 0
    for line in file:
        try:
            step = json.loads(line)["step"]
        except (ValueError, KeyError, TypeError):
            break
        if not line.endswith(b"\n") or step >= before:
            break
        length += len(line)
    return length
