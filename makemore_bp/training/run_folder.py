"""The folder of a run: its files, who may write there, and what a resumed run may change."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from makemore_bp import config as configs
from makemore_bp import locks
from makemore_bp.config import Config
from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_write, remove_leftovers, write_whole
from makemore_bp.text import Sentence, sentence
from makemore_bp.training import about, metrics

if TYPE_CHECKING:
    from makemore_bp.training.checkpoint import Checkpoint

CONFIG = "config.yaml"
CHECKPOINT = "checkpoint.safetensors"
SUMMARY = "summary.json"
FAILURE = "failure.json"
LOCK = locks.LOCK
LAUNCH = ".launch"  # which start of several ranks is at the run, so that restarted ones go on
FILES = (CONFIG, CHECKPOINT, SUMMARY, metrics.NAME, about.NAME)

# What a resumed run may change without becoming another run up to the point where it stopped.
CHANGEABLE = ("train.steps", "data.path", "engine")


PATIENCE = 0.2  # seconds; whoever lists runs asks for a moment whether somebody holds them


@contextmanager
def locked(folder: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Holds the folder for one training process, and removes what a killed one left behind.

    Raises RequestError if another one holds it, after ``patience`` seconds.
    """
    with locks.locked(folder, patience):
        for name in FILES:
            remove_leftovers(folder / name)
        yield


def create(folder: Path) -> None:
    """Makes the folder of a new run; raises RequestError if that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise RequestError(
            "{folder} is a file; a run needs a folder. Take another --out.", folder=folder
        ) from None
    except OSError as error:
        raise cannot_write(folder, error) from None


def clear(folder: Path, overwrite: bool) -> None:
    """Makes room for a new run; raises RequestError if a run is there that may not be replaced."""
    present = [name for name in FILES if os.path.lexists(folder / name)]
    if present and not overwrite:
        raise RequestError(
            "{folder} holds a run ({present}). Go on with it by --resume, replace it by "
            "--overwrite, or take another folder with --out.",
            folder=folder,
            present=", ".join(present),
        )
    for name in present:
        try:
            (folder / name).unlink()
        except OSError as error:
            raise cannot_write(folder / name, error) from None
    forget_failure(folder)


@contextmanager
def begun(folder: Path, config: Config, overwrite: bool = False) -> Iterator[None]:
    """The folder of a new run, made, held and with the configuration in it.

    Where nothing is saved within, nothing is left that would be in the way of the next try. Raises
    RequestError if the folder cannot be written, is held by another process, or holds a run that
    may not be replaced.
    """
    existed = folder.exists()
    create(folder)
    try:
        with locked(folder):
            clear(folder, overwrite)
            mine = folder.stat()
            try:
                write_config(folder, config)
                yield
            finally:
                _remove_beginning(folder, mine)
    finally:
        if not existed:
            _remove_empty(folder)


def _remove_beginning(folder: Path, mine: os.stat_result) -> None:
    """Removes what a run wrote that has saved no state, unless the folder is another's by now."""
    with contextlib.suppress(OSError):
        if os.path.samestat(folder.stat(), mine) and not (folder / CHECKPOINT).exists():
            for name in (CONFIG, metrics.NAME, about.NAME, LAUNCH):
                (folder / name).unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        if {entry.name for entry in folder.iterdir()} <= {locks.LOCK}:
            (folder / locks.LOCK).unlink(missing_ok=True)
            folder.rmdir()


@contextmanager
def claimed(stem: str, runs: Path = Path("runs")) -> Iterator[Path]:
    """A new folder under ``runs`` that is this process's alone: STEM, STEM-2, STEM-3, ...

    It is removed again if nothing is put into it. Raises RequestError if it cannot be made.
    """
    for folder in (runs / (f"{stem}-{n}" if n > 1 else stem) for n in count(1)):
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise cannot_write(folder, error) from None
        break
    try:
        yield folder
    finally:
        _remove_empty(folder)
        with contextlib.suppress(OSError):
            runs.rmdir()  # which only an empty one lets happen


