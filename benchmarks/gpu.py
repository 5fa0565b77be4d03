"""A step on a GPU: ours, with CUDA graphs and without, beside PyTorch's own ways.

    python benchmarks/gpu.py            minutes, many of them torch.compile's
    python benchmarks/gpu.py --quick    short turns, to see that it works

What is compared takes turns. The table is written to benchmarks/results/ as Markdown and JSON, and
as a picture where matplotlib is installed. Without a GPU it says so and exits with 2.
"""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import torch  # noqa: E402
from candidates import LR, MODULE, Task, module, ours_torch  # noqa: E402
from measuring import Train, machine, step_times  # noqa: E402
from writing import save  # noqa: E402

from makemore_bp.engines.graph_engine import GraphEngine  # noqa: E402

GRAPHS, PLAIN = "makemore-bp, CUDA graphs", "makemore-bp, plain calls"
COMPILED = "nn.Module, torch.compile, reduce-overhead"
BATCHES, HIDDEN = (32, 512, 8192, 65_536), (200, 1024)


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short turns")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        print("There is no CUDA device here, so there is nothing to measure.", file=sys.stderr)
        raise SystemExit(2)
    rounds, seconds = (3, 0.05) if arguments.quick else (9, 0.5)
    about = machine() | {"GPU": torch.cuda.get_device_name(), "CUDA": str(torch.version.cuda)}
    tasks = [Task(hidden, batch, "cuda") for hidden in HIDDEN for batch in BATCHES]
    rows = [row for task in tasks for row in measured(task, rounds, seconds)]
    save(arguments.out, "gpu", "A step on a GPU, float32", about, rows, {})


def measured(task: Task, rounds: int, seconds: float) -> list[dict[str, Any]]:
    """Microseconds a step of every candidate, and how many times ours with graphs it is."""
    gc.collect()
    torch.cuda.empty_cache()
    torch.compiler.reset()
    found: dict[str, Callable[[Task], Train]] = {
        GRAPHS: ours_graphs,
        PLAIN: ours_torch("fused"),
        MODULE: module,
        COMPILED: lambda task: module(task, "reduce-overhead"),
    }
    trains = {name: synchronised(make(task)) for name, make in found.items()}
    times = step_times(trains, rounds, seconds)
    return [
        {
            **task.row(name, time),
            "x graphs": time.median / times[GRAPHS].median,
            "GFLOP/s": task.operations / time.median / 1e9,
        }
        for name, time in times.items()
    ]


def ours_graphs(task: Task) -> Train:
    """The fused passes in captured steps."""
    parameters, g = task.start()
    engine = GraphEngine(task.work("fused"), parameters)

    def train(steps: int) -> float:
        return float(engine.advance(task.indices(g, steps), [LR] * steps)[-1])

    return train


def synchronised(train: Train) -> Train:
    """A turn that ends when the device is done: a loss is there before its own update is."""

    def turn(steps: int) -> float:
        loss = train(steps)
        torch.cuda.synchronize()
        return loss

    return turn


if __name__ == "__main__":
    main()
