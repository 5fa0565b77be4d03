"""Every run below a folder in a few facts: which words, what recipe, how far, how good.

PyTorch is not needed: a checkpoint is not opened. A folder that is no run, or a run whose files
cannot be understood, is passed over with a sentence that says why.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from makemore_bp import config as configs
from makemore_bp import locks
from makemore_bp.config import Config
from makemore_bp.errors import RequestError
from makemore_bp.experiments import folder as folders
from makemore_bp.experiments.results import is_number
from makemore_bp.experiments.stored import Failure, Summary
from makemore_bp.files import cannot_read
from makemore_bp.training import about, metrics, run_folder
from makemore_bp.training.about import About

RUNS = Path("runs")  # where runs lie unless --out names another place
MARKS = (run_folder.CONFIG, run_folder.CHECKPOINT)  # a folder with one of them is a run's
NOT_IN_THE_RECIPE = ("data.path", "train.steps", "engine")  # they have places of their own
LOSSES = ("train_loss", "val_loss", "test_loss")


@dataclass(frozen=True)
class Known:
    """A run as its files describe it.

    folder      where it lies
    state       running, stopped, finished, diverged or, in an experiment, failed
    steps       how many are done
    losses      those of the end, or of the last evaluation
    """

    folder: Path
    config: Config
    about: About
    state: str
    steps: int
    losses: dict[str, float | None]
    when: datetime
    engine: str | None = None
    steps_per_second: float | None = None
    seconds: float | None = None

    @cached_property
    def differing(self) -> dict[str, Any]:
        """Every key in which its configuration differs from the default."""
        default = run_folder.flat(Config())
        return {k: v for k, v in run_folder.flat(self.config).items() if v != default[k]}

    @property
    def recipe(self) -> str:
        """The same on a line, in short names, without what is not the network or its training."""
        return " ".join(
            f"{short(key)}={configs.flow(value)}"
            for key, value in self.differing.items()
            if key not in NOT_IN_THE_RECIPE and not key.endswith("_every")
        )

    @property
    def facts(self) -> dict[str, Any]:
        """The run as plain values, in the names of ``summary.json`` where it has them."""
        sessions = self.about.sessions
        return {
            "run": str(self.folder),
            "name": self.about.name,
            "note": self.about.note,
            "state": self.state,
            "when": self.when.isoformat(timespec="seconds"),
            "started": sessions[0].started if sessions else None,
            "words": {"file": self.config.data.path, "count": self.about.words},
            "recipe": self.differing,
            "steps": self.steps,
            "of": self.config.train.steps,
            **self.losses,
            "engine": self.engine,
            "steps_per_second": self.steps_per_second,
            "seconds": self.seconds,
        }

    @property
    def words(self) -> str:
        """The name of its file of words."""
        path = self.config.data.path
        return path if path.startswith(configs.BUNDLED) else Path(path).name


@dataclass(frozen=True)
class Catalogue:
    """What was found: runs, and a sentence for each folder that was passed over."""

    runs: list[Known]
    skipped: dict[Path, str]


def short(key: str) -> str:
    """A dotted key without its section, where no other key is called the same."""
    last = key.rpartition(".")[2]
    same = [other for other in configs.all_keys() if other.rpartition(".")[2] == last]
    return last if len(same) == 1 else key


def find(folder: Path) -> Catalogue:
    """Every run in ``folder``, and in the experiments in it; raises RequestError if it cannot be
    read."""
    found = Catalogue([], {})
    for path in _candidates(folder):
        try:
            found.runs.append(read(path))
        except RequestError as error:
            found.skipped[path] = str(error)
        except OSError as error:
            found.skipped[path] = str(cannot_read(path, error))
    return found


def read(folder: Path) -> Known:
    """The run in ``folder``; raises RequestError if it is none or cannot be understood."""
    if not (folder / run_folder.CONFIG).is_file():
        raise RequestError(
            "{folder} is not the folder of a run, which 'makemore-bp train' writes.", folder=folder
        )
    config = configs.load(str(folder / run_folder.CONFIG))
    story, outcome = about.read(folder), folders.outcome(folder)
    held = locks.is_held(folder)
    if not (held or outcome or (folder / run_folder.CHECKPOINT).is_file()):
        raise RequestError("{folder} holds a run that has saved nothing yet.", folder=folder)
    when = _when(folder)
    if isinstance(outcome, Summary):
        return _finished(folder, config, story, outcome, when)
    last, evaluated = metrics.latest(folder)
    losses = {name: _number(evaluated.get(name)) for name in LOSSES}
    ended = outcome.status if isinstance(outcome, Failure) else "stopped"
    state = "running" if held else ended
    steps = min(max(0, last.get("step", 0)), config.train.steps)
    engine = story.sessions[-1].engine if story.sessions else None
    return Known(folder, config, story, state, steps, losses, when, engine)


def _finished(folder: Path, config: Config, story: About, end: Summary, when: datetime) -> Known:
    losses = {name: getattr(end, name) for name in LOSSES}
    steps = config.train.steps if end.steps is None else end.steps
    speed = (end.engine, end.steps_per_second, end.seconds)
    return Known(folder, config, story, "finished", steps, losses, when, *speed)


def latest(folder: Path = RUNS) -> Path:
    """The run in ``folder`` whose state was written last; raises RequestError if there is none."""
    paths = _candidates(folder) if os.path.isdir(folder) else []
    saved = [path for path in paths if (path / run_folder.CHECKPOINT).is_file()]
    if not saved:
        raise RequestError(
            "There is no run under {folder}. Name the folder of one, or train one with "
            "'makemore-bp train'.",
            folder=folder,
        )
    return max(saved, key=_when)


def _candidates(folder: Path) -> list[Path]:
    """Folders that should be those of runs: ``folder`` itself, or those in it and in experiments.

    Raises RequestError if ``folder`` cannot be read.
    """
    if _is_run(folder):
        return [folder]
    return [path for inside in _folders(folder) for path in _or_its_runs(inside)]


def _or_its_runs(folder: Path) -> list[Path]:
    """The runs of an experiment's folder; any other folder itself."""
    runs = folder if folder.name == folders.RUNS else folder / folders.RUNS
    if _is_run(folder) or not os.path.isdir(runs):
        return [folder]
    try:
        return _folders(runs)
    except RequestError:
        return [runs]


def _is_run(folder: Path) -> bool:
    return any(os.path.lexists(folder / name) for name in MARKS)


def _folders(folder: Path) -> list[Path]:
    """The folders in a folder, by name, without hidden ones."""
    try:
        entries = sorted(folder.iterdir())
    except FileNotFoundError:
        raise RequestError(
            "There is no folder {folder}. Name the one that holds your runs.", folder=folder
        ) from None
    except OSError as error:
        raise cannot_read(folder, error) from None
    return [path for path in entries if os.path.isdir(path) and not path.name.startswith(".")]


def _when(folder: Path) -> datetime:
    """When its state was written last."""
    for name in (run_folder.CHECKPOINT, run_folder.CONFIG):
        if (folder / name).exists():
            return datetime.fromtimestamp((folder / name).stat().st_mtime, UTC)
    return datetime.fromtimestamp(folder.stat().st_mtime, UTC)


def _number(value: Any) -> float | None:
    return float(value) if is_number(value) else None
