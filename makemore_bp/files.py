"""Writing files so that a crash, a full disk or a pulled plug leaves the old or the new one."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from makemore_bp.errors import RequestError
from makemore_bp.text import visible


def write_whole(path: Path, content: bytes) -> None:
    """Replaces ``path`` by ``content`` in one instant.

    A temporary file beside it is written, flushed to disk and renamed, then the folder is flushed:
    whoever looks finds the whole old content or the whole new one. Raises RequestError if it cannot
    be written; then the old file stands as it was.
    """
    temporary: str | None = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
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
            Path(temporary).unlink(missing_ok=True)


def flush_folder(folder: Path) -> None:
    """Flushes a folder's entries to disk, where the system can do that."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def cannot_write(path: Path, error: OSError) -> RequestError:
    """The paragraph for a write that failed."""
    return RequestError(
        f"{visible(str(path))} cannot be written: {error.strerror or error}. "
        "What was saved before is untouched. Free some space, or mend the folder's permissions."
    )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
