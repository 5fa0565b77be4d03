"""Batch normalisation where the rows of a batch lie with several processes, forward and backward.

Every process, or rank, has some of the n rows, at least one. Mean and variance are the whole
batch's, so wherever ``batchnorm`` adds up over the batch, each rank adds up its own rows and the
ranks' sums are added in a message. Everything else is done row by row and stays as it was. n is
the whole batch's, in the mean, in Bessel's n - 1 and in the gradients.

Messages: 2 forward and 4 backward, each the sum over the ranks of a (1, n_hidden).

Shapes are those of ``batchnorm``, where a rank's (rows, n_hidden) takes the place of (n, n_hidden).
dbngain and dbnbias come out as the whole batch's: ``COMPLETE``. The other parameters' gradients
are a rank's share, and the sum of the shares is the gradient.
"""

from __future__ import annotations

from torch import Tensor

from makemore_bp.network import batchnorm
from makemore_bp.network.batchnorm import EPS
from makemore_bp.network.stage import Record, Stage
from makemore_bp.ranks.group import Group

COMPLETE = ("bngain", "bnbias")
# The tensors of which there is one for the whole batch; all others have a row an example.
OF_THE_BATCH = (*COMPLETE, "bnmeani", "bnvar", "bnvar_inv", "bngain_and_dbnbias")


def forward(hprebn: Tensor, bngain: Tensor, bnbias: Tensor, n: int, ranks: Group) -> Record:
    """Two messages, one after the other: the squares need the mean. Adding up squares and squares
    of sums in one would subtract two large numbers to get a small one."""
    bnmeani = 1 / n * ranks.sum(hprebn.sum(0, keepdim=True))
    bndiff = hprebn - bnmeani
    bndiff2 = bndiff**2
    bnvar = 1 / (n - 1) * ranks.sum(bndiff2.sum(0, keepdim=True))
    bnvar_inv = (bnvar + EPS) ** -0.5
    bnraw = bndiff * bnvar_inv
    hpreact = bngain * bnraw + bnbias
    return locals()


def dbngain(bnraw: Tensor, dhpreact: Tensor, ranks: Group) -> Tensor:
    """One gain serves a whole column, and the column's rows lie with all ranks. One message:

        dbngain = sum over the ranks of (sum over a rank's rows of bnraw * dhpreact)

    Shapes: bnraw, dhpreact (rows, n_hidden) -> (1, n_hidden), the same on every rank.
    """
    return ranks.sum((bnraw * dhpreact).sum(0, keepdim=True))


def dbnbias(dhpreact: Tensor, ranks: Group) -> Tensor:
    """One bias serves a whole column, and the column's rows lie with all ranks. One message:

        dbnbias = sum over the ranks of (sum over a rank's rows of dhpreact)

    Shapes: dhpreact (rows, n_hidden) -> (1, n_hidden), the same on every rank.
    """
    return ranks.sum(dhpreact.sum(0, keepdim=True))


def dbnvar_inv(bndiff: Tensor, dbnraw: Tensor, ranks: Group) -> Tensor:
    """Every rank has scaled its rows by the same bnvar_inv; what its rows ask of it is its share.
    One message:

        dbnvar_inv = sum over the ranks of (sum over a rank's rows of bndiff * dbnraw)

    It must be complete here and cannot wait for the end as dW1 can: what each row gets from the
    variance is a multiple of this sum.

    Shapes: bndiff, dbnraw (rows, n_hidden) -> (1, n_hidden), the same on every rank.
    """
    return ranks.sum((bndiff * dbnraw).sum(0, keepdim=True))


def dbnmeani(dbndiff: Tensor, ranks: Group) -> Tensor:
    """Every rank has subtracted the same mean from its rows. One message:

        dbnmeani = - sum over the ranks of (sum over a rank's rows of dbndiff)

    The rule below it, dhprebn = dbndiff + 1/n * dbnmeani, is then local again, for the mean was
    made of all n rows and every one has the same 1/n of it.

    Shapes: dbndiff (rows, n_hidden) -> (1, n_hidden), the same on every rank.
    """
    return ranks.sum((-dbndiff).sum(0, keepdim=True))


op_by_op = Stage(
    "Batch normalisation over ranks",
    forward,
    backward=(
        dbngain,
        dbnbias,
        batchnorm.dbnraw,
        dbnvar_inv,
        batchnorm.dbnvar,
        batchnorm.dbndiff2,
        batchnorm.dbndiff,
        dbnmeani,
        batchnorm.dhprebn,
    ),
)
