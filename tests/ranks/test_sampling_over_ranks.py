"""Words drawn by several ranks are those of one, and all ranks end together."""

from __future__ import annotations

import json
import math
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from makemore_bp import config
from makemore_bp.errors import RequestError
from makemore_bp.ranks import sampling as ranks_sampling
from makemore_bp.sampling import BLOCK, Sampler, Settings
from makemore_bp.signals import Interrupted, Stop
from makemore_bp.training import run_folder, start
from tests.processes import TORCHRUN, finished
from tests.ranks.rank_threads import ThreadRanks, on_ranks
from tests.ranks.torchruns import ROOT, line, torchrun

MANY = "tests.ranks.many_commands"
ODD_WORDS = ["", "anna", "", "李明", "o\u2028o", "a b", ""]


@pytest.fixture
def run(cli: Any, small: list[str], tmp_path: Path) -> Path:
    """The folder of a small finished run."""
    folder = tmp_path / "run"
    assert cli("train", *small, "--out", folder, "--quiet").code == 0
    return folder


def block(number: int) -> list[str]:
    return [f"{word}{number}" if word else "" for word in ODD_WORDS]


def all_of_them(words: Iterator[str]) -> None:
    """The use of words that never has enough."""
    for _ in words:
        pass


# Who draws what, with threads for ranks


@pytest.mark.parametrize("size", [1, 2, 3, 5])
@pytest.mark.parametrize("number", [0, 1, 7, 8, 14, 250])
@pytest.mark.parametrize("seconds", [0, 1e9])
def test_rank_0_has_the_words_in_the_order_of_the_blocks(
    size: int, number: int, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Turns of one block each, and turns that get twice as long every time."""
    monkeypatch.setattr(ranks_sampling, "TURN_SECONDS", seconds)
    found: list[str] = []
    drawn: dict[int, list[int]] = {rank: [] for rank in range(size)}

    def work(ranks: ThreadRanks) -> None:
        def noted(number: int) -> list[str]:
            drawn[ranks.rank].append(number)
            return block(number)

        ranks_sampling.draw(noted, lambda words: found.extend(islice(words, number)), ranks, Stop())

    on_ranks(size, work)
    assert found == [word for i in range(40) for word in block(i)][:number]
    needed = -(-number // len(ODD_WORDS))
    everyone = [i for blocks in drawn.values() for i in blocks]
    assert len(set(everyone)) == len(everyone) and set(range(needed)) <= set(everyone)
    if not seconds:
        for rank, blocks in drawn.items():
            assert blocks == list(range(rank, size * len(blocks), size))
            assert len(blocks) <= -(-needed // size) + 1


def test_what_the_user_of_the_words_raises_is_raised_once_and_all_return() -> None:
    def refuse(words: Iterator[str]) -> None:
        list(islice(words, 30))
        raise RequestError("no more")

    def work(ranks: ThreadRanks) -> str:
        try:
            ranks_sampling.draw(block, refuse, ranks, Stop())
        except RequestError as error:
            return str(error)
        return "returned"

    assert on_ranks(3, work) == ["no more", "returned", "returned"]


@pytest.mark.parametrize("asked", [0, 1, 2])
def test_a_signal_to_one_rank_stops_all(asked: int) -> None:
    def work(ranks: ThreadRanks) -> int:
        stop = Stop()
        if ranks.rank == asked:
            stop.request(signal.SIGTERM, None)
        with pytest.raises(Interrupted) as stopped:
            ranks_sampling.draw(block, all_of_them, ranks, stop)
        return stopped.value.exit_code

    assert on_ranks(3, work) == [128 + signal.SIGTERM] * 3


# What a block is


def test_blocks_can_be_drawn_in_any_order(run: Path) -> None:
    saved = run_folder.read(run)
    words = list(islice(Sampler(saved, Settings()).words(), 3 * BLOCK))
    other = Sampler(saved, Settings())
    assert [other.block(number) for number in (2, 0, 1)] == [
        words[first * BLOCK : (first + 1) * BLOCK] for first in (2, 0, 1)
    ]


def test_a_large_vocabulary_has_small_blocks(tmp_path: Path) -> None:
    """So that twenty words that never end take seconds."""
    path = tmp_path / "words.txt"
    path.write_text("\n".join(chr(0x4E00 + number) for number in range(5000)))
    values = ("train.steps=1", "model.n_hidden=2", "model.n_embd=2", "train.batch_size=2")
    folder = tmp_path / "run"
    start.new(config.load(None, [f"data.path={path}", *values]), folder)
    sampler = Sampler(run_folder.read(folder), Settings(max_length=20))
    assert len(sampler.block(0)) == sampler.size == 2**18 // 5001
    assert list(islice(sampler.words(), 60)) == [*sampler.block(0), *sampler.block(1)][:60]


def test_the_first_block_is_drawn_from_the_generator_of_the_seed(run: Path) -> None:
    """With one place for a character, a word's first character shows the uniform number."""
    sampler = Sampler(run_folder.read(run), Settings(seed=7, max_length=1))
    ends = sampler._cumulative(torch.zeros(1, 3, dtype=torch.long))[0]
    uniform = torch.rand(BLOCK, 1, generator=torch.Generator().manual_seed(7))
    characters = ["", *run_folder.read(run).vocabulary.characters]
    expected = torch.searchsorted(ends, uniform[:, 0] * ends[-1], right=True)
    assert sampler.block(0) == [characters[id] for id in expected.tolist()]


def test_words_of_many_blocks_and_seeds_are_independent_draws(run: Path) -> None:
    """The first characters, of as many blocks as of seeds: how often, and how often twice."""
    saved = run_folder.read(run)
    ends = Sampler(saved, Settings())._cumulative(torch.zeros(1, 3, dtype=torch.long))[0]
    expected = torch.diff(ends, prepend=torch.zeros(1, dtype=ends.dtype))
    characters = {c: id for id, c in enumerate(["", *saved.vocabulary.characters])}

    def ids(seed: int, number: int) -> torch.Tensor:
        words = Sampler(saved, Settings(seed=seed, max_length=1)).block(number)
        return torch.tensor([characters[word] for word in words])

    for drawn in (
        torch.stack([ids(7, number) for number in range(200)]),
        torch.stack([ids(seed, 3) for seed in range(200)]),
    ):
        share = torch.bincount(drawn.flatten(), minlength=len(characters)) / drawn.numel()
        spread = (expected * (1 - expected) / drawn.numel()).sqrt()
        assert float(((share - expected).abs() / spread).max()) < 4
        twice = float((expected**2).sum())
        same = float((drawn[1:] == drawn[:-1]).double().mean())
        assert abs(same - twice) < 4 * math.sqrt(twice / drawn.numel())


# Under torchrun


def test_every_number_of_ranks_prints_the_bytes_of_one_process(
    cli: Any, run: Path, words: Path, tmp_path: Path, cache: Path
) -> None:
    likeliest = cli("sample", run, "-n", 1, "--top-k", 1, "--max-length", 40).out
    with open(words, "a") as file:
        file.write(likeliest)
    options: list[tuple[object, ...]] = [
        ("-n", 0),
        ("-n", 7),
        ("-n", BLOCK),
        ("-n", 2 * BLOCK + 1),
        ("-n", 5000, "--seed", 3, "--temperature", 0.7),
        ("-n", 2500, "--only-new", "--temperature", 0.5),
        ("-n", 1, "--only-new", "--top-k", 1, "--max-length", 40),  # runs out of patience
        ("-n", 1500, "--top-k", 2, "--max-length", 9, "--json"),
        ("-n", 3000, "--prefix", "an"),
        ("-n", 3, "--prefix", "?"),
        ("-n", 3, "--temperature", 0),
    ]
    lines = [["sample", str(run), *map(str, some)] for some in options]
    alone = [cli(*line) for line in lines]
    assert [answer.code for answer in alone] == [0] * 6 + [2, 0, 0, 2, 2]
    file_of_lines = tmp_path / "lines.json"
    file_of_lines.write_text(json.dumps(lines))
    for size in (1, 2, 3):
        answers = tmp_path / f"{size}-ranks"
        answers.mkdir()
        many = (file_of_lines, answers)
        with torchrun(cache, tmp_path / f"l{size}", size, *many, module=MANY) as started:
            assert started.finish() == 0, started.said(0)
        for number, expected in enumerate(alone):
            for rank in range(size):
                out, err, code = (
                    (answers / f"{rank}-{number}.{what}").read_bytes().decode()
                    for what in ("out", "err", "code")
                )
                shown = (expected.out, expected.err) if rank == 0 else ("", "")
                assert (out, err, int(code)) == (*shown, expected.code), (size, rank, number)


def test_a_run_that_is_not_there_is_refused_by_all_and_one_says(
    tmp_path: Path, cache: Path
) -> None:
    with torchrun(cache, tmp_path / "l", 2, "sample", tmp_path / "none") as started:
        assert started.finish() != 0
        assert "does not exist" in started.said(0) and "Traceback" not in started.said(0)
        assert started.said(1) == ""


def test_words_of_ranks_may_be_cut_off_by_head(run: Path, tmp_path: Path) -> None:
    """torchrun in new interpreters, as a person starts it."""
    words = line(tmp_path / "l", 2, "makemore_bp", "sample", run, "-n", 10**9, kept=2)
    command = f"set -o pipefail; {shlex.join([sys.executable, '-m', TORCHRUN, *words])} | head -n 1"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=environment
    )
    assert answer.returncode == 0 and len(answer.stdout.splitlines()) == 1
    assert said_in(tmp_path / "l") == ["", ""]


