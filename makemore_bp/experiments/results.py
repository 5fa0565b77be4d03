"""What the runs of an experiment have reached, ranked.

Runs that differ only in their seed form a group; groups are ranked by the mean of their validation
losses. The test loss stands with each run and plays no part: whoever chooses by it has no test
set any more.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from makemore_bp.experiments import expansion
from makemore_bp.experiments import folder as folders

FAILED = ("diverged", "failed")


@dataclass(frozen=True)
class RunResult:
    """One run. Its losses are None unless it is finished, its reason unless it has failed.

    status  ``finished``, ``diverged``, ``failed`` or ``unfinished``
    step    where it has diverged
    """

    name: str
    varied: dict[str, Any]
    seed: int | None
    status: str
    step: int | None
    reason: str | None
    train_loss: float | None
    val_loss: float | None
    test_loss: float | None
    engine: str | None
    steps_per_second: float | None
    seconds: float | None
    command: str

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
    runs: list[RunResult]
    val_loss: Spread | None
    train_loss: Spread | None

    @property
    def finished(self) -> int:
        """How many of its runs are finished."""
        return sum(run.status == "finished" for run in self.runs)

    @property
    def best(self) -> RunResult:
        """The finished run with the lowest validation loss, else the first."""
        return min(self.runs, key=lambda run: (run.val_loss is None, run.val_loss or 0.0))


@dataclass(frozen=True)
class Results:
    """An experiment's runs in its order, and their groups from the best to the worst."""

    name: str
    columns: list[str]
    runs: list[RunResult]
    groups: list[Group]

    @property
    def best(self) -> RunResult | None:
        """The best run of the best group, if it has finished."""
        run = self.groups[0].best if self.groups else None
        return run if run is not None and run.val_loss is not None else None

    @property
    def failed(self) -> list[RunResult]:
        """The runs that have failed or diverged."""
        return [run for run in self.runs if run.status in FAILED]

    @property
    def unfinished(self) -> list[RunResult]:
        """The runs that were not started or not ended."""
        return [run for run in self.runs if run.status == "unfinished"]


def read(folder: Path) -> Results:
    """The results in an experiment's folder; raises RequestError if it is none."""
    plan = folders.read(folder)
    runs = [_result(folder, name, record) for name, record in plan.runs.items()]
    columns = list(dict.fromkeys(key for run in runs for key in run.varied))
    members: dict[str, list[RunResult]] = {}
    for run in runs:
        members.setdefault(repr(sorted(run.varied.items())), []).append(run)
    groups = [_group(one) for one in members.values()]
    groups.sort(key=lambda group: group.val_loss.mean if group.val_loss else float("inf"))
    return Results(plan.name, columns, runs, groups)


def _group(runs: list[RunResult]) -> Group:
    val = [run.val_loss for run in runs if run.val_loss is not None]
    train = [run.train_loss for run in runs if run.train_loss is not None]
    return Group(runs[0].varied, runs, Spread.of(val), Spread.of(train))


def _result(folder: Path, name: str, record: folders.Record) -> RunResult:
    state = folders.state(folder / folders.RUNS / name)
    summary = state.get("summary", {})
    return RunResult(
        name=name,
        varied=record["varied"],
        seed=record["seed"],
        status=state["status"],
        step=state.get("step"),
        reason=state.get("reason"),
        train_loss=summary.get("train_loss"),
        val_loss=summary.get("val_loss"),
        test_loss=summary.get("test_loss"),
        engine=summary.get("engine"),
        steps_per_second=summary.get("steps_per_second"),
        seconds=summary.get("seconds"),
        command=expansion.shell(record["command"]),
    )
