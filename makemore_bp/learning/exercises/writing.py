"""Writes the exercises as files."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

from makemore_bp.errors import RequestError
from makemore_bp.learning.exercises.templates import FILES, README
from makemore_bp.network.batchnorm import EPS
from makemore_bp.text import visible


def write_exercises(folder: Path) -> list[Path]:
    """Writes the four exercises and a README into ``folder``, which is made if need be.

    Raises RequestError, and writes nothing, if one of the files is there already or the folder
    cannot be written.
    """
    texts = _texts(folder)
    present = [name for name in texts if (folder / name).exists() or (folder / name).is_symlink()]
    if present:
        raise RequestError(
            "{folder} holds {present} already, and your work is not overwritten. Name another "
            "folder: makemore-bp exercise new DIR.",
            folder=folder,
            present=", ".join(present),
        )
    written: list[Path] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            with (folder / name).open("x", encoding="utf-8") as file:
                written.append(folder / name)
                file.write(text)
    except (OSError, ValueError) as error:
        for path in written:
            with contextlib.suppress(OSError):
                path.unlink()
        reason = getattr(error, "strerror", None) or str(error)
        raise RequestError(
            "{folder} cannot be written: {reason}. "
            "Name another folder: makemore-bp exercise new DIR.",
            folder=folder,
            reason=reason,
        ) from None
    return [folder / name for name in texts]


def command(number: int, folder: Path) -> str:
    """The one command that checks an exercise in ``folder``."""
    path = _quoted(folder / FILES[number][0])
    if number == 4:
        return f"makemore-bp exercise check {path}"
    return f"makemore-bp gradcheck --file {path}"


def _texts(folder: Path) -> dict[str, str]:
    eps = f"{EPS:g}".replace("e-0", "e-")  # as people write it
    texts = {
        name: text.replace("{check}", command(number, folder)).replace("{eps}", eps)
        for number, (name, text, _) in FILES.items()
    }
    rows = [
        f"| {number} | `{name}` | {what} | `{command(number, folder)}` |"
        for number, (name, _, what) in FILES.items()
    ]
    readme = README.replace("{rows}", "\n".join(rows))
    texts["README.md"] = readme.replace(
        "{check_all}", f"makemore-bp exercise check {_quoted(folder)}"
    )
    return texts


def _quoted(path: Path) -> str:
    """A path as a shell wants it, on one line whatever its name holds."""
    return shlex.quote(visible(str(path), 1000))
