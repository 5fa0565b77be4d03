"""Runs that are killed, interrupted or crowded out, and what is left of them.

The number of kills is small here; `MAKEMORE_BP_KILLS=100 pytest tests/faults` does it at length.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from makemore_bp.engines import native

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("MAKEMORE_BP_KILLS", "4"))
FILES = ("checkpoint.safetensors", "metrics.jsonl", "config.yaml")
STEPS = {"torch": 2000, "native": 40_000}
ENGINES = [
    "torch",
    pytest.param(
        "native",
        marks=pytest.mark.skipif(not native.available(), reason=native.why_not() or "built"),
    ),
]


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "makemore_bp", "train", *map(str, arguments)]


def settings(words: Path, engine: str, steps: int) -> list[str]:
    every = STEPS[engine] // 50
    values = (
        f"data.path={words}",
        f"engine={engine}",
        f"train.steps={steps}",
        "model.n_hidden=32",
        f"train.log_every={every // 10}",
        f"train.eval_every={every * 2}",
        f"train.checkpoint_every={every}",
    )
    return [part for value in values for part in ("--set", value)]


@contextmanager
def started(arguments: list[str]) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def finish(arguments: list[str]) -> None:
    with started(arguments) as process:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


def wait_for_steps(folder: Path, process: subprocess.Popen[str]) -> None:
    """Until the loop is well on its way."""
    wait_for(folder / "metrics.jsonl", process)
    while (folder / "metrics.jsonl").stat().st_size < 500:
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


def result(folder: Path) -> tuple[list[bytes], dict[str, float]]:
    summary = json.loads((folder / "summary.json").read_text())
    losses = {key: value for key, value in summary.items() if key.endswith("_loss")}
    return [(folder / name).read_bytes() for name in FILES], losses


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_killed_at_any_instant_resumes_to_the_same_bytes(
    words: Path, tmp_path: Path, engine: str
) -> None:
    options = settings(words, engine, STEPS[engine])
    undisturbed = tmp_path / "undisturbed"
    with started(command(*options, "--out", undisturbed, "--quiet")) as process:
        wait_for(undisturbed / "config.yaml", process)
        began = time.monotonic()
        assert process.wait(timeout=120) == 0
        lasted = time.monotonic() - began
    generator = random.Random(engine)
    for trial in range(KILLS):
        folder = tmp_path / f"killed-{trial}"
        with started(command(*options, "--out", folder, "--quiet")) as process:
            wait_for(folder / "config.yaml", process)
            time.sleep(generator.uniform(0, lasted))
            process.send_signal(signal.SIGKILL)
            process.wait()
        if (folder / "checkpoint.safetensors").exists():
            finish(command("--resume", folder, "--quiet"))
        else:
            finish(command(*options, "--out", folder, "--overwrite", "--quiet"))
        assert result(folder) == result(undisturbed), f"trial {trial}"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_signal_saves_and_says_how_to_go_on(
    words: Path, tmp_path: Path, engine: str, number: signal.Signals, code: int
) -> None:
    folder = tmp_path / "run with a space"
    options = settings(words, engine, 100 * STEPS[engine])
    with started(command(*options, "--out", folder)) as process:
        wait_for_steps(folder, process)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert out == "" and "Traceback" not in err
    assert f"makemore-bp train --resume '{folder}'" in err
    saved_lines = (folder / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in saved_lines]
    assert steps == sorted(set(steps))


def test_a_second_ctrl_c_leaves_at_once_with_a_whole_checkpoint(
    words: Path, tmp_path: Path
) -> None:
    from makemore_bp.training import run_folder

    folder = tmp_path / "run"
    options = settings(words, "torch", 100 * STEPS["torch"])
    with started(command(*options, "--out", folder)) as process:
        wait_for_steps(folder, process)
        for _ in range(2):
            process.send_signal(signal.SIGINT)
            time.sleep(0.001)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert run_folder.read(folder).step >= 0
    assert not [path for path in folder.iterdir() if path.name.startswith(".checkpoint")]


def test_a_second_run_into_the_folder_is_refused_while_the_first_lives(
    words: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    options = settings(words, "torch", 100 * STEPS["torch"])
    with started(command(*options, "--out", folder)) as first:
        wait_for_steps(folder, first)
        for again in (["--resume", folder], [*options, "--out", folder, "--overwrite"]):
            with started(command(*again)) as second:
                _, err = second.communicate(timeout=60)
            assert second.returncode == 2 and "another run" in err
        assert first.poll() is None
        first.send_signal(signal.SIGKILL)
        first.wait()
    with started(command("--resume", folder)) as third:
        time.sleep(2.5)
        third.send_signal(signal.SIGTERM)
        third.communicate(timeout=30)
    assert third.returncode == 143
