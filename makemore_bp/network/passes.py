"""The whole network: which stages stand in which order, forward and backward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from torch import Tensor

from makemore_bp.network import (
    batchnorm,
    batchnorm_distributed,
    batchnorm_fused,
    batchnorm_fused_distributed,
    cross_entropy,
    cross_entropy_distributed,
    cross_entropy_fused,
    dropout,
    linear,
)
from makemore_bp.network.embedding import embedding
from makemore_bp.network.ranks import ALONE, Ranks
from makemore_bp.network.stage import Record, Rule, Stage, run_backward, run_forward
from makemore_bp.network.tanh import tanh

BATCHNORM = {"op-by-op": batchnorm.op_by_op, "fused": batchnorm_fused.fused}
CROSS_ENTROPY = {"op-by-op": cross_entropy.op_by_op, "fused": cross_entropy_fused.fused}
OUTPUT = {False: (linear.output,), True: (dropout.dropout, dropout.output)}  # with dropout or not

# The same two pairs where the rows of a batch lie with several processes.
BATCHNORM_DISTRIBUTED = {
    "op-by-op": batchnorm_distributed.op_by_op,
    "fused": batchnorm_fused_distributed.fused,
}
CROSS_ENTROPY_DISTRIBUTED = {
    "op-by-op": cross_entropy_distributed.op_by_op,
    "fused": cross_entropy_distributed.fused,
}

# The tensors whose gradients the lecture checks, in its order.
# fmt: off
LECTURE_ORDER = (
    "logprobs", "probs", "counts_sum_inv", "counts_sum", "counts", "norm_logits", "logit_maxes",
    "logits", "h", "W2", "b2", "hpreact", "bngain", "bnbias", "bnraw", "bnvar_inv", "bnvar",
    "bndiff2", "bndiff", "bnmeani", "hprebn", "embcat", "W1", "b1", "emb", "C",
)
# fmt: on

# The same, with the one that a pass with dropout has besides.
_AT = LECTURE_ORDER.index("h")
CHECKED_ORDER = (*LECTURE_ORDER[:_AT], "hdrop", *LECTURE_ORDER[_AT:])


@dataclass(frozen=True)
class Network:
    """The stages in forward order, with one of the two pairs chosen for each that has two."""

    stages: tuple[Stage, ...]

    @classmethod
    def of(
        cls, cross_entropy: str = "op-by-op", batchnorm: str = "op-by-op", dropout: bool = False
    ) -> Network:
        """The network with the named backward passes, each ``op-by-op`` or ``fused``.

        With ``dropout`` it has that stage after tanh, and its passes need a mask.
        """
        return cls._of(CROSS_ENTROPY[cross_entropy], BATCHNORM[batchnorm], dropout)

    @classmethod
    def distributed(cls, cross_entropy: str, batchnorm: str, dropout: bool = False) -> Network:
        """The same for a batch whose rows lie with several processes."""
        return cls._of(
            CROSS_ENTROPY_DISTRIBUTED[cross_entropy], BATCHNORM_DISTRIBUTED[batchnorm], dropout
        )

    @classmethod
    def _of(cls, cross_entropy: Stage, batchnorm: Stage, dropout: bool) -> Network:
        output = OUTPUT[dropout]
        return cls((embedding, linear.hidden, batchnorm, tanh, *output, cross_entropy))

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules of all stages in the order of the backward pass, last stage first."""
        return tuple(rule for stage in reversed(self.stages) for rule in stage.backward)

    def forward(
        self,
        parameters: Mapping[str, Tensor],
        Xb: Tensor,
        Yb: Tensor,
        mask: Tensor | None = None,
        n: int | None = None,
        ranks: Ranks = ALONE,
    ) -> Record:
        """Runs a batch through the network.

        Xb (n, block_size) and Yb (n) are integer ids; mask (n, n_hidden) is dropout's, given if the
        network has that stage. Returns the record: the parameters, the batch, every intermediate
        tensor by its name, and the scalar ``loss``. In a distributed network Xb, Yb and mask are
        this rank's rows, ``n`` the number of all ranks' rows, and the loss this rank's share.
        """
        record: Record = {**parameters, "Xb": Xb, "Yb": Yb, "n": n or Xb.shape[0], "ranks": ranks}
        if mask is not None:
            record["mask"] = mask
        return run_forward(self.stages, record)

    def backward(self, record: Record) -> dict[str, Tensor]:
        """Every gradient of the pass by name, ``dlogits`` to ``dC``, each of its tensor's shape."""
        return run_backward(self.rules, record)
