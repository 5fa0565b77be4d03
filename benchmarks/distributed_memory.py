"""What a large corpus costs a rank, in memory.

    python benchmarks/distributed_memory.py RUN [--words 10000000] [--ranks 2]

RUN is a trained run; its sampler writes the corpus. torchrun then encodes it and trains a short
run on it; every rank's memory is read from /proc all the while, and so is the encoding process's.
Anonymous memory is a rank's own. File memory are pages of mapped files, libraries and words, that
all ranks of a machine share and that the system takes back when memory is short.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import torch

from makemore_bp.sampling import Sampler, Settings
from makemore_bp.training import run_folder

KINDS = ("RssAnon", "RssFile")


def main() -> None:
    """Writes the corpus, trains on it and prints the peaks."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--words", type=int, default=10_000_000)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)  # the sampler's calls are small
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        corpus = folder / "words.txt"
        began = time.monotonic()
        with corpus.open("w") as file:
            sampler = Sampler(run_folder.read(options.run), Settings())
            drawn = (word for word in sampler.words() if word)
            file.writelines(f"{word}\n" for word in islice(drawn, options.words))
        size = corpus.stat().st_size / 2**20
        print(f"{options.words:,} words, {size:,.0f} MiB, in {time.monotonic() - began:.0f} s")
        for batch in (64, 8192):
            _train(folder, corpus, options.ranks, options.steps, batch)


def _train(folder: Path, corpus: Path, ranks: int, steps: int, batch: int) -> None:
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        *(f"--nproc-per-node={ranks}", "-m", "makemore_bp", "train", "--quiet"),
        *("--out", str(folder / f"run-{batch}"), "--set", f"data.path={corpus}"),
        *("--set", f"train.steps={steps}", "--set", f"train.batch_size={batch}"),
    ]
    environment = {**os.environ, "MAKEMORE_BP_CACHE": str(folder / "cache")}
    began = time.monotonic()
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    peaks: dict[str, dict[str, int]] = {}
    while process.poll() is None:
        for worker in _children(process.pid):
            _note(peaks, f"rank {_rank(worker)}", worker)
            for child in _children(worker):
                _note(peaks, "encoding", child)
        time.sleep(0.05)
    took = time.monotonic() - began
    print(f"batch {batch:,}, {steps} steps, everything in {took:.0f} s, ended {process.returncode}")
    for who, peak in sorted(peaks.items()):
        print(f"  {who}: " + ", ".join(f"{k} {v / 1024:,.0f} MiB" for k, v in peak.items()))
    for path in (folder / "cache").iterdir():
        print(f"  encoded words: {path.stat().st_size / 2**20:,.0f} MiB")


def _children(process: int) -> list[int]:
    lists = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            lists.append(path.read_text())
        except OSError:
            continue
    return [int(number) for line in lists for number in line.split()]


def _rank(process: int) -> str:
    try:
        raw = Path(f"/proc/{process}/environ").read_bytes()
    except OSError:
        return "?"
    return raw.partition(b"\0RANK=")[2].partition(b"\0")[0].decode() or "?"


def _note(peaks: dict[str, dict[str, int]], who: str, process: int) -> None:
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return
    peak = peaks.setdefault(who, dict.fromkeys(KINDS, 0))
    for line in status.splitlines():
        kind, _, value = line.partition(":")
        if kind in KINDS:
            peak[kind] = max(peak[kind], int(value.split()[0]))


if __name__ == "__main__":
    main()
