"""A process that trains one run after another: ``python -m ...worker THREADS``.

Lists of requests come as JSON lines on standard input, answers go as JSON lines to standard output
with the request's name; the last answer to a request has no event ``started``, ``progress`` or
``evaluated``. The runs of one list train together. When standard input closes, because the parent
is gone or wants no more, the runs of the moment are saved and the process ends.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch

from makemore_bp import config as configs
from makemore_bp import dataset, signals, yaml_reading
from makemore_bp.config import Config
from makemore_bp.dataset import Dataset
from makemore_bp.engines.seats import Seat, Seats
from makemore_bp.errors import NO_MEMORY, DivergedError, RequestError, is_out_of_memory
from makemore_bp.signals import Interrupted
from makemore_bp.text import visible
from makemore_bp.training import run_folder, start
from makemore_bp.training.loop import CHUNK_SECONDS
from makemore_bp.training.probe import probe
from makemore_bp.training.smoothing import Smoothed
from makemore_bp.training.start import Company

if TYPE_CHECKING:
    from torch import Tensor

    from makemore_bp.training.loop import Beginning

PROGRESS_SECONDS = 0.25  # at most so often is progress told
OWN_SECONDS = 0.005  # the least share of a chunk for each run that trains together with others

Request = dict[str, Any]


class Listener(Protocol):
    """Who is told how a request goes on."""

    def tell(self, **message: Any) -> None:
        """Takes one message."""


class Parent:
    """The way back to the parent process. Nobody may be there any more; that ends elsewhere."""

    def __init__(self) -> None:
        self._one_at_a_time = threading.Lock()
        self._pipe = os.dup(sys.stdout.fileno())
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what others print is not an answer

    def tell(self, **message: Any) -> None:
        """Sends one message."""
        line = json.dumps(message).encode() + b"\n"
        with self._one_at_a_time, contextlib.suppress(BrokenPipeError):
            while line:
                line = line[os.write(self._pipe, line) :]


class Reporter:
    """Tells the parent how a run goes on, but not at every chunk."""

    def __init__(self, name: str, parent: Listener, seconds: float = PROGRESS_SECONDS) -> None:
        self._name = name
        self._parent = parent
        self._seconds = seconds
        self._told = 0.0
        self._loss = Smoothed()

    def started(self, beginning: Beginning) -> None:
        """See ``training.loop.Reporter``."""
        step, steps, engine = beginning.step, beginning.steps, beginning.choice.engine
        self._mark = (time.perf_counter(), step)
        self._parent.tell(name=self._name, event="started", step=step, steps=steps, engine=engine)

    def advanced(self, step: int, losses: Tensor, lr: float) -> None:
        """See ``training.loop.Reporter``."""
        loss = self._loss.add(losses)
        now = time.perf_counter()
        if now - self._told > self._seconds:
            self._told = now
            began, first = self._mark
            speed = (step - first) / (now - began)
            self._parent.tell(name=self._name, event="progress", step=step, loss=loss, speed=speed)

    def evaluated(self, step: int, train_loss: float, val_loss: float | None) -> None:
        """See ``training.loop.Reporter``."""
        self._parent.tell(name=self._name, event="evaluated", step=step, val_loss=val_loss)


def main(threads: int) -> None:
    """Answers requests until standard input closes."""
    torch.set_num_threads(threads)
    parent = Parent()
    batches: queue.Queue[list[Request] | None] = queue.Queue()
    threading.Thread(target=_listen, args=(batches,), daemon=True).start()
    while (batch := batches.get()) is not None:
        answer_all(batch, parent)


def _listen(batches: queue.Queue[list[Request] | None]) -> None:
    """Takes requests. When there can be no more, a SIGTERM has runs save and stop; between runs it
    ends the process."""
    for line in sys.stdin.buffer:
        batches.put(json.loads(line))
    batches.put(None)
    signal.raise_signal(signal.SIGTERM)


def answer_all(batch: list[Request], parent: Listener) -> None:
    """Tells what has become of each request: of runs with a place among others, which train
    together, or of a single one."""
    if "place" not in batch[0]:
        (request,) = batch
        parent.tell(**answer(request, parent))
        return
    width = batch[0]["width"]
    seats = Seats([request["place"] for request in batch], width)
    load = _once(dataset.load)
    seconds = max(CHUNK_SECONDS, len(batch) * OWN_SECONDS)

    def one(request: Request, seat: Seat) -> None:
        try:
            company = Company(load, seat.choose, seconds)
            parent.tell(**answer(request, parent, company))
        finally:
            seat.leave()

    runs = zip(batch, seats.all, strict=True)
    threads = [threading.Thread(target=one, args=both) for both in runs]
    with signals.caught():
        for thread in threads:
            thread.start()
        seats.serve()
        for thread in threads:
            thread.join()


def _once(load: Callable[[configs.Data, int], Dataset]) -> Callable[[configs.Data, int], Dataset]:
    """Loads each thing once, for all threads."""
    one_at_a_time, cached = threading.Lock(), functools.cache(load)

    def loaded(data: configs.Data, block_size: int) -> Dataset:
        with one_at_a_time:
            return cached(data, block_size)

    return loaded


def answer(request: Request, parent: Listener, company: Company | None = None) -> dict[str, Any]:
    """What has become of a request; whatever goes wrong with it ends only this request."""
    return {"name": request["name"], **_answer(request, parent, company)}


def _answer(request: Request, parent: Listener, company: Company | None) -> dict[str, Any]:
    try:
        if request["do"] == "check":
            return {"event": "checked", **probe(_config(request), request["together"])}
        seconds = company.chunk_seconds if company else PROGRESS_SECONDS
        reporter = Reporter(request["name"], parent, seconds)
        _train(_config(request), Path(request["folder"]), reporter, company)
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


def _config(request: Request) -> Config:
    value = yaml_reading.parse(request["config"]).value
    return configs.build(value, where="the run's configuration")


def _train(config: Config, folder: Path, reporter: Reporter, company: Company | None) -> None:
    """Goes on with the run in ``folder`` if it has saved a state, else begins it."""
    if (folder / run_folder.CHECKPOINT).exists():
        start.resume(folder, [], reporter, company=company)
    else:
        start.new(config, folder, reporter, overwrite=True, company=company)


if __name__ == "__main__":
    main(int(sys.argv[1]))
