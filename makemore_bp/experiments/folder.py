"""An experiment on disk.

    experiment.json         the plan: every run with its configuration
    runs/NAME/              an ordinary run's folder
    runs/NAME/failure.json  why that run has failed, if it has

What has become of a run is read from its own folder, so a parent that is killed loses nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from makemore_bp import config as configs
from makemore_bp.errors import RequestError
from makemore_bp.experiments import stored
from makemore_bp.experiments.expansion import Run, flat
from makemore_bp.experiments.stored import Entry, Failure, Plan, Summary
from makemore_bp.files import write_whole
from makemore_bp.text import visible
from makemore_bp.training import metrics, run_folder

PLAN = "experiment.json"
RUNS = "runs"
ORPHAN_SECONDS = 60.0  # how long the workers of a killed parent may take to save and end


@dataclass
class Changes:
    """What a plan means for the runs that are there already, by their names."""

    new: list[str] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    redone: dict[str, str] = field(default_factory=dict)  # with the difference
    aside: list[str] = field(default_factory=list)


def entry(run: Run, data_sha256: str) -> Entry:
    """A run as the plan keeps it."""
    plain = {
        "varied": run.varied,
        "seed": run.seed,
        "settings": run.settings,
        "command": run.command,
        "config": run.config.model_dump(mode="json"),
        "data_sha256": data_sha256,
    }
    return Entry.model_validate(json.loads(json.dumps(plain, default=str)))


def read(folder: Path) -> Plan:
    """The plan of an experiment's folder; raises RequestError if it has none."""
    plan = find(folder)
    if plan is None:
        what = "holds no experiment" if folder.is_dir() else "is not an experiment's folder"
        raise RequestError(
            "{folder} {what}. Name a folder that 'makemore-bp experiment run' has written.",
            folder=folder,
            what=what,
        )
    return plan


def find(folder: Path) -> Plan | None:
    """The plan of a folder, or None where none was written yet; raises RequestError if it cannot
    be understood."""
    return stored.plan(folder / PLAN)


def write(folder: Path, plan: Plan) -> None:
    """Writes the plan."""
    content = {"format": stored.FORMAT, "version": stored.VERSION, **plan.model_dump()}
    write_whole(folder / PLAN, (json.dumps(content, indent=1) + "\n").encode())


def refuse_another_use(folder: Path) -> None:
    """Raises RequestError if the folder is a single run's."""
    if (folder / PLAN).exists():
        return
    present = [name for name in run_folder.FILES if (folder / name).exists()]
    if present:
        raise RequestError(
            "{folder} is the folder of a run ({present}), not of an experiment. "
            "Take another folder with --out.",
            folder=folder,
            present=", ".join(present),
        )


def compare(folder: Path, plan: Plan) -> Changes:
    """What the plan means for what the folder holds."""
    before = find(folder)
    known = {} if before is None else {**before.aside, **before.runs}
    changes = Changes()
    for name, wanted in plan.runs.items():
        path = folder / RUNS / name
        difference = _difference(known[name], wanted) if name in known and path.exists() else ""
        if difference:
            changes.redone[name] = difference
        elif name not in known and any((path / file).exists() for file in run_folder.FILES):
            changes.redone[name] = "another run is there"
        elif is_over(outcome(path)):
            changes.kept.append(name)
        elif (path / metrics.NAME).exists():
            changes.resumed.append(name)
        else:
            changes.new.append(name)
    if before is not None:
        changes.aside = [name for name in before.runs if name not in plan.runs]
    return changes


def adopt(folder: Path, plan: Plan, changes: Changes) -> None:
    """Makes the plan the folder's own; what is to be redone is removed first."""
    for name in changes.redone:
        path = folder / RUNS / name
        if path.exists():
            run_folder.clear(path, overwrite=True)
    before = find(folder)
    known = {} if before is None else {**before.aside, **before.runs}
    aside = {name: one for name, one in known.items() if name not in plan.runs}
    write(folder, Plan(name=plan.name, runs=plan.runs, aside=aside))


def wait_for_orphans(folder: Path, names: Iterable[str]) -> None:
    """Waits until nobody writes the runs; raises RequestError if somebody goes on with it."""
    for name in names:
        path = folder / RUNS / name
        if path.exists():
            with run_folder.locked(path, ORPHAN_SECONDS):
                pass


def outcome(path: Path) -> Summary | Failure | None:
    """What has become of the run in ``path``: finished, failed, or neither yet.

    Raises RequestError if one of its files cannot be understood.
    """
    return stored.summary(path / run_folder.SUMMARY) or stored.failure(path / run_folder.FAILURE)


def is_over(outcome: Summary | Failure | None) -> bool:
    """Whether another try would end in the same. A run that failed without diverging might not."""
    return isinstance(outcome, Summary) or (outcome is not None and outcome.status == "diverged")


def last_step(path: Path) -> int:
    """How far an unfinished run has come, by its last line of metrics."""
    return max((line["step"] for line in metrics.read(path) if line["step"] >= 0), default=0)


def _difference(before: Entry, after: Entry) -> str:
    """What makes two entries different runs, in a few words; nothing if they are the same."""
    # A key that came with a later version had its default's effect before.
    defaults = flat(configs.Config().model_dump(mode="json"))
    one, two = defaults | flat(before.config), flat(after.config)
    changed = [
        f"{key}: {one.get(key)} became {two[key]}" for key in two if one.get(key) != two[key]
    ]
    if before.data_sha256 != after.data_sha256 and not changed:
        changed = ["the word list has changed"]
    return visible("; ".join(changed))
