"""File systems that cannot flush a folder, set a mode or lock a file, and links inside a run."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from makemore_bp import config, files, locks
from makemore_bp.errors import RequestError
from makemore_bp.training import metrics, run_folder, start


def settings(words: Path, *more: str) -> config.Config:
    values = ("model.n_hidden=4", "train.steps=20", "train.batch_size=4", "train.log_every=5")
    every = (f"data.path={words}", "train.eval_every=10", "train.checkpoint_every=10")
    return config.load(None, [*values, *every, "engine=torch", *more])


def failing(number: int, when: Callable[..., bool], call: Callable[..., Any]) -> Callable[..., Any]:
    """``call`` that the system refuses where ``when`` says so."""

    def guarded(*arguments: Any, **more: Any) -> Any:
        if when(*arguments):
            raise OSError(number, os.strerror(number))
        return call(*arguments, **more)

    return guarded


def is_folder(handle: int) -> bool:
    return stat.S_ISDIR(os.fstat(handle).st_mode)


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP, errno.ENOSYS])
def test_a_folder_that_cannot_be_flushed_is_passed_over(
    number: int, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(number, is_folder, os.fsync))
    assert start.new(settings(words), tmp_path / "run")["steps"] == 20


def test_files_that_cannot_be_flushed_are_passed_over(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.EINVAL, lambda _: True, os.fsync))
    assert start.new(settings(words), tmp_path / "run")["steps"] == 20


def test_a_folder_that_may_be_written_but_not_read_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_opened(path: object, *_: object) -> bool:
        return path == tmp_path

    monkeypatch.setattr(os, "open", failing(errno.EACCES, is_opened, os.open))
    files.write_whole(tmp_path / "file", b"x")
    assert (tmp_path / "file").read_bytes() == b"x"


def test_a_failing_disk_is_told_and_the_next_try_begins_afresh(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", failing(errno.EIO, is_folder, os.fsync))
        with pytest.raises(RequestError, match=r"Input/output error\. The disk or the network has"):
            start.new(settings(words), run)
    assert not run.exists()
    assert start.new(settings(words), run)["steps"] == 20


@pytest.mark.parametrize("name", [run_folder.CONFIG, metrics.NAME, run_folder.CHECKPOINT])
@pytest.mark.parametrize("existed", [True, False])
def test_a_first_write_that_fails_leaves_nothing_in_the_way(
    name: str, existed: bool, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    if existed:
        run.mkdir()
        (run / "notes.txt").write_text("mine")

    def is_it(*arguments: object) -> bool:
        return any(str(one).endswith(f"/{name}") for one in arguments)

    with monkeypatch.context() as full:
        full.setattr(os, "replace", failing(errno.ENOSPC, is_it, os.replace))
        full.setattr(os, "open", failing(errno.ENOSPC, is_it, os.open))
        with pytest.raises(RequestError, match="No space left on device"):
            start.new(settings(words), run)
    left = {path.name for path in run.iterdir()} if run.exists() else set()
    assert left - {locks.LOCK} == ({"notes.txt"} if existed else set())
    assert start.new(settings(words, "train.steps=10"), run)["steps"] == 10


def test_no_mode_is_set_where_none_is_asked_for(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system gives a new file the mode that is usual in its folder."""
    for name in ("chmod", "fchmod"):
        monkeypatch.setattr(os, name, failing(errno.EPERM, lambda *_: True, getattr(os, name)))
    run = tmp_path / "run"
    start.new(settings(words), run)
    mask = os.umask(0)
    os.umask(mask)
    for name in run_folder.FILES:
        assert stat.S_IMODE((run / name).stat().st_mode) == 0o666 & ~mask, name


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "not on a read-only file system"),
        (errno.EACCES, "Change the permissions of its folder"),
        (errno.EPERM, "Change the permissions of its folder"),
        (errno.EIO, "has failed"),
        (errno.ENAMETOOLONG, "shorter path"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EMFILE, "ulimit -n"),
        (errno.ELOOP, "Remove the link"),
        (errno.EISDIR, "Move away what stands in its place"),
        (errno.EINVAL, "Name another folder"),
    ],
)
def test_a_write_that_fails_names_the_cause_and_an_advice_that_fits(
    number: int, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "replace", failing(number, lambda *_: True, os.replace))
    with pytest.raises(RequestError) as refused:
        files.write_whole(tmp_path / "file", b"x")
    assert os.strerror(number) in str(refused.value) and advice in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=[errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(request.param, lambda *_: True, fcntl.flock))


