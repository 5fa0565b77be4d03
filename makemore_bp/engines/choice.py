"""The engines there are, which of them runs a configuration, and why, in one line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from makemore_bp.config import Config
from makemore_bp.engines.engine import Engine, Work
from makemore_bp.engines.graph_engine import GraphEngine
from makemore_bp.engines.native_engine import NativeEngine
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.errors import RequestError

# The fastest first: of those that can run the work, and have the name that is asked for, the first.
ENGINES: tuple[type[Engine], ...] = (NativeEngine, GraphEngine, TorchEngine)


@dataclass(frozen=True)
class Choice:
    """An engine and the reason for it."""

    maker: type[Engine]
    why: str

    @property
    def engine(self) -> str:
        """The engine's name."""
        return self.maker.name

    def make(self, work: Work, parameters: Mapping[str, Tensor], step: int = 0) -> Engine:
        """The engine, holding a copy of ``parameters``; the next step is number ``step``."""
        return self.maker(work, parameters, step)


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
    return Choice(maker, _joined("as configured", maker.remark(work)))


def named(name: str, work: Work) -> type[Engine]:
    """The engine of that name: the fastest that can run the work, or the last one that cannot."""
    makers = [maker for maker in ENGINES if maker.name == name]
    return next((maker for maker in makers if maker.obstacle(work) is None), makers[-1])


def _fastest(work: Work) -> Choice:
    """The first engine without an obstacle; the reason tells what the first one lacks."""
    obstacles = [maker.obstacle(work) for maker in ENGINES]
    maker = ENGINES[obstacles.index(None)]
    return Choice(maker, _joined(obstacles[0] or "", maker.remark(work)))


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
