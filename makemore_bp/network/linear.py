"""The two linear layers: embcat @ W1 + b1 and h @ W2 + b2.

Both follow one derivation. For Y = X @ W + b, with X (n, k), W (k, m), b (m) and Y (n, m),

    Y[i, j] = sum over q of X[i, q] * W[q, j], plus b[j]

X[i, q] is read by every j of row i, W[q, j] by every i of column j, b[j] by every i. Adding up
what each of them receives gives

    dX = dY @ W.T        dW = X.T @ dY        db = dY.sum(0)

The shapes alone leave hardly another way to write it: dX must be (n, k), and only dY (n, m)
times W.T (m, k) is.
"""

from __future__ import annotations

from torch import Tensor

from makemore_bp.network.stage import Record, Stage


def forward_hidden(embcat: Tensor, W1: Tensor, b1: Tensor) -> Record:
    hprebn = embcat @ W1 + b1
    return locals()


def dembcat(dhprebn: Tensor, W1: Tensor) -> Tensor:
    """Each input reaches every hidden unit through its row of W1; the gradients come back along the
    same weights.

    From the derivation above with X = embcat: dembcat = dhprebn @ W1.T

    Shapes: dhprebn (n, n_hidden), W1 (block_size * n_embd, n_hidden)
    -> (n, block_size * n_embd).
    """
    return dhprebn @ W1.T


def dW1(embcat: Tensor, dhprebn: Tensor) -> Tensor:
    """A weight joins one input to one hidden unit; its gradient adds, over the batch, that input
    times that unit's gradient.

    From the derivation above with W = W1: dW1 = embcat.T @ dhprebn

    Shapes: embcat (n, block_size * n_embd), dhprebn (n, n_hidden)
    -> (block_size * n_embd, n_hidden).
    """
    return embcat.T @ dhprebn


def db1(dhprebn: Tensor) -> Tensor:
    """A bias is added to every row of the batch, so its gradient is the sum over the rows.

    From the derivation above: db1 = dhprebn.sum(0). Its true value is zero, for b1 shifts a whole
    column of hprebn and batchnorm subtracts that column's mean again; what is left is rounding.

    Shapes: dhprebn (n, n_hidden) -> (n_hidden).
    """
    return dhprebn.sum(0)


def forward_output(h: Tensor, W2: Tensor, b2: Tensor) -> Record:
    logits = h @ W2 + b2
    return locals()


def dh(dlogits: Tensor, W2: Tensor) -> Tensor:
    """Each hidden unit reaches every logit through its row of W2; the gradients come back along the
    same weights.

    From the derivation above with X = h: dh = dlogits @ W2.T

    Shapes: dlogits (n, V), W2 (n_hidden, V) -> (n, n_hidden).
    """
    return dlogits @ W2.T


def dW2(h: Tensor, dlogits: Tensor) -> Tensor:
    """A weight joins one hidden unit to one logit; its gradient adds, over the batch, that unit's
    output times that logit's gradient.

    From the derivation above with W = W2: dW2 = h.T @ dlogits

    Shapes: h (n, n_hidden), dlogits (n, V) -> (n_hidden, V).
    """
    return h.T @ dlogits


def db2(dlogits: Tensor) -> Tensor:
    """A bias is added to every row of the batch, so its gradient is the sum over the rows.

    From the derivation above: db2 = dlogits.sum(0)

    Shapes: dlogits (n, V) -> (V).
    """
    return dlogits.sum(0)


hidden = Stage(
    "Hidden layer: linear",
    forward_hidden,
    backward=(dembcat, dW1, db1),
    zero={"b1": "b1 shifts a whole column, and batchnorm takes the column's mean out again"},
)
output = Stage(
    "Output layer: linear",
    forward_output,
    backward=(dh, dW2, db2),
    way="without dropout",
)
