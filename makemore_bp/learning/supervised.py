"""What is left of a script that ends its own process: how far it came, a second try up to there.

Nothing here imports PyTorch.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from makemore_bp.processes import signal_name

JUDGING = 60.0  # seconds that may go by after the script's own time
GRACE = 2.0  # seconds after its time within which a script must have been stopped from inside

Attempt = Callable[[Path, dict[str, Any]], int]


class Marks:
    """Where a script is, in a file that outlives its process."""

    FORMAT = struct.Struct("qq")

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), self.FORMAT.size)

    def put(self, count: int, line: int) -> None:
        """Writes down the statement that is about to be executed."""
        self.FORMAT.pack_into(self._map, 0, count, line)

    @classmethod
    def read(cls, path: Path) -> tuple[int, int]:
        """The number of the last statement and its line; 0, 0 if none was begun."""
        raw = path.read_bytes()
        count, line = cls.FORMAT.unpack(raw[: cls.FORMAT.size])
        return count, line


def answered(folder: Path, request: dict[str, Any], attempt: Attempt) -> None:
    """Tries once, and where the script has ended its process a second time, up to there."""
    marks = folder / "marks"
    marks.write_bytes(bytes(Marks.FORMAT.size))
    code = attempt(folder, request)
    if (folder / "answer.json").exists():
        return
    count, line = Marks.read(marks)
    how = _how(code)
    if count:
        again = {**request, "stop_before": count, "timeout": request["timeout"] * 2}
        attempt(folder, again)
    answer = _read(folder) or _nothing(how)
    if answer.get("error"):
        answer["error"] |= {"text": how, "line": line or None}
        lines = request["text"].splitlines()
        answer["error"]["code"] = lines[line - 1] if 0 < line <= len(lines) else ""
    write(folder, answer)


def _how(code: int) -> str:
    if code < 0:
        return f"The process was killed here by {signal_name(-code)}. Did it need too much memory?"
    return (
        f"The script ended its process here (exit code {code}). What it had defined by then is "
        "checked."
    )


def _nothing(how: str) -> dict[str, Any]:
    error: dict[str, Any] = {"kind": "stopped", "line": None, "code": "", "text": how, "names": []}
    return {
        "passed": False, "loss": None, "tensors": [], "exercise": None, "right": 0, "expected": 0,
        "next": None, "error": error, "timed_out": False, "too_much_output": False, "lent": [],
        "hidden_in_functions": [], "unknown": [], "changed": [], "notes": [], "output": "",
    }  # fmt: skip


def _read(folder: Path) -> dict[str, Any] | None:
    try:
        answer: dict[str, Any] = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return answer


def write(folder: Path, answer: dict[str, Any]) -> None:
    """Puts the answer into the folder, whole or not at all."""
    part = folder / f"answer.{os.getpid()}"
    part.write_text(json.dumps(answer), encoding="utf-8")
    part.replace(folder / "answer.json")
