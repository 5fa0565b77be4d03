"""Notices that a file was saved.

It asks for the state of a handful of files ten times a second, which costs nothing to speak of. So
it needs no library, sees a file that an editor replaces by another, and works on network drives,
where a system's own notices do not arrive.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

INTERVAL = 0.1  # seconds from one look to the next
_SETTLED = 0.03  # seconds in which a file that is being written may not change


class Saves:
    """The files that are watched, and what they were when last looked at."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._states = {path: _state(path) for path in paths}

    def new(self) -> list[Path]:
        """The files that were saved since the last call, once they are written to their end."""
        changed = [path for path, state in self._states.items() if _state(path) != state]
        for path in changed:
            self._states[path] = _settled(path)
        return [path for path in changed if self._states[path] is not None]


def _state(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _settled(path: Path) -> tuple[int, int, int] | None:
    """The state of a file that nobody is writing to; after half a second, of any."""
    state = _state(path)
    for _ in range(round(0.5 / _SETTLED)):
        time.sleep(_SETTLED)
        before, state = state, _state(path)
        if state == before:
            break
    return state
