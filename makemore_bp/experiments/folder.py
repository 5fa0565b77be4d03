"""An experiment on disk.

    experiment.json         the plan: every run with its configuration
    runs/NAME/              an ordinary run's folder
    runs/NAME/failure.json  why that run has failed, if it has

What has become of a run is read from its own folder, so a parent that is killed loses nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from makemore_bp import config as configs
from makemore_bp.errors import RequestError
from makemore_bp.experiments.expansion import Run
from makemore_bp.files import cannot_read, cannot_write, write_whole
from makemore_bp.text import visible
from makemore_bp.training import metrics, run_folder

PLAN = "experiment.json"
RUNS = "runs"
FAILURE = "failure.json"
FORMAT = "makemore-bp experiment"
VERSION = 1
ORPHAN_SECONDS = 60.0  # how long the workers of a killed parent may take to save and end

Record = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What an experiment's folder is to hold.

    runs    the records of the experiment's runs by name, in its order
    aside   records of runs that the file no longer asks for; their folders are kept
    """

    name: str
    runs: dict[str, Record]
    aside: dict[str, Record] = field(default_factory=dict)


@dataclass
class Changes:
    """What a plan means for the runs that are there already, by their names."""

    new: list[str] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    redone: dict[str, str] = field(default_factory=dict)  # with the difference
    aside: list[str] = field(default_factory=list)


def record(run: Run, data_sha256: str) -> Record:
    """A run as the plan keeps it."""
    plain = {
        "varied": run.varied,
        "seed": run.seed,
        "settings": run.settings,
        "command": run.command,
        "config": run.config.model_dump(mode="json"),
        "data_sha256": data_sha256,
    }
    return dict(json.loads(json.dumps(plain, default=str)))


def read(folder: Path) -> Plan:
    """The plan of an experiment's folder; raises RequestError if it is none."""
    plan = find(folder)
    if plan is None:
        shown = visible(str(folder))
        what = "holds no experiment" if folder.is_dir() else "is not an experiment's folder"
        raise RequestError(
            f"{shown} {what}. Name a folder that 'makemore-bp experiment run' has written."
        )
    return plan


def find(folder: Path) -> Plan | None:
    """The plan of a folder, or None where none was written yet; raises RequestError if it is
    damaged."""
    path = folder / PLAN
    try:
        content = json.loads(path.read_bytes())
        if content["format"] != FORMAT or content["version"] != VERSION:
            raise ValueError
        return Plan(content["name"], dict(content["runs"]), dict(content["aside"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise cannot_read(path, error) from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise RequestError(
            f"{visible(str(path))} is damaged, or of another version. Take another folder with "
            "--out, or put the file back from a backup."
        ) from None


def write(folder: Path, plan: Plan) -> None:
    """Writes the plan."""
    content = {"format": FORMAT, "version": VERSION, **vars(plan)}
    write_whole(folder / PLAN, (json.dumps(content, indent=1) + "\n").encode())


def refuse_another_use(folder: Path) -> None:
    """Raises RequestError if the folder is a single run's."""
    if (folder / PLAN).exists():
        return
    present = [name for name in run_folder.FILES if (folder / name).exists()]
    if present:
        raise RequestError(
            f"{visible(str(folder))} is the folder of a run ({', '.join(present)}), not of an "
            "experiment. Take another folder with --out."
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
        elif state(path)["status"] in ("finished", "diverged"):
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
            forget_failure(path)
    before = find(folder)
    known = {} if before is None else {**before.aside, **before.runs}
    aside = {name: one for name, one in known.items() if name not in plan.runs}
    write(folder, Plan(plan.name, plan.runs, aside))


def wait_for_orphans(folder: Path, names: Iterable[str]) -> None:
    """Waits until nobody writes the runs; raises RequestError if somebody goes on with it."""
    for name in names:
        path = folder / RUNS / name
        if path.exists():
            with run_folder.locked(path, ORPHAN_SECONDS):
                pass


def state(path: Path) -> dict[str, Any]:
    """What has become of the run in ``path``.

    ``status`` is ``finished`` with ``summary``; ``diverged`` or ``failed`` with ``reason`` and
    ``step``; or ``unfinished``. A run that has diverged would do so again; one that has failed is
    worth another try.
    """
    summary = _json(path / run_folder.SUMMARY)
    if summary is not None:
        return {"status": "finished", "summary": summary}
    failure = _json(path / FAILURE)
    if failure is not None and failure.get("status") in ("diverged", "failed"):
        return {"step": None, "reason": "", **failure}
    return {"status": "unfinished"}


def write_failure(path: Path, status: str, reason: str, step: int | None) -> None:
    """Keeps why a run has failed."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None
    content = {"status": status, "step": step, "reason": reason}
    write_whole(path / FAILURE, (json.dumps(content, indent=2) + "\n").encode())


def forget_failure(path: Path) -> None:
    """Removes the note of a failure, before another try."""
    with contextlib.suppress(OSError):
        (path / FAILURE).unlink(missing_ok=True)


def last_step(path: Path) -> int:
    """How far an unfinished run has come, by its last line of metrics."""
    step = 0
    for line in metrics.read(path):
        step = int(line.get("step", step))
    return step


def _json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _difference(before: Record, after: Record) -> str:
    """What makes two records different runs, in a few words; nothing if they are the same."""
    # A key that came with a later version had its default's effect before.
    defaults = _flat(configs.Config().model_dump(mode="json"))
    one, two = defaults | _flat(before["config"]), _flat(after["config"])
    changed = [
        f"{key}: {one.get(key)} became {two[key]}" for key in two if one.get(key) != two[key]
    ]
    if before["data_sha256"] != after["data_sha256"] and not changed:
        changed = ["the word list has changed"]
    return visible("; ".join(changed))


def _flat(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in nested.items():
        if isinstance(value, Mapping):
            result |= _flat(value, f"{prefix}{key}.")
        else:
            result[f"{prefix}{key}"] = value
    return result
