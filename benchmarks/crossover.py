"""From how large a step on more cores are worth it, and whether PyTorch's are.

    python benchmarks/crossover.py

For growing batches and hidden layers the native and the torch engine take turns, on one core and
on all; the table shows medians in microseconds a step, and what all cores gain. Where they gain
nothing the step is too small for threads (THREAD_WORTH in makemore_bp/engines/engine.py).
"""

from __future__ import annotations

from itertools import product

from candidates import FUSED, Task, candidates, kernel_on
from measuring import by_turns, cores, fitting, machine, on_cores, timed

ROUNDS, SECONDS = 5, 0.3


def main() -> None:
    """Prints the table."""
    print("; ".join(f"{key} {value}" for key, value in machine().items()))
    every = cores()
    print(
        f"{'batch':>7} {'n_hidden':>8} {'million':>9} {'native, 1':>12} {f'native, {every}':>12} "
        f"{'gain':>6} {'torch, 1':>12} {f'torch, {every}':>12} {'gain':>6}"
    )
    for n_hidden, batch in product((200, 1024, 4096), (32, 64, 128, 512, 2048, 8192, 32768)):
        task = Task(n_hidden, batch)
        native_one, native_all, torch_one, torch_all = medians(task)
        print(
            f"{batch:7} {n_hidden:8} {task.operations / 2e6:9.1f} {native_one:12.1f} "
            f"{native_all:12.1f} {native_one / native_all:6.2f} {torch_one:12.1f} "
            f"{torch_all:12.1f} {torch_one / torch_all:6.2f}",
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


if __name__ == "__main__":
    main()
