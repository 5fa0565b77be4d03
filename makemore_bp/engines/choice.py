"""The engines there are, which of them runs a configuration, and why, in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from makemore_bp.config import Config
from makemore_bp.engines.engine import Engine, Work
from makemore_bp.engines.graph_engine import GraphEngine
from makemore_bp.engines.native_engine import NativeEngine
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.engines.triton_engine import TritonEngine
from makemore_bp.errors import RequestError

# The fastest first: of those that can run the work, and have the name that is asked for, the first.
ENGINES: tuple[type[Engine], ...] = (NativeEngine, TritonEngine, GraphEngine, TorchEngine)


@dataclass(frozen=True)
class Choice:
    """An engine's name, the reason for it, and what makes it: of some work, the parameters and the
    number of the next step."""

    engine: str
    why: str
    make: Callable[[Work, Mapping[str, Tensor], int], Engine]


def choose(config: Config, work: Work) -> Choice:
    """The engine for the work of a configuration.

    Raises RequestError if it names an engine that cannot run it.
    """
    if config.engine == "auto":
        return _fastest(work)
    maker = named(config.engine, work)
    if reason := maker.obstacle(work):
        raise RequestError(
            f"engine: {config.engine} cannot run here: {reason}. Take engine: torch."
        )
    return Choice(maker.name, _joined("as configured", maker.remark(work)), maker)


def named(name: str, work: Work) -> type[Engine]:
    """The engine of that name: the fastest that can run the work, or the last one that cannot.

    Raises RequestError if there is no such engine.
    """
    makers = [maker for maker in ENGINES if maker.name == name]
    if not makers:
        known = " or ".join(dict.fromkeys(maker.name for maker in ENGINES))
        raise RequestError("There is no engine '{name}'. Take {known}.", name=name, known=known)
    return next((maker for maker in makers if maker.obstacle(work) is None), makers[-1])


def _fastest(work: Work) -> Choice:
    """The first engine without an obstacle; the reason tells what the first one lacks of those that
    are made for the device."""
    kind = torch.device(work.device).type
    makers = [maker for maker in ENGINES if maker.device in (kind, None)]
    obstacles = [maker.obstacle(work) for maker in makers]
    maker = makers[obstacles.index(None)]
    return Choice(maker.name, _joined(obstacles[0] or "", maker.remark(work)), maker)


def _joined(*clauses: str) -> str:
    return "; ".join(filter(None, clauses))


def refuse_missing(device: str) -> None:
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
