"""Has learners' files checked, in processes of their own, with PyTorch imported once.

    with Checkers() as checkers:
        answer = checkers.check(path)

Nothing here imports PyTorch.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from makemore_bp.errors import RequestError
from makemore_bp.learning.notebook import in_cells, read_source, source_of
from makemore_bp.processes import Child, environment

TIMEOUT = 30.0  # seconds
Request = dict[str, Any]


class Checkers:
    """A worker that is there when it is first needed, until the context is left."""

    def __init__(self, jobs: int | None = None) -> None:
        """``jobs`` files are checked at once, by default as many as there are processors."""
        self._jobs = jobs or max(1, len(os.sched_getaffinity(0)) if _HAS_AFFINITY else 1)
        self._worker: Child | None = None
        self._lines: Iterator[bytes] = iter(())
        self._folder = tempfile.TemporaryDirectory(prefix="makemore-bp-")
        self._count = 0

    def __enter__(self) -> Checkers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._worker is not None:
            self._worker.end_input()
            self._worker.kill()
        self._folder.cleanup()

    def check(
        self,
        path: Path,
        timeout: float = TIMEOUT,
        config: Mapping[str, Any] | None = None,
        page: bool = False,
    ) -> dict[str, Any]:
        """The answer for one file; ``config`` is a resolved configuration, None for the exercises'
        batch. With ``page`` the answer has the pass as a picture, too: a whole HTML page. Raises
        RequestError if the file cannot be read or the batch cannot be made."""
        (answer,) = self.answers([{**request(path, timeout, config), "page": page}])
        return answer

    def answers(self, requests: Iterable[Request]) -> Iterator[dict[str, Any]]:
        """The answers, in the order of the requests, as they come."""
        waiting = [(self._written(request), request) for request in requests]
        ready: dict[str, dict[str, Any]] = {}
        sent, order = 0, [str(folder) for folder, _ in waiting]
        for folder in order:
            while folder not in ready:
                while sent < len(waiting) and sent - len(ready) < self._jobs:
                    self._send(*waiting[sent])
                    sent += 1
                found = self._next(waiting[len(ready)][0])
                ready[str(found)] = _read(found)
            yield ready[folder]

    def _written(self, request: Request) -> Path:
        self._count += 1
        folder = Path(self._folder.name) / str(self._count)
        folder.mkdir()
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        return folder

    def _send(self, folder: Path, request: Request) -> None:
        if not hasattr(os, "fork"):
            return
        if self._worker is None or self._worker.code is not None:
            import subprocess

            self._worker = Child(
                MODULE, threads=1, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            self._lines = self._worker.lines()
        self._worker.send((json.dumps({"folder": str(folder)}) + "\n").encode())

    def _next(self, folder: Path) -> Path:
        """The folder of the next answer that is there."""
        if not hasattr(os, "fork"):
            _alone(folder)
            return folder
        for line in self._lines:
            if line.startswith(b"{"):
                return Path(json.loads(line)["folder"])
        raise RequestError("The process that checks files has ended. Try again.")


MODULE = "makemore_bp.learning.worker"
_HAS_AFFINITY = hasattr(os, "sched_getaffinity")


def request(
    path: Path, timeout: float = TIMEOUT, config: Mapping[str, Any] | None = None
) -> Request:
    """A request for a check. Raises RequestError if the file cannot be read."""
    source = read_source(path)
    return {"kind": "check", "path": str(path), "text": source.text, "timeout": timeout,
            "config": config, "lines": source.lines, "notes": source.notes}  # fmt: skip


def _read(folder: Path) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    if "refused" in answer:
        raise RequestError(answer["refused"])
    asked = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    return in_cells(answer, source_of(asked))


def _alone(folder: Path) -> None:
    """Where there is no fork: a Python for this one request."""
    from makemore_bp.learning.supervised import answered

    def attempt(folder: Path, request: Request) -> int:
        (folder / "request.json").write_text(json.dumps(request), encoding="utf-8")
        with Child(MODULE, "--once", str(folder), threads=1) as child:
            seconds = request["timeout"] + 60.0
            return child.finish(seconds, begins=folder / "started").code

    loaded = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    answered(folder, loaded, attempt)


__all__ = ["TIMEOUT", "Checkers", "environment", "request"]