def test_words_that_a_full_disk_does_not_take_end_all_ranks(run: Path, tmp_path: Path) -> None:
    """torchrun itself ends with 1 where its ranks end with anything but 0."""
    words = line(tmp_path / "l", 2, "makemore_bp", "sample", run, "-n", 5, kept=2)
    with open("/dev/full", "w") as full:
        answer = finished(*words, module=TORCHRUN, streams={1: full.fileno()})
    assert answer.returncode == 1
    reason = "Error: The words cannot be written: No space left on device.\n"
    assert said_in(tmp_path / "l") == [reason, ""]


def said_in(logs: Path) -> list[str]:
    """What each rank has written to standard error."""
    return [path.read_text() for path in sorted(logs.glob("*/*/*/stderr.log"))]


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_rank_ends_the_others_with_a_message(
    run: Path, tmp_path: Path, cache: Path, victim: int
) -> None:
    with torchrun(cache, tmp_path / "l", 2, "sample", run, "-n", 10**9) as started:
        _wait_until(started.process, lambda: any(tmp_path.glob("l/*/*/0/stdout.log")))
        _wait_until(started.process, lambda: started.said(0, stream="stdout") != "")
        os.kill(started.rank(victim), signal.SIGKILL)
        assert started.finish() != 0
        said = started.said(1 - victim)
    assert "no longer reaches another rank" in said and "same words again" in said
    assert "Traceback" not in said


def _wait_until(process: Any, true: Callable[[], bool]) -> None:
    while not true():
        assert process.poll() is None
        time.sleep(0.01)
