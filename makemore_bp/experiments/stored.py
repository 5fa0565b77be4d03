"""What the JSON files of an experiment's folder may say.

``json_reading`` reads them, with suspicion.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from makemore_bp.errors import RequestError
from makemore_bp.json_reading import Stored, read

FORMAT = "makemore-bp experiment"
VERSION = 1
LARGEST = 1e300  # leaves room for means and deviations of what a float can hold


def _folders_name(name: str) -> str:
    if name in ("", ".", "..") or any(c in name for c in "/\\\0"):
        raise ValueError("should be the name of a folder")
    return name


def _in_range(value: float) -> float:
    if abs(value) > LARGEST:
        raise ValueError("should be a smaller number")
    return value


Name = Annotated[str, AfterValidator(_folders_name)]
Finite = Annotated[float, Field(allow_inf_nan=False), AfterValidator(_in_range)]
Step = Annotated[int, Field(ge=0, lt=2**53)]


class Entry(Stored):
    """A run as the plan keeps it; see ``expansion.Run``. ``config`` holds plain nested values."""

    varied: dict[str, Any]
    seed: int | None
    settings: dict[str, Any]
    command: list[str]
    config: dict[str, Any]
    data_sha256: str


class Plan(Stored):
    """What an experiment's folder is to hold.

    runs    the experiment's runs by name, in its order
    aside   runs that the file no longer asks for; their folders are kept
    """

    name: str
    runs: dict[Name, Entry]
    aside: dict[Name, Entry] = Field(default={})


class Summary(Stored):
    """What a finished run has reached, in nats a character. A split may have no words."""

    train_loss: Finite | None
    val_loss: Finite | None
    test_loss: Finite | None
    steps: Step | None = None
    engine: str | None = None
    steps_per_second: Finite | None = None
    seconds: Finite | None = None


class Failure(Stored):
    """Why a run has failed; ``step`` is where it has diverged, if that is known."""

    status: Literal["diverged", "failed"]
    reason: str
    step: Step | None = None


class _Header(Stored):
    format: Literal["makemore-bp experiment"]
    version: int


def plan(path: Path) -> Plan | None:
    """The plan in a file, or None where there is no such file; raises RequestError."""
    fix = "Put the file back from a backup, or take another folder with --out."
    header = read(path, _Header, fix)
    if header is not None and header.version != VERSION:
        raise RequestError(
            "{path} is of version {version}, and this makemore-bp reads version {known}. "
            "Take the makemore-bp that wrote it, or another folder with --out.",
            path=path,
            version=header.version,
            known=VERSION,
        )
    return read(path, Plan, fix)


def summary(path: Path) -> Summary | None:
    """What a finished run has reached, or None where there is no such file; raises RequestError."""
    fix = "Put the file back from a backup, or remove it and run the experiment again."
    return read(path, Summary, fix)


def failure(path: Path) -> Failure | None:
    """Why a run has failed, or None where there is no such file; raises RequestError."""
    return read(path, Failure, "Remove it, and the run is tried again.")
