"""Dropout, weight decay and the cosine: off they change nothing, on they do what is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from makemore_bp import config, dataset
from makemore_bp.config import Config
from makemore_bp.engines import configured, native
from makemore_bp.engines.choice import named
from makemore_bp.engines.engine import Engine
from makemore_bp.errors import RequestError
from makemore_bp.network.parameters import WEIGHTS
from makemore_bp.network.passes import Network
from makemore_bp.training import metrics, run_folder, start
from makemore_bp.training.loop import SILENT, State

ENGINES = [
    "torch",
    pytest.param(
        "native",
        marks=pytest.mark.skipif(not native.available(), reason=native.why_not() or "built"),
    ),
]
ON = (
    "train.dropout=0.25",
    "train.weight_decay=0.01",
    "train.schedule=cosine",
    "train.lr={0: 0.0, 5: 0.1, 25: 0.01}",
)


def settings(words: Path, *more: str) -> Config:
    base = [
        f"data.path={words}",
        "model.n_hidden=24",
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


def fresh(resolved: Config, engine: str, step: int = 0) -> tuple[Engine, State, Any]:
    """An engine at the start of a run, the state it was made from, and the examples."""
    data = dataset.load(resolved.data, resolved.model.block_size)
    state = State.fresh(resolved, len(data.vocabulary))
    work = configured.work(resolved, len(data.vocabulary), data.train)
    made = named(engine, work)(work, state.parameters, step)
    return made, state, data.train


def batches(resolved: Config, state: State, examples: Any, steps: int) -> Tensor:
    return torch.randint(0, len(examples), (steps, resolved.train.batch_size), generator=state.g)


def test_with_all_options_off_a_step_is_the_plain_one_to_the_bit(words: Path) -> None:
    resolved = settings(words)
    engine, state, examples = fresh(resolved, "torch")
    indices = batches(resolved, state, examples, 50)
    engine.advance(indices, [0.1] * 50)
    network = Network.of(cross_entropy="fused", batchnorm="fused")
    for Xb, Yb in zip(*examples.batch(indices), strict=True):
        gradients = network.backward(network.forward(state.parameters, Xb, Yb))
        for name, parameter in state.parameters.items():
            parameter.add_(gradients["d" + name], alpha=-0.1)
    for name, parameter in state.parameters.items():
        assert torch.equal(parameter, engine.parameters()[name])


def test_a_configuration_from_before_the_options_means_the_same(words: Path) -> None:
    now = settings(words)
    before = json.loads(json.dumps(now.model_dump(mode="python")))
    for key in ("dropout", "weight_decay", "schedule"):
        del before["train"][key]
    before["train"]["lr"] = {int(step): rate for step, rate in before["train"]["lr"].items()}
    assert Config.model_validate(before) == now


@pytest.mark.parametrize("engine", ENGINES)
def test_weight_decay_shrinks_the_two_matrices_and_nothing_else(words: Path, engine: str) -> None:
    plain, state, examples = fresh(settings(words), engine)
    decayed, _, _ = fresh(settings(words, "train.weight_decay=0.5"), engine)
    indices = batches(settings(words), state, examples, 1)
    for each in (plain, decayed):
        each.advance(indices, [0.1])
    for name, start_value in state.parameters.items():
        expected = plain.parameters()[name]
        if name in WEIGHTS:
            expected = expected - 0.1 * 0.5 * start_value
            assert not torch.equal(decayed.parameters()[name], plain.parameters()[name])
        torch.testing.assert_close(decayed.parameters()[name], expected, rtol=1e-6, atol=1e-7)


@pytest.mark.skipif(not native.available(), reason=native.why_not() or "built")
def test_the_two_engines_follow_the_same_run(words: Path) -> None:
    """Measured on x86-64: losses between 1 and 4 differ by 2e-6 at most."""
    resolved = settings(words, "train.dropout=0.3", "train.weight_decay=0.001")
    losses = []
    for name in ("torch", "native"):
        engine, state, examples = fresh(resolved, name)
        losses.append(engine.advance(batches(resolved, state, examples, 500), [0.05] * 500))
    assert losses[0][-50:].mean() < losses[0][:50].mean() - 0.3  # it has learned something
    assert float((losses[0] - losses[1]).abs().max()) < 1e-4


@pytest.mark.parametrize("engine", ENGINES)
def test_masks_go_on_where_they_left_off(words: Path, engine: str) -> None:
    resolved = settings(words, "train.dropout=0.5")
    once, state, examples = fresh(resolved, engine)
    indices = batches(resolved, state, examples, 20)
    expected = once.advance(indices, [0.0] * 20)
    cut, _, _ = fresh(resolved, engine)
    later, _, _ = fresh(resolved, engine, step=13)
    assert torch.equal(cut.advance(indices[:13], [0.0] * 13), expected[:13])
    assert torch.equal(later.advance(indices[13:], [0.0] * 7), expected[13:])
    elsewhere, _, _ = fresh(resolved, engine, step=12)
    assert not torch.equal(elsewhere.advance(indices[13:], [0.0] * 7), expected[13:])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("middle", [7, 20])
def test_training_on_with_options_ends_in_the_same_bytes_as_training_at_once(
    words: Path, tmp_path: Path, engine: str, middle: int
) -> None:
    options = (f"engine={engine}", *ON)
    train(words, tmp_path / "once", *options)
    train(words, tmp_path / "twice", *options, f"train.steps={middle}")
    start.resume(tmp_path / "twice", ["train.steps=30"], SILENT)
    for name in (run_folder.CHECKPOINT, metrics.NAME):
        assert (tmp_path / "once" / name).read_bytes() == (tmp_path / "twice" / name).read_bytes()


def test_a_resumed_run_may_not_change_an_option(words: Path, tmp_path: Path) -> None:
    train(words, tmp_path / "run", *ON)
    with pytest.raises(RequestError, match=r"train\.dropout: 0\.25 became 0\.5"):
        start.resume(tmp_path / "run", ["train.dropout=0.5"], SILENT)


@pytest.mark.parametrize("engine", ENGINES)
def test_evaluation_knows_no_dropout(words: Path, tmp_path: Path, engine: str) -> None:
    """With a learning rate of 0 the weights stay, so only the minibatch losses may differ."""
    at_rest = (f"engine={engine}", "train.lr=0.0")
    plain = train(words, tmp_path / "plain", *at_rest)
    dropped = train(words, tmp_path / "dropped", *at_rest, "train.dropout=0.5")
    for name in ("train_loss", "val_loss", "test_loss"):
        assert plain[name] == dropped[name]
    first, second = (
        next(iter(metrics.read(tmp_path / name)))["loss"] for name in ("plain", "dropped")
    )
    assert first != second


def test_the_cosine_is_what_the_metrics_record(words: Path, tmp_path: Path) -> None:
    train(words, tmp_path / "run", *ON, "train.log_every=1")
    rates = {line["step"]: line["lr"] for line in metrics.read(tmp_path / "run")}
    assert rates[0] == 0.0 and rates[5] == 0.1 and rates[25] == rates[29] == 0.01
    assert rates[15] == pytest.approx(0.055)
    warming = [rates[step] for step in range(6)]
    assert warming == sorted(set(warming))
