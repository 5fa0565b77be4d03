"""Many hand-ins at once: each a file, or a folder with exercises in it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makemore_bp.errors import RequestError
from makemore_bp.learning.answer import mistakes, told
from makemore_bp.learning.checkers import TIMEOUT, Checkers, request
from makemore_bp.learning.diagnosis.kinds import Kind
from makemore_bp.learning.exercises.checking import STEPS, training_progress
from makemore_bp.learning.reading import exercise_of

COLUMNS = ("hand-in", "file", "right", "expected", "passed", "kinds", "lines", "message")
_SUFFIXES = (".py", ".ipynb")


@dataclass(frozen=True)
class Grade:
    """One file of one hand-in. kinds and lines: of its mistakes, from the loss downwards."""

    who: str
    file: str
    right: int
    expected: int
    passed: bool
    kinds: tuple[str, ...]
    lines: tuple[int | str, ...]
    message: str

    def row(self) -> dict[str, Any]:
        """The grade as plain data, in the order of ``COLUMNS``."""
        values = (self.who, self.file, self.right, self.expected, self.passed, list(self.kinds),
                  list(self.lines), self.message)  # fmt: skip
        return dict(zip(COLUMNS, values, strict=True))


def graded(folder: Path, timeout: float = TIMEOUT) -> Iterator[Grade]:
    """The grade of every file in a folder of hand-ins, in the order of their names. Their code is
    run, each file in a process of its own.

    Raises RequestError if the folder cannot be read or has no hand-ins.
    """
    files = list(_files(folder))
    if not files:
        raise RequestError(
            "{folder} holds no hand-ins: Python files or notebooks, or folders of them.",
            folder=folder,
        )
    readable: list[tuple[str, Path, dict[str, Any]]] = []
    refused: dict[Path, Grade] = {}
    for who, path in files:
        try:
            readable.append((who, path, _asked(path, timeout)))
        except RequestError as error:
            refused[path] = Grade(who, path.name, 0, 0, False, (), (), str(error))
    with Checkers() as checkers:
        answers = checkers.answers(asked for _, _, asked in readable)
        grades = {p: _grade(w, p, a) for (w, p, _), a in zip(readable, answers, strict=True)}
    yield from ((grades | refused)[path] for _, path in files)


def _asked(path: Path, timeout: float) -> dict[str, Any]:
    asked = request(path, timeout)
    if exercise_of(asked["text"]) == 4:
        return asked | {"kind": "train", "steps": STEPS}
    return asked


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Whose each file is, and where it lies."""
    if not folder.is_dir():
        raise RequestError("{folder} is not a folder of hand-ins.", folder=folder)
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            for path in sorted(entry.iterdir()):
                if path.suffix in _SUFFIXES:
                    yield entry.name, path
        elif entry.suffix in _SUFFIXES:
            yield entry.stem, entry


def _grade(who: str, path: Path, answer: Mapping[str, Any]) -> Grade:
    if "watched" in answer:
        progress = training_progress(path, answer)
        done = progress.complete
        return Grade(who, path.name, int(done), 1, done, (), (), progress.message)
    found = [tensor["diagnosis"] for tensor in mistakes(answer)]
    return Grade(
        who,
        path.name,
        answer["right"],
        answer["expected"],
        answer["passed"],
        tuple(diagnosis["kind"] for diagnosis in found),
        tuple(d.get("where") or d["line"] for d in found if "line" in d),
        told(answer),
    )


def commonest(grades: Sequence[Grade]) -> list[tuple[str, str, int]]:
    """The kinds of mistakes with their titles, by the number of hand-ins that made them."""
    count = Counter(kind for who in {g.who for g in grades}
                    for kind in {k for g in grades if g.who == who for k in g.kinds})  # fmt: skip
    return [(kind, Kind(kind).phrase, number) for kind, number in count.most_common()]


def as_csv(grades: Sequence[Grade]) -> str:
    """The grades as a table that a spreadsheet reads; no cell is taken for a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for grade in grades:
        row = grade.row()
        row |= {"kinds": " ".join(grade.kinds), "lines": " ".join(map(str, grade.lines))}
        writer.writerow([_cell(value) for value in row.values()])
    return out.getvalue()


def _cell(value: Any) -> Any:
    harmful = isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r")
    return "'" + value if harmful else value
