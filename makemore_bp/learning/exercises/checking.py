"""How far a learner has come with the exercises."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from makemore_bp.errors import RequestError
from makemore_bp.gradcheck import batch as batches
from makemore_bp.gradcheck.reference import Reference
from makemore_bp.gradcheck.reference import reference as autograd_reference
from makemore_bp.learning.check import LearnerCheck, check_learner
from makemore_bp.learning.exercises.templates import FILES
from makemore_bp.learning.exercises.training import (
    STEPS,
    TrainingResult,
    bundled_batches,
    train_with,
)
from makemore_bp.learning.scope import exercise_of
from makemore_bp.learning.script import TIMEOUT, read_script
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import Network
from makemore_bp.text import visible

# The batch of exercises 1 to 3, of the lecture's sizes.
SEED, BATCH, VOCABULARY, N_HIDDEN = 2147483647, 32, 27, 64

TRAINING_TIMEOUT = 180.0  # seconds


@dataclass(frozen=True)
class Progress:
    """One exercise: how many of the expected gradients are right, and what to say.

    complete: whether nothing is left to do; message: a sentence on what is wrong or comes next.
    """

    exercise: int
    path: Path
    right: int
    expected: int
    complete: bool
    message: str
    check: LearnerCheck | None = None
    training: TrainingResult | None = None

    def as_json(self) -> dict[str, Any]:
        """The progress as plain data."""
        answer: dict[str, Any] = {
            "exercise": self.exercise,
            "file": str(self.path),
            "right": self.right,
            "expected": self.expected,
            "complete": self.complete,
            "message": self.message,
        }
        if self.training is not None:
            answer["watched"] = [{"step": s, "loss": loss} for s, loss in self.training.watched]
            answer["loss"] = self.training.loss
        return answer


@dataclass(frozen=True)
class Batch:
    """What every exercise but the last is checked on."""

    parameters: Mapping[str, Tensor]
    Xb: Tensor
    Yb: Tensor
    reference: Reference


def exercise_files(path: Path) -> dict[int, Path]:
    """The exercises at ``path``, a folder or one of its files, by number.

    Raises RequestError if there are none.
    """
    shown = visible(str(path))
    if path.is_dir():
        found = {number: path / name for number, (name, *_) in FILES.items()}
        if not any(file.exists() for file in found.values()):
            raise RequestError(
                f"{shown} holds no exercises. 'makemore-bp exercise new {shown}' writes them."
            )
        return found
    number = exercise_of(read_script(path))
    if number is None:
        raise RequestError(
            f"{shown} does not say which exercise it is; its first line must begin with "
            "'# Exercise 1' (or 2, 3, 4). 'makemore-bp gradcheck --file' checks any file."
        )
    return {number: path}


def check_exercises(
    files: Mapping[int, Path], timeout: float | None = None, steps: int = STEPS
) -> Iterator[Progress]:
    """The progress of each exercise, one after another; ``timeout`` seconds for each script.

    Without one it is ``TIMEOUT``, and ``TRAINING_TIMEOUT`` for exercise 4.

    Raises RequestError if a file cannot be read.
    """
    batch = example_batch()
    for number, path in files.items():
        if not path.exists():
            yield Progress(number, path, 0, 1, False, "the file is not there")
        elif number == 4:
            yield _training(path, timeout or TRAINING_TIMEOUT, steps)
        else:
            yield _gradients(number, path, batch, timeout or TIMEOUT)


def example_batch() -> Batch:
    """The batch that scripts are checked on: random characters, the lecture's parameters."""
    g, g_batchnorm = generators(SEED)
    parameters = initialise(Sizes(VOCABULARY, n_hidden=N_HIDDEN), g, g_batchnorm)
    Xb = torch.randint(0, VOCABULARY, (BATCH, 3), generator=g)
    Yb = torch.randint(0, VOCABULARY, (BATCH,), generator=g)
    return Batch(
        parameters, Xb, Yb, autograd_reference(batches.Batch(Network(), parameters, Xb, Yb))
    )


def _gradients(number: int, path: Path, batch: Batch, timeout: float) -> Progress:
    check = check_learner(path, batch.parameters, batch.Xb, batch.Yb, timeout, batch.reference)
    right, expected = len(check.right), len(check.scope.expected)
    return Progress(number, path, right, expected, check.passed, told(check), check)


def told(check: LearnerCheck) -> str:
    """The most urgent thing to say of a learner's file, in a sentence or two."""
    for name, finding in check.findings.items():
        if finding.diagnosis is not None:
            d = name if name in check.result.gradients else "d" + name
            return f"{d} is wrong ({finding.diagnosis.kind}): {finding.diagnosis.text}"
    if check.result.error is not None:
        return check.result.error.paragraph().splitlines()[0]
    for finding in check.findings.values():
        if finding.unfinished is not None:
            return finding.unfinished
    if check.next is not None:
        return f"{'next' if check.result.gradients else 'nothing defined yet, next'}: {check.next}"
    return "done" if check.passed else "see gradcheck --file for the whole table"


def _training(path: Path, timeout: float, steps: int) -> Progress:
    result = train_with(path, *bundled_batches(steps), timeout)
    if result.error is not None:
        message = result.error.paragraph().splitlines()[0]
    elif result.mismatch is not None:
        step, _, text = result.mismatch
        message = (
            f"step {step}: {visible(text)}. 'makemore-bp gradcheck --file "
            f"{visible(str(path))}' looks into your function"
        )
    else:
        message = f"{steps:,} steps trained, loss {result.loss:.4f} at the end"
    return Progress(4, path, int(result.passed), 1, result.passed, message, training=result)
