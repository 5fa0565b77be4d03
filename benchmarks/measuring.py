"""Timing by turns, the machine's description, and how fast it multiplies matrices."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

# Trains so many steps further, on minibatches of its own, and returns the loss of the last.
Train = Callable[[int], float]
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


@dataclass(frozen=True)
class Timing:
    """Seconds of one thing, measured several times."""

    seconds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def least(self) -> float:
        return min(self.seconds)

    @property
    def most(self) -> float:
        return max(self.seconds)

    def columns(self) -> dict[str, float]:
        """A table's columns for it, in microseconds."""
        return {
            "median, us": 1e6 * self.median,
            "least, us": 1e6 * self.least,
            "most, us": 1e6 * self.most,
        }


def cores() -> int:
    """How many cores this process may use."""
    return len(CORES) or os.cpu_count() or 1


@contextmanager
def on_cores(number: int) -> Iterator[None]:
    """Within this context PyTorch, and threads that start, have so many cores."""
    if CORES:
        os.sched_setaffinity(0, set(CORES[:number]))
    torch.set_num_threads(number)
    try:
        yield
    finally:
        if CORES:
            os.sched_setaffinity(0, set(CORES))
        torch.set_num_threads(cores())


def by_turns(things: Mapping[str, Callable[[], float]], rounds: int) -> dict[str, Timing]:
    """Each thing once a round, so that noise meets them all; a thing returns seconds."""
    seconds: dict[str, list[float]] = {name: [] for name in things}
    for _ in range(rounds):
        for name, thing in things.items():
            seconds[name].append(thing())
    return {name: Timing(values) for name, values in seconds.items()}


def timed(action: Callable[[], object]) -> float:
    """The seconds that an action takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def step_times(trains: Mapping[str, Train], rounds: int, seconds: float) -> dict[str, Timing]:
    """Seconds a step of each, by turns of about ``seconds``."""

    def turn(train: Train) -> Callable[[], float]:
        steps = fitting(train, seconds)
        return lambda: timed(lambda: train(steps)) / steps

    return by_turns({name: turn(train) for name, train in trains.items()}, rounds)


def fitting(train: Train, seconds: float) -> int:
    """How many steps take about so long; a compiled loop of another length is compiled anew, so
    that each length is run once before it is timed."""
    steps = 1
    while (took := _second_time(train, steps)) < seconds / 8:
        steps *= 4
    steps = max(1, int(steps * seconds / took))
    train(steps)
    return steps


def _second_time(train: Train, steps: int) -> float:
    train(steps)
    return timed(partial(train, steps))


def matrix_limit(size: int = 1024) -> Callable[[], float]:
    """A thing for ``by_turns``: the seconds a floating-point operation takes in a large product."""
    a, b = torch.randn(size, size), torch.randn(size, size)
    return lambda: timed(lambda: a @ b) / (2 * size**3)


def machine() -> dict[str, str]:
    """Processor, cores, versions and the load at this moment."""
    return {
        "processor": _processor(),
        "cores": str(cores()),
        "Python": platform.python_version(),
        **{name: _version(name) for name in ("torch", "jax", "numpy")},
        "load average": " ".join(f"{load:.2f}" for load in os.getloadavg())
        if hasattr(os, "getloadavg")
        else "unknown",
        "date": time.strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
