"""How a run begins: a new one in its folder, or a stopped one where it left off."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from makemore_bp import config as configs
from makemore_bp import dataset
from makemore_bp.config import Config
from makemore_bp.dataset import Dataset
from makemore_bp.engines.choice import Choice, choose
from makemore_bp.errors import RequestError
from makemore_bp.text import visible
from makemore_bp.training import run_folder, signals
from makemore_bp.training.checkpoint import Checkpoint
from makemore_bp.training.loop import Reporter, State, Training
from makemore_bp.training.memory import refuse_what_does_not_fit

_PUT_BACK = (
    "Put the old one back, or tell the run where it is now: makemore-bp train --resume RUN --set "
    "data.path=FILE"
)


def new(
    config: Config, folder: Path, reporter: Reporter, overwrite: bool = False
) -> dict[str, Any]:
    """Trains a new run in ``folder`` and returns its summary.

    Everything that can be refused is refused before the folder is touched. Raises what
    ``Training.run`` raises.
    """
    began = time.perf_counter()
    data, choice = prepare(config)
    state = State.fresh(config, len(data.vocabulary))
    existed = folder.exists()
    run_folder.create(folder)
    with run_folder.locked(folder):
        run_folder.clear(folder, overwrite)
        try:
            run_folder.write_config(folder, config)
        except RequestError:
            if not existed:
                _remove_empty(folder)
            raise
        return _train(config, data, choice, folder, state, reporter, began)


def resume(folder: Path, overrides: Sequence[str], reporter: Reporter) -> dict[str, Any]:
    """Goes on with the run in ``folder`` and returns its summary.

    Raises RequestError if the folder holds no run, another process is at it, the data file has
    changed, or an override changes more than ``run_folder.CHANGEABLE``; else what
    ``Training.run`` raises.
    """
    began = time.perf_counter()
    run_folder.read(folder)  # says what is wrong before a lock file is made
    with run_folder.locked(folder):
        saved = run_folder.read(folder)
        config = run_folder.resumed_config(folder, saved.config, overrides)
        words_of(config)
        # An automatic choice must not change in mid-run: another engine rounds differently.
        engine = saved.engine if config.engine == "auto" else config.engine
        data, choice = prepare(config.model_copy(update={"engine": engine}))
        refuse_other_data(saved, data, config)
        if config.train.steps < saved.step:
            raise RequestError(
                f"{visible(str(folder))} has been trained for {saved.step:,} steps already; "
                f"train.steps = {config.train.steps:,} lies behind that. Name more steps, or train "
                "anew into another folder."
            )
        run_folder.write_config(folder, config)
        (folder / run_folder.SUMMARY).unlink(missing_ok=True)
        state = State.saved(saved)
        return _train(
            config, data, choice, folder, state, reporter, began, resumed=config == saved.config
        )


def _train(
    config: Config,
    data: Dataset,
    choice: Choice,
    folder: Path,
    state: State,
    reporter: Reporter,
    began: float,
    resumed: bool = False,
) -> dict[str, Any]:
    with signals.caught() as stop:
        training = Training(config, data, choice, folder, state, reporter, stop, began=began)
        return training.run(resumed)


def prepare(config: Config) -> tuple[Dataset, Choice]:
    """Reads the data and picks the engine.

    Raises RequestError for all that can be refused before the folder is touched.
    """
    data = dataset.load(config.data, config.model.block_size)
    if len(data.train) < config.train.batch_size:
        raise RequestError(
            f"train.batch_size = {config.train.batch_size:,}, but the training split has only "
            f"{len(data.train):,} examples. Make the batch smaller or give more words."
        )
    vocabulary = len(data.vocabulary)
    refuse_what_does_not_fit(config, vocabulary)
    return data, choose(config, vocabulary)


def words_of(config: Config) -> Path:
    """The file of words that a run was trained on; raises RequestError if it is not there."""
    path = configs.data_path(config.data.path)
    if not path.exists():
        raise RequestError(
            f"{visible(str(path))} does not exist, and this run was trained on it. {_PUT_BACK}."
        )
    return path


def data_of(saved: Checkpoint) -> Dataset:
    """The words that a run was trained on; raises RequestError if they are not there, or others."""
    words_of(saved.config)
    data = dataset.load(saved.config.data, saved.config.model.block_size)
    refuse_other_data(saved, data)
    return data


def refuse_other_data(saved: Checkpoint, data: Dataset, config: Config | None = None) -> None:
    """Raises RequestError unless ``data`` was read from the file that the run was trained on."""
    config = config or saved.config
    if data.sha256 != saved.data_sha256:
        path = configs.data_path(config.data.path)
        raise RequestError(
            f"{visible(str(path))} is not the file that this run was trained on (its SHA-256 is "
            f"{data.sha256[:12]}…, the run's {saved.data_sha256[:12]}…). "
            f"{_PUT_BACK}, or train anew into another folder."
        )


def _remove_empty(folder: Path) -> None:
    (folder / run_folder.LOCK).unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()