def write_config(folder: Path, config: Config) -> None:
    """Writes the resolved configuration."""
    write_whole(folder / CONFIG, config.to_yaml().encode())


def write_summary(folder: Path, reached: dict[str, Any]) -> dict[str, Any]:
    """Writes summary.json, what was reached and what is known about the run, and returns it."""
    summary = {**reached, **about.at_the_end(folder)}
    write_whole(folder / SUMMARY, (json.dumps(summary, indent=2) + "\n").encode())
    return summary


def write_failure(folder: Path, status: str, reason: str, step: int | None) -> None:
    """Keeps why a run has failed."""
    create(folder)
    content = {"status": status, "step": step, "reason": reason}
    write_whole(folder / FAILURE, (json.dumps(content, indent=2) + "\n").encode())


def forget_failure(folder: Path) -> None:
    """Removes the note of a failure, before another try."""
    with contextlib.suppress(OSError):
        (folder / FAILURE).unlink(missing_ok=True)


def read(folder: Path) -> Checkpoint:
    """The latest state of the run in ``folder``; raises RequestError if there is none."""
    return _read(folder)[1]


def read_raw(folder: Path) -> bytes:
    """The bytes of that state's file, which are whole; for processes that cannot read it."""
    return _read(folder)[0]


def _read(folder: Path) -> tuple[bytes, Checkpoint]:
    if not folder.is_dir():
        what = "is a file, not a run's folder" if folder.exists() else "does not exist"
        raise RequestError(
            "{folder} {what}. Name a folder that 'makemore-bp train' has written.",
            folder=folder,
            what=what,
        )
    if not (folder / CHECKPOINT).exists():
        raise RequestError(
            "{folder} holds no {file}, so it is not the folder of a run. Name a folder that "
            "'makemore-bp train' has written.",
            folder=folder,
            file=CHECKPOINT,
        )
    from makemore_bp.training import checkpoint as checkpoints

    return checkpoints.load_raw(folder / CHECKPOINT)


def finished(folder: Path, overrides: Sequence[str] = ()) -> dict[str, Any] | None:
    """The summary of a run that has nothing left to do; None if there is more to train or to tell.

    Raises what ``read`` and ``resumed_config`` raise.
    """
    saved = read(folder)
    config = resumed_config(folder, saved.config, overrides)
    if config != saved.config or saved.step != config.train.steps:
        return None
    try:
        summary = json.loads((folder / SUMMARY).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    whole = isinstance(summary, dict) and summary.get("steps") == saved.step
    return summary if whole else None


def resumed_config(folder: Path, saved: Config, overrides: Sequence[str]) -> Config:
    """The configuration to go on with: the run's own, with what may be changed.

    ``CHANGEABLE`` keys may differ, in config.yaml or in an override. Raises RequestError that
    shows every other difference.
    """
    path = folder / CONFIG
    now = configs.load(str(path), overrides) if path.exists() else saved
    if not path.exists() and overrides:
        now = configs.build(plain(saved), overrides, where="the checkpoint's configuration")
    before, after = flat(saved), flat(now)
    changed = [
        sentence("{key}: {before} became {after}", key=key, before=before[key], after=after[key])
        for key in before
        if before[key] != after[key] and key not in CHANGEABLE
    ]
    if changed:
        raise RequestError(
            "{folder} was trained with another configuration, and a resumed run ends in the same "
            "bits only with its own ({changed}). Undo the change, or train again into another "
            "folder. What may be changed: {changeable}.",
            folder=folder,
            changed=Sentence("; ".join(changed)),
            changeable=", ".join(CHANGEABLE),
        )
    return now


def plain(config: Config) -> dict[str, Any]:
    """The configuration as nested mappings of plain values."""
    return config.model_dump()


def flat(config: Config) -> dict[str, Any]:
    """The configuration as dotted keys to values."""
    result = {}
    for key in configs.all_keys():
        value: Any = config
        for part in key.split("."):
            value = getattr(value, part)
        result[key] = value
    return result
