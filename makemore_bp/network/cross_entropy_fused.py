"""Softmax and cross-entropy with their whole backward pass in one line.

The same mathematics as ``cross_entropy``, with the chain from the loss to dlogits worked out on
paper. Shapes are the same too.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from makemore_bp.network.cross_entropy import op_by_op
from makemore_bp.network.stage import Record, Stage


def forward(logits: Tensor, Yb: Tensor, n: int) -> Record:
    logprobs = F.log_softmax(logits, 1)
    loss = F.nll_loss(logprobs, Yb)
    return locals()


def dlogits(logprobs: Tensor, Yb: Tensor, n: int) -> Tensor:
    """Every logit is pulled down by the probability it was given, and the right one is pushed up
    by one: the forces on a row balance.

    For one row with target y, p = softmax(logits) and loss = -log p[y]:

        loss = log(sum over j of exp(logits[j])) - logits[y]

    The derivative of the first term with respect to logits[j] is exp(logits[j]) / sum = p[j]; that
    of the second is -1 if j = y and 0 otherwise. The loss is the mean over n rows:

        dlogits = (softmax(logits) - one_hot(Yb)) / n

    Shapes: logprobs (n, V) -> (n, V).
    """
    return (logprobs.exp() - F.one_hot(Yb, logprobs.shape[1])) / n


fused = Stage(
    "Cross-entropy in one line",
    forward,
    backward=(dlogits,),
    op_by_op=op_by_op,
    way="the whole stage at once",
)
