"""What a check looks at: a minibatch, the network it passes through, and the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from makemore_bp.config import Config
from makemore_bp.engines import configured
from makemore_bp.engines.choice import named
from makemore_bp.engines.engine import Engine, Work
from makemore_bp.engines.fixed_order import fixed_order
from makemore_bp.engines.torch_engine import masks
from makemore_bp.errors import RequestError
from makemore_bp.network.passes import Network
from makemore_bp.network.stage import Record
from makemore_bp.ranks.engine import RanksEngine
from makemore_bp.ranks.group import ALONE, Group
from makemore_bp.training.memory import refuse_what_does_not_fit
from makemore_bp.training.start import load, refuse_device


@dataclass(frozen=True)
class Batch:
    """parameters by name; Xb (n, block_size) and Yb (n), integer ids; mask (n, n_hidden) for a
    network with dropout. All on one device."""

    network: Network
    parameters: Mapping[str, Tensor]
    Xb: Tensor
    Yb: Tensor
    mask: Tensor | None = None

    @property
    def given(self) -> dict[str, Any]:
        """What the forward pass is given besides parameters and batch."""
        return {} if self.mask is None else {"mask": self.mask}

    @torch.no_grad()
    def forward(self) -> Record:
        """Every tensor of the forward pass by name."""
        return self.network.forward(self.parameters, self.Xb, self.Yb, **self.given)

    @torch.no_grad()
    def backward(self, record: Record | None = None) -> dict[str, Tensor]:
        """Every gradient by name (``dlogits``, ..., ``dC``), of this forward pass or a new one."""
        with fixed_order(str(self.Xb.device)):
            return self.network.backward(self.forward() if record is None else record)

    def double(self) -> Batch:
        """The same in float64."""
        wide = {name: p.double() for name, p in self.parameters.items()}
        mask = None if self.mask is None else self.mask.double()
        return Batch(self.network, wide, self.Xb, self.Yb, mask)


@dataclass(frozen=True)
class FirstStep:
    """The first step of a run: its work, the indices (n) of its minibatch, and that minibatch."""

    work: Work
    indices: Tensor
    batch: Batch

    def gradients(self, engine: str, ranks: Group = ALONE) -> dict[str, Tensor]:
        """What the engine of that name computes, or all ranks together; see ``Engine.gradients``.

        Raises RequestError if the engine cannot run the work.
        """
        return self._made(engine, ranks).gradients(self.indices)

    def _made(self, engine: str, ranks: Group) -> Engine:
        if ranks is not ALONE:
            return RanksEngine(ranks, self.work, self.batch.parameters)
        maker = named(engine, self.work)
        if reason := maker.obstacle(self.work):
            raise RequestError(f"--engine {engine}: {reason}.")
        return maker(self.work, self.batch.parameters)


def first_step(config: Config, ranks: Group = ALONE) -> FirstStep:
    """The minibatch on which a run of ``config`` takes its first step, on the run's device.

    Raises RequestError if its data cannot be read or has no words to train on, if the memory is too
    small for its sizes, or if this process, or one of the ranks, cannot run it.
    """
    refuse_device(config, ranks)
    data = load(config, ranks)
    work = configured.work(config, len(data.vocabulary), data.train)
    with ranks.together():
        refuse_what_does_not_fit(work)
    start = configured.start(config, len(data.vocabulary))
    indices = torch.randint(0, len(data.train), (work.batch_size,), generator=start.g)
    Xb, Yb = (ids.to(work.device) for ids in data.train.batch(indices))
    parameters = {name: p.to(work.device) for name, p in start.parameters.items()}
    drawn = masks(work)
    mask = None if drawn is None else drawn.at(0)
    return FirstStep(work, indices, Batch(work.network, parameters, Xb, Yb, mask))
