"""How a run begins: a new one in its folder, or a stopped one where it left off.

One process or several ranks (``ranks``) begin alike: rank 0 alone reads and writes the run's
folder, the others hear from it the configuration and the state to start from, and what one of them
refuses all refuse.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from makemore_bp import config as configs
from makemore_bp import dataset, signals, yaml_reading
from makemore_bp.config import Config
from makemore_bp.dataset import Dataset
from makemore_bp.engines import configured
from makemore_bp.engines.choice import Choice, choose, refuse_missing
from makemore_bp.engines.engine import Work
from makemore_bp.errors import DivergedError, RequestError
from makemore_bp.files import write_whole
from makemore_bp.ranks import data as shared_data
from makemore_bp.ranks.engine import RanksEngine, refuse_what_ranks_cannot
from makemore_bp.ranks.group import ALONE, Group
from makemore_bp.training import about, run_folder
from makemore_bp.training import checkpoint as checkpoints
from makemore_bp.training.about import Origin
from makemore_bp.training.checkpoint import Checkpoint
from makemore_bp.training.loop import SILENT, Reporter, State, Training
from makemore_bp.training.memory import refuse_what_does_not_fit

LAUNCH = run_folder.LAUNCH
UNKNOWN = Origin()

_PUT_BACK = (
    "Put the old one back, or tell the run where it is now: makemore-bp train --resume RUN --set "
    "data.path=FILE"
)


def new(
    config: Config | Callable[[], Config],
    folder: Path,
    reporter: Reporter = SILENT,
    overwrite: bool = False,
    ranks: Group = ALONE,
    origin: Origin = UNKNOWN,
) -> dict[str, Any]:
    """Trains a new run in ``folder`` and returns its summary.

    ``config`` may be what loads it; rank 0 alone does. Everything that can be refused is refused
    before the folder is touched. If these very ranks have begun the run before, because they were
    restarted, it goes on from its last checkpoint. Raises what ``Training.run`` raises.
    """
    began = time.perf_counter()
    config = _shared(ranks, config)
    data, work, choice = prepare(config, ranks)
    with ExitStack() as held:
        raw = ranks.on_first(lambda: _claim(folder, config, overwrite, ranks.launch, held))
        saved = checkpoints.loads(raw) if raw else None
        return _train(config, data, work, choice, folder, saved, reporter, began, ranks, origin)


def resume(
    folder: Path,
    overrides: Sequence[str] = (),
    reporter: Reporter = SILENT,
    ranks: Group = ALONE,
    origin: Origin = UNKNOWN,
) -> dict[str, Any]:
    """Goes on with the run in ``folder``, whatever number of ranks it had, and returns its summary.

    A run that has nothing left to do is not touched, and its summary is that of its end. Raises
    RequestError if the folder holds no run, another process is at it, the data file has
    changed, or an override changes more than ``run_folder.CHANGEABLE``; else what
    ``Training.run`` raises.
    """
    began = time.perf_counter()
    done = ranks.on_first(lambda: json.dumps(run_folder.finished(folder, overrides)).encode())
    if (summary := json.loads(done)) is not None:
        return dict(summary)
    with ExitStack() as held:
        saved = checkpoints.loads(ranks.on_first(lambda: _hold(folder, held)))
        config = _shared(ranks, lambda: run_folder.resumed_config(folder, saved.config, overrides))
        with ranks.together():
            words_of(config)
        data, work, choice = prepare(_with_its_engine(config, saved, ranks), ranks)
        refuse_other_data(saved, data, config)
        _refuse_less(folder, config, saved)
        with ranks.together():
            if ranks.rank == 0:
                run_folder.write_config(folder, config)
                (folder / run_folder.SUMMARY).unlink(missing_ok=True)
        return _train(config, data, work, choice, folder, saved, reporter, began, ranks, origin)


def _train(
    config: Config,
    data: Dataset,
    work: Work,
    choice: Choice,
    folder: Path,
    saved: Checkpoint | None,
    reporter: Reporter,
    began: float,
    ranks: Group,
    origin: Origin,
) -> dict[str, Any]:
    if saved is not None:
        refuse_other_data(saved, data, config)
    with ranks.together():
        if ranks.rank == 0:
            _note(folder, saved, origin, data, choice.engine)
    state = State.fresh(config, len(data.vocabulary)) if saved is None else State.saved(saved)
    with signals.caught() as stop:
        training = Training(
            config, data, work, choice, folder, state, reporter, stop, began=began, ranks=ranks
        )
        with _noted_if_diverged(folder, ranks):
            summary = training.run(resumed=saved is not None and saved.config == config)
    if ranks.rank == 0:
        (folder / LAUNCH).unlink(missing_ok=True)
    ranks.meet()  # no rank leaves before the summary is written
    return summary


def _note(
    folder: Path, saved: Checkpoint | None, origin: Origin, data: Dataset, engine: str
) -> None:
    """Keeps that the run begins, or goes on, now and here."""
    run_folder.forget_failure(folder)
    if saved is None:
        words = sum(data[split].words for split in dataset.SPLITS)
        about.begin(folder, origin, words, engine)
    else:
        about.go_on(folder, origin, engine, folder / run_folder.CHECKPOINT)


@contextmanager
def _noted_if_diverged(folder: Path, ranks: Group) -> Iterator[None]:
    """Keeps in the folder of a run that diverges that it has, if it has saved a state."""
    try:
        yield
    except DivergedError as error:
        if ranks.rank == 0 and (folder / run_folder.CHECKPOINT).exists():
            with suppress(RequestError):  # what has gone wrong first is told
                run_folder.write_failure(folder, "diverged", str(error), error.step)
        raise


def prepare(config: Config, ranks: Group = ALONE) -> tuple[Dataset, Work, Choice]:
    """Reads the data and picks the engine.

    Raises RequestError for all that can be refused before the folder is touched.
    """
    refuse_device(config, ranks)
    data = load(config, ranks)
    with ranks.together():
        if len(data.train) < config.train.batch_size:
            raise RequestError(
                f"train.batch_size = {config.train.batch_size:,}, but the training split has only "
                f"{len(data.train):,} examples. Make the batch smaller or give more words."
            )
        work = configured.work(config, len(data.vocabulary), data.train)
        # A machine holds the rows of its own ranks.
        refuse_what_does_not_fit(work, max(2, -(-work.batch_size * ranks.local_size // ranks.size)))
        choice = choose(config, work) if ranks is ALONE else RanksEngine.chosen(ranks)
    return data, work, choice


def saved_run(folder: Path, ranks: Group = ALONE) -> tuple[Checkpoint, Dataset]:
    """The latest state of the run in ``folder``, which rank 0 reads, and its words; on every rank.

    Raises RequestError if there is no run or its words are missing or have changed.
    """
    saved = saved_state(folder, ranks)
    with ranks.together():
        words_of(saved.config)
    data = load(saved.config, ranks)
    refuse_other_data(saved, data)
    return saved, data


def saved_state(folder: Path, ranks: Group = ALONE) -> Checkpoint:
    """The latest state of the run in ``folder``, which rank 0 reads; on every rank.

    Raises RequestError if there is no run.
    """
    return checkpoints.loads(ranks.on_first(lambda: run_folder.read_raw(folder)))


def words_of(config: Config) -> Path:
    """The file of words that a run was trained on; raises RequestError if it is not there."""
    path = configs.data_path(config.data.path)
    if not path.exists():
        raise RequestError(
            "{path} does not exist, and this run was trained on it. {put_back}.",
            path=path,
            put_back=_PUT_BACK,
        )
    return path


def refuse_other_data(saved: Checkpoint, data: Dataset, config: Config | None = None) -> None:
    """Raises RequestError unless ``data`` was read from the file that the run was trained on."""
    config = config or saved.config
    if data.sha256 != saved.data_sha256:
        raise RequestError(
            "{path} is not the file that this run was trained on (its SHA-256 is {now}…, the "
            "run's {then}…). {put_back}, or train again into another folder.",
            path=configs.data_path(config.data.path),
            now=data.sha256[:12],
            then=saved.data_sha256[:12],
            put_back=_PUT_BACK,
        )
    if data.vocabulary != saved.vocabulary:
        raise RequestError(
            "{path} gives other characters than when this run began: byte order marks inside it "
            "are left out. Train again into another folder.",
            path=configs.data_path(config.data.path),
        )


def refuse_device(config: Config, ranks: Group) -> None:
    """Raises RequestError if this process, or one of the ranks, does not have what ``config`` runs
    on."""
    if ranks is ALONE:
        refuse_missing(config.device)
        return
    with ranks.together():
        refuse_what_ranks_cannot(config, ranks)


def load(config: Config, ranks: Group = ALONE) -> Dataset:
    """The words of a configuration, encoded; raises RequestError if they cannot be used."""
    if ranks is ALONE:
        return dataset.load(config.data, config.model.block_size)
    return shared_data.load(config, ranks)


def _shared(ranks: Group, config: Config | Callable[[], Config]) -> Config:
    """Rank 0's configuration, on every rank."""
    load = config if callable(config) else lambda: config
    if ranks is ALONE:
        return load()
    text = ranks.on_first(lambda: load().to_yaml().encode()).decode()
    return configs.build(yaml_reading.parse(text).value, where="rank 0's configuration")


