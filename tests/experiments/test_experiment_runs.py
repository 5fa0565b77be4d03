"""Experiments from their file to their table: failures, changes, processes that die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from makemore_bp.errors import NO_MEMORY
from makemore_bp.experiments import runner
from makemore_bp.signals import Interrupted
from tests.experiments.experiment_helpers import (
    LONG,
    alive,
    slow_base,
    small_base,
    wait_for,
    workers_of,
    write,
)
from tests.processes import started

LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="this system has no /proc")


def experiment(*arguments: object) -> list[object]:
    return ["experiment", *arguments]


Finish = Callable[..., tuple[int, str, str]]


@pytest.fixture
def finish(cli: Any, here: None) -> Finish:
    """Runs an experiment to its end, in this process."""

    def run(*arguments: object) -> tuple[int, str, str]:
        answer = cli(*experiment(*arguments))
        return answer.code, answer.out, answer.err

    return run


def test_a_run_that_diverges_is_recorded_and_the_others_go_on(
    finish: Finish, words: Path, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "trial.yaml", base=small_base(words), grid={"train.lr": [1e38, 0.1, 0.2]}
    )
    folder = tmp_path / "out"
    code, out, err = finish("run", file, "--out", folder, "--json", "--jobs", "1")
    assert code == 1, err
    found = json.loads(out)
    assert [run["status"] for run in found["runs"]] == ["diverged", "finished", "finished"]
    assert found["runs"][0]["reason"].startswith("diverged at step")
    assert "3 runs, 3 to train" in err and "The run has diverged" in err
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*") if p.name != ".lock"}
    code, out, err = finish("run", file, "--out", folder, "--json", "--jobs", "1")
    assert code == 1 and json.loads(out) == found and "3 done already" in err
    changed = {p for p in before if p.is_file() and p.stat().st_mtime_ns != before[p]}
    assert changed <= {folder / "experiment.json"}


def test_every_run_is_a_run_like_any_other(
    cli: Any, finish: Finish, words: Path, tmp_path: Path
) -> None:
    file = write(tmp_path / "trial.yaml", base=small_base(words), seeds=[1, 2])
    assert finish("run", file, "--out", tmp_path / "out", "--jobs", "1", "--quiet") == (0, "", "")
    run = tmp_path / "out" / "runs" / "seed=2"
    files = {"config.yaml", "metrics.jsonl", "checkpoint.safetensors", "summary.json"}
    assert files <= {path.name for path in run.iterdir()}
    assert len(cli("sample", run, "-n", "3").out.splitlines()) == 3
    shown = json.loads(cli("experiment", "show", tmp_path / "out", "--json").out)
    alone = cli(*shown["runs"][1]["command"].split()[1:], "--out", tmp_path / "alone", "--json")
    assert json.loads(alone.out)["val_loss"] == shown["runs"][1]["val_loss"]


def test_one_impossible_run_is_refused_before_any_starts(
    finish: Finish, words: Path, tmp_path: Path
) -> None:
    (tmp_path / "few.txt").write_text("a\n")
    file = write(
        tmp_path / "trial.yaml",
        base=small_base(words),
        variants={"good": {}, "bad": {"data.path": "few.txt"}},
    )
    code, out, err = finish("run", file, "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert "Run bad cannot start" in err and "few.txt" in err and "Traceback" not in err
    assert not (tmp_path / "out").exists()


def test_a_changed_file_redoes_only_what_it_changes_and_only_when_told(
    finish: Finish, words: Path, tmp_path: Path
) -> None:
    file, folder = tmp_path / "trial.yaml", tmp_path / "out"
    variants = {"a": {"train.lr": 0.1}, "b": {"train.lr": 0.2}, "c": {"train.lr": 0.3}}
    write(file, base=small_base(words), variants=variants)
    arguments = ("run", file, "--out", folder, "--jobs", "1")
    assert finish(*arguments, "--quiet") == (0, "", "")
    times = {
        name: (folder / "runs" / name / "summary.json").stat().st_mtime_ns for name in variants
    }
    plan = (folder / "experiment.json").read_bytes()
    changed = {"a": {"train.lr": 0.1}, "b": {"train.lr": 0.25}, "d": {}}
    write(file, base=small_base(words), variants=changed)
    code, out, err = finish(*arguments)
    assert (code, out) == (2, "")
    assert "redo 1, add 1, go on with 0, keep 1, set 1 aside" in err
    assert "b (train.lr: 0.2 became 0.25)" in err and "--overwrite" in err
    assert (folder / "experiment.json").read_bytes() == plan
    code, out, err = finish(*arguments, "--overwrite", "--json")
    assert code == 0 and "No longer asked for, their folders are kept: c." in err
    assert [run["name"] for run in json.loads(out)["runs"]] == ["a", "b", "d"]
    now = {name: (folder / "runs" / name / "summary.json").stat().st_mtime_ns for name in variants}
    assert (now["a"] == times["a"], now["b"] == times["b"], now["c"] == times["c"]) == (
        True,
        False,
        True,
    )
    write(file, base=small_base(words), variants={**changed, "c": {"train.lr": 0.3}, "e": {}})
    plan = (folder / "experiment.json").read_bytes()
    code, out, err = finish(*arguments, "--dry-run")
    assert (code, out) == (0, "") and "5 runs, 1 to train, 4 done already" in err  # c is back
    assert "1 at a time" in err and "estimated from" in err
    assert (folder / "experiment.json").read_bytes() == plan
    words.write_text(words.read_text() + "more\n")
    code, _, err = finish(*arguments)
    assert code == 2 and "redo 4" in err and "the word list has changed" in err


def test_a_runs_folder_is_not_taken_for_an_experiments(
    cli: Any, small: list[str], words: Path, tmp_path: Path
) -> None:
    assert cli("train", *small, "--out", tmp_path / "run", "--quiet").code == 0
    file = write(tmp_path / "trial.yaml", base=small_base(words), seeds=[1])
    answer = cli("experiment", "run", file, "--out", tmp_path / "run")
    assert answer.code == 2 and "is the folder of a run" in answer.err


@LINUX
def test_killed_in_the_middle_and_run_again_it_has_the_table_of_an_undisturbed_one(
    finish: Finish, words: Path, tmp_path: Path
) -> None:
    file = write(
        tmp_path / "trial.yaml",
        base=slow_base(words, 1000),
        grid={"train.lr": [0.1, 1e38]},
        seeds=[1, 2, 3],
    )
    undisturbed = finish("run", file, "--out", tmp_path / "once", "--jobs", "2", "--json")
    folder = tmp_path / "twice"
    arguments = ("run", file, "--out", folder, "--jobs", "2", "--json")
    with started(*experiment(*arguments)) as process:
        wait_for(lambda: len(list(folder.glob("runs/*/checkpoint.safetensors"))) >= 3, process)
        workers = workers_of(process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert workers
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/summary.json")}
    assert 0 < len(kept) < 3  # in the middle indeed
    again = finish(*arguments)
    while any(map(alive, workers)):  # they end by themselves, each in its time
        time.sleep(0.05)
    assert again[:2] == undisturbed[:2] and again[0] == 1
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    for run in (tmp_path / "once" / "runs").iterdir():
        for name in ("checkpoint.safetensors", "metrics.jsonl"):
            assert (run / name).read_bytes() == (folder / "runs" / run.name / name).read_bytes()


@LINUX
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_saves_every_run_and_says_how_to_go_on_and_nobody_else_may_write_meanwhile(
    finish: Finish, words: Path, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    file = write(tmp_path / "trial.yaml", base=slow_base(words, LONG), seeds=[1, 2])
    folder = tmp_path / "out with a space"
    with started(*experiment("run", file, "--out", folder, "--jobs", "1")) as process:
        wait_for(lambda: list(folder.glob("runs/*/checkpoint.safetensors")), process)
        refused = finish("run", file, "--out", folder)
        assert refused[0] == 2 and "is being written by another run" in refused[2]
        workers = workers_of(process)
        process.send_signal(number)
        out, err = process.communicate()
    assert (process.returncode, out) == (code, "") and "Traceback" not in err
    assert len(workers) == 1 and not any(map(alive, workers))
    assert f"makemore-bp experiment run {file} --out '{folder}' --jobs 1" in err
    assert not list(folder.glob("runs/*/failure.json"))


@LINUX
def test_a_worker_that_is_killed_fails_its_run_and_no_other(
    finish: Finish, words: Path, tmp_path: Path
) -> None:
    base = slow_base(words, LONG)
    variants = {"long": {}, "short": {"train.steps": 20}, "third": {"train.steps": 10}}
    file = write(tmp_path / "trial.yaml", base=base, variants=variants)
    folder = tmp_path / "out"
    arguments = ("run", file, "--out", folder, "--jobs", "1", "--json")
    with started(*experiment(*arguments)) as process:
        wait_for(lambda: (folder / "runs/long/checkpoint.safetensors").exists(), process)
        (worker,) = workers_of(process)
        os.kill(worker, signal.SIGKILL)
        out, err = process.communicate()
    assert process.returncode == 1, err
    found = {run["name"]: run for run in json.loads(out)["runs"]}
    assert "ended by SIGKILL" in found["long"]["reason"]
    assert [found[name]["status"] for name in ("short", "third")] == ["finished", "finished"]
    again = finish(*arguments, "--dry-run")  # what has failed is tried again, and resumed
    assert "1 to go on with, 2 done already" in again[2]


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        (MemoryError(), NO_MEMORY),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), NO_MEMORY),
        (RuntimeError("CUDA out of memory. Tried to allocate 3.00 GiB"), NO_MEMORY),
        (RuntimeError("\x1b[31mred"), "RuntimeError: \\x1b[31mred"),
        (OSError(28, "No space left on device"), "OSError: [Errno 28] No space left on device"),
    ],
)
def test_what_goes_wrong_in_a_worker_fails_its_run_with_a_sentence(
    finish: Finish,
    words: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception,
    said: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr("makemore_bp.training.start.new", fail)
    file = write(tmp_path / "trial.yaml", base=small_base(words), seeds=[1])
    code, out, _ = finish("run", file, "--out", tmp_path / "out", "--json")
    assert code == 1 and json.loads(out)["runs"][0]["reason"] == said


def test_even_a_quiet_experiment_says_which_runs_have_failed(
    finish: Finish, words: Path, tmp_path: Path
) -> None:
    rates = [0.1, *(10.0**power for power in range(32, 38))]
    file = write(tmp_path / "trial.yaml", base=small_base(words), grid={"train.lr": rates})
    code, out, err = finish("run", file, "--out", tmp_path / "out", "--quiet")
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert err.startswith("Error: 6 of 7 runs failed: lr=1e+32 (diverged at step ")
    assert err.endswith("and 1 more.\n")


def test_the_four_backward_combinations_tie_in_float64(
    finish: Finish, words: Path, tmp_path: Path
) -> None:
    base = {**small_base(words, steps=300), "engine": "torch", "dtype": "float64"}
    switches = ["op-by-op", "fused"]
    grid = {"backward.cross_entropy": switches, "backward.batchnorm": switches}
    file = write(tmp_path / "trial.yaml", base=base, grid=grid)
    code, out, err = finish("run", file, "--out", tmp_path / "out", "--json")
    assert code == 0, err
    losses = [run["val_loss"] for run in json.loads(out)["runs"]]
    assert len(losses) == 4 and losses == pytest.approx([losses[0]] * 4, rel=1e-10)
    assert losses[0] < 2.5  # trained, not merely started


def test_the_parent_needs_no_pytorch(words: Path, tmp_path: Path) -> None:
    file = write(tmp_path / "trial.yaml", base=small_base(words), seeds=[1])
    code = (
        "import sys; sys.argv = ['makemore-bp', *sys.argv[1:]]\n"
        "from makemore_bp.cli import main\n"
        "try: main()\n"
        "finally: print('torch' in sys.modules)\n"
    )
    arguments = ["experiment", "run", str(file), "--out", str(tmp_path / "out")]
    answer = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert answer.returncode == 0 and "val loss" in answer.stdout
    assert answer.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize("begun", [False, True])
def test_a_stop_says_whether_anything_was_saved(
    begun: bool, cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(_experiment: object, folder: Path, *_: object) -> None:
        if begun:
            folder.mkdir()
            (folder / "experiment.json").touch()
        raise Interrupted(signal.SIGINT)

    monkeypatch.setattr(runner, "run", stopped)
    file = tmp_path / "demo.yaml"
    file.write_text("name: demo\nbase: quick\nseeds: [1]\n")
    answer = cli("experiment", "run", file, "--out", tmp_path / "out")
    assert answer.code == 130
    assert ("Stopped and saved." in answer.err) == begun
    assert ("Nothing has begun yet." in answer.err) != begun
