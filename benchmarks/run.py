"""Every measurement of speed, in one command, as tables on the screen and in a folder.

    python benchmarks/run.py                    everything but torch.compile, about ten minutes
    python benchmarks/run.py --compile          torch.compile too
    python benchmarks/run.py --only steps       one of the tables: steps, growth, around
    python benchmarks/run.py --quick            short turns, to see that it works

What is compared takes turns, so that a noisy machine is noisy for all; read the ratios. Each table
is written to benchmarks/results/ as Markdown and JSON, and as a picture where matplotlib is
installed.
"""

from __future__ import annotations

import argparse
import gc
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

if "steps" in sys.argv and hasattr(os, "sched_setaffinity"):
    # Before any library counts the cores: JAX, for one, starts a thread for each.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import around  # noqa: E402
from candidates import FUSED, MODULE, NATIVE, Task, candidates  # noqa: E402
from measuring import by_turns, cores, machine, matrix_limit, on_cores, step_times  # noqa: E402
from writing import save  # noqa: E402

Row = dict[str, Any]
BATCHES, HIDDEN = (32, 128, 512, 2048, 8192), (64, 256, 1024, 4096)


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=("steps", "growth", "around"))
    parser.add_argument("--compile", action="store_true", help="torch.compile too")
    parser.add_argument("--quick", action="store_true", help="short turns")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    if arguments.only is None:
        for table in ("steps", "growth", "around"):
            subprocess.run([sys.executable, *sys.argv, "--only", table], check=True)
        return
    rounds, seconds = (3, 0.05) if arguments.quick else (9, 0.5)
    about = machine()
    if arguments.only == "steps":
        rows, absent = steps(rounds, seconds, arguments.compile)
        title = "A step of the lecture's network: batch 32, 200 hidden units, one core"
        save(arguments.out, "steps", title, about, rows, absent)
    if arguments.only == "growth":
        title = f"How a step's cost grows, on {cores()} cores"
        save(arguments.out, "growth", title, about, growth(min(rounds, 5), seconds / 2), {})
    if arguments.only == "around":
        rows = around.rows(min(rounds, 5), 2_000 if arguments.quick else 200_000)
        save(arguments.out, "around", "Around the step", about, rows, {})


def steps(rounds: int, seconds: float, with_compile: bool) -> tuple[list[Row], dict[str, str]]:
    """Microseconds a step of every candidate, and how many times ours it is."""
    found, absent = candidates(with_compile)
    with on_cores(1):
        trains = {name: make(Task()) for name, make in found.items()}
        times = step_times(trains, rounds, seconds)
    ours = next(iter(times))
    rows = [
        {
            "what": name,
            **time.columns(),
            f"x {ours}": time.median / times[ours].median,
            f"x {FUSED}": time.median / times[FUSED].median,
        }
        for name, time in times.items()
    ]
    return rows, absent


def growth(rounds: int, seconds: float) -> list[Row]:
    """Time and share of the machine's limit for growing batches and hidden layers."""
    tasks = [Task(200, batch) for batch in BATCHES] + [Task(hidden, 32) for hidden in HIDDEN]
    return [row for task in (*tasks, Task(1024, 4096)) for row in _grown(task, rounds, seconds)]


def _grown(task: Task, rounds: int, seconds: float) -> list[Row]:
    gc.collect()
    found, _ = candidates(False)
    names = [name for name in (NATIVE, FUSED, MODULE) if name in found]
    with on_cores(cores()):
        limit = 1e-9 / by_turns({"limit": matrix_limit()}, rounds)["limit"].median
        times = step_times({name: found[name](task) for name in names}, rounds, seconds)
    rows = []
    for name, time in times.items():
        speed = task.operations / time.median / 1e9
        rows.append(
            {
                **task.row(name, time),
                "GFLOP/s": speed,
                "limit, GFLOP/s": limit,
                "share": speed / limit,
            }
        )
    return rows


if __name__ == "__main__":
    main()