def _with_its_engine(config: Config, saved: Checkpoint, ranks: Group) -> Config:
    """An automatic choice must not change in mid-run: another engine rounds differently. Several
    ranks have one engine."""
    if ranks is not ALONE or config.engine != "auto":
        return config
    return config.model_copy(update={"engine": saved.engine})


def _refuse_less(folder: Path, config: Config, saved: Checkpoint) -> None:
    if config.train.steps < saved.step:
        raise RequestError(
            "{folder} has been trained for {done:,} steps already; train.steps = {steps:,} lies "
            "behind that. Name more steps, or train again into another folder.",
            folder=folder,
            done=saved.step,
            steps=config.train.steps,
        )


def _claim(folder: Path, config: Config, overwrite: bool, launch: str, held: ExitStack) -> bytes:
    """Takes the folder for a new run. Gives the checkpoint to go on from if this launch has begun
    the run already, or nothing."""
    begun = bool(launch) and _launch_of(folder) == launch
    if begun and (folder / run_folder.CHECKPOINT).exists():
        held.enter_context(run_folder.locked(folder))
        return _begun(folder, config)
    held.enter_context(run_folder.begun(folder, config, overwrite or begun))
    if launch:
        write_whole(folder / LAUNCH, launch.encode())
    return b""


def _begun(folder: Path, config: Config) -> bytes:
    """The checkpoint of a run that these ranks have begun."""
    raw, saved = checkpoints.load_raw(folder / run_folder.CHECKPOINT)
    if saved.config != config:
        raise RequestError(
            "The configuration has changed since the run in {folder} began. Undo the change and go "
            "on by --resume, or train again into another folder.",
            folder=folder,
        )
    return raw


def _hold(folder: Path, held: ExitStack) -> bytes:
    """Takes the folder of a run that is there, and gives its checkpoint."""
    held.enter_context(run_folder.locked(folder))
    return run_folder.read_raw(folder)


def _launch_of(folder: Path) -> str:
    try:
        return (folder / LAUNCH).read_text()
    except (OSError, ValueError):
        return ""
