"""Writing files so that a crash, a full disk or a pulled plug leaves the old or the new one."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from makemore_bp.errors import RequestError

# What a file system says that cannot flush this kind of file, as shares often cannot flush a
# folder. Nothing was lost: there is just nothing more that could be done.
_CANNOT_FLUSH = ("EINVAL", "ENOSYS", "ENOTSUP", "EOPNOTSUPP")
_ADVICE = {
    "ENOSPC": "Free some space, or name a folder on another disk.",
    "EDQUOT": "Your quota is used up. Free some space, or name a folder on another disk.",
    "EACCES": "Change the permissions of its folder, or name another one.",
    "EPERM": "Change the permissions of its folder, or name another one.",
    "EROFS": "Name a folder that is not on a read-only file system.",
    "EIO": "The disk or the network has failed. Look at the system's log, or name another folder.",
    "ENAMETOOLONG": "Name a shorter path.",
    "EFBIG": "Files of this size are not allowed. Raise the limit (ulimit -f), or name a folder on "
    "another disk.",
    "EMFILE": "Too many files are open. Raise the limit (ulimit -n).",
    "ENFILE": "Too many files are open on this machine. Run fewer programs at a time.",
    "EBUSY": "Another program holds it. Close that program and try again.",
    "ETXTBSY": "Another program holds it. Close that program and try again.",
    "EISDIR": "Move away what stands in its place, or name another one.",
    "ENOTDIR": "Move away what stands in its place, or name another one.",
    "EEXIST": "Move away what stands in its place, or name another one.",
    "ELOOP": "A link stands in its place. Remove the link, or name another folder.",
}
_OTHER_ADVICE = "Name another folder, for example one on a local disk."


def write_whole(path: Path, content: bytes) -> None:
    """Replaces ``path`` by ``content`` in one instant.

    Raises RequestError if it cannot be written, or if a device or the like stands in its place;
    then the old file stands as it was (or the new one, if only the folder could not be flushed).
    """
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` to fill; at the end it takes the place of ``path``.

    It is flushed to disk and renamed, then the folder is flushed: whoever looks finds the whole old
    content or the whole new one. Raises what ``write_whole`` raises, for an OSError within too.
    """
    # Hidden, and of the file's own name unless with it no name would be short enough.
    temporary = path.parent / f"{_prefix(path)}{secrets.token_hex(4)}"
    renamed = False
    try:
        if path.exists() and not path.is_file():
            raise RequestError("{path} is not a regular file and is not replaced.", path=path)
        with open(temporary, "xb"):  # the system gives it the permissions that are usual here
            pass
        yield temporary
        with open(temporary, "r+b") as file:
            flush(file)
        os.replace(temporary, path)
        renamed = True
        flush_folder(path.parent)
    except OSError as error:
        raise _not_flushed(path, error) if renamed else cannot_write(path, error) from None
    finally:
        if not renamed:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def remove_leftovers(path: Path) -> None:
    """Removes the temporary files of ``replacing`` that a killed process left beside ``path``."""
    named = re.compile(re.escape(_prefix(path)) + "[a-z0-9_]{8}")
    with contextlib.suppress(OSError):
        for entry in path.parent.iterdir():
            if named.fullmatch(entry.name) and not entry.is_symlink() and entry.is_file():
                entry.unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    return f".{path.name}." if len(os.fsencode(path.name)) <= 200 else ".makemore-bp."


def flush(file: BinaryIO) -> None:
    """Puts what was written into ``file`` on the disk, where its file system can do that."""
    file.flush()
    _sync(file.fileno())


def flush_folder(folder: Path) -> None:
    """Puts a folder's entries on the disk, where the system can do that."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # one may write into a folder that one may not read
        return
    try:
        _sync(handle)
    finally:
        os.close(handle)


def _sync(handle: int) -> None:
    try:
        os.fsync(handle)
    except OSError as error:
        if _name(error) not in _CANNOT_FLUSH:
            raise


def cannot_read(path: Path, error: OSError | ValueError) -> RequestError:
    """The paragraph for a read that failed."""
    return RequestError(
        "{path} cannot be read: {reason}. Change its permissions, or put a readable file in its "
        "place.",
        path=path,
        reason=getattr(error, "strerror", None) or error,
    )


def cannot_write(path: Path, error: OSError) -> RequestError:
    """The paragraph for a write that failed, with the advice that fits the reason."""
    if error.errno in (errno.ENOENT, errno.ESTALE) and not os.path.isdir(path.parent):
        return RequestError(
            "{path} cannot be written: its folder is not there. If it was moved or deleted while "
            "this was running, go on where it is now, or begin again.",
            path=path,
        )
    return RequestError(
        "{path} cannot be written: {reason}. What was saved before is untouched. {advice}",
        path=path,
        reason=error.strerror or error,
        advice=_advice(error),
    )


def _not_flushed(path: Path, error: OSError) -> RequestError:
    return RequestError(
        "{path} was written, but whether it is on the disk is not known: {reason}. {advice}",
        path=path,
        reason=error.strerror or error,
        advice=_advice(error),
    )


def _advice(error: OSError) -> str:
    return _ADVICE.get(_name(error), _OTHER_ADVICE)


def _name(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, "")
