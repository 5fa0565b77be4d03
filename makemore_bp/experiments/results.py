"""What the runs of an experiment have reached, ranked: the one reader and the one ranking.

Runs that differ only in their seed form a group; groups are ranked by the mean of their validation
losses. The test loss stands with each run and plays no part: a test set that somebody chooses by is
not a test set any more. Tables, pages, plots and JSON draw what stands here and rank nothing.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from makemore_bp import config as configs
from makemore_bp.config import Config
from makemore_bp.experiments import command
from makemore_bp.experiments import folder as folders
from makemore_bp.experiments.schema import SEED
from makemore_bp.experiments.stored import Failure, Summary
from makemore_bp.training import run_folder

FAILED = ("diverged", "failed")
LARGEST = 1e100  # a number beyond it is not drawn


@dataclass(frozen=True)
class Result:
    """One run. Its losses are None unless it is finished, its reason unless it has failed.

    folder  where it lies
    status  ``finished``, ``diverged``, ``failed`` or ``unfinished``
    step    where it has diverged
    steps   how many it was trained for
    """

    name: str
    folder: Path
    varied: dict[str, Any]
    seed: int | None
    command: str
    status: str
    step: int | None = None
    reason: str | None = None
    steps: int | None = None
    train_loss: float | None = None
    val_loss: float | None = None
    test_loss: float | None = None
    engine: str | None = None
    steps_per_second: float | None = None
    seconds: float | None = None

    @property
    def what_happened(self) -> str:
        """Why there is no loss, in a few words that do not depend on interruptions."""
        if self.status == "diverged":
            return "diverged" if self.step is None else f"diverged at step {self.step:,}"
        return self.reason or self.status


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation; the latter needs two values."""

    mean: float
    std: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """None without values."""
        if not values:
            return None
        return cls(statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else None)


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed. The losses are those of its finished runs."""

    varied: dict[str, Any]
    runs: list[Result]
    val_loss: Spread | None
    train_loss: Spread | None

    @property
    def finished(self) -> int:
        """How many of its runs are finished."""
        return sum(run.status == "finished" for run in self.runs)

    @property
    def best(self) -> Result:
        """The finished run with the lowest validation loss, else the first."""
        return min(self.runs, key=lambda run: (run.val_loss is None, run.val_loss or 0.0))


@dataclass(frozen=True)
class Results:
    """An experiment's runs in its order, and their groups from the best to the worst."""

    name: str
    columns: list[str]
    runs: list[Result]
    groups: list[Group]

    @property
    def best(self) -> Result | None:
        """The best run of the best group, if it has finished."""
        run = self.groups[0].best if self.groups else None
        return run if run is not None and run.val_loss is not None else None

    def over(self, key: str) -> dict[float, Group]:
        """The best group for each number that a column has, in ascending order.

        Groups without a validation loss are left out. Empty, if a value is not a number.
        """
        groups = [group for group in self.groups if group.val_loss is not None]
        if not all(is_number(group.varied.get(key)) for group in groups):
            return {}
        best = {float(group.varied[key]): group for group in reversed(groups)}
        return dict(sorted(best.items()))

    @property
    def failed(self) -> list[Result]:
        """The runs that have failed or diverged."""
        return [run for run in self.runs if run.status in FAILED]

    @property
    def unfinished(self) -> list[Result]:
        """The runs that were not started or not ended."""
        return [run for run in self.runs if run.status == "unfinished"]


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a value is a finite number that can be drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST


def read(folder: Path) -> Results:
    """The results in an experiment's folder.

    Raises RequestError if it is not one, or if a file in it cannot be understood.
    """
    plan = folders.read(folder)
    inside = folder / folders.RUNS
    runs = [
        _result(inside / name, name, entry.varied, entry.seed, entry.command)
        for name, entry in plan.runs.items()
    ]
    return _ranked(plan.name, runs)


def read_any(folder: Path) -> Results:
    """The results in an experiment's folder, or those of the runs that somebody put into ``runs``.

    Without a plan the runs are told apart by what differs in their configurations.
    """
    if folders.find(folder) is not None:
        return read(folder)
    return of(run_folders(folder), folder.resolve().name)


def of(places: Sequence[Path], title: str) -> Results:
    """The results of any runs, told apart by what differs in their configurations."""
    paths = {_called(path, places): path for path in places}
    loaded = {name: configs.load(str(path / run_folder.CONFIG)) for name, path in paths.items()}
    differing = differences(list(loaded.values()))
    runs = []
    for position, (name, path) in enumerate(paths.items()):
        varied = {key: values[position] for key, values in differing.items()}
        seed = varied.pop(SEED, None)
        runs.append(_result(path, name, varied, seed, command.training(loaded[name])))
    return _ranked(title, runs)


def differences(configurations: Sequence[Config]) -> dict[str, list[Any]]:
    """The keys in which configurations differ, with the value that each of them has."""
    flat = [run_folder.flat(config) for config in configurations]
    found = {key: [values[key] for values in flat] for key in configs.all_keys()}
    return {key: values for key, values in found.items() if len(set(map(str, values))) > 1}


def _called(path: Path, among: Sequence[Path]) -> str:
    """A run's name, or its whole path where another one is called the same."""
    return path.name if [other.name for other in among].count(path.name) == 1 else str(path)


def run_folders(folder: Path) -> list[Path]:
    """The folders of runs in an experiment's folder, by name."""
    inside = folder / folders.RUNS
    entries = sorted(inside.iterdir()) if inside.is_dir() else []
    return [entry for entry in entries if (entry / run_folder.CONFIG).is_file()]


def is_experiment(folder: Path) -> bool:
    """Whether ``folder`` is not a run itself but has a plan, or holds runs."""
    if (folder / run_folder.CHECKPOINT).exists():
        return False
    return (folder / folders.PLAN).exists() or bool(run_folders(folder))


def _ranked(name: str, runs: list[Result]) -> Results:
    columns = list(dict.fromkeys(key for run in runs for key in run.varied))
    members: dict[str, list[Result]] = {}
    for run in runs:
        members.setdefault(repr(sorted(run.varied.items())), []).append(run)
    groups = [_group(one) for one in members.values()]
    groups.sort(key=lambda group: group.val_loss.mean if group.val_loss else float("inf"))
    return Results(name, columns, runs, groups)


def _group(runs: list[Result]) -> Group:
    val = [run.val_loss for run in runs if run.val_loss is not None]
    train = [run.train_loss for run in runs if run.train_loss is not None]
    return Group(runs[0].varied, runs, Spread.of(val), Spread.of(train))


def _result(
    path: Path, name: str, varied: dict[str, Any], seed: int | None, arguments: list[str]
) -> Result:
    outcome = folders.outcome(path)
    reached: dict[str, Any] = {"status": "unfinished"}
    if isinstance(outcome, Failure):
        reached = vars(outcome)
    elif isinstance(outcome, Summary):
        reached = {"status": "finished", **vars(outcome)}
    return Result(name, path, varied, seed, command.shell(arguments), **reached)
