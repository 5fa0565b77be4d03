"""Batch normalisation across processes, with its whole backward pass in one line.

The same mathematics as ``batchnorm`` beside it, with two messages in the place of six: one
forward, in which every rank gets every rank's (1, 2 * n_hidden + 1), and one backward, the sum over
the ranks of a (2, n_hidden). Shapes are the same too.

Source of the combination in the forward pass: Chan, Golub and LeVeque, "Updating Formulae and a
Pairwise Algorithm for Computing Sample Variances" (1979).
"""

from __future__ import annotations

import torch
from torch import Tensor

from makemore_bp.network import batchnorm_fused
from makemore_bp.network.batchnorm import EPS
from makemore_bp.network.stage import Record, Stage
from makemore_bp.ranks.batchnorm import op_by_op
from makemore_bp.ranks.group import Group


def forward(hprebn: Tensor, bngain: Tensor, bnbias: Tensor, n: int, ranks: Group) -> Record:
    """Mean and variance of all ranks' rows from each rank's own.

    Rank r has m rows, their mean a and the sum q of their squared differences from a. With A the
    mean of all n rows, a row x of that rank lies

        x - A = (x - a) + (a - A)

    from it. Squared and added up over the rank's rows the mixed term vanishes, for the x - a add up
    to zero. What is left gives, with sums over the ranks,

        bnmeani = 1/n * sum of m * a        bnvar = 1/(n-1) * sum of (q + m * (a - A)**2)

    Every term is positive, so nothing cancels, as it would in the sum of squares minus the square
    of the sum. The second needs the result of the first, so the message is no sum: each rank gets
    a, q and m of every rank.

    Shapes: own_mean, own_squares (1, n_hidden), rows (1, 1); means, squares (size, n_hidden),
    each_rows (size, 1).
    """
    own_mean = hprebn.mean(0, keepdim=True)
    own_diff = hprebn - own_mean
    own_squares = (own_diff * own_diff).sum(0, keepdim=True)
    rows = own_mean.new_full((1, 1), hprebn.shape[0])
    message = ranks.gather(torch.cat((own_mean, own_squares, rows), 1))[:, 0]
    means, squares, each_rows = message.tensor_split((own_mean.shape[1], -1), 1)
    bnmeani = (each_rows * means).sum(0, keepdim=True) / n
    bnvar = (squares + each_rows * (means - bnmeani) ** 2).sum(0, keepdim=True) / (n - 1)
    bnvar_inv = (bnvar + EPS).rsqrt()
    # (hprebn - bnmeani) * bnvar_inv, from the differences at hand and in one pass over the rows.
    bnraw = torch.addcmul((own_mean - bnmeani) * bnvar_inv, own_diff, bnvar_inv)
    hpreact = (bngain * bnraw).add_(bnbias)
    return locals()


def dbngain_and_dbnbias(bnraw: Tensor, dhpreact: Tensor, ranks: Group) -> Tensor:
    """All that the backward pass of the whole stage needs to know of other ranks' rows, in one
    message: dbngain = sum over the batch of bnraw * dhpreact, and below it dbnbias = sum over the
    batch of dhpreact.

    dhprebn, as ``batchnorm_fused`` derives it, takes from the batch only these two sums, n, and
    bnvar_inv, which every rank has from the way forward.

    Shapes: bnraw, dhpreact (rows, n_hidden) -> (2, n_hidden), the same on every rank.
    """
    return ranks.sum(torch.stack(((bnraw * dhpreact).sum(0), dhpreact.sum(0))))


def dbngain(dbngain_and_dbnbias: Tensor) -> Tensor:
    """The upper of the two sums. Shapes: (2, n_hidden) -> (1, n_hidden)."""
    return dbngain_and_dbnbias[:1]


def dbnbias(dbngain_and_dbnbias: Tensor) -> Tensor:
    """The lower of the two sums. Shapes: (2, n_hidden) -> (1, n_hidden)."""
    return dbngain_and_dbnbias[1:]


fused = Stage(
    "Batch normalisation over ranks in one line",
    forward,
    backward=(dbngain_and_dbnbias, dbngain, dbnbias, batchnorm_fused.dhprebn),
    op_by_op=op_by_op,
)
