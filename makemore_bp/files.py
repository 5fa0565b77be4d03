"""Writing files so that a crash, a full disk or a pulled plug leaves the old or the new one."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import tempfile
from pathlib import Path

from makemore_bp.errors import RequestError
from makemore_bp.text import visible


def write_whole(path: Path, content: bytes) -> None:
    """Replaces ``path`` by ``content`` in one instant.

    A temporary file beside it is written, flushed to disk and renamed, then the folder is flushed:
    whoever looks finds the whole old content or the whole new one. Raises RequestError if it cannot
    be written, or if a device or the like stands in its place; then the old file stands as it was
    (or the new one, if only the folder could not be flushed).
    """
    temporary: str | None = None
    try:
        if path.exists() and not path.is_file():
            raise RequestError(f"{visible(str(path))} is no regular file and is not replaced.")
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path))
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
        temporary = None
        flush_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def remove_leftovers(path: Path) -> None:
    """Removes the temporary files of ``write_whole`` that a killed process left beside ``path``."""
    named = re.compile(re.escape(_prefix(path)) + "[a-z0-9_]{8}")  # as mkstemp draws them
    with contextlib.suppress(OSError):
        for entry in path.parent.iterdir():
            if named.fullmatch(entry.name) and not entry.is_symlink() and entry.is_file():
                entry.unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    """A hidden name; that of the file itself, unless with it no name would be short enough."""
    return f".{path.name}." if len(os.fsencode(path.name)) <= 200 else ".makemore-bp."


def flush_folder(folder: Path) -> None:
    """Flushes a folder's entries to disk, where the system can do that."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def cannot_read(path: Path, error: OSError | ValueError) -> RequestError:
    """The paragraph for a read that failed."""
    reason = getattr(error, "strerror", None) or str(error)
    return RequestError(
        f"{visible(str(path))} cannot be read: {visible(reason)}. "
        "Mend its permissions, or put a readable file in its place."
    )


def cannot_write(path: Path, error: OSError) -> RequestError:
    """The paragraph for a write that failed."""
    shown = visible(str(path), 1000)
    if error.errno in (errno.ENOENT, errno.ESTALE) and not os.path.isdir(path.parent):
        return RequestError(
            f"{shown} cannot be written: its folder is not there. If it was moved or deleted while "
            "this was running, go on where it is now, or begin anew."
        )
    if error.errno in (errno.EISDIR, errno.ENOTDIR):
        mend = "Move away what stands in its place, or name another one."
    else:
        mend = "Free some space, or mend the folder's permissions."
    return RequestError(
        f"{shown} cannot be written: {error.strerror or error}. "
        f"What was saved before is untouched. {mend}"
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
