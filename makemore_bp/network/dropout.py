"""Dropout on the hidden layer, and the output layer that reads what it leaves.

In training every hidden output is switched off with probability p, independently of all others and
anew in every step, so that no unit can rely on another one being there. What stays is scaled up by
1 / (1 - p): then a unit's expectation over the masks is h itself, and after training the network is
used as it is, without masks (inverted dropout).

The mask is part of the record like the batch: 0 where a unit is off, 1 / (1 - p) where it is on.
This stage draws no random numbers.

Shapes: h, mask, hdrop (n, n_hidden).

Source: Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov, "Dropout: A Simple Way to Prevent
Neural Networks from Overfitting" (2014).
"""

from __future__ import annotations

from torch import Tensor

from makemore_bp.network import linear
from makemore_bp.network.stage import Record, Stage


def forward(h: Tensor, mask: Tensor, W2: Tensor, b2: Tensor) -> Record:
    hdrop = h * mask
    logits = hdrop @ W2 + b2
    return locals()


def dhdrop(dlogits: Tensor, W2: Tensor) -> Tensor:
    """Each hidden unit reaches every logit through its row of W2; the gradients come back along the
    same weights.

    The output layer's derivation (linear.py) with X = hdrop: dhdrop = dlogits @ W2.T

    Shapes: dlogits (n, V), W2 (n_hidden, V) -> (n, n_hidden).
    """
    return dlogits @ W2.T


def dh(mask: Tensor, dhdrop: Tensor) -> Tensor:
    """A unit that was switched off had no part in the loss and gets no gradient; one that was on
    gets its own, scaled as it was on the way forward.

    hdrop = h * mask, element by element, and the mask does not depend on h, for it was drawn before
    h was known. So the slope is the mask itself:

        dh = dhdrop * mask

    Shapes: mask, dhdrop (n, n_hidden) -> (n, n_hidden).
    """
    return dhdrop * mask


def dW2(hdrop: Tensor, dlogits: Tensor) -> Tensor:
    """A weight joins one hidden unit to one logit; its gradient adds, over the rows in which the
    unit was on, that unit's scaled output times that logit's gradient.

    The output layer's derivation (linear.py) with X = hdrop: dW2 = hdrop.T @ dlogits

    Shapes: hdrop (n, n_hidden), dlogits (n, V) -> (n_hidden, V).
    """
    return hdrop.T @ dlogits


output = Stage(
    "Dropout",
    forward,
    backward=(dhdrop, dh, dW2, linear.db2),
    inference=linear.forward_output,
    way="with dropout",
)
