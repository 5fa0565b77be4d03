"""What is checked: the parameters a configuration starts from, and its first minibatch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from makemore_bp import dataset
from makemore_bp.config import Config
from makemore_bp.dataset import Dataset
from makemore_bp.engines.choice import masks
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.training.memory import refuse_what_does_not_fit

PRECISIONS = {"float32": torch.float32, "float64": torch.float64}


@dataclass(frozen=True)
class Setting:
    """parameters by name; Xb (n, block_size), Yb (n), the examples at ``indices`` (n) of the data's
    training split; mask (n, n_hidden), if the run has dropout."""

    parameters: dict[str, Tensor]
    Xb: Tensor
    Yb: Tensor
    indices: Tensor
    data: Dataset
    mask: Tensor | None


def of(config: Config) -> Setting:
    """The setting in which a run of ``config`` takes its first step.

    Raises RequestError if its data cannot be read or has no words to train on, or if the memory is
    too small for its sizes.
    """
    data = dataset.load(config.data, config.model.block_size)
    refuse_what_does_not_fit(config, len(data.vocabulary))
    g, g_batchnorm = generators(config.train.seed)
    sizes = Sizes(len(data.vocabulary), **config.model.model_dump())
    parameters = initialise(
        sizes, g, g_batchnorm, PRECISIONS[config.dtype], **config.init.model_dump()
    )
    indices = torch.randint(0, len(data.train), (config.train.batch_size,), generator=g)
    mask = masks(config).at(0).cpu() if config.train.dropout > 0 else None
    return Setting(parameters, *data.train.batch(indices), indices, data, mask)
