"""From how large a step on more cores are worth it, and whether PyTorch's are.

    python benchmarks/crossover.py

For growing batches and hidden layers the native and the torch engine take turns, on one core and
on all; the table shows medians in microseconds a step, and what all cores gain. Where they gain
nothing the step is too small for threads (THREAD_WORTH in makemore_bp/engines/engine.py). Where
there is a GPU the last column is its step; it is worth taking from the size on at which that is
less than the native engine's on all cores (GPU_WORTH in makemore_bp/engines/choice.py).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import torch
from candidates import FUSED, LR, Task, candidates, kernel_on
from measuring import by_turns, cores, fitting, machine, on_cores, step_times, timed

from makemore_bp.engines.choice import named

ROUNDS, SECONDS = 5, 0.3


def main() -> None:
    """Prints the table."""
    print("; ".join(f"{key} {value}" for key, value in machine().items()))
    every = cores()
    print(
        f"{'batch':>7} {'n_hidden':>8} {'million':>9} {'native, 1':>12} {f'native, {every}':>12} "
        f"{'gain':>6} {'torch, 1':>12} {f'torch, {every}':>12} {'gain':>6} {'GPU':>12}"
    )
    for n_hidden, batch in product((200, 1024, 4096), (32, 64, 128, 512, 2048, 8192, 32768)):
        task = Task(n_hidden, batch)
        native_one, native_all, torch_one, torch_all = medians(task)
        gpu = f"{on_gpu(task):12.1f}" if torch.cuda.is_available() else f"{'none here':>12}"
        print(
            f"{batch:7} {n_hidden:8} {task.operations / 2e6:9.1f} {native_one:12.1f} "
            f"{native_all:12.1f} {native_one / native_all:6.2f} {torch_one:12.1f} "
            f"{torch_all:12.1f} {torch_one / torch_all:6.2f} {gpu}",
            flush=True,
        )


def medians(task: Task) -> list[float]:
    """Microseconds a step: the native engine on one core and on all, the torch engine likewise."""
    torch_engine = candidates(False)[0][FUSED]
    turns = {}
    for engine in ("native", "torch"):
        for number in (1, cores()):
            train = kernel_on(number, task) if engine == "native" else torch_engine(task)
            with on_cores(number):
                steps = fitting(train, SECONDS)

            def turn(train=train, steps=steps, number=number) -> float:  # type: ignore[no-untyped-def]
                with on_cores(number):
                    return timed(lambda: train(steps)) / steps

            turns[f"{engine}, {number}"] = turn
    return [1e6 * timing.median for timing in by_turns(turns, ROUNDS).values()]


def on_gpu(task: Task) -> float:
    """Microseconds a step of what ``auto`` takes on a GPU."""
    parameters, g = task.start()
    work = replace(task.work("fused"), device="cuda")
    engine = named("torch", work)(work, parameters)
    trains = {"gpu": lambda steps: float(engine.advance(task.indices(g, steps), [LR] * steps)[-1])}
    return 1e6 * step_times(trains, ROUNDS, SECONDS)["gpu"].median


if __name__ == "__main__":
    main()
