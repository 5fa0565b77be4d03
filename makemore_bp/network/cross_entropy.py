"""Softmax and cross-entropy, one operation a line: the mean negative log probability that the
network gives to the right next character.

Shapes: logits, norm_logits, counts, probs, logprobs (n, V); logit_maxes, counts_sum,
counts_sum_inv (n, 1); Yb (n) integer ids; loss a scalar.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from makemore_bp.network.stage import Record, Stage


def forward(logits: Tensor, Yb: Tensor, n: int) -> Record:
    logit_maxes = logits.max(1, keepdim=True).values
    norm_logits = logits - logit_maxes
    counts = norm_logits.exp()
    counts_sum = counts.sum(1, keepdim=True)
    counts_sum_inv = counts_sum**-1
    probs = counts * counts_sum_inv
    logprobs = probs.log()
    loss = -logprobs.gather(1, Yb[:, None]).mean()
    return locals()


def dlogprobs(logprobs: Tensor, Yb: Tensor, n: int) -> Tensor:
    """Of each row the loss reads one number, the one at the target, and takes the mean of all n.

    loss = -1/n * sum over rows i of logprobs[i, Yb[i]]. So the gradient is -1/n at the targets and
    0 everywhere else: what gather reads on the way forward, scatter_ writes on the way back. The
    lecture writes dlogprobs[range(n), Yb] = -1.0 / n, which makes a GPU wait for the host's range.

    Shapes: Yb (n) -> (n, V).
    """
    return torch.zeros_like(logprobs).scatter_(1, Yb[:, None], -1.0 / n)


def dprobs(probs: Tensor, dlogprobs: Tensor) -> Tensor:
    """The slope of the logarithm is one over its argument: improbable targets are pushed hardest.

    logprobs = log(probs), element by element: dprobs = dlogprobs / probs. Written as a division,
    as autograd does it. (1 / probs) * dlogprobs rounds twice, and is off in the last bit whenever
    1/n is no power of two.

    Shapes: probs, dlogprobs (n, V) -> (n, V).
    """
    return dlogprobs / probs


def dcounts_sum_inv(counts: Tensor, dprobs: Tensor) -> Tensor:
    """One factor serves a whole row, so what each entry asks of it is added up along the row.

    probs = counts * counts_sum_inv, with counts_sum_inv (n, 1) broadcast over the V columns:

        dcounts_sum_inv[i] = sum over j of counts[i, j] * dprobs[i, j]

    Shapes: counts, dprobs (n, V) -> (n, 1).
    """
    return (counts * dprobs).sum(1, keepdim=True)


def dcounts_sum(counts_sum: Tensor, dcounts_sum_inv: Tensor) -> Tensor:
    """A power rule: the exponent -1 comes down and is lowered by one.

    counts_sum_inv = counts_sum**-1, so dcounts_sum = -counts_sum**-2 * dcounts_sum_inv. The power,
    not a division 1.0 / counts_sum, because autograd's backward of the two rounds differently.

    Shapes: counts_sum, dcounts_sum_inv (n, 1) -> (n, 1).
    """
    return (-(counts_sum**-2)) * dcounts_sum_inv


def dcounts(counts_sum_inv: Tensor, dprobs: Tensor, dcounts_sum: Tensor) -> Tensor:
    """counts is read twice, as the numerator of probs and inside the sum below it, so two gradients
    are added.

    From probs = counts * counts_sum_inv comes counts_sum_inv * dprobs. From the sum over a row
    comes dcounts_sum, handed unchanged to every entry of the row:

        dcounts = counts_sum_inv * dprobs + dcounts_sum

    Shapes: counts_sum_inv, dcounts_sum (n, 1), dprobs (n, V) -> (n, V).
    """
    return counts_sum_inv * dprobs + torch.ones_like(dprobs) * dcounts_sum


def dnorm_logits(counts: Tensor, dcounts: Tensor) -> Tensor:
    """exp is its own derivative, and its value is already at hand from the way forward.

    counts = exp(norm_logits), element by element: dnorm_logits = counts * dcounts

    Shapes: counts, dcounts (n, V) -> (n, V).
    """
    return counts * dcounts


def dlogit_maxes(dnorm_logits: Tensor) -> Tensor:
    """The maximum is subtracted from every entry of its row, so the row's gradients are added up
    and change sign.

    norm_logits = logits - logit_maxes: dlogit_maxes = - sum over the row of dnorm_logits. Its true
    value is zero, for a constant taken off a whole row cancels in the softmax; it is there to keep
    exp from overflowing. What is left is rounding, about 1e-9 in float32.

    Shapes: dnorm_logits (n, V) -> (n, 1).
    """
    return (-dnorm_logits).sum(1, keepdim=True)


def dlogits(logits: Tensor, dnorm_logits: Tensor, dlogit_maxes: Tensor) -> Tensor:
    """logits is read twice, directly and through the row's maximum, so two gradients are added; the
    maximum passes its own on to the one entry that it was taken from.

    norm_logits = logits - logit_maxes passes dnorm_logits on unchanged. logit_maxes depends only
    on the largest entry of its row; a one-hot row puts the gradient there:

        dlogits = dnorm_logits + one_hot(argmax of the row) * dlogit_maxes

    Where several entries tie for the maximum, the one whose index max() returns gets it all.

    Shapes: logits, dnorm_logits (n, V), dlogit_maxes (n, 1) -> (n, V).
    """
    largest = F.one_hot(logits.max(1).indices, num_classes=logits.shape[1])
    return dnorm_logits + largest * dlogit_maxes


op_by_op = Stage(
    "Softmax and cross-entropy",
    forward,
    backward=(
        dlogprobs,
        dprobs,
        dcounts_sum_inv,
        dcounts_sum,
        dcounts,
        dnorm_logits,
        dlogit_maxes,
        dlogits,
    ),
    rounding={
        "probs": (
            "autograd divides, dlogprobs / probs, with one rounding; (1.0 / probs) * dlogprobs "
            "rounds twice and differs in the last bit where 1/n is not a power of two"
        ),
        "counts_sum": (
            "autograd's backward of counts_sum**-1 is the power -counts_sum**-2; a division such "
            "as -1.0 / counts_sum**2 rounds differently in the last bit"
        ),
    },
    zero={"logit_maxes": "a constant taken off a whole row cancels in the softmax"},
)
