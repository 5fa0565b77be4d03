"""Exercise 4: the bundled names, our loop, the learner's gradients.

At steps 0, 1, 2, 5, 10, 20, 50, ... and at the last the gradients are held against our own; the
first wrong one ends the training.
"""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from makemore_bp.engines import configured
from makemore_bp.learning.diagnosis.compare import same_bits, scale
from makemore_bp.learning.limits import Limits
from makemore_bp.learning.namespace import namespace, silent_matplotlib
from makemore_bp.learning.script import Script, call_backward
from makemore_bp.learning.values import as_tensor
from makemore_bp.network.parameters import generators, initialise
from makemore_bp.network.passes import Network

BATCH = 32
LEARNING_RATE = 0.1
SEED = 2147483647  # the lecture's
LAST = 100  # minibatches at the end whose mean loss is reported
# Of the largest entry of any gradient of a parameter; float32 sums of the batch agree to 1e-6.
TOLERANCE = 1e-4
# Below this all that is left of a gradient is rounding, as with b1, whose true value is zero.
NOISE = 1e-6


@dataclass
class Training:
    """watched: step and minibatch loss wherever the gradients were compared and found right; loss:
    the mean over the last minibatches, None if the training did not come to its end; mismatch: the
    step, tensor and reason of the first wrong gradient."""

    watched: list[tuple[int, float]] = field(default_factory=list)
    loss: float | None = None
    mismatch: tuple[int, str, str] | None = None


def trained(request: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """The answer to a request for a training, as plain data."""
    parameters, Xb, Yb = bundled_batches(request["steps"])
    return train_with(request["text"], request["path"], parameters, Xb, Yb, limits)


@silent_matplotlib()
def train_with(
    text: str,
    path: str,
    parameters: Mapping[str, Tensor],
    Xb: Tensor,
    Yb: Tensor,
    limits: Limits,
) -> dict[str, Any]:
    """Trains with the learner's function on minibatches Xb (steps, n, block_size) and Yb."""
    network = Network()
    record = network.forward(parameters, Xb[0], Yb[0])
    gradients = {name[1:]: gradient for name, gradient in network.backward(record).items()}
    script = Script(text, path, namespace(record, gradients), gradients, limits)
    training = Training()
    if script.parse() and script.define():
        own = {name: p.clone() for name, p in parameters.items()}
        script.do(lambda: _train(script, own, Xb, Yb, training))
    error = script.error.as_json() if script.error is not None else None
    return {
        "watched": [{"step": step, "loss": loss} for step, loss in training.watched],
        "loss": training.loss,
        "mismatch": training.mismatch,
        "error": error,
        "output": script.output,
    }


def bundled_batches(steps: int) -> tuple[dict[str, Tensor], Tensor, Tensor]:
    """The lecture's parameters (n_hidden 200) and ``steps`` minibatches of the bundled names:
    Xb (steps, n, block_size), Yb (steps, n)."""
    from makemore_bp import config, dataset

    resolved = config.load(None, [])
    data = dataset.load(resolved.data, resolved.model.block_size)
    g, g_batchnorm = generators(SEED)
    sizes = configured.sizes(resolved, len(data.vocabulary))
    parameters = initialise(sizes, g, g_batchnorm)
    indices = torch.randint(0, len(data.train), (steps, BATCH), generator=g)
    return parameters, *data.train.batch(indices)


def watched(step: int, steps: int) -> bool:
    """Whether the gradients of a step are held against ours: 0, 1, 2, 5, 10, 20, 50, ..., last."""
    power = 10 ** int(math.log10(step)) if step else 1
    return step == steps - 1 or step in (0, power, 2 * power, 5 * power)


def _train(
    script: Script, parameters: dict[str, Tensor], Xb: Tensor, Yb: Tensor, training: Training
) -> None:
    function = script.backward
    if not isinstance(function, types.FunctionType):
        raise TypeError("the file defines no function called backward")
    network, losses, steps = Network(), [], len(Xb)
    for step in range(steps):
        record = network.forward(parameters, Xb[step], Yb[step])
        ours = network.backward(record) if watched(step, steps) else None
        before = {name: p.clone() for name, p in parameters.items()} if ours else {}
        theirs = call_backward(function, {**script.names, **record})
        if ours is not None:
            fault = _first_fault(theirs, ours, parameters, before)
            if fault is not None:
                training.mismatch = step, *fault
                return
            training.watched.append((step, float(record["loss"])))
        _update(parameters, theirs, LEARNING_RATE)
        losses.append(float(record["loss"]))
    training.loss = sum(losses[-LAST:]) / len(losses[-LAST:])


def _update(parameters: dict[str, Tensor], gradients: Mapping[str, Any], lr: float) -> None:
    for name, parameter in parameters.items():
        gradient, _ = as_tensor(gradients.get("d" + name), parameter)
        if gradient is None or gradient.shape != parameter.shape:
            raise TypeError(f"backward returns no gradient d{name} of shape {_shape(parameter)}")
        parameter.add_(gradient, alpha=-lr)


def _first_fault(
    theirs: Mapping[str, Any],
    ours: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    before: Mapping[str, Tensor],
) -> tuple[str, str] | None:
    """The first parameter, from the loss upwards, whose gradient is not ours, and why."""
    for name in ("W2", "b2", "bngain", "bnbias", "W1", "b1", "C"):
        if not same_bits(parameters[name], before[name]):
            return name, f"backward changes {name} itself, in place; the loop does the update"
        right = ours["d" + name]
        gradient, note = as_tensor(theirs.get("d" + name), right)
        if gradient is None:
            return name, f"d{name} {note or 'is not defined yet'}"
        if gradient.shape != right.shape:
            return name, f"d{name} has the shape {_shape(gradient)} where {_shape(right)} belongs"
        distance = scale(gradient - right)
        if not distance <= TOLERANCE * scale(right) + NOISE:
            return name, f"d{name} is off by {distance:.3g}, with entries up to {scale(right):.3g}"
    return None


def _shape(tensor: Tensor) -> str:
    return str(tuple(tensor.shape))
