"""Batch normalisation with its whole backward pass in one line.

The same mathematics as ``batchnorm``, with the chain from dhpreact to dhprebn worked out on paper.
Shapes are the same too.
"""

from __future__ import annotations

from torch import Tensor

from makemore_bp.network.batchnorm import EPS, dbnbias, dbngain, inference, op_by_op
from makemore_bp.network.stage import Record, Stage


def forward(hprebn: Tensor, bngain: Tensor, bnbias: Tensor, n: int) -> Record:
    bndiff = hprebn - hprebn.mean(0, keepdim=True)
    bnvar_inv = ((bndiff * bndiff).sum(0, keepdim=True) / (n - 1) + EPS).rsqrt()
    bnraw = bndiff * bnvar_inv
    hpreact = (bngain * bnraw).add_(bnbias)
    return locals()


def dhprebn(
    bngain: Tensor,
    bnvar_inv: Tensor,
    bnraw: Tensor,
    dhpreact: Tensor,
    dbngain: Tensor,
    dbnbias: Tensor,
    n: int,
) -> Tensor:
    """Of the gradient that arrives, batchnorm lets through only what neither shifts a column as a
    whole (the mean takes that out) nor stretches it (the variance takes that out).

    Put the rules of ``batchnorm`` into one another for one column, with s = bnvar_inv, x = bnraw,
    g = bngain * dhpreact. The variance's branch gives

        dbnvar   = -0.5 * s**3 * sum(bndiff * g)
        dbndiff  = s * g + 2/(n-1) * bndiff * dbnvar
                 = s * (g - x/(n-1) * sum(x * g))            since bndiff * s = x

    and the mean's branch subtracts the average of dbndiff. The second term of dbndiff averages to
    zero, for the x of a column add up to zero. What is left is

        dhprebn = bngain * s * (dhpreact - sum(dhpreact)/n - sum(dhpreact * x)/(n-1) * x)

    or, with the factor 1/n in front, as the lecture has it,

        dhprebn = bngain * s/n * (n * dhpreact - sum(dhpreact) - n/(n-1) * x * sum(dhpreact * x))

    The two sums need no second computation: they are dbnbias and dbngain. EPS appears nowhere
    because it is inside s, on both sides.

    Shapes: bngain, bnvar_inv, dbngain, dbnbias (1, n_hidden), bnraw, dhpreact (n, n_hidden)
    -> (n, n_hidden).
    """
    return bngain * bnvar_inv * (dhpreact - dbnbias / n - dbngain / (n - 1) * bnraw)


fused = Stage(
    "Batch normalisation in one line",
    forward,
    backward=(dbngain, dbnbias, dhprebn),
    inference=inference,
    op_by_op=op_by_op,
    way="the whole stage at once",
)
