"""The process of exercise 4: ``python -m ...training_process FOLDER``.

The loop and the forward pass are ours, the gradients are the learner's. At steps 0, 1, 2, 5, 10,
20, 50, ... and at the last they are held against our own; the first wrong one ends the training.
"""

from __future__ import annotations

import faulthandler
import json
import math
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from makemore_bp.learning.diagnosis.compare import same_bits, scale
from makemore_bp.learning.namespace import silence_matplotlib
from makemore_bp.learning.process import Script, call_backward
from makemore_bp.learning.watch import Journal, as_tensor
from makemore_bp.network.parameters import NAMES
from makemore_bp.network.passes import Network

LAST = 100  # minibatches at the end whose mean loss is reported
# Of the largest entry of any gradient of a parameter; float32 sums of the batch agree to 1e-6.
TOLERANCE = 1e-4
# Below this all that is left of a gradient is rounding, as with b1, whose true value is zero.
NOISE = 1e-6


def main(folder: Path) -> None:
    """Trains as the request in ``folder`` says and writes its journal."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    inputs = load_file(folder / "inputs.safetensors")
    batches = load_file(folder / "batches.safetensors")
    torch.set_num_threads(request["threads"])
    silence_matplotlib()
    journal = Journal(folder)
    journal.write(event="started")
    with (folder / "stuck.txt").open("w") as stuck:
        faulthandler.dump_traceback_later(request["timeout"] * 0.9, file=stuck)
        record = {k.removeprefix("record/"): t for k, t in inputs.items() if k[:6] == "record"}
        gradients = {k.removeprefix("gradient/"): t for k, t in inputs.items() if k[0] == "g"}
        script = Script(request["source"], request["path"], journal, record, gradients)
        if script.define():
            parameters = {name: record[name].clone() for name in NAMES}
            script.guarded(lambda: _train(script, parameters, batches, request["lr"], journal))
        faulthandler.cancel_dump_traceback_later()


def watched(step: int, steps: int) -> bool:
    """Whether the gradients of a step are held against ours: 0, 1, 2, 5, 10, 20, 50, ..., last."""
    power = 10 ** int(math.log10(step)) if step else 1
    return step == steps - 1 or step in (0, power, 2 * power, 5 * power)


def _train(
    script: Script,
    parameters: dict[str, Tensor],
    batches: Mapping[str, Tensor],
    lr: float,
    journal: Journal,
) -> None:
    function = script.names.get("backward")
    if not isinstance(function, types.FunctionType):
        raise TypeError("the file defines no function called backward")
    network, losses = Network.of(), []
    steps = batches["Xb"].shape[0]
    for step in range(steps):
        Xb, Yb = batches["Xb"][step], batches["Yb"][step]
        record = network.forward(parameters, Xb, Yb)
        ours = network.backward(record) if watched(step, steps) else None
        before = {name: p.clone() for name, p in parameters.items()} if ours else {}
        theirs = call_backward(function, {**script.names, **record})
        if ours is not None:
            journal.write(event="watched", step=step, loss=float(record["loss"]))
            fault = _first_fault(theirs, ours, parameters, before)
            if fault is not None:
                journal.write(event="mismatch", step=step, name=fault[0], text=fault[1])
                return
        _update(parameters, theirs, lr)
        losses.append(float(record["loss"]))
    last = losses[-LAST:]
    journal.write(event="trained", steps=steps, loss=sum(last) / len(last))


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


if __name__ == "__main__":
    main(Path(sys.argv[1]))
