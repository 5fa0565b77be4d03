"""Another non-linearity of the hidden layer: what is above zero passes, the rest is cut off.

Shapes: hpreact, h (n, n_hidden).

Source: Nair and Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines" (2010).
"""

from __future__ import annotations

import torch
from torch import Tensor

from makemore_bp.network.stage import Record, Stage


def forward(hpreact: Tensor) -> Record:
    h = torch.relu(hpreact)
    return locals()


def dhpreact(h: Tensor, dh: Tensor) -> Tensor:
    """A unit that is on passes its gradient on as it is; one that is off passes nothing.

    h = hpreact where hpreact > 0 and 0 elsewhere, so the slope is 1 where h > 0 and 0 elsewhere:

        dhpreact = (h > 0) * dh

    At 0 itself, where the function has a kink, the slope is taken as 0, as PyTorch does.

    Shapes: h, dh (n, n_hidden) -> (n, n_hidden).
    """
    return (h > 0) * dh


relu = Stage("ReLU", forward, backward=(dhpreact,), way="with ReLU", gain=2**0.5)
