"""What a run's latest state does: its losses, one minibatch in every detail, fresh words."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from makemore_bp import config as configs
from makemore_bp.dataset import Dataset
from makemore_bp.dataset import words as word_files
from makemore_bp.engines import configured
from makemore_bp.gradcheck.batch import Batch
from makemore_bp.gradcheck.check import Check, check
from makemore_bp.network.passes import Network
from makemore_bp.network.stage import Record
from makemore_bp.report import history as histories
from makemore_bp.report.expectations import Expectations, expectations
from makemore_bp.report.history import History
from makemore_bp.sampling import Sampler, Settings
from makemore_bp.training import run_evaluation
from makemore_bp.training.checkpoint import Checkpoint
from makemore_bp.training.loop import State
from makemore_bp.training.run_evaluation import Losses
from makemore_bp.training.start import saved_run

FLAT = 1 - 0.97**2  # the slope of tanh at the lecture's bound of 0.97; below it a unit is saturated
MOST_ROWS = 256  # of a minibatch that are looked at
CHECKED_ROWS = 64
DRAWN, SHOWN = 1000, 40  # words
LONGEST = 60  # characters of one; a network that has learned little would not come to an end


@dataclass(frozen=True)
class Names:
    """Fresh words: the first of them with whether each is new, and how many of all are."""

    shown: list[tuple[str, bool]]
    drawn: int
    new: int


@dataclass(frozen=True)
class Observations:
    """A run as it stands.

    network: the one that the run trains, without dropout. now, start: its record of one minibatch
    under the latest parameters and under those the run began with. gradients: those of ``now``.
    check: gradcheck on the latest parameters. expected: what it makes of the words of its file.
    """

    folder: Path
    saved: Checkpoint
    network: Network
    losses: Losses
    history: History
    now: Record
    start: Record
    gradients: dict[str, Tensor]
    check: Check
    names: Names
    expected: Expectations
    train_examples: int


def observe(folder: Path) -> Observations:
    """Looks at the run in ``folder``.

    The minibatch is the one that the run would train on next, or the first ``MOST_ROWS`` of it.
    Raises RequestError if the folder holds no run or its data file is missing or has changed.
    """
    saved, data = saved_run(folder)
    Xb, Yb = _next_minibatch(saved, data)
    network = configured.network(saved.config).dropping(False)
    fresh = State.fresh(saved.config, len(data.vocabulary))
    with torch.no_grad():
        now = network.forward(saved.parameters, Xb, Yb)
        start = network.forward(fresh.parameters, Xb, Yb)
        gradients = network.backward(now)
    losses, history = run_evaluation.losses(saved, data), histories.read(folder)
    history.end_with(saved.step, losses["train_loss"], losses["val_loss"])
    path = configs.data_path(saved.config.data.path)
    words = word_files.read_all(path, saved.config.data.normalize).words
    return Observations(
        folder=folder,
        saved=saved,
        network=network,
        losses=losses,
        history=history,
        now=now,
        start=start,
        gradients=gradients,
        check=check(Batch(network, saved.parameters, Xb[:CHECKED_ROWS], Yb[:CHECKED_ROWS])),
        names=_names(saved, words),
        expected=expectations(saved, words),
        train_examples=len(data.train),
    )


def saturated(seen: Observations, record: Record) -> Tensor:
    """Where the activation is so flat that hardly any gradient passes; the shape of h."""
    return seen.network.slope(record) < FLAT


def _next_minibatch(saved: Checkpoint, data: Dataset) -> tuple[Tensor, Tensor]:
    shape = (saved.config.train.batch_size,)
    indices = torch.randint(0, len(data.train), shape, generator=State.saved(saved).g)
    return data.train.batch(indices[:MOST_ROWS])


def _names(saved: Checkpoint, words: list[str]) -> Names:
    known = frozenset(words)
    drawn = list(islice(Sampler(saved, Settings(max_length=LONGEST)).words(), DRAWN))
    judged = [(word, word not in known) for word in drawn]
    return Names(judged[:SHOWN], DRAWN, sum(new for _, new in judged))
