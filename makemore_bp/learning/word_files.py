"""The list of names for a notebook that opens ``names.txt`` and has none beside it."""

from __future__ import annotations

import builtins
import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

NAME = "names.txt"


def lend_names(folders: Sequence[Path], say: Callable[[str], None]) -> None:
    """Lets this process open ``names.txt``, in whatever folder, where there is none.

    It finds the first one of ``folders``, such as the notebook's, or else the names that come with
    the package; ``say`` is given a sentence on which. For a process that runs a learner's file and
    nothing else.
    """
    opened = io.open
    told: set[Path] = set()

    def lent(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        found = _instead_of(file, folders) if "r" in mode else None
        if found is not None and found not in told:
            told.add(found)
            say(_sentence(found))
        return opened(file if found is None else found, mode, *arguments, **options)

    builtins.open = io.open = lent


def _instead_of(file: Any, folders: Sequence[Path]) -> Path | None:
    if not isinstance(file, str | os.PathLike) or os.path.basename(os.fsdecode(file)) != NAME:
        return None
    if os.path.exists(file):
        return None
    beside = (folder / NAME for folder in folders)
    return next((path for path in beside if path.is_file()), bundled_names())


def bundled_names() -> Path:
    """The path of the names that come with the package."""
    from makemore_bp.resources import folder

    return folder("data") / NAME


def _sentence(found: Path) -> str:
    if found == bundled_names():
        return (
            f"There is no {NAME} beside the file, so it reads the names that come with makemore-bp."
        )
    return f"It reads {found}."
