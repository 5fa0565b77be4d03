"""How long a configuration's steps and evaluations take, measured on a few of them."""

from __future__ import annotations

import time
from typing import Any

import torch

from makemore_bp.config import Config
from makemore_bp.dataset import Dataset
from makemore_bp.engines.choice import Choice
from makemore_bp.engines.engine import Engine, Work
from makemore_bp.engines.stacked_engine import StackedEngine
from makemore_bp.training import evaluation, start
from makemore_bp.training.evaluation import Weighted
from makemore_bp.training.loop import State
from makemore_bp.training.memory import models_that_fit

SECONDS = 0.1  # how long the steps are measured


def probe(config: Config, together: int = 1) -> dict[str, Any]:
    """Prepares a run as its start would, and measures it. Nothing is written.

    ``together`` such runs are to advance at once, or as many as fit into memory. Returns
    ``together``, how many those are; ``step_seconds`` of a step of all, ``evaluation_seconds`` of
    one, ``engine`` and ``data_sha256``. Raises RequestError for what a start would refuse.
    """
    data, work, choice = start.prepare(config)
    together = min(together, models_that_fit(work))
    step_seconds, state = _steps(config, data, work, choice, together)
    began = time.perf_counter()
    V = len(data.vocabulary)
    splits = {name: Weighted(data[name], V, config.device) for name in ("train", "val")}
    parameters = {name: p.to(config.device) for name, p in state.parameters.items()}
    statistics = evaluation.calibrate(work.network, parameters, splits["train"])
    for split in splits.values():
        evaluation.loss(work.network, parameters, statistics, split)
    return {
        "together": together,
        "step_seconds": step_seconds,
        "evaluation_seconds": time.perf_counter() - began,
        "engine": choice.engine,
        "data_sha256": data.sha256,
    }


def _steps(
    config: Config, data: Dataset, work: Work, choice: Choice, together: int
) -> tuple[float, State]:
    """Seconds a step, from chunks that double until they fill the time."""
    state = State.fresh(config, len(data.vocabulary))
    models: tuple[int, ...] = () if together == 1 else (together,)
    engine: Engine
    if models:
        many = [work] * together, [state.parameters] * together, [0] * together
        engine = StackedEngine(*many)
    else:
        engine = choice.make(work, state.parameters, 0)
    steps, seconds = 1, 0.0
    while True:
        shape = (steps, *models, config.train.batch_size)
        indices = torch.randint(0, len(data.train), shape, generator=state.g)
        rates = torch.tensor(config.train.rates(range(steps)))
        rates = rates.view(-1, *[1] * len(models)).expand(steps, *models)
        # On a GPU the first run of a length may capture what the second one replays.
        for _ in range(1 if config.device == "cpu" else 2):
            began = time.perf_counter()
            engine.advance(indices, rates.tolist())
            seconds = time.perf_counter() - began
        if seconds > SECONDS / 2:
            return seconds / steps, state
        steps *= 2
