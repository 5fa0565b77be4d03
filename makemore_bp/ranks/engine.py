"""Training steps across processes: every rank takes its rows of each minibatch.

Batchnorm's sums travel within the passes, as their stages say. What is left are the parameters'
gradients, of which every rank has the share of its own rows: one flat message a step adds them up,
with the loss at its end. All ranks then make the same update to the same parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from makemore_bp.config import Config
from makemore_bp.engines.choice import Choice, refuse_missing
from makemore_bp.engines.engine import Work
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.errors import RequestError
from makemore_bp.network.parameters import NAMES
from makemore_bp.ranks.batchnorm import COMPLETE, OF_THE_BATCH
from makemore_bp.ranks.group import Group
from makemore_bp.ranks.network import over_ranks
from makemore_bp.ranks.shares import share

SHARED = tuple("d" + name for name in NAMES if name not in COMPLETE)


class RanksEngine(TorchEngine):
    """The torch engine on one of several ranks, each with at least one row of every minibatch."""

    def __init__(
        self, ranks: Group, work: Work, parameters: Mapping[str, Tensor], step: int = 0
    ) -> None:
        super().__init__(replace(work, network=over_ranks(work.network)), parameters, step)
        self._ranks = ranks
        self._take(work.batch_size)

    def _take(self, batch_size: int) -> None:
        """Takes this rank's rows of minibatches of that size."""
        mine = share(batch_size, self._ranks.rank, self._ranks.size)
        self._batch_size, self._mine = batch_size, slice(mine.start, mine.stop)

    @classmethod
    def chosen(cls, ranks: Group) -> Choice:
        """The choice of this engine, which is the only one for several ranks."""
        several = "s" * (ranks.size > 1)
        why = f"{ranks.size:,} rank{several} over torch.distributed"
        return Choice(cls.name, why, partial(cls, ranks))

    def advance(self, indices: Tensor, rates: Sequence[float]) -> Tensor:
        """See ``Engine.advance``; ``indices`` are those of the whole minibatches."""
        self._take(indices.shape[1])
        return super().advance(indices[:, self._mine], rates)

    def gradients(self, indices: Tensor) -> dict[str, Tensor]:
        """See ``Engine.gradients``: those of the whole minibatch, on every rank. What has a row an
        example is put together from all ranks' rows."""
        gradients = super().gradients(indices[self._mine])
        by_rows = {
            name: self._all_rows(gradient)
            for name, gradient in gradients.items()
            if name not in ("loss", *("d" + whole for whole in (*NAMES, *OF_THE_BATCH)))
        }
        return gradients | by_rows

    @torch.no_grad()
    def _all_rows(self, own: Tensor) -> Tensor:
        """The rows of all ranks in order: (rows, ...) becomes (n, ...)."""
        n, size = self._batch_size, self._ranks.size
        padded = own.new_zeros((len(share(n, 0, size)), *own.shape[1:]))
        padded[: len(own)] = own
        everyone = self._ranks.gather(padded)
        return torch.cat([everyone[r, : len(share(n, r, size))] for r in range(size)])

    def _passes(
        self, Xb: Tensor, Yb: Tensor, given: Mapping[str, Any]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        own = {name: mask[self._mine] for name, mask in given.items()}
        record = self._network.forward(
            self._parameters, Xb, Yb, **own, n=self._batch_size, ranks=self._ranks
        )
        return whole(record["loss"], self._network.backward(record), self._ranks)


def whole(
    loss: Tensor, gradients: dict[str, Tensor], ranks: Group
) -> tuple[Tensor, dict[str, Tensor]]:
    """The batch's loss and the parameters' gradients from every rank's shares, in one message.

    The other gradients stay as they are: those of a rank's own rows, and those that batchnorm has
    added up over the ranks already.
    """
    shares = [*(gradients[name] for name in SHARED), loss]
    flat = ranks.sum(torch.cat([tensor.reshape(-1) for tensor in shares]))
    parts = torch.split(flat, [tensor.numel() for tensor in shares])
    summed = {
        name: part.view_as(gradients[name]) for name, part in zip(SHARED, parts[:-1], strict=True)
    }
    return parts[-1][0], gradients | summed


def refuse_what_ranks_cannot(config: Config, ranks: Group) -> None:
    """Raises RequestError if a configuration cannot run on this rank: the native engine, a batch
    that leaves a rank without a row, or a device that this rank does not have."""
    if config.engine == "native":
        raise RequestError("engine: native trains in one process. Take engine: auto or torch.")
    if config.device not in ("cpu", "cuda"):
        raise RequestError(
            f"device: {config.device} is one device, and every rank needs its own. Take device: "
            "cpu, or cuda, of which each rank of a machine takes the next."
        )
    if config.train.batch_size < ranks.size:
        raise RequestError(
            f"train.batch_size = {config.train.batch_size:,} leaves some of {ranks.size:,} ranks "
            "without an example. Make the batch larger or start fewer ranks."
        )
    refuse_missing(rank_device(config.device, ranks.local_rank))


def rank_device(device: str, local_rank: int) -> str:
    """The device of a rank: GPUs are dealt out one by one."""
    return device if device == "cpu" else f"{device}:{local_rank}"
