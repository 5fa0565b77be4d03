"""A run from its first step to its summary."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from makemore_bp import config
from makemore_bp.engines import native
from makemore_bp.errors import DivergedError, RequestError
from makemore_bp.training import metrics, run_folder, start
from makemore_bp.training.loop import SILENT, Beginning, Reporter

ENGINES = [
    "torch",
    pytest.param(
        "native",
        marks=pytest.mark.skipif(not native.available(), reason=native.why_not() or "built"),
    ),
]


class Remembering(Reporter):
    """A reporter that only remembers."""

    def __init__(self) -> None:
        self.evaluations: list[int] = []

    def started(self, beginning: Beginning) -> None:
        self.choice = beginning.choice

    def advanced(self, step: int, losses: Tensor, lr: float) -> None:
        self.step = step

    def evaluated(self, step: int, train_loss: float, val_loss: float | None) -> None:
        self.evaluations.append(step)


def settings(words: Path, *more: str) -> config.Config:
    base = [
        f"data.path={words}",
        "model.n_hidden=8",
        "model.n_embd=3",
        "train.steps=30",
        "train.batch_size=8",
        "train.log_every=5",
        "train.eval_every=12",
        "train.checkpoint_every=10",
    ]
    return config.load(None, [*base, *more])


def train(words: Path, folder: Path, *more: str) -> dict[str, Any]:
    return start.new(settings(words, *more), folder, SILENT)


def bits(folder: Path) -> tuple[bytes, bytes]:
    return (folder / "checkpoint.safetensors").read_bytes(), (folder / metrics.NAME).read_bytes()


@pytest.mark.parametrize("engine", ENGINES)
def test_the_same_run_twice_gives_the_same_bytes(words: Path, tmp_path: Path, engine: str) -> None:
    train(words, tmp_path / "a", f"engine={engine}")
    train(words, tmp_path / "b", f"engine={engine}")
    assert bits(tmp_path / "a") == bits(tmp_path / "b")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("middle", [7, 12, 20, 29])
def test_training_on_ends_in_the_same_weights_as_training_at_once(
    words: Path, tmp_path: Path, engine: str, middle: int
) -> None:
    train(words, tmp_path / "once", f"engine={engine}")
    train(words, tmp_path / "twice", f"engine={engine}", f"train.steps={middle}")
    start.resume(tmp_path / "twice", ["train.steps=30"], SILENT)
    assert bits(tmp_path / "once") == bits(tmp_path / "twice")


def test_metrics_have_a_line_for_every_step_that_was_asked_for(words: Path, tmp_path: Path) -> None:
    train(words, tmp_path / "run")
    lines = list(metrics.read(tmp_path / "run"))
    assert [line["step"] for line in lines] == [0, 5, 10, 12, 15, 20, 24, 25]
    assert [line["step"] for line in lines if "val_loss" in line] == [0, 12, 24]
    assert all(set(line) >= {"step", "loss", "lr"} for line in lines)


def test_the_summary_is_what_the_contract_says(words: Path, tmp_path: Path) -> None:
    summary = train(words, tmp_path / "run")
    assert json.loads((tmp_path / "run" / "summary.json").read_text()) == summary
    names = {"steps", "train_loss", "val_loss", "test_loss", "steps_per_second", "seconds"}
    assert names | {"engine", "versions"} <= set(summary)
    assert summary["baselines"]["uniform"] == pytest.approx(
        math.log(1 + len(set(words.read_text()) - {"\n"}))
    )


def test_training_lowers_the_loss_below_counting_pairs(words: Path, tmp_path: Path) -> None:
    summary = train(words, tmp_path / "run", "train.steps=2000", "model.n_hidden=32")
    assert summary["train_loss"] < summary["baselines"]["bigram"]["train"]


def test_the_four_backward_combinations_train_to_the_same_weights(
    words: Path, tmp_path: Path
) -> None:
    found = []
    for first, second in product(("op-by-op", "fused"), repeat=2):
        folder = tmp_path / f"{first}-{second}"
        switches = (f"backward.cross_entropy={first}", f"backward.batchnorm={second}")
        train(words, folder, "dtype=float64", "train.steps=1000", *switches)
        found.append(run_folder.read(folder).parameters)
    for other in found[1:]:
        for name, tensor in found[0].items():
            assert (tensor - other[name]).abs().max() < 1e-9


@pytest.mark.parametrize("engine", ENGINES)
def test_a_run_that_diverges_stops_and_keeps_its_last_good_state(
    words: Path, tmp_path: Path, engine: str
) -> None:
    with pytest.raises(DivergedError, match=r"step .* loss .* learning rate"):
        train(words, tmp_path / "run", f"engine={engine}", "train.lr={0: 0.1, 15: 1e30}")
    kept = run_folder.read(tmp_path / "run")
    assert kept.step == 10
    assert all(bool(torch.isfinite(tensor).all()) for tensor in kept.parameters.values())
    losses = [line["loss"] for line in metrics.read(tmp_path / "run")]
    assert all(math.isfinite(loss) for loss in losses)


def test_a_batch_larger_than_the_training_split_is_refused(words: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"train\.batch_size"):
        train(words, tmp_path / "run", "train.batch_size=5000")
    assert not (tmp_path / "run").exists()


def test_a_network_that_would_not_fit_in_memory_is_refused(words: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"n_hidden = 10,000,000,000,000,.* GiB"):
        train(words, tmp_path / "run", "model.n_hidden=10000000000000")
    assert not (tmp_path / "run").exists()


def test_resume_refuses_other_data_and_shows_whose(words: Path, tmp_path: Path) -> None:
    train(words, tmp_path / "run")
    words.write_text(words.read_text() + "one more\n")
    with pytest.raises(RequestError, match="SHA-256"):
        start.resume(tmp_path / "run", ["train.steps=40"], SILENT)


def test_resume_finds_the_same_data_under_another_name(words: Path, tmp_path: Path) -> None:
    train(words, tmp_path / "run")
    moved = words.rename(tmp_path / "moved.txt")
    overrides = ["train.steps=40", f"data.path={moved}"]
    assert start.resume(tmp_path / "run", overrides, SILENT)["steps"] == 40


def test_resume_refuses_another_configuration_and_shows_the_difference(
    words: Path, tmp_path: Path
) -> None:
    train(words, tmp_path / "run")
    with pytest.raises(RequestError, match=r"train\.lr: .* became 0\.5"):
        start.resume(tmp_path / "run", ["train.lr=0.5"], SILENT)
    with pytest.raises(RequestError, match="trained for 30 steps already"):
        start.resume(tmp_path / "run", ["train.steps=20"], SILENT)


def test_a_moved_folder_is_still_a_run(words: Path, tmp_path: Path) -> None:
    train(words, tmp_path / "run", "train.steps=20")
    moved = (tmp_path / "run").rename(tmp_path / "elsewhere")
    assert start.resume(moved, ["train.steps=30"], SILENT)["steps"] == 30


def test_a_folder_in_use_is_refused_and_a_left_lock_is_not(words: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / run_folder.LOCK).touch()
    train(words, folder)
    with run_folder.locked(folder), pytest.raises(RequestError, match="another run"):
        start.resume(folder, ["train.steps=40"], SILENT)


def test_words_that_leave_validation_empty_are_trained_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("anna\nbo\ncarla\n")
    summary = train(path, tmp_path / "run", "data.split=[1, 0, 0]")
    assert summary["val_loss"] is None and summary["test_loss"] is None


# fmt: off
RECORDED_LOSSES = (  # at steps 0, 10,000, ..., 190,000
    3.7805, 2.1775, 2.3957, 2.5032, 2.0065, 2.3873, 2.3378, 2.0640, 2.3497, 2.1093,
    1.9132, 2.2229, 1.9912, 2.4441, 2.3198, 2.1857, 2.0296, 1.8391, 2.0436, 1.9200,
)
# fmt: on


def test_the_lectures_recipe_meets_its_recorded_losses(lecture_names: Path, tmp_path: Path) -> None:
    if not native.available():
        pytest.skip("200,000 steps take minutes without the native engine")
    resolved = config.load(None, [f"data.path={lecture_names}"])
    summary = start.new(resolved, tmp_path / "run", SILENT)
    assert summary["train_loss"] < 2.076 and summary["val_loss"] < 2.116
    lines = {line["step"]: line["loss"] for line in metrics.read(tmp_path / "run")}
    differences = [abs(lines[10_000 * k] - loss) for k, loss in enumerate(RECORDED_LOSSES)]
    assert sum(differences) / len(differences) < 0.12
