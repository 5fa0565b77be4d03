"""From an experiment's file to its finished runs."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence
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

# Keys of train in which runs that advance together may differ; and in dropout's probability.
OWN = (
    "steps",
    "lr",
    "schedule",
    "weight_decay",
    "seed",
    "log_every",
    "eval_every",
    "checkpoint_every",
)
MENTIONED = 3  # runs that a message names before it says how many more there are


@dataclass(frozen=True)
class Outlook:
    """What an experiment is about to do.

    together is how many runs advance at once in a worker, at most. seconds is the estimated time
    from now to the end: measured steps and evaluations, spread over the workers.
    """

    name: str
    steps: Mapping[str, int]  # of every run, by name
    changes: Changes
    workers: int
    threads: int
    together: int
    seconds: float


@dataclass(frozen=True)
class Batch:
    """What a worker does at once, and how long it will take."""

    tasks: list[Task]
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
    together: int | None = None,
    overrides: Sequence[str] = (),
) -> None:
    """Trains every run of the experiment in ``folder`` that is not finished there.

    At most ``together`` runs of one kind advance at once in a worker; without it as many as fit on
    a GPU, and one on a CPU. ``overrides``, ``KEY=VALUE`` each, change the base.

    Failed runs are recorded in their folders and the others go on. Raises RequestError, before
    anything is written, if one of the runs cannot be carried out, if the folder is in use, or if
    finished work would have to be redone and ``overwrite`` does not allow it; Interrupted when
    asked to stop, with every run's state saved.
    """
    runs = {one.name: one for one in expansion.expand(experiment, overrides)}
    folders.refuse_another_use(folder)
    kinds = _kinds(runs)
    wanted = {names[0]: _wanted(runs[names[0]].config, together, len(names)) for names in kinds}
    size = min(jobs or cores(), sum(-(-len(names) // wanted[names[0]]) for names in kinds))
    threads = max(1, cores() // size)
    with signals.caught() as stop, Pool(size, threads, stop) as pool:
        checked = _check(pool, runs, kinds, wanted)
        stacks = [stack for names in kinds for stack in _stacks(names, checked)]
        plan = Plan(
            name=experiment.content.name,
            runs={n: folders.entry(run, checked[n]["data_sha256"]) for n, run in runs.items()},
        )

        def prepared() -> tuple[Outlook, list[Batch]]:
            changes = folders.compare(folder, plan)
            batches = _batches(folder, runs, stacks, checked, changes)
            steps = {name: one.config.train.steps for name, one in runs.items()}
            seconds = _spread([batch.seconds for batch in batches], size)
            most = max(map(len, stacks))
            return Outlook(plan.name, steps, changes, size, threads, most, seconds), batches

        if dry_run:
            watcher.planned(prepared()[0])
            return
        run_folder.create(folder)
        with run_folder.locked(folder):
            folders.wait_for_orphans(folder, runs)
            outlook, batches = prepared()
            if outlook.changes.redone and not overwrite:
                raise _would_redo(experiment, folder, outlook.changes)
            watcher.planned(outlook)
            folders.adopt(folder, plan, outlook.changes)
            _train(pool, batches, watcher)


def _kinds(runs: Mapping[str, Run]) -> list[list[str]]:
    """The runs' names, those of one kind together."""
    kinds: dict[str, list[str]] = {}
    for name, one in runs.items():
        kinds.setdefault(_kind(one.config), []).append(name)
    return list(kinds.values())


def _kind(config: Config) -> str:
    """Runs of one kind have equal needs and equal speeds, and may advance together."""
    plain = config.model_dump(mode="json")
    train = plain["train"]
    for key in OWN:
        del train[key]
    train["dropout"] = train["dropout"] > 0
    del plain["init"]
    return str(plain)


def _wanted(config: Config, together: int | None, runs: int) -> int:
    """How many of so many runs of a kind are to advance together."""
    if config.engine == "native":
        return 1
    return min(together or (runs if config.device.startswith("cuda") else 1), runs)


def _check(
    pool: Pool, runs: Mapping[str, Run], kinds: list[list[str]], wanted: Mapping[str, int]
) -> dict[str, Message]:
    """Prepares and measures every kind of run once; raises RequestError for the first that cannot
    be carried out."""
    tasks: list[Task] = [
        {"do": "check", "name": name, "config": runs[name].config.to_yaml(), "together": most}
        for name, most in wanted.items()
    ]
    found = {task["name"]: message for task, message in pool.work([task] for task in tasks)}
    for task in tasks:
        message = found[task["name"]]
        if message["event"] != "checked":
            raise RequestError(
                "Run {name} cannot start: {reason}",
                name=task["name"],
                reason=RequestError(message["reason"]),
            )
    return {name: found[names[0]] for names in kinds for name in names}


def _stacks(names: list[str], checked: Mapping[str, Message]) -> list[list[str]]:
    """The runs of one kind in groups that advance together."""
    most = checked[names[0]]["together"]
    return [names[first : first + most] for first in range(0, len(names), most)]


def _batches(
    folder: Path,
    runs: Mapping[str, Run],
    stacks: list[list[str]],
    checked: Mapping[str, Message],
    changes: Changes,
) -> list[Batch]:
    """What is left to train of each stack, the longest first: no worker idles at the end. A run
    keeps its place beside those that are finished, on which its last bits may depend on a GPU."""
    batches = []
    for stack in stacks:
        pending = [name for name in stack if name not in changes.kept]
        tasks = [_task(folder, runs, name) for name in pending]
        if checked[stack[0]]["together"] > 1:
            for task in tasks:
                task |= {"place": stack.index(task["name"]), "width": len(stack)}
        if tasks:
            batches.append(Batch(tasks, _seconds(folder, runs, pending, checked[stack[0]])))
    return sorted(batches, key=lambda batch: -batch.seconds)


def _task(folder: Path, runs: Mapping[str, Run], name: str) -> Task:
    path = folder / folders.RUNS / name
    config = runs[name].config.to_yaml()
    return {"do": "train", "name": name, "folder": str(path), "config": config}


def _train(pool: Pool, batches: list[Batch], watcher: Watcher) -> None:
    for batch in batches:
        for task in batch.tasks:
            run_folder.forget_failure(Path(task["folder"]))
    for task, message in pool.work(batch.tasks for batch in batches):
        if message["event"] in ("diverged", "failed", "stopped"):
            status = "diverged" if message["event"] == "diverged" else "failed"
            path = Path(task["folder"])
            run_folder.write_failure(path, status, message["reason"], message.get("step"))
        watcher.told(task["name"], message)


def _seconds(folder: Path, runs: Mapping[str, Run], names: list[str], measured: Message) -> float:
    """How long what is left of runs that advance together will take: they share their steps, and
    each has its evaluations."""
    steps, evaluations = 0, 0
    for name in names:
        train = runs[name].config.train
        left = max(0, train.steps - folders.last_step(folder / folders.RUNS / name))
        steps = max(steps, left)
        evaluations += math.ceil(2 + left / train.eval_every + left / train.checkpoint_every / 2)
    return float(steps * measured["step_seconds"] + evaluations * measured["evaluation_seconds"])


def _spread(seconds: list[float], workers: int) -> float:
    """When the last worker is done, if each takes the longest batch that is left."""
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
