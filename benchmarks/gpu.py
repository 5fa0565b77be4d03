"""A step on a GPU: first whether it is right, then how fast, beside PyTorch's own ways and JAX.

    python benchmarks/gpu.py            ten minutes at most, most of them torch.compile's
    python benchmarks/gpu.py --quick    short turns, and no torch.compile
    python benchmarks/gpu.py --tiny     tiny networks on a CPU, to see that this file works

What is compared takes turns, with its data and indices on the device. The tables are written to
benchmarks/results/ as Markdown and JSON, and as pictures where matplotlib is installed. It exits
with 1 if something is wrong, and with 2 where there is no GPU.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]

import torch  # noqa: E402
from candidates import JAX, LR, MODULE, Task, jax_scan, module, ours_torch  # noqa: E402
from measuring import Timing, Train, machine, step_times  # noqa: E402
from torch import Tensor  # noqa: E402
from writing import save  # noqa: E402

import makemore_bp as mb  # noqa: E402
from makemore_bp.engines.cuda_graphs import CudaGraphs  # noqa: E402
from makemore_bp.engines.engine import Engine, Work  # noqa: E402
from makemore_bp.engines.graph_engine import GraphEngine  # noqa: E402
from makemore_bp.engines.torch_engine import TorchEngine  # noqa: E402
from makemore_bp.engines.triton_engine import TritonEngine  # noqa: E402
from makemore_bp.gradcheck.batch import first_step  # noqa: E402
from makemore_bp.network.parameters import generators, initialise  # noqa: E402
from makemore_bp.network.passes import Network  # noqa: E402
from makemore_bp.training.run_folder import SUMMARY  # noqa: E402

OURS, GRAPHS, PLAIN = "makemore-bp", "makemore-bp, heart captured", "makemore-bp, heart called"
COMPILED = "nn.Module, torch.compile, reduce-overhead"
JAX_FULL = f"{JAX}, full float32"
# What trains so many networks at once, a step of each: of a task and their number.
AT_ONCE: dict[str, Callable[[Task, int], Train]] = {
    "JAX, vmap": lambda task, models: jax_scan(task, models=models),
    "JAX, vmap, full float32": lambda task, models: jax_scan(task, "highest", models),
}


@dataclass(frozen=True)
class Plan:
    """What is measured, and how long a turn is."""

    device: str = "cuda"
    sizes: Sequence[tuple[int, int]] = (
        *[(32, 200), (512, 200), (8192, 200), (65_536, 200), (32, 1024), (8192, 1024)],
    )  # of the batch and the hidden layer
    models: Sequence[int] = (132, 1000)
    steps: int = 200_000  # of a whole run
    checked: int = 20
    rounds: int = 7
    seconds: float = 0.3
    compiles: bool = True


QUICK = Plan(rounds=3, seconds=0.05, compiles=False, steps=20_000)
TINY = Plan("cpu", [(3, 4)], [2], 20, 2, 1, 1e-4, False)


def main(arguments: Sequence[str] | None = None) -> None:
    """Checks, measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="short turns")
    parser.add_argument("--tiny", action="store_true", help="tiny networks on a CPU")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args(arguments)
    plan = TINY if given.tiny else QUICK if given.quick else Plan()
    if plan.device == "cpu":
        os.environ["TRITON_INTERPRET"] = "1"
    elif not torch.cuda.is_available():
        print("There is no CUDA device here, so there is nothing to measure.", file=sys.stderr)
        raise SystemExit(2)
    right = report(plan, given.out)
    raise SystemExit(0 if right else 1)


def report(plan: Plan, out: Path) -> bool:
    """Writes every table; whether all that was checked is right."""
    about = machine() | {"CUDA": str(torch.version.cuda)}
    if plan.device == "cuda":
        about["GPU"] = torch.cuda.get_device_name()
    absent = {} if find_spec("jax") else {JAX: "JAX is not installed; pip install '.[bench]'"}
    if not plan.compiles:
        absent[COMPILED] = "left out"
    checks = list(checked(plan))
    save(out, "gpu-checks", "Is it right?", about, checks, {})
    tasks = [Task(hidden, batch, plan.device).drawn() for batch, hidden in plan.sizes]
    steps = [row for task in tasks for row in compared(task, one_at_a_time(plan), plan)]
    save(out, "gpu", "A step on a GPU, float32", about, steps, absent)
    batch, hidden = plan.sizes[0]
    for models in plan.models:
        makes = {name: partial(make, models=models) for name, make in at_once().items()}
        if makes:
            rows = compared(Task(hidden, batch, plan.device).drawn(), makes, plan)
            save(out, f"gpu-{models}-models", f"A step of {models} models", about, rows, absent)
    save(out, "gpu-train", "The whole of train", about, [trained(plan)], {})
    return all(check["right"] == "yes" for check in checks)


# ------------------------------------------------------------------------------------------ checks


