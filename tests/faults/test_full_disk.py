"""A disk that fills up at every single write of a run."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from makemore_bp import config
from makemore_bp.errors import RequestError
from makemore_bp.training import checkpoint, run_folder, start


class Silent:
    def started(self, *_: object) -> None: ...
    def advanced(self, *_: object) -> None: ...
    def evaluated(self, *_: object) -> None: ...


class Disk:
    """Counts what reaches the disk, and fails from a given call on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls, self.room = 0, 10**9
        for name in ("fsync", "replace"):
            monkeypatch.setattr(os, name, self.guarded(getattr(os, name)))

    def guarded(self, call: Any) -> Any:
        def run(*arguments: Any) -> Any:
            self.calls += 1
            if self.calls > self.room:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return call(*arguments)

        return run


def test_at_whatever_write_the_disk_is_full_the_last_checkpoint_stays_whole(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [
        f"data.path={words}",
        "engine=torch",
        "model.n_hidden=8",
        "train.steps=20",
        "train.batch_size=8",
        "train.log_every=2",
        "train.eval_every=10",
        "train.checkpoint_every=5",
    ]
    resolved = config.load(None, overrides)
    disk = Disk(monkeypatch)
    start.new(resolved, tmp_path / "whole", Silent())
    calls = disk.calls
    assert calls > 15
    for room in range(calls):
        folder = tmp_path / str(room)
        disk.calls, disk.room = 0, room
        with pytest.raises(RequestError, match="No space left"):
            start.new(resolved, folder, Silent())
        disk.room = 10**9
        if not folder.exists():
            continue  # nothing could be written, and nothing is left behind
        assert not [path for path in folder.iterdir() if path.name.startswith(".c")]
        if (folder / run_folder.CHECKPOINT).exists():
            checkpoint.load(folder / run_folder.CHECKPOINT)
            start.resume(folder, [], Silent())
            for name in (run_folder.CHECKPOINT, "metrics.jsonl"):
                assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_real_full_file_system_stops_the_run_with_its_checkpoint_whole(
    words: Path, shell: Any
) -> None:
    """Needs a small file system to fill, which only root can mount."""
    mount = words.parent / "small"
    mount.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=100k none {mount} 2>/dev/null") != 0:
        pytest.skip("a tmpfs of 100 kB cannot be mounted here")
    try:
        run = mount / "run"
        answer = shell(
            "train",
            *("--set", f"data.path={words}", "--set", "train.log_every=1"),
            *("--set", "engine=torch", "--set", "train.steps=3000", "--out", run),
        )
        assert answer.returncode == 2, answer.stderr
        assert "No space left" in answer.stderr and "Traceback" not in answer.stderr
        assert checkpoint.load(run / run_folder.CHECKPOINT).step == 0
    finally:
        os.system(f"umount {mount}")
