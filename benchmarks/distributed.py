"""What a step costs over ranks, and whether the model of docs/distributed.md foretells it.

    torchrun --standalone --nproc-per-node 2 benchmarks/distributed.py            some minutes
    torchrun --standalone --nproc-per-node 2 benchmarks/distributed.py --quick    to see it works

For each batch, with 1,024 hidden units and the fused passes, by turns: a step of one process with
one thread and with as many as there are ranks; of one process that has only a rank's rows; of all
ranks with their messages; and of all ranks at once on their rows without any message. Besides, the
messages alone. While one process is timed the others wait; what all do ends with the slowest.

Ranks of one machine share its memory and caches, so that a rank's rows take longer when all ranks
are at theirs; the model takes this time, and the one of a quiet machine is shown beside it. Latency
and bandwidth are fitted to messages of several lengths. From these, and from the times of smaller
and smaller shares of the rows, follows what larger clusters would do, of such machines and such
connections between them. The tables are written to benchmarks/results/.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import Timing, by_turns, machine, timed
from writing import save

from makemore_bp import config, dataset
from makemore_bp.engines.engine import Engine, Work
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import Network
from makemore_bp.ranks.engine import RanksEngine
from makemore_bp.ranks.group import ALONE
from makemore_bp.ranks.launch import place
from makemore_bp.ranks.process_group import ProcessGroup, joined

Row = dict[str, Any]
FUSED = Network.of(cross_entropy="fused", batchnorm="fused")
BYTES = 4  # of a number
LENGTHS = tuple(4**k for k in range(4, 12))  # numbers of a message: 1 KiB to 16 MiB
CLUSTERS = (2, 4, 8, 16, 32, 64)
STEP = ("gather, batchnorm forward", "sum, batchnorm backward", "sum, parameters")
ONE, ROWS, AT_ONCE, RANKS = "one process, 1 thread", "a rank's rows", "rows of {}", "{} ranks"


@dataclass(frozen=True)
class Plan:
    """What is measured: so many rounds of turns of so many seconds each."""

    batches: tuple[int, ...] = (8192, 65_536)
    n_hidden: int = 1024
    rounds: int = 7
    seconds: float = 1.0


@dataclass(frozen=True)
class Link:
    """A connection: seconds that a message needs however short it is, bytes a second."""

    alpha: float
    beta: float

    @classmethod
    def fitted(cls, sums: Mapping[int, float], size: int) -> Link:
        """Of the seconds of sums by their bytes; least squares of the relative errors."""
        length, seconds = (np.array(list(part), float) for part in (sums, sums.values()))
        terms = np.stack((np.full_like(length, 2 * (size - 1)), 2 * (size - 1) / size * length), 1)
        (alpha, a_byte), *_ = np.linalg.lstsq(
            terms / seconds[:, None], np.ones_like(length), rcond=None
        )
        return cls(float(alpha), float(1 / a_byte))

    def sum(self, numbers: int, size: int) -> float:
        """Seconds of a sum over ``size`` ranks."""
        return 2 * (size - 1) * (self.alpha + BYTES * numbers / self.beta / size)

    def gather(self, numbers: int, size: int) -> float:
        """Seconds of a gather over ``size`` ranks."""
        return (size - 1) * (self.alpha + BYTES * numbers / self.beta)


class Bench:
    """The engines and messages to be timed, on one of the ranks."""

    def __init__(self, plan: Plan, group: ProcessGroup) -> None:
        self.plan, self.group = plan, group
        data = dataset.load(config.Data(), 3)
        sizes = Sizes(len(data.vocabulary), n_hidden=plan.n_hidden)
        parameters = initialise(sizes, *generators(1))
        work = Work(FUSED, sizes, data.train, batch_size=2)  # each turn brings its own batches
        self.alone = TorchEngine(work, parameters)
        self.silent = RanksEngine(ALONE, work, parameters)
        self.together = RanksEngine(group, work, parameters)
        self.examples = len(data.train)
        H = plan.n_hidden
        self.flat = sum(p.numel() for p in parameters.values()) - 2 * H + 1

    def steps(self, batch: int) -> dict[str, Timing]:
        """Seconds a step of everything that is compared, by name."""
        size = self.group.size
        things = {
            ONE: self._turn(self.alone, batch, everyone=False),
            f"one process, {size} threads": self._turn(
                self.alone, batch, threads=size, everyone=False
            ),
            ROWS: self._turn(self.silent, batch, share=size, everyone=False),
            RANKS.format(size): self._turn(self.together, batch),
        }
        for ranks in sorted({size, *CLUSTERS}):
            things[AT_ONCE.format(ranks)] = self._turn(self.silent, batch, share=ranks)
        return by_turns(things, self.plan.rounds)

    def messages(self) -> tuple[dict[str, Timing], Link]:
        """Seconds of a step's three messages, by name, and what follows from sums of any length."""
        H, group = self.plan.n_hidden, self.group
        of_a_step = ((group.gather, 2 * H + 1), (group.sum, 2 * H), (group.sum, self.flat))
        kinds = {
            **dict(zip(STEP, of_a_step, strict=True)),
            **{f"sum, {BYTES * length:,} bytes": (group.sum, length) for length in LENGTHS},
        }
        things = {}
        for name, (send, length) in kinds.items():
            message = partial(send, torch.zeros(1, length))
            things[name] = self._repeated(message, everyone=True)
        times = by_turns(things, self.plan.rounds)
        sums = {BYTES * n: times[f"sum, {BYTES * n:,} bytes"].median for n in LENGTHS}
        return times, Link.fitted(sums, group.size)

    def link_seconds(self, link: Link, size: int) -> float:
        """Seconds of a step's messages over ``size`` ranks by the model."""
        H = self.plan.n_hidden
        return link.gather(2 * H + 1, size) + link.sum(2 * H, size) + link.sum(self.flat, size)

    def _turn(
        self, engine: Engine, batch: int, share: int = 1, threads: int = 1, everyone: bool = True
    ) -> Callable[[], float]:
        """A turn of steps; every rank draws the indices of the whole minibatch."""
        g = torch.Generator().manual_seed(2)
        rows = -(-batch // share)

        def step() -> None:
            torch.set_num_threads(threads)
            indices = torch.randint(0, self.examples, (1, batch), generator=g)
            engine.advance(indices[:, :rows], [0.01])

        return self._repeated(step, everyone)

    def _repeated(self, action: Callable[[], object], everyone: bool) -> Callable[[], float]:
        """Times ``action`` so often that it takes a turn; gives seconds of one, by the slowest."""
        at_work = everyone or self.group.rank == 0

        def seconds(times: int) -> float:
            self.group.meet()
            took = timed(lambda: [action() for _ in range(times)]) if at_work else 0.0
            (slowest,) = self.group.largest([int(1e9 * took)])
            return slowest / 1e9 / times

        seconds(1)
        times = max(1, int(self.plan.seconds / seconds(1)))
        return lambda: seconds(times)


def main() -> None:
    """Measures on all ranks; rank 0 writes."""
    here = place()
    if here is None:
        raise SystemExit(__doc__)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small network and short turns")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    arguments = parser.parse_args()
    plan = Plan((512, 4096), 128, 3, 0.05) if arguments.quick else Plan()
    if here.size == 1:
        raise SystemExit("One rank sends no messages: give --nproc-per-node 2 or more.")
    with joined(here) as group:
        about = machine() | {"ranks": str(here.size), "hidden": str(plan.n_hidden)}
        bench = Bench(plan, group)
        messages, link = bench.messages()
        steps = {batch: bench.steps(batch) for batch in plan.batches}
        if here.speaks:
            write(arguments.out, about, bench, messages, link, steps)
        group.meet()


def write(
    folder: Path,
    about: dict[str, str],
    bench: Bench,
    messages: dict[str, Timing],
    link: Link,
    steps: dict[int, dict[str, Timing]],
) -> None:
    """Writes and prints the four tables."""
    size = bench.group.size
    fitted = {"alpha": f"{1e6 * link.alpha:.0f} us", "beta": f"{link.beta / 1e9:.2f} GB/s"}

    def table(name: str, title: str, rows: list[Row], more: Mapping[str, str] = fitted) -> None:
        save(folder, f"distributed-{name}", title, {**about, **more}, rows, {})

    table(
        "messages",
        f"Messages between {size} ranks",
        [{"what": name, **_ms(time)} for name, time in messages.items()],
    )
    table(
        "steps",
        "A step over ranks, a thread each; rows of N: an N-th of the batch on every rank at once, "
        "without messages",
        [
            {"batch": batch, "what": name, **_ms(time), "speed-up": times[ONE].median / time.median}
            for batch, times in steps.items()
            for name, time in times.items()
        ],
        {},
    )
    table(
        "model",
        "A step over ranks as the model foretells it and as it was",
        [
            _foretold(bench, batch, times, rows, link, messages)
            for batch, times in steps.items()
            for rows in (ROWS, AT_ONCE.format(size))
        ],
    )
    table(
        "clusters",
        "Larger clusters of such machines and connections, by the model",
        [
            _cluster(bench, batch, times, ranks, link)
            for batch, times in steps.items()
            for ranks in CLUSTERS
        ],
    )


def _ms(time: Timing) -> Row:
    values = {"median": time.median, "least": time.least, "most": time.most}
    return {f"{name}, ms": 1e3 * seconds for name, seconds in values.items()}


def _foretold(
    bench: Bench,
    batch: int,
    times: dict[str, Timing],
    rows: str,
    link: Link,
    alone: dict[str, Timing],
) -> Row:
    size = bench.group.size
    messages = bench.link_seconds(link, size)
    foretold, measured = times[rows].median + messages, times[RANKS.format(size)].median
    return {
        "batch": batch,
        "rows": "on a quiet machine" if rows == ROWS else "all ranks at once",
        "rows, ms": 1e3 * times[rows].median,
        "messages, ms": 1e3 * messages,
        "messages as timed, ms": 1e3 * sum(alone[name].median for name in STEP),
        "foretold, ms": 1e3 * foretold,
        "measured, ms": 1e3 * measured,
        "error, %": 100 * (foretold / measured - 1),
    }


def _cluster(bench: Bench, batch: int, times: dict[str, Timing], ranks: int, link: Link) -> Row:
    rows, messages = times[AT_ONCE.format(ranks)].median, bench.link_seconds(link, ranks)
    step = rows + messages
    return {
        "batch": batch,
        "ranks": ranks,
        "rows, ms": 1e3 * rows,
        "messages, ms": 1e3 * messages,
        "steps a second": 1 / step,
        "speed-up": times[ONE].median / step,
    }


if __name__ == "__main__":
    main()
