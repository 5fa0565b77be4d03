"""The text of a learner's file, or the reason why there is none to run."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_read

LARGEST_FILE = 1_000_000  # bytes of a script
_TITLE = re.compile(r"^#\s*Exercise ([1-4])\b", re.MULTILINE)
_FIRST_LINES = 2000  # characters in which the title is looked for


def exercise_of(source: str) -> int | None:
    """The exercise that a file says it is, or None."""
    found = _TITLE.search(source[:_FIRST_LINES])
    return int(found[1]) if found else None


def read_script(path: Path) -> str:
    """The text of a learner's file. Raises RequestError if there is none to run."""
    raw = _content(path)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(
            "{path}, line {line}: byte {byte} is not UTF-8. Save the file as UTF-8 text.",
            path=path,
            line=raw.count(b"\n", 0, error.start) + 1,
            byte=f"{raw[error.start]:#04x}",
        ) from None
    if "\0" in text:
        raise RequestError(
            "{path}, line {line}: a NUL character. Is this a Python file?",
            path=path,
            line=text.count("\n", 0, text.index("\0")) + 1,
        )
    if not text.strip():
        raise RequestError(
            "{path} is empty. Write your backward pass into it, beginning with dlogprobs.",
            path=path,
        )
    return text


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise RequestError("{path} is a folder; name a Python file in it.", path=path)
        if not stat.S_ISREG(status.st_mode):
            raise RequestError("{path} is not a regular file; name a Python file.", path=path)
        if status.st_size > LARGEST_FILE:
            raise RequestError(
                "{path} has {size:,} bytes; no pass is so long.",
                path=path,
                size=status.st_size,
            )
        return path.read_bytes()
    except FileNotFoundError:
        raise RequestError(
            "{path} does not exist. Name a Python file; "
            "'makemore-bp exercise new' writes some to start a backward pass from.",
            path=path,
        ) from None
    except (OSError, ValueError) as error:
        raise cannot_read(path, error) from None
