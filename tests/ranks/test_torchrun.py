"""Runs over several processes, as torchrun starts them.

One torchrun is a new interpreter, the others are forks. `MAKEMORE_BP_KILLS=10 pytest tests/ranks`
kills at more instants; `benchmarks/distributed_agreement.py` follows longer runs over more ranks.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from makemore_bp.training import metrics, run_folder
from tests.ranks.torchruns import Torchrun, torchrun

KILLS = int(os.environ.get("MAKEMORE_BP_KILLS", "1"))
ENDLESS = "train.steps=100000000"


def settings(words: Path, *more: str) -> list[str]:
    values = (
        f"data.path={words}",
        "engine=torch",
        "dtype=float64",
        "model.n_hidden=8",
        "train.batch_size=33",
        "train.steps=40",
        "train.log_every=1",
        "train.eval_every=20",
        "train.checkpoint_every=10",
        *more,
    )
    return [part for value in values for part in ("--set", value)]


def lines(folder: Path) -> list[dict[str, float]]:
    return list(metrics.read(folder))


def differences(one: Path, other: Path) -> list[float]:
    """Of every number that two runs have written, the distance."""
    pairs = list(zip(lines(one), lines(other), strict=True))
    assert pairs and all(set(a) == set(b) for a, b in pairs)
    return [abs(a[key] - b[key]) for a, b in pairs for key in a if key != "parameters"]


def wait_for_checkpoint(folder: Path, running: Torchrun) -> None:
    while not (folder / run_folder.CHECKPOINT).exists():
        assert running.process.poll() is None, running.said(0)
        time.sleep(0.01)


def wait_for_step(folder: Path, running: Torchrun, step: int) -> None:
    wait_for_checkpoint(folder, running)
    while not any(line["step"] >= step for line in lines(folder)):
        assert running.process.poll() is None, running.said(0)
        time.sleep(0.01)


def test_ranks_compute_the_run_of_one_process_and_either_goes_on_with_the_others(
    words: Path, tmp_path: Path, cache: Path, cli: object
) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    assert cli("train", *settings(words), "--out", alone, "--quiet").code == 0  # type: ignore[operator]
    half = settings(words, "train.steps=20")
    with torchrun(cache, tmp_path / "a", 3, "train", *half, "--out", shared, "--json") as run:
        assert run.finish() == 0, run.said(0)
        answer = json.loads(run.said(0, stream="stdout"))
        assert answer["steps"] == 20 and answer["run"] == str(shared)
        assert [run.said(r, stream=s) for r in (1, 2) for s in ("stdout", "stderr")] == [""] * 4
    go_on = ("train", "--resume", shared, "--quiet", "--set")
    assert cli(*go_on, "train.steps=30").code == 0  # type: ignore[operator]
    with torchrun(cache, tmp_path / "b", 2, *go_on, "train.steps=40", real=True) as run:
        assert run.finish() == 0, run.said(0)
    assert max(differences(alone, shared)) < 1e-12
    one, other = run_folder.read(alone), run_folder.read(shared)
    for name, parameter in one.parameters.items():
        assert float((parameter - other.parameters[name]).abs().max()) < 1e-12


@pytest.mark.skipif(KILLS == 1, reason="two more starts; set MAKEMORE_BP_KILLS to run it")
def test_eval_uses_all_ranks_and_one_answers(
    words: Path, tmp_path: Path, cache: Path, cli: object
) -> None:
    folder = tmp_path / "run"
    assert cli("train", *settings(words), "--out", folder, "--quiet").code == 0  # type: ignore[operator]
    expected = json.loads(cli("eval", folder, "--json").out)  # type: ignore[operator]
    with torchrun(cache, tmp_path / "e", 2, "eval", folder, "--json") as run:
        assert run.finish() == 0, run.said(0)
        found = json.loads(run.said(0, stream="stdout"))
        assert run.said(1, stream="stdout") == ""
    for split in ("train_loss", "val_loss", "test_loss"):
        assert found[split] == pytest.approx(expected[split], abs=1e-12)
    assert found["baselines"] == expected["baselines"]


def test_gradcheck_holds_every_rank_to_the_single_process(
    words: Path, tmp_path: Path, cache: Path
) -> None:
    with torchrun(cache, tmp_path / "g", 2, "gradcheck", *settings(words), "--json") as run:
        assert run.finish() == 0, run.said(0)
        check = json.loads(run.said(0, stream="stdout"))
    assert check["passed"] and check["ranks"] == 2
    assert {"hprebn", "bngain", "W1", "C"} <= {tensor["name"] for tensor in check["tensors"]}


def test_a_killed_rank_ends_the_run_with_a_message_and_a_whole_checkpoint(
    words: Path, tmp_path: Path, cache: Path, cli: object
) -> None:
    folder = tmp_path / "run"
    options = settings(words, ENDLESS, "train.log_every=1000")
    with torchrun(cache, tmp_path / "l", 2, "train", *options, "--out", folder) as run:
        wait_for_checkpoint(folder, run)
        os.kill(run.rank(1), signal.SIGKILL)
        assert run.finish() != 0
        said = run.said(0)
    assert "no longer reaches another rank" in said and "is kept" in said
    assert "Traceback" not in said
    kept = run_folder.read(folder).step
    more = ("--quiet", "--set", f"train.steps={kept + 10}")
    assert cli("train", "--resume", folder, *more).code == 0  # type: ignore[operator]
    assert run_folder.read(folder).step == kept + 10


def test_a_stopped_rank_is_noticed_and_named_and_the_last_state_is_kept(
    words: Path, tmp_path: Path, cache: Path
) -> None:
    folder = tmp_path / "run"
    options = settings(words, ENDLESS, "train.log_every=1000")
    line = ("train", *options, "--out", folder)
    with torchrun(cache, tmp_path / "l", 2, *line, module="tests.ranks.quick_pulse") as run:
        wait_for_checkpoint(folder, run)
        stopped, first = run.rank(1), run.rank(0)
        os.kill(stopped, signal.SIGSTOP)
        while first in run.workers():
            time.sleep(0.01)
        os.kill(stopped, signal.SIGKILL)  # torchrun would do so half a minute later
        assert run.finish() != 0
        said = run.said(0)
    assert "Rank 1 of 2 has given no sign of life" in said and "Traceback" not in said
    assert f"step {run_folder.read(folder).step:,} is kept" in said


def test_a_signal_to_one_rank_stops_all_at_the_same_step(
    words: Path, tmp_path: Path, cache: Path
) -> None:
    folder = tmp_path / "run"
    options = settings(words, ENDLESS)
    with torchrun(cache, tmp_path / "l", 2, "train", *options, "--out", folder) as run:
        wait_for_step(folder, run, 0)
        os.kill(run.rank(1), signal.SIGTERM)
        assert run.finish() != 0
        assert "Stopped and saved. To go on: makemore-bp train --resume" in run.said(0)
        assert run.said(1) == ""
    assert lines(folder)[-1]["step"] == run_folder.read(folder).step - 1


def test_restarted_ranks_go_on_and_end_in_the_same_bits(
    words: Path, tmp_path: Path, cache: Path
) -> None:
    """The steps are many enough that a kill falls into the training."""
    options = settings(words, "train.steps=600", "train.checkpoint_every=50")
    undisturbed = tmp_path / "undisturbed"
    with torchrun(cache, tmp_path / "u", 2, "train", *options, "--out", undisturbed) as run:
        assert run.finish() == 0, run.said(0)
    generator = random.Random(1)
    for trial in range(KILLS):
        folder, logs = tmp_path / f"killed-{trial}", tmp_path / f"k{trial}"
        with torchrun(cache, logs, 2, "train", *options, "--out", folder, restarts=3) as run:
            wait_for_step(folder, run, generator.randrange(360))
            os.kill(generator.choice(run.workers()), signal.SIGKILL)
            assert run.finish() == 0, run.said(0)
        assert list(logs.glob("*/attempt_1")), "the kill came too late to disturb anything"
        for name in (run_folder.CHECKPOINT, metrics.NAME):
            assert (folder / name).read_bytes() == (undisturbed / name).read_bytes(), trial
        assert not (folder / ".launch").exists()


def test_what_one_rank_refuses_all_refuse_and_one_says(tmp_path: Path, cache: Path) -> None:
    folder = tmp_path / "run"
    options = settings(tmp_path / "missing.txt")
    with torchrun(cache, tmp_path / "l", 2, "train", *options, "--out", folder) as run:
        assert run.finish() != 0
        assert "missing.txt does not exist" in run.said(0) and "Traceback" not in run.said(0)
        assert run.said(1) == ""
    assert not folder.exists()
