"""From how many cores on PyTorch's matrix library is faster than the native engine on one.

    python benchmarks/crossover.py

For growing batches and hidden layers the native engine, the torch engine on one core and the torch
engine on all cores take turns; the table shows medians in microseconds a step. The last column is
the torch engine's time on one core over the native engine's: with fewer cores than that PyTorch
cannot be faster, even if every core were a full gain. `engine: auto` takes the largest of these for
large steps (CORES in makemore_bp/engines/choice.py).
"""

from __future__ import annotations

from itertools import product

from candidates import FUSED, NATIVE, Task, candidates
from measuring import by_turns, cores, fitting, machine, on_cores, timed

ROUNDS, SECONDS = 5, 0.3


def main() -> None:
    """Prints the table."""
    print("; ".join(f"{key} {value}" for key, value in machine().items()))
    every = f"torch, {cores()} cores"
    print(
        f"{'batch':>7} {'n_hidden':>8} {'million':>9} {'native':>10} {'torch, 1':>10} "
        f"{every:>14} {'cores':>6}"
    )
    for n_hidden, batch in product((200, 1024, 4096), (32, 128, 512, 2048, 8192, 32768)):
        task = Task(n_hidden, batch)
        native, one, all_cores = medians(task, every)
        print(
            f"{batch:7} {n_hidden:8} {task.operations / 2e6:9.1f} {native:10.1f} {one:10.1f} "
            f"{all_cores:14.1f} {one / native:6.1f}",
            flush=True,
        )


def medians(task: Task, every: str) -> list[float]:
    """Microseconds a step of the native engine, and of the torch engine on one and all cores."""
    found, _ = candidates(False)
    turns = {}
    for name, engine, number in (("native", NATIVE, 1), ("one", FUSED, 1), (every, FUSED, cores())):
        train = found[engine](task)
        with on_cores(number):
            steps = fitting(train, SECONDS)

        def turn(train=train, steps=steps, number=number) -> float:  # type: ignore[no-untyped-def]
            with on_cores(number):
                return timed(lambda: train(steps)) / steps

        turns[name] = turn
    return [1e6 * timing.median for timing in by_turns(turns, ROUNDS).values()]


if __name__ == "__main__":
    main()
