"""A process that trains one run after another: ``python -m ...worker THREADS``.

Requests come as JSON lines on standard input, answers go as JSON lines to standard output; the
last answer to a request has no event ``started``, ``progress`` or ``evaluated``. When standard
input closes, because the parent is gone or wants no more, the run of the moment is saved and the
process ends.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from makemore_bp import config as configs
from makemore_bp import yaml_reading
from makemore_bp.config import Config
from makemore_bp.errors import NO_MEMORY, DivergedError, RequestError, is_out_of_memory
from makemore_bp.signals import Interrupted
from makemore_bp.text import visible
from makemore_bp.training import run_folder, start
from makemore_bp.training.probe import probe
from makemore_bp.training.smoothing import Smoothed

if TYPE_CHECKING:
    from torch import Tensor

    from makemore_bp.training.loop import Beginning

PROGRESS_SECONDS = 0.25  # at most so often is progress told


class Listener(Protocol):
    """Who is told how a request goes on."""

    def tell(self, **message: Any) -> None:
        """Takes one message."""


class Parent:
    """The way back to the parent process. Nobody may be there any more; that ends elsewhere."""

    def __init__(self) -> None:
        self._pipe = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what others print is not an answer

    def tell(self, **message: Any) -> None:
        """Sends one message."""
        line = json.dumps(message).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            while line:
                line = line[os.write(self._pipe, line) :]


class Reporter:
    """Tells the parent how a run goes on, but not at every chunk."""

    def __init__(self, parent: Listener) -> None:
        self._parent = parent
        self._told = 0.0
        self._loss = Smoothed()

    def started(self, beginning: Beginning) -> None:
        """See ``training.loop.Reporter``."""
        step, steps, engine = beginning.step, beginning.steps, beginning.choice.engine
        self._mark = (time.perf_counter(), step)
        self._parent.tell(event="started", step=step, steps=steps, engine=engine)

    def advanced(self, step: int, losses: Tensor, lr: float) -> None:
        """See ``training.loop.Reporter``."""
        loss = self._loss.add(losses)
        now = time.perf_counter()
        if now - self._told > PROGRESS_SECONDS:
            self._told = now
            began, first = self._mark
            speed = (step - first) / (now - began)
            self._parent.tell(event="progress", step=step, loss=loss, speed=speed)

    def evaluated(self, step: int, train_loss: float, val_loss: float | None) -> None:
        """See ``training.loop.Reporter``."""
        self._parent.tell(event="evaluated", step=step, val_loss=val_loss)


def main(threads: int) -> None:
    """Answers requests until standard input closes."""
    torch.set_num_threads(threads)
    parent = Parent()
    requests: queue.Queue[dict[str, Any] | None] = queue.Queue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    while (request := requests.get()) is not None:
        parent.tell(**answer(request, parent))


def _listen(requests: queue.Queue[dict[str, Any] | None]) -> None:
    """Takes requests. When there can be no more, a SIGTERM has a run save and stop; between runs
    it ends the process."""
    for line in sys.stdin.buffer:
        requests.put(json.loads(line))
    requests.put(None)
    signal.raise_signal(signal.SIGTERM)


def answer(request: dict[str, Any], parent: Listener) -> dict[str, Any]:
    """What has become of a request; whatever goes wrong with it ends only this request."""
    try:
        if request["do"] == "check":
            return {"event": "checked", **probe(_config(request))}
        _train(_config(request), Path(request["folder"]), Reporter(parent))
        return {"event": "done"}
    except DivergedError as error:
        return {"event": "diverged", "step": error.step, "reason": str(error)}
    except Interrupted as error:
        return {"event": "stopped", "reason": f"It was stopped by {error}."}
    except RequestError as error:
        return {"event": "failed", "reason": str(error)}
    except Exception as error:
        said = NO_MEMORY if is_out_of_memory(error) else f"{type(error).__name__}: {error}"
        return {"event": "failed", "reason": visible(said, 1000)}


def _config(request: dict[str, Any]) -> Config:
    value = yaml_reading.parse(request["config"]).value
    return configs.build(value, where="the run's configuration")


def _train(config: Config, folder: Path, reporter: Reporter) -> None:
    """Goes on with the run in ``folder`` if it has saved a state, else begins it."""
    if (folder / run_folder.CHECKPOINT).exists():
        start.resume(folder, [], reporter)
    else:
        start.new(config, folder, reporter, overwrite=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
