"""A run in pieces ends in the bits of the run in one piece, for every setting of the engines.

A few hundred steps here; `MAKEMORE_BP_STEPS=10000 pytest tests/training/test_resume_at_length.py`
does it at length.
"""

from __future__ import annotations

import os
import random
from itertools import product
from pathlib import Path

import pytest

from makemore_bp import config
from makemore_bp.engines import native
from makemore_bp.training import metrics, run_folder, start
from makemore_bp.training.loop import SILENT

STEPS = int(os.environ.get("MAKEMORE_BP_STEPS", "200"))
PIECES = 7
SWITCHES = ("op-by-op", "fused")
SETTINGS = [
    *(("torch", *rest) for rest in product(("float32", "float64"), SWITCHES, SWITCHES)),
    ("native", "float32", "fused", "fused"),
]


@pytest.mark.parametrize(("engine", "dtype", "cross_entropy", "batchnorm"), SETTINGS)
def test_a_run_in_pieces_has_the_bits_of_a_run_in_one(
    engine: str, dtype: str, cross_entropy: str, batchnorm: str, words: Path, tmp_path: Path
) -> None:
    if engine == "native" and not native.available():
        pytest.skip(native.why_not() or "")
    resolved = config.load(
        None,
        [
            f"data.path={words}",
            f"engine={engine}",
            f"dtype={dtype}",
            f"backward.cross_entropy={cross_entropy}",
            f"backward.batchnorm={batchnorm}",
            "model.n_hidden=8",
            "model.n_embd=2",
            "train.batch_size=4",
            "train.log_every=1",
            f"train.eval_every={STEPS // 4}",
            f"train.checkpoint_every={STEPS // 3}",
            f"train.steps={STEPS}",
            f"train.lr={{0: 0.1, {STEPS // 2}: 0.01}}",
        ],
    )
    straight, pieces = tmp_path / "straight", tmp_path / "pieces"
    start.new(resolved, straight, SILENT)
    stops = sorted(random.Random(engine + dtype).sample(range(1, STEPS), PIECES - 1))
    train = resolved.train.model_copy(update={"steps": stops[0]})
    start.new(resolved.model_copy(update={"train": train}), pieces, SILENT)
    for stop in [*stops[1:], STEPS]:
        start.resume(pieces, [f"train.steps={stop}"], SILENT)
    for name in (run_folder.CHECKPOINT, metrics.NAME):
        assert (straight / name).read_bytes() == (pieces / name).read_bytes()
    assert [line["step"] for line in metrics.read(pieces)] == list(range(STEPS))
