"""How a run over several ranks begins: a new one, a stopped one, or one that torchrun restarts.

Rank 0 alone reads and writes the run's folder; the others hear from it the configuration and the
state to start from. Every machine maps its own file of encoded words. What any rank refuses, all
refuse, with that rank's reason.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from makemore_bp import config as configs
from makemore_bp import yaml_reading
from makemore_bp.config import Config
from makemore_bp.dataset import Dataset, mapped
from makemore_bp.engines.choice import Choice, choose_distributed
from makemore_bp.errors import RequestError
from makemore_bp.files import write_whole
from makemore_bp.ranks.launch import launch_id
from makemore_bp.ranks.process_group import ProcessGroup
from makemore_bp.text import visible
from makemore_bp.training import checkpoint as checkpoints
from makemore_bp.training import run_folder, signals
from makemore_bp.training.checkpoint import Checkpoint
from makemore_bp.training.loop import Reporter, State, Training
from makemore_bp.training.memory import refuse_what_does_not_fit
from makemore_bp.training.start import refuse_other_data

LAUNCH = ".launch"  # which torchrun is at the run, so that its restarted ranks go on with it


def new(
    load: Callable[[], Config],
    folder: Path,
    reporter: Reporter,
    group: ProcessGroup,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Trains a new run in ``folder``; on every rank. Rank 0 returns the summary.

    If this very torchrun has begun the run before, because it has restarted its ranks, the run goes
    on from its last checkpoint. Raises what ``start.new`` raises, and LostRankError.
    """
    began = time.perf_counter()
    config = _shared(group, load)
    data, choice = _prepare(config, group)
    with ExitStack() as held:
        raw = group.on_first(lambda: _claim(folder, config, overwrite, held))
        saved = checkpoints.loads(raw) if raw else None
        return _train(config, data, choice, folder, saved, reporter, group, began)


def resume(
    folder: Path, overrides: Sequence[str], reporter: Reporter, group: ProcessGroup
) -> dict[str, Any]:
    """Goes on with the run in ``folder``, whatever number of ranks it had; on every rank.

    Raises what ``start.resume`` raises, and LostRankError.
    """
    began = time.perf_counter()
    with ExitStack() as held:
        raw = group.on_first(lambda: _hold(folder, held))
        saved = checkpoints.loads(raw)
        config = _shared(group, lambda: run_folder.resumed_config(folder, saved.config, overrides))
        data, choice = _prepare(config, group)
        with group.together():
            if config.train.steps < saved.step:
                raise RequestError(
                    f"{visible(str(folder))} has been trained for {saved.step:,} steps already; "
                    f"train.steps = {config.train.steps:,} lies behind that."
                )
            if group.rank == 0:
                (folder / run_folder.SUMMARY).unlink(missing_ok=True)
                run_folder.write_config(folder, config)
        return _train(config, data, choice, folder, saved, reporter, group, began)


def saved_state(folder: Path, group: ProcessGroup) -> Checkpoint:
    """The latest state of the run in ``folder``, which rank 0 reads; on every rank.

    Raises RequestError if there is no run.
    """
    return checkpoints.loads(group.on_first(lambda: _checkpoint(folder)))


def saved_run(folder: Path, group: ProcessGroup) -> tuple[Checkpoint, Dataset]:
    """The latest state of the run in ``folder``, which rank 0 reads, and its words; on every rank.

    Raises RequestError if there is no run or its words are missing or have changed.
    """
    saved = saved_state(folder, group)
    data = data_for(saved.config, group)
    refuse_other_data(saved, data)
    return saved, data


def data_for(config: Config, group: ProcessGroup) -> Dataset:
    """The words of ``config``, mapped; the first rank of every machine encodes them if need be.

    Raises RequestError if they cannot be used, or are not the same on all machines.
    """
    path, here = "", group.place
    with group.together():
        if here.local_rank == 0:
            path = str(mapped.ensure(config.data, config.model.block_size))
    # torchrun numbers the ranks of a machine one after another.
    paths = group.texts(path)
    with group.together():
        data = mapped.load(Path(paths[here.rank - here.local_rank]))
    group.refuse_different(data.sha256, "SHA-256 of the words")
    return data


def _shared(group: ProcessGroup, load: Callable[[], Config]) -> Config:
    """Rank 0's configuration, on every rank."""
    text = group.on_first(lambda: load().to_yaml().encode()).decode()
    return configs.build(yaml_reading.parse(text).value, where="rank 0's configuration")


def _prepare(config: Config, group: ProcessGroup) -> tuple[Dataset, Choice]:
    """Maps the data and chooses the engine; all that can be refused is refused here."""
    here = group.place
    with group.together():
        choice = choose_distributed(config, here.local_rank, here.size)
    data = data_for(config, group)
    with group.together():
        if len(data.train) < config.train.batch_size:
            raise RequestError(
                f"train.batch_size = {config.train.batch_size:,}, but the training split has only "
                f"{len(data.train):,} examples. Make the batch smaller or give more words."
            )
        # A machine holds the rows of its own ranks.
        rows = max(2, -(-config.train.batch_size * here.local_size // here.size))
        train = config.train.model_copy(update={"batch_size": rows})
        refuse_what_does_not_fit(config.model_copy(update={"train": train}), len(data.vocabulary))
    return data, choice


def _claim(folder: Path, config: Config, overwrite: bool, held: ExitStack) -> bytes:
    """Takes the folder for a new run. Gives the checkpoint to go on from if this torchrun has begun
    the run already, or nothing."""
    run_folder.create(folder)
    held.enter_context(run_folder.locked(folder))
    begun = _launch_of(folder) == launch_id()
    if begun and (folder / run_folder.CHECKPOINT).exists():
        raw, saved = checkpoints.load_raw(folder / run_folder.CHECKPOINT)
        if saved.config != config:
            raise RequestError(
                f"The configuration has changed since the run in {visible(str(folder))} began. "
                "Undo the change and go on by --resume, or train anew into another folder."
            )
        return raw
    run_folder.clear(folder, overwrite or begun)
    run_folder.write_config(folder, config)
    write_whole(folder / LAUNCH, launch_id().encode())
    return b""


def _hold(folder: Path, held: ExitStack) -> bytes:
    """Takes the folder of a run that is there, and gives its checkpoint."""
    run_folder.read(folder)  # says what is wrong before a lock file is made
    held.enter_context(run_folder.locked(folder))
    return _checkpoint(folder)


def _checkpoint(folder: Path) -> bytes:
    run_folder.read(folder)
    return checkpoints.load_raw(folder / run_folder.CHECKPOINT)[0]


def _launch_of(folder: Path) -> str:
    try:
        return (folder / LAUNCH).read_text()
    except (OSError, ValueError):
        return ""


def _train(
    config: Config,
    data: Dataset,
    choice: Choice,
    folder: Path,
    saved: Checkpoint | None,
    reporter: Reporter,
    group: ProcessGroup,
    began: float,
) -> dict[str, Any]:
    if saved is not None:
        refuse_other_data(saved, data, config)
    state = State.fresh(config, len(data.vocabulary)) if saved is None else State.saved(saved)
    with signals.caught() as stop:
        training = Training(
            config, data, choice, folder, state, reporter, stop, began=began, ranks=group
        )
        summary = training.run(resumed=saved is not None and saved.config == config)
    if group.rank == 0:
        (folder / LAUNCH).unlink(missing_ok=True)
    group.meet()  # no rank leaves before the summary is written
    return summary
