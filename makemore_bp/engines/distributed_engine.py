"""Training steps across processes: every rank takes its rows of each minibatch.

Batchnorm's sums travel within the passes, as the heart says. What is left are the parameters'
gradients, of which every rank has the share of its own rows: one flat message a step adds them up,
with the loss at its end. All ranks then make the same update to the same parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.network.batchnorm_distributed import COMPLETE
from makemore_bp.network.parameters import NAMES
from makemore_bp.network.ranks import Ranks
from makemore_bp.ranks.shares import share

SHARED = tuple("d" + name for name in NAMES if name not in COMPLETE)


class DistributedEngine(TorchEngine):
    """The torch engine on one of several ranks, each with at least one row of every minibatch."""

    def __init__(self, ranks: Ranks, *rest: Any) -> None:
        """``rest`` is what the torch engine takes, with a distributed network."""
        super().__init__(*rest)
        self._ranks = ranks
        self._batch_size = 0
        self._mine = slice(0)

    @torch.no_grad()
    def advance(self, indices: Tensor, rates: Sequence[float]) -> Tensor:
        """See ``Engine.advance``; ``indices`` are those of the whole minibatches."""
        self._batch_size = indices.shape[1]
        mine = share(self._batch_size, self._ranks.rank, self._ranks.size)
        self._mine = slice(mine.start, mine.stop)
        return super().advance(indices[:, self._mine], rates)

    def _passes(
        self, Xb: Tensor, Yb: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        rows = mask[self._mine] if mask is not None else None
        record = self._network.forward(
            self._parameters, Xb, Yb, rows, n=self._batch_size, ranks=self._ranks
        )
        return whole(record["loss"], self._network.backward(record), self._ranks)


def whole(
    loss: Tensor, gradients: dict[str, Tensor], ranks: Ranks
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
