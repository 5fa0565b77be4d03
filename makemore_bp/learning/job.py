"""What a learner's process does: one check, or one training with the learner's function.

A request and its answer are plain data. ``kind``: ``check`` or ``train``; ``path`` and ``text`` of
the script; ``timeout``; ``config``: the resolved configuration, or None for the exercises' batch;
``stop_before``: the statement at which an earlier try ended its process; ``steps``: of a training.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from makemore_bp.errors import RequestError
from makemore_bp.learning.check import check_text
from makemore_bp.learning.lecture import LectureTruth
from makemore_bp.learning.limits import Limits
from makemore_bp.learning.namespace import WORDS, words_of
from makemore_bp.learning.notebook import source_of
from makemore_bp.learning.script import Script
from makemore_bp.learning.supervised import Marks
from makemore_bp.network.parameters import Sizes, generators, initialise

# The batch of exercises 1 to 3, of the lecture's sizes.
SEED, BATCH, VOCABULARY, N_HIDDEN = 2147483647, 32, 27, 64


def done(request: Mapping[str, Any], progress: Path | None = None) -> dict[str, Any]:
    """The answer to a request. ``progress`` is a file that is kept at the number of the statement
    that is being executed and its line, so that it survives whatever the script does."""
    torch.set_num_threads(1)
    sys.path.append(str(Path(request["path"]).resolve().parent))  # for modules of the learner's
    limits = Limits(request["timeout"], request.get("stop_before"))
    try:
        if request["kind"] == "train":
            from makemore_bp.learning.exercises.training import trained

            return trained(request, limits)
        truth = _truth(request["config"])
        more = _words(request["config"], request["text"])
    except RequestError as error:
        return {"refused": str(error)}
    return check_text(
        request["text"], request["path"], truth, limits, more, lambda s: _mark(s, progress),
        _drawing(request) if request.get("page") else None,
    )  # fmt: skip


def _drawing(request: Mapping[str, Any]) -> Callable[..., str]:
    from makemore_bp.learning.page.document import document
    from makemore_bp.learning.page.learner import learner_pass

    source = source_of(request)
    title = Path(request["path"]).name
    return lambda *found: document(learner_pass(title, source, *found))


def _mark(script: Script, progress: Path | None) -> None:
    if progress is not None:
        script.before_statement = Marks(progress).put


def _words(config: Mapping[str, Any] | None, text: str) -> dict[str, Any]:
    """The names of the lecture's first cells, where the script uses one of them."""
    if not WORDS & set(re.findall(r"\w+", text)):
        return {}
    from makemore_bp import config as configs
    from makemore_bp import dataset

    resolved = configs.load(None, [])
    if config is not None:
        resolved = configs.Config.model_validate(_with_whole_steps(config))
    return words_of(dataset.load(resolved.data, resolved.model.block_size))


def _truth(config: Mapping[str, Any] | None) -> LectureTruth:
    if config is None:
        return example_truth()
    from makemore_bp.config import Config
    from makemore_bp.gradcheck.batch import first_step

    batch = first_step(Config.model_validate(_with_whole_steps(config))).batch
    return LectureTruth.of(batch.parameters, batch.Xb, batch.Yb)


def _with_whole_steps(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as it was before JSON made texts of the steps in its schedule."""
    train, lr = config["train"], config["train"]["lr"]
    if isinstance(lr, dict):
        lr = {int(step): rate for step, rate in lr.items()}
    return {**config, "train": {**train, "lr": lr}}


def example_truth(batch: int = BATCH, n_hidden: int = N_HIDDEN) -> LectureTruth:
    """The batch that exercises are checked on: random characters, the lecture's parameters."""
    g, g_batchnorm = generators(SEED)
    parameters = initialise(Sizes(VOCABULARY, n_hidden=n_hidden), g, g_batchnorm)
    Xb = torch.randint(0, VOCABULARY, (batch, 3), generator=g)
    Yb = torch.randint(0, VOCABULARY, (batch,), generator=g)
    return LectureTruth.of(parameters, Xb, Yb)