@pytest.mark.usefixtures("without_locks")
def test_where_files_cannot_be_locked_a_mark_says_who_holds_the_folder(tmp_path: Path) -> None:
    with locks.locked(tmp_path):
        assert (tmp_path / locks.MARK).exists()
        with pytest.raises(RequestError) as refused, locks.locked(tmp_path):
            pass
    told = str(refused.value)
    assert f"process {os.getpid()} on {socket.gethostname()}, since 20" in told
    assert f"delete {tmp_path / locks.MARK} and try again" in told
    assert not (tmp_path / locks.MARK).exists()


@pytest.mark.usefixtures("without_locks")
def test_the_mark_of_a_process_of_this_machine_that_is_gone_blocks_nobody(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / locks.MARK).write_text(f"{ended.pid}\n{socket.gethostname()}\n")
    with locks.locked(tmp_path, patience=1):
        assert (tmp_path / locks.MARK).read_text().startswith(f"{os.getpid()}\n")


@pytest.mark.usefixtures("without_locks")
def test_the_mark_of_another_machine_is_told_and_may_be_deleted(
    words: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    start.new(settings(words), run)
    (run / locks.MARK).write_text("4711\nelsewhere\n")
    with pytest.raises(RequestError, match="process 4711 on elsewhere, since"):
        start.resume(run, ["train.steps=30"])
    (run / locks.MARK).unlink()
    assert start.resume(run, ["train.steps=30"])["steps"] == 30


@pytest.mark.parametrize("name", [locks.LOCK, metrics.NAME])
@pytest.mark.parametrize("dangling", [True, False])
def test_nothing_is_written_through_a_link_in_a_run(
    name: str, dangling: bool, words: Path, tmp_path: Path
) -> None:
    outside, run = tmp_path / "outside", tmp_path / "run"
    start.new(settings(words), run)
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(outside)
    if not dangling:
        outside.write_text("precious")
    with pytest.raises(RequestError, match=r"symbolic links|not a regular file|cannot be written"):
        start.resume(run, ["train.steps=30"])
    assert not outside.exists() if dangling else outside.read_text() == "precious"


def test_a_dangling_link_is_replaced_when_the_run_is(words: Path, tmp_path: Path) -> None:
    outside, run = tmp_path / "outside", tmp_path / "run"
    run.mkdir()
    (run / metrics.NAME).symlink_to(outside)
    with pytest.raises(RequestError, match="holds a run"):
        start.new(settings(words), run)
    start.new(settings(words), run, overwrite=True)
    assert not outside.exists() and not (run / metrics.NAME).is_symlink()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_metrics_that_are_no_file_are_refused_and_not_waited_for(
    make: Callable[[Path], None], words: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    start.new(settings(words), run)
    (run / metrics.NAME).unlink()
    make(run / metrics.NAME)
    with pytest.raises(RequestError, match=r"not a regular file|Is a directory"):
        start.resume(run, ["train.steps=30"])


def test_a_name_that_was_chosen_for_a_run_is_nobody_elses(tmp_path: Path) -> None:
    with run_folder.claimed("lecture", tmp_path / "runs") as first:
        (first / "file").touch()
        with run_folder.claimed("lecture", tmp_path / "runs") as second:
            assert (first.name, second.name) == ("lecture", "lecture-2")
        assert not second.exists() and first.exists()
    (first / "file").unlink()
    with run_folder.claimed("lecture-3", tmp_path / "runs"):
        pass
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"lecture"}
