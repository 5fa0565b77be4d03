"""Embedding: every character of the context is looked up in the table C.

Shapes: C (V, n_embd), Xb (n, block_size) integer ids, emb (n, block_size, n_embd),
embcat (n, block_size * n_embd).
"""

from __future__ import annotations

import torch
from torch import Tensor

from makemore_bp.network.stage import Record, Stage


def forward(C: Tensor, Xb: Tensor) -> Record:
    emb = C[Xb]
    embcat = emb.view(emb.shape[0], -1)
    return locals()


def demb(dembcat: Tensor, emb: Tensor) -> Tensor:
    """Concatenation only lays the same numbers out differently, so the way back is the old shape.

    embcat holds, row by row, exactly the numbers of emb. Each number of emb is read once, by the
    number of embcat at the same place in memory, so its gradient is found there:

        demb[k, j, e] = dembcat[k, j * n_embd + e]

    Shapes: dembcat (n, block_size * n_embd) -> (n, block_size, n_embd).
    """
    return dembcat.view(emb.shape)


def dC(C: Tensor, Xb: Tensor, demb: Tensor) -> Tensor:
    """A row of C is read once for every place where its character stands, so the gradients of all
    those places are added up in that row.

    emb[k, j] = C[Xb[k, j]]. The row C[i] therefore collects

        dC[i] = sum of demb[k, j] over all k, j with Xb[k, j] = i

    and a character that is not in the batch has gradient zero. The lecture writes two loops with
    dC[ix] += demb[k, j]; index_put_ with accumulate=True is those loops. Plain assignment would
    keep only the last place.

    Shapes: demb (n, block_size, n_embd) -> (V, n_embd).
    """
    # In the order of the loops too, if torch.use_deterministic_algorithms asks for it; else threads
    # add up a large batch as they come.
    return torch.zeros_like(C).index_put_((Xb,), demb, accumulate=True)


embedding = Stage(
    "Embedding",
    forward,
    backward=(demb, dC),
    rounding={
        "C": (
            "additions in another order round differently; autograd adds the places of a "
            "character in the order in which they stand in the batch"
        )
    },
)
