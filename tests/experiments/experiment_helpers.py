"""Small experiments, and their processes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from makemore_bp.experiments import folder as folders
from makemore_bp.experiments import runner, worker
from makemore_bp.experiments.pool import Message, Task
from makemore_bp.experiments.stored import Entry, Plan
from makemore_bp.signals import Stop
from tests.processes import Command

LONG = 200_000  # steps that last long enough to be interrupted, a few thousand a second at most


def small_base(words: Path, **train: Any) -> dict[str, Any]:
    """A run that takes a fraction of a second."""
    settings = {"steps": 30, "batch_size": 8, "log_every": 5, "eval_every": 10}
    return {
        "data": {"path": str(words)},
        "model": {"n_hidden": 8, "n_embd": 3},
        "train": {**settings, "checkpoint_every": 10, **train},
    }


def slow_base(words: Path, steps: int) -> dict[str, Any]:
    """A run of the slower engine, with many checkpoints on its way."""
    every = 250
    base = small_base(words, steps=steps, log_every=every, eval_every=every, checkpoint_every=every)
    return {**base, "engine": "torch"}


def write(path: Path, **content: Any) -> Path:
    """An experiment's file."""
    path.write_text(yaml.safe_dump({"name": "trial", **content}, sort_keys=False))
    return path


def entry(varied: dict[str, Any], seed: int | None = None) -> Entry:
    """A run as a plan keeps it."""
    command = ["train", "quick", "--set", f"train.seed={seed}"]
    return Entry(varied=varied, seed=seed, settings={}, command=command, config={}, data_sha256="")


def finished(path: Path, val_loss: float | None) -> None:
    """The folder of a finished run, as far as results are read from it."""
    path.mkdir(parents=True)
    summary: dict[str, Any] = {
        "steps": 20,
        "train_loss": 2.0,
        "val_loss": val_loss,
        "test_loss": 9.0,
    }
    summary |= {"engine": "torch", "steps_per_second": 1000.0, "seconds": 1.0}
    (path / "summary.json").write_text(json.dumps(summary))
    lines = [{"step": step, "loss": 3.0, "lr": 0.1, "val_loss": 2.9} for step in range(0, 20, 5)]
    (path / "metrics.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def trained(folder: Path, runs: Mapping[str, tuple[Mapping[str, Any], int | None, float]]) -> Path:
    """An experiment's folder with finished runs: what varied, the seed, the validation loss."""
    for name, (_, _, val_loss) in runs.items():
        finished(folder / folders.RUNS / name, val_loss)
    plan = {name: entry(dict(varied), seed) for name, (varied, seed, _) in runs.items()}
    folders.write(folder, Plan(name="trial", runs=plan))
    return folder


class PoolHere:
    """A pool whose only worker is this process: the same answers, no PyTorch to import again."""

    def __init__(self, size: int, threads: int, stop: Stop) -> None:
        self._messages: list[Message] = []
        self._threads = torch.get_num_threads()

    def __enter__(self) -> PoolHere:
        torch.set_num_threads(1)
        return self

    def __exit__(self, *_: object) -> None:
        torch.set_num_threads(self._threads)

    def tell(self, **message: Any) -> None:
        """What a worker's ``Parent`` does."""
        self._messages.append(message)

    def work(self, batches: Iterable[list[Task]]) -> Iterator[tuple[Task, Message]]:
        """See ``Pool.work``."""
        for batch in batches:
            self._messages = []
            worker.answer_all(batch, self)
            tasks = {task["name"]: task for task in batch}
            yield from ((tasks[message["name"]], message) for message in self._messages)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Experiments run in this process."""
    monkeypatch.setattr(runner, "Pool", PoolHere)


def wait_for(condition: Any, process: Command) -> None:
    """Waits until the condition holds, for as long as the process lives."""
    while not condition():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


def workers_of(process: Command) -> list[int]:
    """The process numbers of an experiment's workers, by /proc."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if int(parent) == process.pid and state != "Z":
            found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    """Whether the process still runs; a dead one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
