"""What a configuration asks of a network and an engine: the one place that turns it into them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from makemore_bp.config import Config
from makemore_bp.dataset import Examples
from makemore_bp.engines.engine import Work
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import CHOICES, Network


@dataclass
class Start:
    """The parameters that a run begins with, and the generators that drew them: ``g`` goes on with
    the minibatches, ``g_batchnorm`` drew bngain and bnbias."""

    parameters: dict[str, Tensor]
    g: Generator
    g_batchnorm: Generator


def network(config: Config) -> Network:
    """The network of a configuration: each stage of several kinds is named by a key."""
    keys = {**dict(config.model), **dict(config.backward)}
    chosen = {name: keys[name] for name in CHOICES if name in keys}
    return Network.of(**chosen).dropping(config.train.dropout > 0)


def sizes(config: Config, vocabulary: int) -> Sizes:
    """The sizes of a configuration's network for so many ids."""
    model = config.model
    return Sizes(vocabulary, model.block_size, model.n_embd, model.n_hidden)


def start(config: Config, vocabulary: int) -> Start:
    """The start of a run, drawn from its seed as the lecture draws it."""
    g, g_batchnorm = generators(config.train.seed)
    parameters = initialise(
        sizes(config, vocabulary),
        g,
        g_batchnorm,
        dtype(config),
        config.init.bngain,
        network(config).activation.gain,
    )
    return Start(parameters, g, g_batchnorm)


def work(config: Config, vocabulary: int, examples: Examples) -> Work:
    """The training steps of a configuration."""
    train = config.train
    return Work(
        network(config),
        sizes(config, vocabulary),
        examples,
        train.batch_size,
        train.dropout,
        train.weight_decay,
        train.seed,
        config.device,
        dtype(config),
        train.steps,
    )


def dtype(config: Config) -> torch.dtype:
    """The precision of parameters and gradients."""
    found: torch.dtype = getattr(torch, config.dtype)
    return found
