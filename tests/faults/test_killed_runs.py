"""Runs that are killed, interrupted or crowded out, and what is left of them.

The number of kills is small here; `MAKEMORE_BP_KILLS=100 pytest tests/faults` does it at length.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest

from makemore_bp.engines import native
from makemore_bp.training import run_folder
from tests.processes import Command, finished, started

KILLS = int(os.environ.get("MAKEMORE_BP_KILLS", "4"))
FILES = ("checkpoint.safetensors", "metrics.jsonl", "config.yaml")
STEPS = {"torch": 500, "native": 40_000}
ENGINES = [
    "torch",
    pytest.param(
        "native",
        marks=pytest.mark.skipif(not native.available(), reason=native.why_not() or "built"),
    ),
]


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


def wait_for(path: Path, process: Command) -> None:
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


def wait_for_steps(folder: Path, process: Command) -> None:
    """Until the loop is well on its way."""
    wait_for(folder / "metrics.jsonl", process)
    while (folder / "metrics.jsonl").stat().st_size < 500:
        assert process.poll() is None, process.communicate()
        time.sleep(0.002)


def result(folder: Path) -> tuple[list[bytes], dict[str, float]]:
    summary = json.loads((folder / "summary.json").read_text())
    losses = {key: value for key, value in summary.items() if key.endswith("_loss")}
    return [(folder / name).read_bytes() for name in FILES], losses


def trained(*arguments: object, seconds: float = 0.0) -> float | None:
    """The processor time that it took to train; None if ``seconds`` of it were not enough."""
    line = (seconds, "train", *arguments, "--quiet")
    answer = finished(*line, module="tests.faults.mortal")
    if seconds and answer.returncode == -signal.SIGPROF:
        return None
    assert answer.returncode == 0, answer.stderr
    return float(answer.stdout)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_killed_at_any_instant_resumes_to_the_same_bytes(
    words: Path, tmp_path: Path, engine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = settings(words, engine, STEPS[engine])
    undisturbed, folder = tmp_path / "undisturbed", tmp_path / "run"
    lasted = trained(*options, "--out", undisturbed)
    assert lasted is not None
    generator = random.Random(engine)
    kills = 0
    steps: set[int] = set()
    for _ in range(10 * KILLS):
        if kills >= KILLS and (len(steps) > 1 or KILLS < 4):
            break
        shutil.rmtree(folder, ignore_errors=True)
        if trained(*options, "--out", folder, seconds=generator.uniform(0, lasted)) is not None:
            continue
        kills += 1
        if (folder / "checkpoint.safetensors").exists():
            steps.add(run_folder.read(folder).step)
            trained("--resume", folder)
        else:
            trained(*options, "--out", folder, "--overwrite")
        assert result(folder) == result(undisturbed), f"kill {kills}"
        left = {path.name for path in folder.iterdir()} - {
            ".lock",
            "summary.json",
            "about.json",
            *FILES,
        }
        assert not left
    assert kills >= KILLS
    assert len(steps) > 1 or KILLS < 4, "all were killed at one checkpoint"
    with capsys.disabled():
        if KILLS > 10:
            print(f"\n{engine}: {kills} of {kills} kills, at {len(steps)} different checkpoints")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_signal_saves_and_says_how_to_go_on(
    words: Path, tmp_path: Path, engine: str, number: signal.Signals, code: int
) -> None:
    folder = tmp_path / "run with a space"
    options = settings(words, engine, 400 * STEPS[engine])
    with started("train", *options, "--out", folder) as process:
        wait_for_steps(folder, process)
        process.send_signal(number)
        out, err = process.communicate()
    assert process.returncode == code
    assert out == "" and "Traceback" not in err
    assert f"makemore-bp train --resume '{folder}'" in err
    saved_lines = (folder / "metrics.jsonl").read_text().splitlines()
    steps = [json.loads(line)["step"] for line in saved_lines]
    assert steps == sorted(set(steps))


@pytest.mark.parametrize("times", [2, 20])
def test_more_than_one_ctrl_c_leaves_at_once_with_a_whole_checkpoint(
    words: Path, tmp_path: Path, times: int
) -> None:
    folder = tmp_path / "run"
    options = settings(words, "torch", 400 * STEPS["torch"])
    with started("train", *options, "--out", folder) as process:
        wait_for_steps(folder, process)
        for _ in range(times):
            process.send_signal(signal.SIGINT)
            time.sleep(0.001 if times == 2 else 0.05)
        _, err = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in err and "Exception ignored" not in err
    assert run_folder.read(folder).step >= 0
    assert not [path for path in folder.iterdir() if path.name.startswith(".checkpoint")]


def test_a_second_run_into_the_folder_is_refused_while_the_first_lives(
    words: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    options = settings(words, "torch", 400 * STEPS["torch"])
    with started("train", *options, "--out", folder) as first:
        wait_for_steps(folder, first)
        for again in (["--resume", folder], [*options, "--out", folder, "--overwrite"]):
            with started("train", *again) as second:
                _, err = second.communicate()
            assert second.returncode == 2 and "another run" in err
        assert first.poll() is None
        first.send_signal(signal.SIGKILL)
        first.wait()
    metrics = folder / "metrics.jsonl"
    before = metrics.stat().st_mtime_ns
    with started("train", "--resume", folder) as third:
        while metrics.stat().st_mtime_ns == before:  # it writes once it answers to signals
            assert third.poll() is None, third.communicate()
            time.sleep(0.01)
        third.send_signal(signal.SIGTERM)
        third.communicate()
    assert third.returncode == 143
