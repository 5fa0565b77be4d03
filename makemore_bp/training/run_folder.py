"""The folder of a run: its files, who may write there, and what a resumed run may change."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock

from makemore_bp import config as configs
from makemore_bp.config import Config
from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_write, remove_leftovers, write_whole
from makemore_bp.text import visible
from makemore_bp.training import metrics

if TYPE_CHECKING:
    from makemore_bp.training.checkpoint import Checkpoint

CONFIG = "config.yaml"
CHECKPOINT = "checkpoint.safetensors"
SUMMARY = "summary.json"
LOCK = ".lock"
FILES = (CONFIG, CHECKPOINT, SUMMARY, metrics.NAME)

# What a resumed run may change without becoming another run up to the point where it stopped.
CHANGEABLE = ("train.steps", "data.path", "engine")


@contextmanager
def locked(folder: Path, patience: float = 0) -> Iterator[None]:
    """Holds the folder for one training process.

    Raises RequestError if another one holds it, after ``patience`` seconds. The lock is the
    system's and ends with the process that holds it, however it ends; a lock file left behind
    blocks nobody.
    """
    lock = filelock.FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=patience)
    except filelock.Timeout:
        raise RequestError(
            f"{visible(str(folder))} is being written by another run. Wait for it, stop it, or "
            "take another folder with --out."
        ) from None
    except OSError as error:
        raise cannot_write(folder / LOCK, error) from None
    except NotImplementedError:
        raise RequestError(
            f"{visible(str(folder))} lies on a file system without locks, so two runs could write "
            "there at once. Take another folder with --out."
        ) from None
    try:
        for name in FILES:
            remove_leftovers(folder / name)
        yield
    finally:
        lock.release()


def create(folder: Path) -> None:
    """Makes the folder of a new run; raises RequestError if that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise RequestError(
            f"{visible(str(folder))} is a file; a run needs a folder. Take another --out."
        ) from None
    except OSError as error:
        raise cannot_write(folder, error) from None


def clear(folder: Path, overwrite: bool) -> None:
    """Makes room for a new run; raises RequestError if a run is there that may not be replaced."""
    present = [name for name in FILES if (folder / name).exists()]
    if present and not overwrite:
        raise RequestError(
            f"{visible(str(folder))} holds a run ({', '.join(present)}). Go on with it by "
            "--resume, replace it by --overwrite, or take another folder with --out."
        )
    for name in present:
        try:
            (folder / name).unlink()
        except OSError as error:
            raise cannot_write(folder / name, error) from None


def free_name(stem: str, runs: Path = Path("runs")) -> Path:
    """A folder under ``runs`` that does not exist yet: STEM, STEM-2, STEM-3, ..."""
    candidate, number = runs / stem, 1
    while candidate.exists():
        number += 1
        candidate = runs / f"{stem}-{number}"
    return candidate


def write_config(folder: Path, config: Config) -> None:
    """Writes the resolved configuration."""
    write_whole(folder / CONFIG, config.to_yaml().encode())


def write_summary(folder: Path, summary: dict[str, Any]) -> None:
    """Writes summary.json."""
    write_whole(folder / SUMMARY, (json.dumps(summary, indent=2) + "\n").encode())


def read(folder: Path) -> Checkpoint:
    """The latest state of the run in ``folder``; raises RequestError if there is none."""
    return _read(folder)[1]


def read_raw(folder: Path) -> bytes:
    """The bytes of that state's file, which are whole; for processes that cannot read it."""
    return _read(folder)[0]


def _read(folder: Path) -> tuple[bytes, Checkpoint]:
    shown = visible(str(folder))
    if not folder.is_dir():
        what = "is a file, not a run's folder" if folder.exists() else "does not exist"
        raise RequestError(f"{shown} {what}. Name a folder that 'makemore-bp train' has written.")
    if not (folder / CHECKPOINT).exists():
        raise RequestError(
            f"{shown} holds no {CHECKPOINT}, so it is not the folder of a run. "
            "Name a folder that 'makemore-bp train' has written."
        )
    from makemore_bp.training import checkpoint as checkpoints

    return checkpoints.load_raw(folder / CHECKPOINT)


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
        f"{key}: {before[key]} became {after[key]}"
        for key in before
        if before[key] != after[key] and key not in CHANGEABLE
    ]
    if changed:
        raise RequestError(
            f"{visible(str(folder))} was trained with another configuration, and a resumed run "
            f"ends in the same bits only with its own ({'; '.join(changed)}). Undo the change, or "
            f"train anew into another folder. What may be changed: {', '.join(CHANGEABLE)}."
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
