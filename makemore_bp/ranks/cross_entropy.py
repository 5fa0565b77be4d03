"""Softmax and cross-entropy where the rows of a batch lie with several processes, both ways.

A row's logits concern no other row, so nothing is sent: only the mean is the whole batch's. n is
the number of all rows; logits, Yb and all that follows have a rank's rows. ``loss`` is the rank's
share, and the sum of the ranks' shares is the loss of the batch.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from makemore_bp.network import cross_entropy
from makemore_bp.network.stage import Record, Stage


def forward(logits: Tensor, Yb: Tensor, n: int) -> Record:
    """Row by row as in ``cross_entropy``; loss = -1/n * sum over the rank's rows."""
    rows = len(Yb)
    record = cross_entropy.forward(logits, Yb, rows)
    return record | {"n": n, "loss": -1 / n * record["logprobs"].gather(1, Yb[:, None]).sum()}


def dlogprobs(logprobs: Tensor, Yb: Tensor, n: int) -> Tensor:
    """Of each row the loss reads one number, the one at the target, and weighs it by -1/n, with
    whatever rank the row lies.

    Shapes: -> (rows, V).
    """
    return torch.zeros_like(logprobs).scatter_(1, Yb[:, None], -1.0 / n)


op_by_op = Stage(
    "Cross-entropy over ranks",
    forward,
    backward=(dlogprobs, *cross_entropy.op_by_op.backward[1:]),
)


def forward_fused(logits: Tensor, Yb: Tensor, n: int) -> Record:
    """Row by row as in ``cross_entropy_fused``; loss = -1/n * sum over the rank's rows."""
    logprobs = F.log_softmax(logits, 1)
    loss = F.nll_loss(logprobs, Yb, reduction="sum") / n
    return locals()


def dlogits(logprobs: Tensor, Yb: Tensor, n: int) -> Tensor:
    """Probabilities minus the one-hot target, divided by the number of all ranks' rows.

    Shapes: logprobs (rows, V) -> (rows, V).
    """
    return (logprobs.exp() - F.one_hot(Yb, logprobs.shape[1])) / n


fused = Stage(
    "Cross-entropy over ranks in one line",
    forward_fused,
    backward=(dlogits,),
    op_by_op=op_by_op,
)
