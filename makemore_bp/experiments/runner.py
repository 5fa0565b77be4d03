"""From an experiment's file to its finished runs."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from makemore_bp import signals
from makemore_bp.config import Config
from makemore_bp.errors import RequestError
from makemore_bp.experiments import expansion
from makemore_bp.experiments import folder as folders
from makemore_bp.experiments.expansion import Run
from makemore_bp.experiments.folder import Changes
from makemore_bp.experiments.pool import Message, Pool, Task, cores
from makemore_bp.experiments.schema import Experiment
from makemore_bp.experiments.stored import Plan
from makemore_bp.text import visible
from makemore_bp.training import run_folder

MENTIONED = 3  # runs that a message names before it says how many more there are


@dataclass(frozen=True)
class Outlook:
    """What an experiment is about to do.

    seconds is the estimated time from now to the end: measured steps and evaluations, spread over
    the workers.
    """

    name: str
    steps: Mapping[str, int]  # of every run, by name
    changes: Changes
    workers: int
    threads: int
    seconds: float


class Watcher(Protocol):
    """Who wants to know how an experiment goes on."""

    def planned(self, outlook: Outlook) -> None:
        """Everything is checked, nothing is written yet."""

    def told(self, name: str, message: Message) -> None:
        """A worker speaks of a run; see ``worker``."""


def run(
    experiment: Experiment,
    folder: Path,
    watcher: Watcher,
    jobs: int | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
) -> None:
    """Trains every run of the experiment in ``folder`` that is not finished there.

    Failed runs are recorded in their folders and the others go on. Raises RequestError, before
    anything is written, if one of the runs cannot be carried out, if the folder is in use, or if
    finished work would have to be redone and ``overwrite`` does not allow it; Interrupted when
    asked to stop, with every run's state saved.
    """
    runs = {one.name: one for one in expansion.expand(experiment)}
    folders.refuse_another_use(folder)
    size = min(jobs or cores(), len(runs))
    threads = max(1, cores() // size)
    with signals.caught() as stop, Pool(size, threads, stop) as pool:
        checked = _check(pool, runs)
        plan = Plan(
            name=experiment.content.name,
            runs={n: folders.entry(run, checked[n]["data_sha256"]) for n, run in runs.items()},
        )
        if dry_run:
            watcher.planned(_outlook(folder, plan, runs, checked, size, threads))
            return
        run_folder.create(folder)
        with run_folder.locked(folder):
            folders.wait_for_orphans(folder, runs)
            outlook = _outlook(folder, plan, runs, checked, size, threads)
            if outlook.changes.redone and not overwrite:
                raise _would_redo(experiment, folder, outlook.changes)
            watcher.planned(outlook)
            folders.adopt(folder, plan, outlook.changes)
            _train(pool, folder, runs, checked, outlook.changes, watcher)


def _check(pool: Pool, runs: Mapping[str, Run]) -> dict[str, Message]:
    """Prepares and measures every kind of run once; raises RequestError for the first that cannot
    be carried out."""
    kinds: dict[str, list[str]] = {}
    for name, one in runs.items():
        kinds.setdefault(_kind(one.config), []).append(name)
    tasks = [
        {"do": "check", "name": names[0], "config": runs[names[0]].config.to_yaml()}
        for names in kinds.values()
    ]
    found = {task["name"]: message for task, message in pool.work(tasks)}
    for task in tasks:
        message = found[task["name"]]
        if message["event"] != "checked":
            raise RequestError(
                "Run {name} cannot start: {reason}",
                name=task["name"],
                reason=RequestError(message["reason"]),
            )
    return {name: found[names[0]] for names in kinds.values() for name in names}


def _kind(config: Config) -> str:
    """Runs of one kind have equal needs and equal speeds."""
    plain = config.model_dump(mode="json")
    for key in ("steps", "lr", "seed", "log_every", "eval_every", "checkpoint_every"):
        del plain["train"][key]
    del plain["init"]
    return str(plain)


def _train(
    pool: Pool,
    folder: Path,
    runs: Mapping[str, Run],
    checked: Mapping[str, Message],
    changes: Changes,
    watcher: Watcher,
) -> None:
    pending = [name for name in runs if name not in changes.kept]
    remaining = {name: _seconds(folder, runs[name].config, name, checked) for name in pending}
    pending.sort(key=lambda name: -remaining[name])  # the longest first: no worker idles at the end
    tasks: list[Task] = []
    for name in pending:
        path = folder / folders.RUNS / name
        run_folder.forget_failure(path)
        config = runs[name].config.to_yaml()
        tasks.append({"do": "train", "name": name, "folder": str(path), "config": config})
    for task, message in pool.work(tasks):
        if message["event"] in ("diverged", "failed", "stopped"):
            status = "diverged" if message["event"] == "diverged" else "failed"
            path = Path(task["folder"])
            run_folder.write_failure(path, status, message["reason"], message.get("step"))
        watcher.told(task["name"], message)


def _outlook(
    folder: Path,
    plan: Plan,
    runs: Mapping[str, Run],
    checked: Mapping[str, Message],
    workers: int,
    threads: int,
) -> Outlook:
    changes = folders.compare(folder, plan)
    seconds = [
        _seconds(folder, one.config, name, checked)
        for name, one in runs.items()
        if name not in changes.kept
    ]
    steps = {name: one.config.train.steps for name, one in runs.items()}
    return Outlook(plan.name, steps, changes, workers, threads, _spread(seconds, workers))


def _seconds(folder: Path, config: Config, name: str, checked: Mapping[str, Message]) -> float:
    """How long what is left of a run will take."""
    train, measured = config.train, checked[name]
    left = max(0, train.steps - folders.last_step(folder / folders.RUNS / name))
    evaluations = 2 + left / train.eval_every + left / train.checkpoint_every / 2
    return float(
        left * measured["step_seconds"] + math.ceil(evaluations) * measured["evaluation_seconds"]
    )


def _spread(seconds: list[float], workers: int) -> float:
    """When the last worker is done, if each takes the longest run that is left."""
    busy = [0.0] * workers
    for one in sorted(seconds, reverse=True):
        heapq.heappush(busy, heapq.heappop(busy) + one)
    return max(busy)


def _would_redo(experiment: Experiment, folder: Path, changes: Changes) -> RequestError:
    shown = [f"{name} ({why})" for name, why in list(changes.redone.items())[:MENTIONED]]
    more = len(changes.redone) - MENTIONED
    others = f", {more} more" if more > 0 else ""
    counts = {"redo": changes.redone, "add": changes.new, "go on with": changes.resumed}
    said = ", ".join(f"{what} {len(names)}" for what, names in counts.items())
    said += f", keep {len(changes.kept)}, set {len(changes.aside)} aside"
    return RequestError(
        "{path} asks for other runs than {folder} holds: it would {said}. "
        "To redo: {runs}. Allow it by --overwrite, which discards their results, or take another "
        "folder with --out.",
        path=experiment.path,
        folder=folder,
        said=said,
        runs=RequestError(visible(", ".join(shown) + others, 1000)),
    )
