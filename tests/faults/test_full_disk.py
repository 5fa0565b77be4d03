"""A disk that fills up, at every single call that needs room and in a real small file system."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from makemore_bp.training import checkpoint, run_folder
from tests.processes import finished

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def test_at_whatever_call_the_disk_is_full_what_was_saved_stays_whole_and_can_go_on(
    words: Path, tmp_path: Path
) -> None:
    """Every open, write, flush, cut, rename and new folder, of runs, exercises and downloads."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("the injection needs Linux and a C compiler")
    library = tmp_path / "full_disk.so"
    flags = ["-shared", "-fPIC", "-O1", "-o", str(library), str(HERE / "full_disk.c"), "-ldl"]
    subprocess.run([compiler, *flags], check=True)
    answer = subprocess.run(
        [sys.executable, str(HERE / "full_disk_driver.py"), str(words), str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": str(ROOT), "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    calls = json.loads(answer.stdout)
    assert calls["new"] > 30 and calls["resume"] > 15
    assert calls["exercises"] > 5 and calls["fetch"] >= 4


def test_a_real_full_file_system_stops_the_run_with_its_checkpoint_whole(
    words: Path,
) -> None:
    """Needs a small file system to fill, which only root can mount."""
    mount = words.parent / "small"
    mount.mkdir()
    if os.geteuid() != 0 or os.system(f"mount -t tmpfs -o size=60k none {mount} 2>/dev/null") != 0:
        pytest.skip("a tmpfs of 100 kB cannot be mounted here")
    try:
        run = mount / "run"
        answer = finished(
            "train",
            *("--set", f"data.path={words}", "--set", "train.log_every=1"),
            *(
                "--set",
                "engine=torch",
                "--set",
                "train.steps=1000",
                "--set",
                "model.n_hidden=8",
                "--out",
                run,
            ),
        )
        assert answer.returncode == 2, answer.stderr
        assert "No space left" in answer.stderr and "Traceback" not in answer.stderr
        assert checkpoint.load(run / run_folder.CHECKPOINT).step == 0
    finally:
        os.system(f"umount {mount}")
