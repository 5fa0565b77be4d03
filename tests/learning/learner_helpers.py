"""Checks a learner's script in this process, for tests that look at many scripts."""

from __future__ import annotations

from functools import cache
from typing import Any

from makemore_bp.learning.check import check_text
from makemore_bp.learning.job import example_truth
from makemore_bp.learning.lecture import LectureTruth
from makemore_bp.learning.limits import Limits

Answer = dict[str, Any]


@cache
def truth(batch: int = 32, n_hidden: int = 64) -> LectureTruth:
    """A batch that scripts are checked on, by default that of the exercises."""
    return example_truth(batch, n_hidden)


def check(source: str, batch: int = 32, n_hidden: int = 64, seconds: float = 60.0) -> Answer:
    """The answer for a script."""
    return check_text(source, "my_backward.py", truth(batch, n_hidden), Limits(seconds))


def tensors(source: str) -> dict[str, Answer]:
    """What is said of every gradient of a script that comes to its end, by its tensor's name."""
    answer = check(source)
    assert answer["error"] is None, answer["error"]
    return {tensor["name"]: tensor for tensor in answer["tensors"]}


def defined(answer: Answer) -> set[str]:
    """The gradients that a script has."""
    return {f"d{t['name']}" for t in answer["tensors"] if t["status"] != "missing"}


def diagnoses(source: str, batch: int = 32, n_hidden: int = 64) -> dict[str, Answer]:
    """The diagnoses of a script, by the tensor's name."""
    answer = check(source, batch, n_hidden)
    return {t["name"]: t["diagnosis"] for t in answer["tensors"] if "diagnosis" in t}


def blamed(source: str, batch: int = 32, n_hidden: int = 64) -> dict[str, str]:
    """The gradients that a script gets wrong in their own lines, each with the kind of mistake."""
    return {name: found["kind"] for name, found in diagnoses(source, batch, n_hidden).items()}
