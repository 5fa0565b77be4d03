"""From which size of a step on PyTorch on all cores is faster than the native engine on one.

    python benchmarks/crossover.py

For growing batches and hidden layers both engines take turns; the table shows medians in
microseconds a step beside the multiplications of a step. `engine: auto` switches where the ratio
crosses 1 (CROSSOVER in makemore_bp/engines/choice.py).
"""

from __future__ import annotations

import statistics
import time
from itertools import product

import torch

from makemore_bp import config
from makemore_bp.dataset import Examples
from makemore_bp.engines import Engine, choice
from makemore_bp.network.parameters import Sizes, generators, initialise

EXAMPLES, ROUNDS, SECONDS = 180_000, 5, 0.2


def main() -> None:
    """Prints the table."""
    g = torch.Generator().manual_seed(1)
    stream = torch.randint(0, 27, (EXAMPLES + 3,), generator=g, dtype=torch.uint8)
    examples = Examples(stream, torch.arange(EXAMPLES, dtype=torch.int32), 3)
    print(f"{torch.get_num_threads()} threads for PyTorch {torch.__version__}")
    print(f"{'batch':>7} {'n_hidden':>8} {'million':>9} {'native':>10} {'torch':>10} {'ratio':>6}")
    for n_hidden, batch in product((200, 1024), (32, 128, 512, 2048, 8192, 32768)):
        overrides = [f"model.n_hidden={n_hidden}", f"train.batch_size={batch}"]
        resolved = config.load(None, overrides)
        parameters = initialise(Sizes(27, n_hidden=n_hidden), *generators(1))
        engines = [
            choice.make(choice.Choice(name, ""), resolved, parameters, examples)
            for name in ("native", "torch")
        ]
        native, pytorch = medians(engines, batch)
        work = choice.multiplications(resolved, 27) / 1e6
        print(
            f"{batch:7} {n_hidden:8} {work:9.1f} {native:10.1f} {pytorch:10.1f} "
            f"{pytorch / native:6.2f}"
        )


def medians(engines: list[Engine], batch: int) -> list[float]:
    """Microseconds a step of each engine."""
    g = torch.Generator().manual_seed(2)
    times: list[list[float]] = [[] for _ in engines]
    steps = [1] * len(engines)
    for round_ in range(ROUNDS + 2):  # the first two find out how many steps fill the time
        for k, engine in enumerate(engines):
            indices = torch.randint(0, EXAMPLES, (steps[k], batch), generator=g)
            began = time.perf_counter()
            engine.advance(indices, [0.01] * steps[k])
            one = (time.perf_counter() - began) / steps[k]
            if round_ < 2:
                steps[k] = max(1, min(2000, int(SECONDS / one)))
            else:
                times[k].append(1e6 * one)
    return [statistics.median(values) for values in times]


if __name__ == "__main__":
    main()
