"""metrics.jsonl: a JSON object a line, in the order of the steps."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_write
from makemore_bp.text import visible

NAME = "metrics.jsonl"
MAX_LINE = 2**20  # bytes; a longer one is damage


class Metrics:
    """The open file of a run."""

    def __init__(self, folder: Path, before: int, last: int | None = None) -> None:
        """Opens the file and keeps the lines of steps below ``before``.

        A run that was stopped anywhere goes on from its checkpoint: the lines that came after it
        are written again, the same ones. ``last`` is the last step below ``before`` that has a
        line; a file that does not reach it is damaged and refused by RequestError, for going on
        would throw away what is behind the damage. A file that is not there is begun anew.
        """
        self._path = folder / NAME
        try:
            self._file: BinaryIO = self._path.open("a+b")
            self._file.seek(0)
            length, reached, lines = _whole(self._file, before)
            if last is not None and reached != last and self._file.seek(0, 2):
                self._file.close()
                raise RequestError(
                    f"{visible(str(self._path))} is damaged behind line {lines:,}: up to the "
                    f"checkpoint it should reach step {last:,}. Put a whole one back; or rename "
                    "it, and the run goes on with a new one."
                )
            self._file.truncate(length)
        except OSError as error:
            raise cannot_write(self._path, error) from None

    def write(self, step: int, values: dict[str, Any]) -> None:
        """Appends the line of one step."""
        self._guard(lambda: self._file.write(json.dumps({"step": step, **values}).encode() + b"\n"))

    def flush(self) -> None:
        """Hands what was written to the system, so that others can read it."""
        self._guard(self._file.flush)

    def sync(self) -> None:
        """Puts what was written on the disk; a checkpoint must not know more than the metrics.

        Raises RequestError if another file, or none, has taken this one's place: then the folder
        was deleted, moved or begun anew, and a checkpoint would be mixed up with what is there.
        """
        self.flush()
        self._guard(lambda: os.fsync(self._file.fileno()))
        there: list[os.stat_result] = []
        self._guard(lambda: there.append(os.stat(self._path)))
        if not os.path.samestat(there[0], os.fstat(self._file.fileno())):
            raise RequestError(
                f"{visible(str(self._path))} is no longer the file that this run writes; somebody "
                "has replaced it or the folder. The run stops and leaves what is there alone."
            )

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
            while (line := _object(file.readline(MAX_LINE))) is not None:
                yield line


def _object(line: bytes) -> dict[str, Any] | None:
    """What a line says, or None if it is no object with a step, or not whole."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(value, dict) and type(value.get("step")) is int
    return value if whole else None


def _whole(file: BinaryIO, before: int) -> tuple[int, int | None, int]:
    """Up to which byte the file holds whole lines in order, of steps below ``before``; the last of
    these steps; and how many lines they are."""
    length, reached, lines = 0, None, 0
    while line := file.readline(MAX_LINE):
        value = _object(line)
        if value is None or not line.endswith(b"\n"):
            break
        step = int(value["step"])
        if step >= before or (reached is not None and step <= reached):
            break
        length, reached, lines = length + len(line), step, lines + 1
    return length, reached, lines
