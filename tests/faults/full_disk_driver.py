"""Runs under the full disk of full_disk.c: ``python full_disk_driver.py WORDS FOLDER``.

Does each piece of work once to count its calls, and then once for every call at which the disk may
become full. Prints how often that was; any broken promise ends it with an AssertionError.
"""

from __future__ import annotations

import ctypes
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from makemore_bp import config
from makemore_bp.dataset import fetching
from makemore_bp.errors import RequestError
from makemore_bp.learning.exercises.writing import write_exercises
from makemore_bp.training import about, checkpoint, run_folder, start
from makemore_bp.training.loop import SILENT

DISK = ctypes.CDLL(None)
ENDLESS = 2**40
RESULTS = (run_folder.CHECKPOINT, "metrics.jsonl", "config.yaml")


def at_every_call(
    place: Path, prepare: Callable[[], None], work: Callable[[], object], check: Callable[[], None]
) -> int:
    """How many calls ``work`` makes below ``place``; at each the disk was full once."""

    def tried(room: int) -> None:
        shutil.rmtree(place, ignore_errors=True)
        prepare()
        DISK.disk_set(str(place).encode(), ctypes.c_long(room))
        try:
            work()
        finally:
            tried.calls = DISK.disk_calls()  # type: ignore[attr-defined]
            DISK.disk_set(b"", ctypes.c_long(ENDLESS))

    tried(ENDLESS)
    calls: int = tried.calls  # type: ignore[attr-defined]
    for room in range(calls):
        with pytest.raises(RequestError, match="No space left"):
            tried(room)
        check()
    return calls


def main(words: Path, place: Path) -> None:
    """Prints the number of calls of each piece of work as JSON."""
    torch.set_num_threads(1)
    base = [
        f"data.path={words}",
        "engine=torch",
        "model.n_hidden=4",
        "model.n_embd=2",
        "train.batch_size=4",
        "train.log_every=2",
        "train.eval_every=8",
        "train.checkpoint_every=5",
    ]
    longer, shorter = (config.load(None, [*base, f"train.steps={n}"]) for n in (20, 12))
    whole, half, run = (place.parent / name for name in ("whole", "half", "run"))
    start.new(longer, whole, SILENT)
    start.new(shorter, half, SILENT)

    def same_as_undisturbed() -> None:
        for name in RESULTS:
            assert (run / name).read_bytes() == (whole / name).read_bytes(), name
        expected = {".lock", run_folder.SUMMARY, about.NAME, *RESULTS}
        assert {path.name for path in run.iterdir()} == expected

    def goes_on() -> None:
        if (run / run_folder.CHECKPOINT).exists():
            checkpoint.load(run / run_folder.CHECKPOINT)
            start.resume(run, ["train.steps=20"], SILENT)
        else:
            start.new(longer, run, SILENT, overwrite=True)
        same_as_undisturbed()

    def nothing() -> None: ...

    def copied(source: Path, target: Path) -> None:
        shutil.copytree(source, target)

    def no_exercise() -> None:
        assert not run.exists() or not list(run.iterdir())

    def old_names() -> None:
        found = [(path.name, path.read_text()) for path in run.iterdir()]
        # The new file is there if only the last call failed, which flushes the folder.
        assert found in ([("names", "old")], [("names", "new")])

    def names() -> None:
        run.mkdir()
        (run / "names").write_text("old")

    fetching._download = lambda *_: b"new"
    fetching.LECTURE_SHA256 = "11507a0e2f5e69d5dfa40a62a1bd7b6ee57e6bcd85c67c9b8431b36fff21c437"
    calls = {
        "new": at_every_call(run, nothing, lambda: start.new(longer, run, SILENT), goes_on),
        "resume": at_every_call(
            run,
            lambda: copied(half, run),
            lambda: start.resume(run, ["train.steps=20"], SILENT),
            goes_on,
        ),
        "exercises": at_every_call(run, nothing, lambda: write_exercises(run), no_exercise),
        "fetch": at_every_call(
            run, names, lambda: fetching.fetch(run / "names", overwrite=True), old_names
        ),
    }
    print(json.dumps(calls))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
