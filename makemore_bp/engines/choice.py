"""Which engine runs a configuration, and why, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from makemore_bp.config import Config
from makemore_bp.dataset import Examples
from makemore_bp.engines import Engine, native
from makemore_bp.engines.masks import Masks
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.errors import RequestError
from makemore_bp.network.passes import Network

# Above so many multiplications a step PyTorch's matrix library on all cores is faster than the
# kernel on one; measured by benchmarks/crossover.py.
CROSSOVER = 60_000_000


@dataclass(frozen=True)
class Choice:
    """An engine's name and the reason for it."""

    engine: str
    why: str


def choose(config: Config, vocabulary: int) -> Choice:
    """The engine for a configuration.

    Raises RequestError if it names an engine that cannot run it, or a device that is not there.
    """
    _refuse_missing(config.device)
    reason = obstacle(config)
    if config.engine == "native":
        if reason:
            raise RequestError(f"engine: native cannot run here: {reason}. Take engine: torch.")
        return Choice("native", "as configured")
    if config.engine == "torch":
        return Choice("torch", "as configured")
    if reason:
        return Choice("torch", reason)
    work = multiplications(config, vocabulary)
    if work > CROSSOVER and torch.get_num_threads() > 1:
        return Choice(
            "torch", f"{work / 1e6:,.0f} million multiplications a step are worth all cores"
        )
    return Choice("native", f"the fastest for {work / 1e6:,.1f} million multiplications a step")


def make(
    choice: Choice,
    config: Config,
    parameters: Mapping[str, Tensor],
    examples: Examples,
    step: int = 0,
) -> Engine:
    """The chosen engine, holding a copy of ``parameters``; the next step is number ``step``."""
    train = config.train
    if choice.engine == "native":
        from makemore_bp.engines.native_engine import NativeEngine

        return NativeEngine(
            parameters,
            examples,
            train.batch_size,
            train.dropout,
            train.weight_decay,
            train.seed,
            step,
        )
    drops = train.dropout > 0
    network = Network.of(config.backward.cross_entropy, config.backward.batchnorm, drops)
    drawn = masks(config) if drops else None
    return TorchEngine(
        network, parameters, examples, config.device, train.weight_decay, drawn, step
    )


def masks(config: Config) -> Masks:
    """Dropout's masks in a run of ``config``, on its device and in its precision."""
    train, shape = config.train, (config.train.batch_size, config.model.n_hidden)
    return Masks(train.dropout, train.seed, shape, getattr(torch, config.dtype), config.device)


def multiplications(config: Config, vocabulary: int) -> int:
    """The multiplications of a step's six matrix products."""
    model = config.model
    weights = model.n_hidden * (model.block_size * model.n_embd + vocabulary)
    return 3 * config.train.batch_size * weights


def obstacle(config: Config) -> str | None:
    """Why the native engine cannot run a configuration, or None."""
    if config.device != "cpu":
        return f"the native engine runs on the CPU, not on {config.device}"
    if config.dtype != "float32":
        return f"the native engine computes in float32, not in {config.dtype}"
    switches = {
        "backward.cross_entropy": config.backward.cross_entropy,
        "backward.batchnorm": config.backward.batchnorm,
    }
    for key, value in switches.items():
        if value != "fused":
            return f"the native engine runs the fused backward passes, and {key} is {value}"
    return native.why_not()


def _refuse_missing(device: str) -> None:
    """Raises RequestError if this machine does not have the device."""
    kind, _, number = device.partition(":")
    present = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }[kind]
    if int(number or 0) >= present:
        raise RequestError(
            f"device: {device} is not there; PyTorch sees {present} such devices. "
            "Take device: cpu, or install a PyTorch built for it."
        )
