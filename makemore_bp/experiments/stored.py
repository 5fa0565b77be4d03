"""What the JSON files of an experiment's folder may say.

They may come from another version, another program or an editor. Each is read by one reader, which
answers what it does not understand with a paragraph that names the file and the key. Keys that it
does not know are passed over: a later version may have added them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_read

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


class _Stored(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class Entry(_Stored):
    """A run as the plan keeps it; see ``expansion.Run``. ``config`` holds plain nested values."""

    varied: dict[str, Any]
    seed: int | None
    settings: dict[str, Any]
    command: list[str]
    config: dict[str, Any]
    data_sha256: str


class Plan(_Stored):
    """What an experiment's folder is to hold.

    runs    the experiment's runs by name, in its order
    aside   runs that the file no longer asks for; their folders are kept
    """

    name: str
    runs: dict[Name, Entry]
    aside: dict[Name, Entry] = {}


class Summary(_Stored):
    """What a finished run has reached, in nats a character. A split may have no words."""

    train_loss: Finite | None
    val_loss: Finite | None
    test_loss: Finite | None
    steps: Step | None = None
    engine: str | None = None
    steps_per_second: Finite | None = None
    seconds: Finite | None = None


class Failure(_Stored):
    """Why a run has failed; ``step`` is where it has diverged, if that is known."""

    status: Literal["diverged", "failed"]
    reason: str
    step: Step | None = None


class _Header(_Stored):
    format: Literal["makemore-bp experiment"]
    version: int


Stored = TypeVar("Stored", bound=BaseModel)


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


def read(path: Path, kind: type[Stored], fix: str) -> Stored | None:
    """What a JSON file says, or None where there is no such file.

    Raises RequestError, which names the file and the key and ends in ``fix``, for all else.
    """
    try:
        if path.is_file():
            return kind.model_validate(json.loads(path.read_bytes()))
        if not path.exists() and not path.is_symlink():
            return None
    except OSError as error:
        raise cannot_read(path, error) from None
    except ValidationError as error:
        raise _refused(path, error, fix) from None
    except (ValueError, RecursionError) as error:
        raise RequestError(
            "{path} is not JSON: {reason}. {fix}", path=path, reason=error, fix=fix
        ) from None
    raise RequestError("{path} is not a regular file. {fix}", path=path, fix=fix)


def _refused(path: Path, error: ValidationError, fix: str) -> RequestError:
    """The first mistake that pydantic found, in one sentence with its place."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"] if part != "[key]")
    if first["type"] == "missing":
        said = "{path}: the key '{key}' is missing. {fix}"
        return RequestError(said, path=path, key=key, fix=fix)
    told = first["msg"].removeprefix("Value error, ").replace("Input should", "should")
    where = "{path}: {key} {told}" if key else "{path} {told}"
    return RequestError(
        f"{where}, and it is {{got}}. {{fix}}",
        path=path,
        key=key,
        told=told,
        got=repr(first["input"])[:60],
        fix=fix,
    )
