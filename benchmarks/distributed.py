"""What a step costs on two ranks, and whether the model of docs/distributed.md foretells it.

    torchrun --standalone --nproc-per-node 2 benchmarks/distributed.py

For each batch, with 1,024 hidden units and the fused passes: the median step of one process with
one thread and with as many as there are ranks, of one process that has only a rank's rows, and of
all ranks with one thread each. Messages of several lengths give latency and bandwidth, from which
the model adds up what the ranks' step should cost. While one process is timed the others wait.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import torch

from makemore_bp import config, dataset
from makemore_bp.distributed.launch import place
from makemore_bp.distributed.process_group import ProcessGroup, joined
from makemore_bp.distributed.shares import share
from makemore_bp.engines import Engine
from makemore_bp.engines.distributed_engine import DistributedEngine
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import Network

BATCHES, N_HIDDEN, ROUNDS = (8192, 65_536), 1024, 7
FUSED = ("fused", "fused")


def main() -> None:
    """Prints the figures on rank 0."""
    here = place()
    if here is None:
        raise SystemExit(__doc__)
    with joined(here) as group:
        data = dataset.load(config.Data(), 3)
        sizes = Sizes(len(data.vocabulary), n_hidden=N_HIDDEN)
        parameters = initialise(sizes, *generators(1))
        alone = TorchEngine(Network.of(*FUSED), parameters, data.train)
        network = Network.distributed(*FUSED)
        together = DistributedEngine(group, network, parameters, data.train)
        flat = sum(p.numel() for p in parameters.values()) - 2 * N_HIDDEN + 1
        if here.speaks:
            print(f"{here.size} ranks, load {os.getloadavg()[0]:.1f}, torch {torch.__version__}")
        messages = _messages(group, flat)
        for batch in BATCHES:
            rows = len(share(batch, 0, here.size))
            times = {}
            for name, threads, size in (
                ("one process, 1 thread", 1, batch),
                (f"one process, {here.size} threads", here.size, batch),
                ("one process, a rank's rows", 1, rows),
            ):
                torch.set_num_threads(threads)
                if here.speaks:
                    times[name] = _step(alone, size, len(data.train))
                group.meet()
            torch.set_num_threads(1)
            times[f"{here.size} ranks, 1 thread each"] = _step(together, batch, len(data.train))
            if here.speaks:
                model = times["one process, a rank's rows"] + messages
                _show(batch, times, model)


def _step(engine: Engine, batch: int, examples: int) -> float:
    """The median time of a step in milliseconds."""
    g = torch.Generator().manual_seed(2)

    def step() -> None:
        engine.advance(torch.randint(0, examples, (1, batch), generator=g), [0.01])

    return _median(step)


def _messages(group: ProcessGroup, flat: int) -> float:
    """The time of a step's three messages in milliseconds, each alone on the way."""
    H = N_HIDDEN
    kinds: list[tuple[str, int, Callable[[torch.Tensor], object]]] = [
        ("gather, forward", 2 * H + 1, group.gather),
        ("sum, backward", 2 * H, group.sum),
        ("sum, parameters", flat, group.sum),
        ("sum, 1 MiB", 2**18, group.sum),
        ("sum, 16 MiB", 2**22, group.sum),
    ]
    total = 0.0
    for number, (name, length, send) in enumerate(kinds):
        tensor = torch.zeros(1, length)
        took = _median(lambda send=send, tensor=tensor: send(tensor), 50)  # type: ignore[misc]
        total += took if number < 3 else 0.0
        if group.rank == 0:
            print(f"  {name:18} {4 * length:12,} bytes {took:9.3f} ms")
    return total


def _median(action: Callable[[], object], rounds: int = ROUNDS) -> float:
    times = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        action()
        times.append(1e3 * (time.perf_counter() - began))
    return statistics.median(times[1:])


def _show(batch: int, times: dict[str, float], model: float) -> None:
    first = next(iter(times.values()))
    print(f"batch {batch:,}, n_hidden {N_HIDDEN:,}, load {os.getloadavg()[0]:.1f}")
    for name, took in times.items():
        print(f"  {name:28} {took:9.1f} ms a step, {first / took:5.2f} times the first")
    last = list(times.values())[-1]
    print(f"  {'the model for the ranks':28} {model:9.1f} ms, {model / last - 1:+.0%} off")


if __name__ == "__main__":
    main()
