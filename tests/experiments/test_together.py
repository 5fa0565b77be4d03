"""Runs that advance together in one process: each is the run that it is alone."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from makemore_bp import config
from makemore_bp.engines import configured, native
from makemore_bp.engines.seats import Seats
from makemore_bp.experiments import runner
from makemore_bp.training import memory
from tests.engines.test_choice import EXAMPLES
from tests.engines.test_stacked_engine import Models
from tests.experiments.experiment_helpers import (
    LONG,
    alive,
    slow_base,
    small_base,
    wait_for,
    workers_of,
    write,
)
from tests.experiments.test_experiment_runs import LINUX, experiment
from tests.processes import started

FILES = ("config.yaml", "metrics.jsonl", "checkpoint.safetensors", "failure.json")
Finish = Callable[..., tuple[int, str, str]]


@pytest.fixture
def finish(cli: Any, here: None) -> Finish:
    """Runs an experiment to its end, in this process."""

    def run(*arguments: object) -> tuple[int, str, str]:
        answer = cli(*experiment("run", *arguments))
        return answer.code, answer.out, answer.err

    return run


def contents(folder: Path) -> dict[str, bytes]:
    """What the runs of an experiment have written, but for times of day."""
    found = (path for name in FILES for path in folder.glob(f"runs/*/{name}"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def test_every_run_ends_in_the_bytes_of_its_own_process(
    finish: Finish, words: Path, tmp_path: Path
) -> None:
    """Two shapes in groups of three, two and one; one run diverges, no two are of one length."""
    file = write(
        tmp_path / "trial.yaml",
        base={**small_base(words, steps=50), "engine": "torch"},
        variants={
            "plain": {},
            "long": {"train.steps": 90, "train.lr": {0: 0.1, 50: 0.01}, "train.schedule": "cosine"},
            "mad": {"train.lr": 1e38},
            "decay": {"train.weight_decay": 0.01, "train.log_every": 3},
            "often": {"train.eval_every": 7, "train.checkpoint_every": 4, "train.seed": 5},
            "wide": {"model.n_hidden": 9},
            "dropped": {"train.dropout": 0.2, "model.n_hidden": 9},
            "dropped more": {"train.dropout": 0.4, "model.n_hidden": 9, "train.seed": 5},
        },
    )
    apart = finish(file, "--out", tmp_path / "apart", "--json", "--jobs", "1")
    together = finish(file, "--out", tmp_path / "together", "--json", "--together", "3")
    assert apart[0] == together[0] == 1 and apart[1] == together[1]
    assert "of up to 3 runs that advance together" in together[2]
    assert contents(tmp_path / "apart") == contents(tmp_path / "together")
    summary = tmp_path / "together" / "runs" / "long" / "summary.json"
    assert json.loads(summary.read_bytes())["engine"] == "torch"


@LINUX
def test_killed_in_the_middle_and_run_again_they_end_in_the_same_bytes(
    finish: Finish, words: Path, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "trial.yaml",
        base=slow_base(words, 1000),
        variants={"a": {}, "b": {"train.lr": 1e38}, "c": {"train.steps": 400}, "d": {}},
        grid={"train.weight_decay": [0.0, 0.1]},
    )
    undisturbed = finish(file, "--out", tmp_path / "once", "--json", "--together", "8")
    folder = tmp_path / "twice"
    arguments = (file, "--out", folder, "--json", "--together", "8")
    with started(*experiment("run", *arguments)) as process:
        wait_for(lambda: list(folder.glob("runs/c*/summary.json")), process)
        workers = workers_of(process)
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not list(folder.glob("runs/[ad]*/summary.json"))  # in the middle indeed
    again = finish(*arguments)
    assert again[:2] == undisturbed[:2] and again[0] == 1
    assert contents(folder) == contents(tmp_path / "once")


@LINUX
def test_ctrl_c_saves_all_and_says_how_to_go_on(words: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "trial.yaml", base=slow_base(words, LONG), seeds=[1, 2, 3])
    folder = tmp_path / "out"
    options = ("--together", "3", "--set", "train.lr=0.05")
    with started(*experiment("run", file, "--out", folder, *options)) as process:
        wait_for(lambda: len(list(folder.glob("runs/*/checkpoint.safetensors"))) == 3, process)
        workers = workers_of(process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, "") and "Traceback" not in err
    assert workers and not any(map(alive, workers))
    assert f"experiment run {file} --out {folder} --together 3 --set train.lr=0.05" in err
    assert not list(folder.glob("runs/*/failure.json"))
    assert len(list(folder.glob("runs/*/checkpoint.safetensors"))) == 3


@LINUX
def test_a_worker_that_is_killed_fails_all_its_runs_which_are_tried_again(
    finish: Finish, words: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "trial.yaml", base=slow_base(words, LONG), seeds=[1, 2])
    arguments = (file, "--out", tmp_path / "out", "--json", "--together", "2")
    with started(*experiment("run", *arguments)) as process:
        wait_for(lambda: list(tmp_path.glob("out/runs/seed=2/checkpoint.safetensors")), process)
        (worker,) = workers_of(process)
        os.kill(worker, signal.SIGKILL)
        out, err = process.communicate()
    assert process.returncode == 1, err
    assert ["ended by SIGKILL" in run["reason"] for run in json.loads(out)["runs"]] == [True, True]
    assert "2 to go on with" in finish(*arguments, "--dry-run")[2]


@pytest.mark.skipif(not native.available(), reason=str(native.why_not()))
def test_a_run_that_has_begun_with_the_native_engine_keeps_it(words: Path) -> None:
    seats = Seats([0, 1], 2)
    resolved = config.load(None, [f"data.path={words}", "engine=native"])
    for seat in seats.all:
        assert seat.choose(resolved, configured.work(resolved, 27, EXAMPLES)).engine == "native"
    seats.serve()  # waits for nobody


def test_set_changes_the_base_of_every_run(finish: Finish, words: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "trial.yaml", base=small_base(words), grid={"train.lr": [0.1, 0.2]})
    code, out, err = finish(file, "--out", tmp_path / "out", "--json", "--set", "train.steps=7")
    assert code == 0, err
    summaries = tmp_path.glob("out/runs/*/summary.json")
    assert [json.loads(one.read_bytes())["steps"] for one in summaries] == [7, 7]
    assert all("--set train.steps=7" in run["command"] for run in json.loads(out)["runs"])
    for refused in ("train.lr=0.3", "train.stepz=3", "train.steps"):
        code, _, err = finish(file, "--out", tmp_path / "no", "--set", refused)
        assert code == 2 and f"--set {refused}" in err and not (tmp_path / "no").exists()


def test_without_a_gpu_its_runs_are_refused(
    finish: Finish, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    file = write(tmp_path / "trial.yaml", base=small_base(words), seeds=[1, 2])
    code, _, err = finish(file, "--out", tmp_path / "out", "--set", "device=cuda")
    assert code == 2 and "device: cuda is not there" in err


@pytest.mark.parametrize(
    ("setting", "together", "wanted"),
    [
        ("device=cuda", None, 128),
        ("device=cuda", 5, 5),
        ("device=cpu", None, 1),
        ("device=cpu", 200, 128),
        ("engine=native", 8, 1),
    ],
)
def test_on_a_gpu_all_runs_of_a_shape_go_together_and_elsewhere_as_many_as_asked_for(
    setting: str, together: int | None, wanted: int
) -> None:
    assert runner._wanted(config.load(None, [setting]), together, 128) == wanted


def test_memory_limits_how_many_go_together(
    finish: Finish, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Models(1).works[0]
    monkeypatch.setattr(memory, "_installed", lambda _: 5 * memory._needed(one, one.batch_size))
    assert memory.models_that_fit(one) == 2
    monkeypatch.setattr("makemore_bp.training.probe.models_that_fit", lambda _: 2)
    file = write(tmp_path / "trial.yaml", base=small_base(words), seeds=[1, 2, 3])
    code, _, err = finish(file, "--out", tmp_path / "out", "--together", "3")
    assert code == 0 and "of up to 2 runs that advance together" in err
