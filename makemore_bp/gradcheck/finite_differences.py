"""A second reference, which owes nothing to autograd: the loss itself, a little to either side.

Everything is computed in float64. For each entry the derivative is the central difference

    D(h) = (loss(x + h) - loss(x - h)) / 2h,   improved to   (4 D(h/2) - D(h)) / 3

which takes the h**2 term of its error out (Richardson). What is left is estimated by how much the
improvement changed, plus the rounding of the loss divided by h. A few steps h are tried, from the
size of the tensor to the entry's own, until the estimate is small; the best one is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from makemore_bp.gradcheck.batch import Batch
from makemore_bp.gradcheck.equations import loss_as_function_of
from makemore_bp.network.passes import Network

SAMPLES = 32  # entries of a tensor that are looked at
EPSILON = torch.finfo(torch.float64).eps
STEP = EPSILON ** (1 / 3)  # where rounding and truncation of a central difference balance
ROUNDINGS = 16  # in units of EPSILON, how exact the loss is taken to be
ENOUGH = 1e-6  # a relative error with which no other step is tried
SAFETY = 8.0  # how many times the estimated error is allowed


@dataclass(frozen=True)
class Slope:
    """A derivative, an estimate of its error, and whether the function has a kink there."""

    value: float
    error: float
    kink: bool


@dataclass(frozen=True)
class DifferenceReport:
    """What the finite differences say of one gradient.

    entries: how many were compared; kinks: how many lay at a kink and were not; max_error: the
    largest distance of gradient and difference; tolerance: what that entry was allowed; resolution:
    the largest tolerance relative to the gradient's largest entry, so that 0.001 means that an
    error of a thousandth could not hide.
    """

    name: str
    entries: int
    kinks: int
    max_error: float
    tolerance: float
    resolution: float
    passed: bool

    def as_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return dict(vars(self))


@torch.no_grad()
def finite_differences(batch: Batch, samples: int = SAMPLES) -> list[DifferenceReport]:
    """Compares every gradient of the network's pass on a batch, in the lecture's order.

    The pass is run in float64. Of a tensor with more than ``samples`` entries as many are drawn,
    always the same ones, half of them where the gradient is not zero.
    """
    wide, network = batch.double(), batch.network
    plain = replace(wide, network=network.op_by_op)
    gradients, record = wide.backward(), plain.forward()
    return [
        compare(name, plain.network, record, gradients["d" + name], samples)
        for name in network.tensors
        if "d" + name in gradients
    ]


def compare(
    name: str, network: Network, record: Mapping[str, Any], gradient: Tensor, samples: int
) -> DifferenceReport:
    """Compares one gradient with the differences of the loss, the other tensors held. The record is
    that of ``network``, one operation a line."""
    tensor: Tensor = record[name]
    chosen = _sampled(gradient, samples)
    loss = loss_as_function_of(name, network, record)
    size = float(tensor.square().mean().sqrt())

    def at(place: int) -> Callable[[float], float]:
        def moved(by: float) -> float:
            shifted = tensor.clone()
            shifted.view(-1)[place] += by
            return loss(shifted)

        return moved

    largest = float(gradient.abs().max())
    worst, kinks, widest, passed = (0.0, 0.0), 0, 0.0, True
    for place in chosen:
        found = slope(at(place), abs(float(tensor.view(-1)[place])), size)
        if found.kink:
            kinks += 1
            continue
        # Where the true value is zero, the gradient itself is rounding of what was summed.
        allowed = SAFETY * found.error + ROUNDINGS * EPSILON
        error = abs(found.value - float(gradient.reshape(-1)[place]))
        passed = passed and error <= allowed
        widest = max(widest, allowed)
        worst = max(worst, (error, allowed))
    resolution = widest / largest if largest else 0.0
    return DifferenceReport(
        name, len(chosen) - kinks, kinks, worst[0], worst[1], resolution, passed
    )


def _sampled(gradient: Tensor, samples: int) -> list[int]:
    """Places in a tensor; half of them, if there are so many, where the gradient is not zero, for
    of dlogprobs, say, one entry in a row is not."""
    g = torch.Generator().manual_seed(0)
    everywhere = torch.randperm(gradient.numel(), generator=g)
    nonzero = everywhere[gradient.reshape(-1)[everywhere] != 0]
    places = [*nonzero[: (samples + 1) // 2].tolist(), *everywhere.tolist()]
    return list(dict.fromkeys(places))[:samples]


def slope(moved: Callable[[float], float], own: float, typical: float) -> Slope:
    """The derivative at 0 of ``moved``, a function of the distance from where we stand.

    own: the size of the entry; typical: that of its tensor, which matters where the entry is small.
    """
    here = moved(0.0)
    found: list[Slope] = []
    for scale in dict.fromkeys((typical or 1.0, (own * typical) ** 0.5, own)):
        if scale:
            found.append(_with_step(moved, here, STEP * scale))
            if found[-1].error <= ENOUGH * abs(found[-1].value) and not found[-1].kink:
                break
    # A step past the edge of where the loss is defined (a negative probability) gives NaN.
    usable = [candidate for candidate in found if candidate.value == candidate.value]
    return min(usable, key=lambda candidate: (candidate.kink, candidate.error), default=found[0])


def _with_step(moved: Callable[[float], float], here: float, h: float) -> Slope:
    right, left = [moved(h), moved(h / 2)], [moved(-h), moved(-h / 2)]
    coarse, fine = (right[0] - left[0]) / (2 * h), (right[1] - left[1]) / h
    noise = ROUNDINGS * EPSILON * max(1.0, abs(here)) / h
    value = (4 * fine - coarse) / 3
    # Half the step, half the difference of the two one-sided slopes: unless there is a kink.
    bends = [abs(right[k] + left[k] - 2 * here) / (h / 2**k) for k in (0, 1)]
    kink = bends[1] > 0.8 * bends[0] and bends[1] > 100 * noise + 1e-6 * abs(value)
    return Slope(value, abs(value - fine) + noise, kink)
