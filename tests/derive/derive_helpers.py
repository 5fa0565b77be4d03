"""Forward passes as text, their derivations, and what the printed files come to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from makemore_bp.learning.derive.checking import OwnCheck, check_program
from makemore_bp.learning.derive.derivation import Derivation
from makemore_bp.learning.derive.reading import forward_of
from makemore_bp.learning.derive.recorder import record
from makemore_bp.learning.derive.writing import whole_file

FILE = Path("mine.py")


def derived(source: str, loss: str | None = None) -> Derivation:
    """The backward pass of a forward pass."""
    forward = forward_of(record(source), loss, FILE)
    derivation = Derivation(forward.program, forward.truth)
    derivation.notes[:0] = forward.notes
    return derivation


def judged(source: str, **options: Any) -> OwnCheck:
    """The verdict on a file that has a forward and a backward pass."""
    return check_program(record(source), **options)


def statuses(check: OwnCheck) -> dict[str, str]:
    """The status of each gradient, by the name that the file has for it."""
    return {finding.gradient.shown: finding.status for finding in check.findings}


def blamed(check: OwnCheck) -> list[str]:
    """The gradients that are wrong themselves, and do not only inherit it."""
    return [name for name, status in statuses(check).items() if status in ("wrong", "shape")]


def printed_and_checked(source: str) -> tuple[Derivation, OwnCheck]:
    """A derivation, and the verdict on the file that it prints."""
    derivation = derived(source)
    return derivation, judged(whole_file(derivation))
