"""Exercise 4: the bundled names, our loop, the learner's gradients."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from makemore_bp.engines import configured
from makemore_bp.learning.child import run_module
from makemore_bp.learning.failure import LearnerError, error_of, stopped
from makemore_bp.learning.script import read_journal, read_script, write_request
from makemore_bp.network.parameters import generators, initialise
from makemore_bp.network.passes import Network

STEPS = 1000
BATCH = 32
LEARNING_RATE = 0.1
SEED = 2147483647  # the lecture's


@dataclass(frozen=True)
class TrainingResult:
    """watched: step and minibatch loss wherever the gradients were compared and found right; loss:
    the mean over the last minibatches, None if the training did not come to its end; mismatch: the
    step, tensor and reason of the first wrong gradient; error: why the function itself failed."""

    watched: tuple[tuple[int, float], ...]
    loss: float | None
    mismatch: tuple[int, str, str] | None
    error: LearnerError | None
    output: str

    @property
    def passed(self) -> bool:
        """Whether the network was trained to the last step with right gradients."""
        return self.loss is not None


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


def train_with(
    path: Path, parameters: Mapping[str, Tensor], Xb: Tensor, Yb: Tensor, timeout: float
) -> TrainingResult:
    """Trains with the function ``backward`` of the file at ``path``, in a process of its own.

    Xb (steps, n, block_size), Yb (steps, n). Raises RequestError if the file cannot be read.
    """
    source = read_script(path)
    network = Network.of()
    with torch.no_grad():
        record = network.forward(parameters, Xb[0], Yb[0])
        gradients = {name[1:]: gradient for name, gradient in network.backward(record).items()}
    with tempfile.TemporaryDirectory(prefix="makemore-bp-") as name:
        folder = Path(name)
        write_request(folder, path, source, timeout, record, gradients, lr=LEARNING_RATE)
        batches = {"Xb": Xb.contiguous().clone(), "Yb": Yb.contiguous().clone()}
        save_file(batches, folder / "batches.safetensors")
        ended = run_module("makemore_bp.learning.exercises.training_process", folder, timeout)
        events = list(read_journal(folder))
        error = next((error_of(e, source) for e in events if e["event"] == "error"), None)
        mismatch = next(
            ((e["step"], e["name"], e["text"]) for e in events if e["event"] == "mismatch"), None
        )
        loss = next((e["loss"] for e in events if e["event"] == "trained"), None)
        if loss is None and error is None and mismatch is None:
            error = stopped(ended, events, folder / "stuck.txt", path, source, timeout)
    right = [e for e in events if e["event"] == "watched"]
    right = right[:-1] if mismatch else right
    watched = tuple((e["step"], e["loss"]) for e in right)
    return TrainingResult(watched, loss, mismatch, error, ended.output)