def checked(plan: Plan) -> Iterator[dict[str, str]]:
    """Each thing that must be right, with what was found."""
    yield _check("float32 products are not TF32", not torch.backends.cuda.matmul.allow_tf32, "")
    for switch in ("op-by-op", "fused"):
        keys = [f"backward.{stage}={switch}" for stage in ("batchnorm", "cross_entropy")]
        first = first_step(mb.load_config("lecture", f"device={plan.device}", *keys))
        passed = mb.check(first.batch, first.gradients("torch")).passed
        yield _check(f"gradcheck, {switch}", passed, "")
    batch, hidden = plan.sizes[0]
    for activation, more in (
        ("tanh", {}),
        ("relu", {"dropout": 0.3, "weight_decay": 0.01}),
    ):
        work = worked(Task(hidden, batch, plan.device), activation, torch.float64, **more)
        off = difference(work, plan.checked)
        yield _check(f"float64, {activation}: the heart's steps", off < 1e-10, f"off by {off:.1e}")
    for batch, hidden in plan.sizes:
        work = worked(Task(hidden, batch, plan.device), "tanh", torch.float32)
        off = difference(work, 2)
        yield _check(f"float32, batch {batch}, hidden {hidden}", off < 1e-3, f"off by {off:.1e}")
        yield _check(f"  two runs, the same bytes, {batch}", same_bytes(work, plan.checked), "")


def _check(what: str, right: bool, found: str) -> dict[str, str]:
    return {"what": what, "right": "yes" if right else "NO", "found": found}


def worked(task: Task, activation: str, dtype: torch.dtype, **more: Any) -> Work:
    """The task's work with the fused passes."""
    fused = Network.of(cross_entropy="fused", batchnorm="fused", activation=activation)
    plain = task.work("fused")
    return Work(
        fused.dropping("dropout" in more), plain.sizes, plain.examples, plain.batch_size,
        device=task.device, dtype=dtype, **more,
    )  # fmt: skip


def difference(work: Work, steps: int) -> float:
    """How far some steps take the losses and parameters from the heart's, at most."""
    ends = [_end(engine, work, steps) for engine in (ours(work), plain(work))]
    return max(float((a - b).abs().max()) for a, b in zip(*ends, strict=True))


def same_bytes(work: Work, steps: int) -> bool:
    """Whether two runs end in the same bits."""
    ends = [_end(ours(work), work, steps) for _ in range(2)]
    return all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def _end(engine: Engine, work: Work, steps: int) -> list[Tensor]:
    g = torch.Generator().manual_seed(1)
    indices = torch.randint(0, len(work.examples), (steps, work.batch_size), generator=g)
    losses = engine.advance(indices, [0.1] * steps)
    return [losses, *(p.double().cpu() for p in engine.parameters().values())]


def _started(work: Work) -> dict[str, Tensor]:
    return initialise(work.sizes, *generators(2147483647), work.dtype)


def ours(work: Work) -> TritonEngine:
    """The step of ten launches; a warning of it is a mistake here."""
    engine = TritonEngine(work, _started(work), capture=_capture(work.device))
    assert engine.ten_launches, "the Triton kernels cannot be compiled"
    return engine


def plain(work: Work) -> TorchEngine:
    return TorchEngine(work, _started(work))


def _capture(device: str) -> Any:
    return CudaGraphs(device) if device == "cuda" else lambda work: work


# ------------------------------------------------------------------------------------------- times


def one_at_a_time(plan: Plan) -> dict[str, Callable[[Task], Train]]:
    """What trains one network, ours first."""
    found: dict[str, Callable[[Task], Train]] = {
        OURS: lambda task: stepping(ours(task.work("fused")), task),
        GRAPHS: lambda task: stepping(captured(task.work("fused")), task),
        PLAIN: ours_torch("fused"),
        MODULE: module,
    }
    if plan.compiles:
        found[COMPILED] = lambda task: module(task, "reduce-overhead")
    if find_spec("jax"):
        found |= {JAX: jax_scan, JAX_FULL: lambda task: jax_scan(task, "highest")}
    return found


def at_once() -> Mapping[str, Callable[..., Train]]:
    """What trains many networks, where it is installed."""
    there = find_spec("jax")
    return {name: make for name, make in AT_ONCE.items() if there or "JAX" not in name}


def captured(work: Work) -> GraphEngine:
    return GraphEngine(work, _started(work), capture=_capture(work.device))


def stepping(engine: Engine, task: Task) -> Train:
    """An engine's steps on the task's minibatches."""
    g = torch.Generator().manual_seed(1)

    def train(steps: int) -> float:
        return float(engine.advance(task.indices(g, steps), [LR] * steps)[-1])

    return train


def compared(
    task: Task, makes: Mapping[str, Callable[[Task], Train]], plan: Plan
) -> list[dict[str, Any]]:
    """Microseconds a step of each, and how many times the first one's that is."""
    gc.collect()
    if plan.device == "cuda":
        torch.cuda.empty_cache()
    if plan.compiles:
        torch.compiler.reset()
    trains = {name: synchronised(make(task), plan.device) for name, make in makes.items()}
    times: Mapping[str, Timing] = step_times(trains, plan.rounds, plan.seconds)
    first = next(iter(times.values())).median
    return [
        {**task.row(name, time), "x first": time.median / first} for name, time in times.items()
    ]


def synchronised(train: Train, device: str) -> Train:
    """A turn that ends when the device is done: a loss is there before its own update is."""

    def turn(steps: int) -> float:
        loss = train(steps)
        if device == "cuda":
            torch.cuda.synchronize()
        return loss

    return turn


def trained(plan: Plan) -> dict[str, Any]:
    """The lecture's run from words to a trained network."""
    keys = [f"device={plan.device}", f"train.steps={plan.steps}"]
    with tempfile.TemporaryDirectory() as folder:
        run = mb.train(mb.load_config("lecture", *keys), Path(folder) / "run")
        about = json.loads((run.folder / SUMMARY).read_text())
    return {name: about[name] for name in ("steps", "seconds", "steps_per_second", "val_loss")}


if __name__ == "__main__":
    main()
