"""The non-linearity of the hidden layer, element by element.

Shapes: hpreact, h (n, n_hidden).
"""

from __future__ import annotations

import torch
from torch import Tensor

from makemore_bp.network.stage import Record, Stage


def forward(hpreact: Tensor) -> Record:
    h = torch.tanh(hpreact)
    return locals()


def dhpreact(h: Tensor, dh: Tensor) -> Tensor:
    """The slope of tanh is one minus the square of its output: 1 where the unit is at rest, 0 where
    it is saturated.

    h = (e^x - e^-x) / (e^x + e^-x) for x = hpreact, and by the quotient rule
    dh/dx = 1 - h**2. With the chain rule, element by element:

        dhpreact = (1 - h**2) * dh

    addcmul takes 1 - h * h with a single rounding (one fused multiply-add), as PyTorch's own
    tanh backward does. The two roundings of the plain expression differ from it in the last bit,
    and everything below this line would inherit the difference.

    Shapes: h, dh (n, n_hidden) -> (n, n_hidden).
    """
    return torch.addcmul(torch.ones_like(h), h, h, value=-1) * dh


tanh = Stage(
    "Tanh",
    forward,
    backward=(dhpreact,),
    gain=5 / 3,
    way="with tanh",
    rounding={
        "hpreact": (
            "PyTorch's tanh backward computes 1 - h*h with one rounding (a fused multiply-add), "
            "the expression (1 - h**2) rounds twice. When the lecture was recorded PyTorch did the "
            "same as the expression, so it showed exact there. torch.addcmul(torch.ones_like(h), "
            "h, h, value=-1) * dh takes the one rounding"
        )
    },
)
