"""How far a learner has come with the exercises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makemore_bp.errors import RequestError
from makemore_bp.learning.answer import told
from makemore_bp.learning.checkers import TIMEOUT, Checkers, Request, request
from makemore_bp.learning.exercises.templates import FILES
from makemore_bp.learning.failure import paragraph
from makemore_bp.learning.notebook import read_source
from makemore_bp.learning.reading import exercise_of
from makemore_bp.text import visible

STEPS = 1000
TRAINING_TIMEOUT = 180.0  # seconds


@dataclass(frozen=True)
class Progress:
    """One exercise: how many of the expected gradients are right, and what to say.

    complete: whether nothing is left to do; message: a sentence on what is wrong or comes next;
    answer: the whole answer of the check, None for a file that is not there.
    """

    exercise: int
    path: Path
    right: int
    expected: int
    complete: bool
    message: str
    answer: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The progress as plain data."""
        progress: dict[str, Any] = {
            "exercise": self.exercise,
            "file": str(self.path),
            "right": self.right,
            "expected": self.expected,
            "complete": self.complete,
            "message": self.message,
        }
        if self.answer is not None and "watched" in self.answer:
            progress |= {"watched": self.answer["watched"], "loss": self.answer["loss"]}
        return progress


def exercise_files(path: Path) -> dict[int, Path]:
    """The exercises at ``path``, a folder or one of its files, by number.

    Raises RequestError if there are none.
    """
    if path.is_dir():
        found = {number: path / name for number, (name, *_) in FILES.items()}
        if not any(file.exists() for file in found.values()):
            raise RequestError(
                "{path} holds no exercises. 'makemore-bp exercise new {path}' writes them.",
                path=path,
            )
        return found
    number = exercise_of(read_source(path).text)
    if number is None:
        raise RequestError(
            "{path} does not say which exercise it is; its first line must begin with "
            "'# Exercise 1' (or 2, 3, 4). 'makemore-bp gradcheck --file' checks any file.",
            path=path,
        )
    return {number: path}


def check_exercises(
    files: Mapping[int, Path],
    timeout: float | None = None,
    steps: int = STEPS,
    checkers: Checkers | None = None,
) -> Iterator[Progress]:
    """The progress of each exercise, one after another; ``timeout`` seconds for each script.

    Without one it is ``TIMEOUT``, and ``TRAINING_TIMEOUT`` for exercise 4. ``checkers`` are there
    already, where many exercises are checked.

    Raises RequestError if a file cannot be read.
    """
    if checkers is None:
        with Checkers() as own:
            yield from check_exercises(files, timeout, steps, own)
        return
    present = {number: path for number, path in files.items() if path.exists()}
    asked = [_request(number, path, timeout, steps) for number, path in present.items()]
    answers = dict(zip(present, checkers.answers(asked), strict=True))
    for number, path in files.items():
        if number not in answers:
            yield Progress(number, path, 0, 1, False, "the file is not there")
        elif number == 4:
            yield training_progress(path, answers[number])
        else:
            yield _gradients(number, path, answers[number])


def _request(number: int, path: Path, timeout: float | None, steps: int) -> Request:
    if number == 4:
        return request(path, timeout or TRAINING_TIMEOUT) | {"kind": "train", "steps": steps}
    return request(path, timeout or TIMEOUT)


def _gradients(number: int, path: Path, answer: Mapping[str, Any]) -> Progress:
    right, expected = answer["right"], answer["expected"]
    return Progress(number, path, right, expected, answer["passed"], told(answer), answer)


def training_progress(path: Path, answer: Mapping[str, Any]) -> Progress:
    """The progress with exercise 4, from the answer of its training."""
    passed = answer.get("loss") is not None
    if answer["error"] is not None:
        message = paragraph(answer["error"]).splitlines()[0]
    elif answer["mismatch"] is not None:
        step, _, text = answer["mismatch"]
        message = (
            f"step {step}: {visible(text)}. 'makemore-bp gradcheck --file "
            f"{visible(str(path))}' looks into your function"
        )
    else:
        last = answer["watched"][-1]["step"] + 1
        message = f"{last:,} steps trained, loss {answer['loss']:.4f} at the end"
    return Progress(4, path, int(passed), 1, passed, message, answer)
