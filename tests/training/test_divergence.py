"""Runs that stop being finite: in the loss, in a weight, after a resume."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from makemore_bp import config
from makemore_bp.engines import choice, native
from makemore_bp.engines.choice import Choice
from makemore_bp.errors import DivergedError
from makemore_bp.training import metrics, run_folder, start
from makemore_bp.training.loop import SILENT

ENGINES = [
    "torch",
    pytest.param(
        "native",
        marks=pytest.mark.skipif(not native.available(), reason=native.why_not() or "built"),
    ),
]


def settings(words: Path, engine: str, lr: str, steps: int = 30) -> config.Config:
    values = (f"data.path={words}", f"engine={engine}", f"train.lr={lr}", f"train.steps={steps}")
    more = ("model.n_hidden=4", "train.batch_size=8", "train.checkpoint_every=10")
    return config.load(None, [*values, *more, "train.log_every=1", "train.eval_every=1000"])


def finite(folder: Path) -> bool:
    kept = run_folder.read(folder)
    losses = [line["loss"] for line in metrics.read(folder)]
    weights = all(bool(torch.isfinite(tensor).all()) for tensor in kept.parameters.values())
    return weights and all(map(math.isfinite, losses))


class Overflowing:
    """An engine, one of whose weights overflows in the update of step 19: no loss tells of it."""

    def __init__(self, engine: Any) -> None:
        self.engine, self.name, self.steps = engine, engine.name, 0

    def advance(self, indices: torch.Tensor, rates: Any) -> torch.Tensor:
        self.steps += len(rates)
        losses: torch.Tensor = self.engine.advance(indices, rates)
        return losses

    def parameters(self) -> dict[str, torch.Tensor]:
        found = {name: tensor.clone() for name, tensor in self.engine.parameters().items()}
        if self.steps >= 20:
            found["W1"][0, 0] = math.inf
        return found


@pytest.mark.parametrize("engine", ENGINES)
def test_a_weight_that_overflows_in_the_last_step_before_a_save_is_not_saved(
    engine: str, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = choice.choose

    def overflowing(*given: Any) -> Choice:
        chosen = choose(*given)
        return replace(chosen, make=lambda *made: Overflowing(chosen.make(*made)))  # type: ignore[arg-type]

    monkeypatch.setattr(start, "choose", overflowing)
    told = r"at step 20 W1 is no longer finite.*learning rate \(0\.5 there\).*step 10 is kept"
    with pytest.raises(DivergedError, match=told):
        start.new(settings(words, engine, "{0: 0.1, 19: 0.5}"), tmp_path / "run", SILENT)
    assert run_folder.read(tmp_path / "run").step == 10
    assert finite(tmp_path / "run")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_loss_that_is_not_finite_names_its_step(engine: str, words: Path, tmp_path: Path) -> None:
    resolved = settings(words, engine, "{0: 0.1, 10: 3e38}")
    with pytest.raises(DivergedError, match=r"at step 1\d the loss is (nan|inf).*step 10 is kept"):
        start.new(resolved, tmp_path / "run", SILENT)
    assert finite(tmp_path / "run")


def test_a_resumed_run_that_diverges_names_the_state_it_came_from(
    words: Path, tmp_path: Path
) -> None:
    lr = "{0: 0.1, 16: 3e38}"
    start.new(settings(words, "torch", lr, steps=15), tmp_path / "run", SILENT)
    with pytest.raises(DivergedError, match="step 15 is kept"):
        start.resume(tmp_path / "run", ["train.steps=30"], SILENT)
    assert run_folder.read(tmp_path / "run").step == 15


def test_the_command_exits_with_1_and_one_paragraph(words: Path, tmp_path: Path, cli: Any) -> None:
    overrides = ["--set", f"data.path={words}", "--set", "train.lr=1e30", "--set", "train.steps=9"]
    answer = cli("train", *overrides, "--set", "model.n_hidden=4", "--out", tmp_path / "run")
    assert answer.code == 1 and answer.out == ""
    errors = [line for line in answer.err.splitlines() if line.startswith("Error: ")]
    assert errors == [answer.err.splitlines()[-1]] and "The run has diverged" in errors[0]


def test_a_weight_decay_that_takes_off_more_than_there_is_is_named(
    words: Path, tmp_path: Path
) -> None:
    resolved = config.load(
        None, [f"data.path={words}", "train.batch_size=8", "train.weight_decay=1e6"]
    )
    with pytest.raises(DivergedError, match=r"a smaller train\.weight_decay"):
        start.new(resolved, tmp_path / "run", SILENT)
