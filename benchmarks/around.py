"""Everything around the step: sampling, loading, start-up, and the whole train command."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from measuring import Timing, by_turns, timed

from makemore_bp import config, dataset
from makemore_bp.engines import choice, configured
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.sampling import Sampler, Settings
from makemore_bp.training import run_folder
from makemore_bp.training.checkpoint import Checkpoint

NAMES, LECTURE_NAMES, WORDS = 1_000_000, 200, 1_000_000
Row = dict[str, str | float]


def rows(rounds: int, steps: int) -> list[Row]:
    """What was measured, its figure, what it is compared with, and the ratio."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        train = training(folder, steps)
        return [
            *sampling(folder / "run", rounds),
            *loading(folder, rounds),
            *startup(rounds),
            *train,
        ]


def row(what: str, ours: Timing, unit: float, name: str, than: str, other: Timing) -> Row:
    return {
        "what": what,
        "unit": name,
        "ours": ours.median * unit,
        "least": ours.least * unit,
        "most": ours.most * unit,
        "compared with": than,
        "theirs": other.median * unit,
        "theirs / ours": other.median / ours.median,
    }


def sampling(run: Path, rounds: int) -> list[Row]:
    checkpoint = run_folder.read(run)

    def ours() -> float:
        words = Sampler(checkpoint, Settings()).words()
        return timed(lambda: list(islice(words, NAMES))) / NAMES

    def lecture() -> float:
        g, _ = generators(2147483657)
        return timed(lambda: [_one_by_one(checkpoint, g) for _ in range(LECTURE_NAMES)]) / (
            LECTURE_NAMES
        )

    times = by_turns({"ours": ours, "lecture": lecture}, rounds)
    what = f"drawing {NAMES:,} names, a name"
    return [row(what, times["ours"], 1e6, "us", "the lecture's loop", times["lecture"])]


@torch.no_grad()
def _one_by_one(saved: Checkpoint, g: torch.Generator) -> list[int]:
    context, name = [0] * saved.config.model.block_size, []
    statistics = saved.statistics
    while True:
        logits = configured.network(saved.config).logits(
            saved.parameters, statistics.bnmean, statistics.bnvar, torch.tensor([context])
        )
        drawn = int(torch.multinomial(F.softmax(logits, 1), 1, generator=g))
        if drawn == 0:
            return name
        name.append(drawn)
        context = [*context[1:], drawn]


def loading(folder: Path, rounds: int) -> list[Row]:
    rng, letters = random.Random(1), "abcdefghijklmnopqrstuvwxyz"
    path = folder / "million.txt"
    path.write_text(
        "\n".join("".join(rng.choices(letters, k=rng.randint(3, 10))) for _ in range(WORDS))
    )
    data = dataset.load(config.Data(path=str(path)), 3)
    splits = [data[split] for split in dataset.SPLITS]
    size = sum(split.nbytes for split in splits) / sum(map(len, splits))
    things = {
        "ours": lambda: timed(lambda: dataset.load(config.Data(path=str(path)), 3)),
        "split": lambda: timed(lambda: path.read_text().splitlines()),
    }
    times = by_turns(things, rounds)
    what = f"loading {WORDS:,} words ({size:.1f} bytes an example)"
    return [row(what, times["ours"], 1.0, "s", "reading the lines only", times["split"])]


def startup(rounds: int) -> list[Row]:
    things = {
        "help": lambda: timed(lambda: _python("-m", "makemore_bp", "--help")),
        "typer": lambda: timed(lambda: _python("-c", "import typer")),
    }
    times = by_turns(things, rounds)
    return [row("makemore-bp --help", times["help"], 1e3, "ms", "import typer", times["typer"])]


def training(folder: Path, steps: int) -> list[Row]:
    """The whole command, beside its engine's bare loop and PyTorch's import."""
    out = str(folder / "run")
    command = ("-m", "makemore_bp", "train", "--overwrite", "--out", out)
    things = {
        "command": lambda: timed(lambda: _python(*command, "--set", f"train.steps={steps}")),
        "import": lambda: timed(lambda: _python("-c", "import torch")),
        "bare": lambda: _bare(steps),
    }
    times = by_turns(things, 3)
    pairs = zip(times["bare"].seconds, times["import"].seconds, strict=True)
    both = Timing([sum(pair) for pair in pairs])
    what = f"makemore-bp train, {steps:,} steps"
    return [row(what, times["command"], 1.0, "s", "bare loop and import torch", both)]


def _bare(steps: int) -> float:
    resolved = config.load(None, [f"train.steps={steps}"])
    data = dataset.load(resolved.data, resolved.model.block_size)
    V = len(data.vocabulary)
    g, g_batchnorm = generators(resolved.train.seed)
    parameters = initialise(Sizes(V), g, g_batchnorm)
    work = configured.work(resolved, V, data.train)
    engine = choice.choose(resolved, work).make(work, parameters, 0)
    rates = [0.01] * 1000
    seconds = 0.0
    for _ in range(0, steps, 1000):
        indices = torch.randint(0, len(data.train), (1000, 32), generator=g)
        seconds += timed(lambda indices=indices: engine.advance(indices, rates))
    return seconds


def _python(*arguments: str) -> None:
    subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
