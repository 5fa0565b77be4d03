"""Batch normalisation, one operation a line: every hidden unit gets mean 0 and variance 1 over the
batch, then a learned gain and bias.

Shapes: hprebn, bndiff, bndiff2, bnraw, hpreact (n, n_hidden); bnmeani, bnvar, bnvar_inv, bngain,
bnbias (1, n_hidden). n >= 2, for the variance divides by n - 1.

Source: Ioffe and Szegedy, "Batch Normalization" (2015), with one change that the lecture argues
for: the variance is the unbiased one (Bessel's correction) in training as well as in inference.
"""

from __future__ import annotations

import torch
from torch import Tensor

from makemore_bp.network.stage import Record, Stage

EPS = 1e-5  # keeps the root away from zero when all rows of the batch are alike


def forward(hprebn: Tensor, bngain: Tensor, bnbias: Tensor, n: int) -> Record:
    bnmeani = 1 / n * hprebn.sum(0, keepdim=True)
    bndiff = hprebn - bnmeani
    bndiff2 = bndiff**2
    bnvar = 1 / (n - 1) * bndiff2.sum(0, keepdim=True)
    bnvar_inv = (bnvar + EPS) ** -0.5
    bnraw = bndiff * bnvar_inv
    hpreact = bngain * bnraw + bnbias
    return locals()


def inference(
    hprebn: Tensor, bngain: Tensor, bnbias: Tensor, bnmean: Tensor, bnvar: Tensor
) -> Record:
    """After training the mean and the variance are given, (1, n_hidden) each: those of hprebn over
    the whole training set, as the lecture measures them. A row's output then does not depend on
    the other rows. The two factors of a unit are one, taken first."""
    scale = bngain * (bnvar + EPS) ** -0.5
    hpreact = scale * (hprebn - bnmean) + bnbias
    return locals()


def dbngain(bnraw: Tensor, dhpreact: Tensor) -> Tensor:
    """One gain serves a whole column, so what each row asks of it is added up over the rows.

    hpreact = bngain * bnraw + bnbias: the gain of a unit multiplies bnraw in every row, hence

        dbngain = sum over the batch of bnraw * dhpreact

    Broadcasting on the way forward is a sum on the way back, along the same axis.

    Shapes: bnraw, dhpreact (n, n_hidden) -> (1, n_hidden).
    """
    return (bnraw * dhpreact).sum(0, keepdim=True)


def dbnbias(dhpreact: Tensor) -> Tensor:
    """One bias serves a whole column, so the gradients of the column's rows are added up.

    hpreact = bngain * bnraw + bnbias, and the slope with respect to bnbias is 1:

        dbnbias = sum over the batch of dhpreact

    Shapes: dhpreact (n, n_hidden) -> (1, n_hidden).
    """
    return dhpreact.sum(0, keepdim=True)


def dbnraw(bngain: Tensor, dhpreact: Tensor) -> Tensor:
    """The gain scales what goes forward and, by the same factor, what comes back.

    hpreact = bngain * bnraw + bnbias, element by element in bnraw: dbnraw = bngain * dhpreact

    Shapes: bngain (1, n_hidden), dhpreact (n, n_hidden) -> (n, n_hidden).
    """
    return bngain * dhpreact


def dbnvar_inv(bndiff: Tensor, dbnraw: Tensor) -> Tensor:
    """One scale serves a whole column, so what each row asks of it is added up over the rows.

    bnraw = bndiff * bnvar_inv, with bnvar_inv broadcast over the batch:

        dbnvar_inv = sum over the batch of bndiff * dbnraw

    Shapes: bndiff, dbnraw (n, n_hidden) -> (1, n_hidden).
    """
    return (bndiff * dbnraw).sum(0, keepdim=True)


def dbnvar(bnvar: Tensor, dbnvar_inv: Tensor) -> Tensor:
    """A power rule: the exponent comes down and is lowered by one.

    bnvar_inv = (bnvar + EPS)**-0.5, so dbnvar = -0.5 * (bnvar + EPS)**-1.5 * dbnvar_inv

    Shapes: bnvar, dbnvar_inv (1, n_hidden) -> (1, n_hidden).
    """
    return (-0.5 * (bnvar + EPS) ** -1.5) * dbnvar_inv


def dbndiff2(bndiff2: Tensor, dbnvar: Tensor, n: int) -> Tensor:
    """A sum hands its gradient to every one of its terms; here the factor in front goes along.

    bnvar = 1/(n-1) * sum over the batch of bndiff2. Every row has the same share:

        dbndiff2[i, j] = 1/(n-1) * dbnvar[j]

    Nothing is added up on the way back: a sum on the way forward is a broadcast on the way back.

    Shapes: dbnvar (1, n_hidden) -> (n, n_hidden).
    """
    return (1 / (n - 1) * torch.ones_like(bndiff2)) * dbnvar


def dbndiff(bndiff: Tensor, bnvar_inv: Tensor, dbnraw: Tensor, dbndiff2: Tensor) -> Tensor:
    """bndiff is read twice, by the product that gives bnraw and by the square, so two gradients are
    added.

    From bnraw = bndiff * bnvar_inv comes bnvar_inv * dbnraw; from bndiff2 = bndiff**2 comes
    2 * bndiff * dbndiff2:

        dbndiff = bnvar_inv * dbnraw + 2 * bndiff * dbndiff2

    Shapes: bndiff, dbnraw, dbndiff2 (n, n_hidden), bnvar_inv (1, n_hidden) -> (n, n_hidden).
    """
    return bnvar_inv * dbnraw + (2 * bndiff) * dbndiff2


def dbnmeani(dbndiff: Tensor) -> Tensor:
    """The mean is subtracted from every row, so the rows' gradients are added up and change sign.

    bndiff = hprebn - bnmeani: dbnmeani = - sum over the batch of dbndiff

    Shapes: dbndiff (n, n_hidden) -> (1, n_hidden).
    """
    return (-dbndiff).sum(0, keepdim=True)


def dhprebn(dbndiff: Tensor, dbnmeani: Tensor, n: int) -> Tensor:
    """hprebn is read twice, directly and through the mean, so two gradients are added.

    bndiff = hprebn - bnmeani passes dbndiff on unchanged. bnmeani = 1/n * sum over the batch gives
    every row the same 1/n of dbnmeani:

        dhprebn = dbndiff + 1/n * dbnmeani

    Shapes: dbndiff (n, n_hidden), dbnmeani (1, n_hidden) -> (n, n_hidden).
    """
    return dbndiff + 1 / n * (torch.ones_like(dbndiff) * dbnmeani)


op_by_op = Stage(
    "Batch normalisation",
    forward,
    inference=inference,
    backward=(
        dbngain,
        dbnbias,
        dbnraw,
        dbnvar_inv,
        dbnvar,
        dbndiff2,
        dbndiff,
        dbnmeani,
        dhprebn,
    ),
)
