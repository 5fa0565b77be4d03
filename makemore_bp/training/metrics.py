"""metrics.jsonl: a JSON object a line, in the order of the steps."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_write, flush

NAME = "metrics.jsonl"
MAX_LINE = 2**20  # bytes; a longer one is damage
ENDS = (2**16, 2**22)  # bytes at the end of a file in which the last evaluation is looked for
# Where the system can be told: a link is not followed out of the folder, a pipe not waited for.
_FLAGS = ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
_AS_IT_STANDS = sum(getattr(os, name, 0) for name in _FLAGS)


class Metrics:
    """The open file of a run."""

    def __init__(self, folder: Path, before: int, every: Sequence[int]) -> None:
        """Opens the file and keeps the lines of steps below ``before``.

        A run that was stopped anywhere goes on from its checkpoint: the lines that came after it
        are written again, the same ones. There is a line at every multiple of each of ``every``.
        A file that misses one before the checkpoint is damaged and refused by RequestError, for
        going on would throw away what is behind the damage. A file that is not there begins at the
        checkpoint, and so may one that is.
        """
        self._path = folder / NAME
        try:
            self._file = _opened(self._path)
            kept = _kept(self._file, before, every)
            if before and kept.misses_one(before):
                self._file.close()
                raise RequestError(
                    "{path} is damaged behind line {lines:,}: {missing}. Put a whole one back; or "
                    "rename it, and the run goes on with a new one.",
                    path=self._path,
                    lines=kept.lines,
                    missing="this is not a line of metrics"
                    if kept.due is None
                    else f"the line of step {kept.due:,} should follow",
                )
            self._file.truncate(kept.length)
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
        was deleted, moved or begun again, and a checkpoint would be mixed up with what is there.
        """
        self._guard(lambda: flush(self._file))
        there: list[os.stat_result] = []
        self._guard(lambda: there.append(os.stat(self._path)))
        if not os.path.samestat(there[0], os.fstat(self._file.fileno())):
            raise RequestError(
                "{path} is no longer the file that this run writes; somebody has replaced it or "
                "the folder. The run stops and leaves what is there alone.",
                path=self._path,
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


class Reader:
    """Follows the file of a run, which may still be written: each call goes on where the last one
    stopped."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._at = 0

    def lines(self) -> Iterator[dict[str, Any]]:
        """The lines that have come since, as far as they are whole."""
        if not self._path.is_file():
            return
        with self._path.open("rb") as file:
            file.seek(self._at)
            while (line := file.readline(MAX_LINE)).endswith(b"\n"):
                if (value := _object(line)) is None:
                    break
                self._at += len(line)
                yield value


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """The lines of a run's metrics, as far as they are whole."""
    return Reader(folder).lines()


def latest(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The last line, and the last one of an evaluation; empty where there is none near the end.

    Only the end of the file is read, however long it is.
    """
    try:
        with (folder / NAME).open("rb") as file:
            for size in ENDS:
                lines = _end(file, size)
                evaluated = [line for line in lines if "train_loss" in line]
                if evaluated:
                    break
    except OSError:
        return {}, {}
    return (lines or [{}])[-1], (evaluated or [{}])[-1]


def _end(file: BinaryIO, size: int) -> list[dict[str, Any]]:
    """The whole lines in the last ``size`` bytes of a file."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - size))
    found = map(_object, file.read(size).splitlines())
    return [line for line in found if line is not None]


def _opened(path: Path) -> BinaryIO:
    """The file to append to, which is no link to somewhere else and no device."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | _AS_IT_STANDS
    handle = os.open(path, flags, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise RequestError(
            "{path} is not a regular file. Remove it, or name another folder.", path=path
        )
    return os.fdopen(handle, "a+b")


def _object(line: bytes) -> dict[str, Any] | None:
    """What a line says, or None if it is no object with a step, or not whole."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(value, dict) and type(value.get("step")) is int
    return value if whole else None


@dataclass
class _Kept:
    """The lines of a file that are whole and in order, up to a step.

    length in bytes; the step that is due after them, None without lines; and the line that follows.
    """

    length: int = 0
    lines: int = 0
    due: int | None = None
    behind: bytes = b""

    def misses_one(self, before: int) -> bool:
        """Whether a line of a step below ``before`` is not there, though the file has begun."""
        if self.due is not None:
            return self.due < before
        step = _step(self.behind)
        begins_later = step is not None and step >= before
        unfinished = self.behind.startswith(b'{"step"') and not self.behind.endswith(b"\n")
        return bool(self.behind) and not begins_later and not unfinished


def _kept(file: BinaryIO, before: int, every: Sequence[int]) -> _Kept:
    kept = _Kept()
    file.seek(0)
    while line := file.readline(MAX_LINE):
        step = _step(line)
        in_turn = step == kept.due or kept.due is None
        if step is None or step >= before or not in_turn or all(step % e for e in every):
            break
        kept.length, kept.lines = kept.length + len(line), kept.lines + 1
        kept.due = min((step // e + 1) * e for e in every)
    kept.behind = line
    return kept


def _step(line: bytes) -> int | None:
    """The step of a whole line."""
    value = _object(line) if line.endswith(b"\n") else None
    return None if value is None else int(value["step"])
