"""Do several models of one shape train faster together?

    python benchmarks/batched_models.py                 on the CPU
    python benchmarks/batched_models.py --device cuda   on a GPU, and the whole of experiment run

M models, which differ in their parameters, minibatches and learning rates, take their steps
together in one stack (makemore_bp/engines/stacked_engine.py), lifted by vmap. The table shows
microseconds a step of all and of each model, beside one model alone: on the CPU by the native
engine on one core, of which parallel processes use all. All take the lecture's sizes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from candidates import LR, Task, ours_native
from measuring import Train, machine, step_times, timed
from torch.func import vmap

from makemore_bp.engines.graph_engine import GraphEngine
from makemore_bp.engines.stacked_engine import StackedEngine
from makemore_bp.network.parameters import generators, initialise

CPU, GPU = (1, 2, 4, 8, 16, 32, 64), (1, 8, 32, 132, 1000)
ROUNDS, SECONDS = 7, 0.2
RUNS, STEPS = 128, 200_000


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--runs", type=int, default=RUNS, help="of experiment run, on a GPU")
    parser.add_argument("--steps", type=int, default=STEPS, help="of each of them")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print("; ".join(f"{key} {value}" for key, value in machine().items()))
    print(f"{'models':>8}{'one alone':>12}{'all together':>14}{'each':>10}   us a step")
    task = Task(device=given.device)
    alone = ours_native if given.device == "cpu" else captured
    for models in CPU if given.device == "cpu" else GPU:
        trains = {"alone": alone(task), "together": together(task, models)}
        times = {
            name: 1e6 * timing.median
            for name, timing in step_times(trains, ROUNDS, SECONDS).items()
        }
        each = times["together"] / models
        print(f"{models:8}{times['alone']:12.1f}{times['together']:14.1f}{each:10.2f}", flush=True)
    if given.device != "cpu":
        seconds = timed(experiment(given.device, given.runs, given.steps))
        print(f"experiment run, {given.runs} runs of {given.steps:,} steps: {seconds:.1f} s")


def captured(task: Task) -> Train:
    """One model by CUDA graphs."""
    parameters, g = task.start()
    engine = GraphEngine(task.work("fused"), parameters)
    return lambda steps: float(engine.advance(task.indices(g, steps), [LR] * steps)[-1])


def together(task: Task, models: int) -> Train:
    """So many models with seeds, minibatches and learning rates of their own."""
    work, g = task.work("fused"), torch.Generator().manual_seed(1)
    drawn = [initialise(work.sizes, *generators(seed)) for seed in range(models)]
    engine = StackedEngine([work] * models, drawn, [0] * models, lift=vmap)
    own = [LR / (1 + model) for model in range(models)]

    def train(steps: int) -> float:
        shape = (steps, models, task.batch_size)
        indices = torch.randint(0, len(work.examples), shape, generator=g)
        return float(engine.advance(indices, [own] * steps)[-1, 0])

    return train


def experiment(device: str, runs: int, steps: int) -> Callable[[], None]:
    """``experiment run`` of so many seeds, in a folder that is removed again."""

    def run() -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "many.yaml"
            content = {"name": "many", "base": "lecture", "seeds": list(range(runs))}
            file.write_text(yaml.safe_dump(content))
            sets = ("--set", f"device={device}", "--set", f"train.steps={steps}")
            out = str(Path(folder) / "out")
            command = [sys.executable, "-m", "makemore_bp", "experiment", "run", str(file)]
            subprocess.run([*command, "--out", out, "--quiet", *sets], check=True)

    return run


if __name__ == "__main__":
    main()
