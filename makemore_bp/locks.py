"""Who may write into a folder: one process at a time."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock

from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_write

try:
    import fcntl
except ImportError:  # Windows has locks of another kind, which need no question
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
MARK = ".lock-held"  # stands for the lock where the file system has none; it is there while held
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


@contextmanager
def locked(folder: Path, patience: float = 0) -> Iterator[None]:
    """Holds ``folder`` for this process.

    Raises RequestError if another one holds it, after ``patience`` seconds. The lock is the
    system's and ends with the process that holds it, however it ends; a lock file left behind
    blocks nobody. On a file system without locks a file that says whose it is stands for the lock.
    It ends with a killed process only for the processes of the same machine.
    """
    has_locks = _has_locks(folder)
    lock = filelock.FileLock(folder / LOCK) if has_locks else filelock.SoftFileLock(folder / MARK)
    try:
        lock.acquire(timeout=patience)
    except filelock.Timeout:
        raise _held(folder) if has_locks else _marked(folder) from None
    except OSError as error:
        raise cannot_write(Path(lock.lock_file), error) from None
    try:
        yield
    finally:
        lock.release()


def is_held(folder: Path) -> bool:
    """Whether a process holds ``folder``, as far as can be told without writing anything there.

    The question is a shared lock that is given back at once; a process that takes the folder in
    this very moment needs patience.
    """
    if (folder / MARK).exists():
        return _lives(folder / MARK)
    try:
        with (folder / LOCK).open("rb") as file:
            if fcntl is None:
                file.read(1)  # which Windows does not allow while another process has the lock
            else:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return True
    except OSError:
        return False
    return False


def _lives(mark: Path) -> bool:
    """Whether the process that a mark names is there; one on another machine is believed to be."""
    try:
        process, host = mark.read_text(errors="replace").splitlines()[:2]
        if host == socket.gethostname() and fcntl is not None:  # else 0 would be a Ctrl-C
            os.kill(int(process), 0)
    except (ProcessLookupError, FileNotFoundError):
        return False
    except (OSError, ValueError, OverflowError):
        return True
    return True


def _has_locks(folder: Path) -> bool:
    """Whether the system can lock a file in ``folder``."""
    if fcntl is None:
        return True
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:  # of another kind, it is told when the lock is taken
        return error.errno not in _NO_LOCKS
    return True


def _held(folder: Path) -> RequestError:
    return RequestError(
        "{folder} is being written by another run. Wait for it, stop it, or take another folder "
        "with --out.",
        folder=folder,
    )


def _marked(folder: Path) -> RequestError:
    mark = folder / MARK
    try:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(mark.stat().st_mtime))
        process, host = mark.read_text(errors="replace").splitlines()[:2]
    except (OSError, ValueError):  # it has gone meanwhile, or is not whole
        return _held(folder)
    return RequestError(
        "{folder} is being written by process {process} on {host}, since {since}. This file system "
        "has no locks, so a process that was killed on another machine leaves its mark. If that "
        "one has ended, delete {mark} and try again.",
        folder=folder,
        process=process,
        host=host,
        since=since,
        mark=mark,
    )
