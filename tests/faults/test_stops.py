"""A request to stop that comes in the middle of an evaluation."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest
import torch.nn.functional as F

from makemore_bp.dataset import counting
from makemore_bp.network.passes import Network
from makemore_bp.signals import Interrupted, caught
from makemore_bp.training import evaluation, loop, metrics, run_folder, start
from makemore_bp.training.evaluation import Weighted
from makemore_bp.training.loop import Silent
from tests.faults.test_odd_file_systems import settings


class Asking(Silent):
    """Asks the run to stop as soon as it has come to a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def advanced(self, step: int, losses: Any, lr: float) -> None:
        if step == self.step:
            signal.raise_signal(signal.SIGTERM)


def blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts the blocks that losses look at, which are made as small as can be."""
    seen: list[int] = []
    logits = F.log_softmax
    monkeypatch.setattr(evaluation, "ELEMENTS", 1)

    def counted(*arguments: Any) -> Any:
        seen.append(1)
        if len(seen) == 3:
            signal.raise_signal(signal.SIGTERM)
        return logits(*arguments)

    monkeypatch.setattr(F, "log_softmax", counted)
    return seen


def test_an_evaluation_is_given_up_and_the_run_resumes_to_the_same_bytes(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    start.new(settings(words), whole)
    with monkeypatch.context() as patched:
        seen = blocks(patched)
        with pytest.raises(Interrupted) as stopped:
            start.new(settings(words), run)
    assert stopped.value.exit_code == 143
    assert len(seen) == 3, "no further block was looked at"
    assert run_folder.read(run).step == 0
    start.resume(run)
    for name in (run_folder.CHECKPOINT, metrics.NAME, run_folder.CONFIG):
        assert (run / name).read_bytes() == (whole / name).read_bytes()


def test_a_state_that_is_not_saved_yet_is_saved_when_its_evaluation_is_given_up(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    rare = settings(words, "train.checkpoint_every=1000")
    start.new(rare, whole)
    calibrate, calls = evaluation.calibrate, []

    def asking(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) == 2:  # at step 10; the first is that of step 0
            signal.raise_signal(signal.SIGTERM)
        return calibrate(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(evaluation, "calibrate", asking)
        with pytest.raises(Interrupted):
            start.new(rare, run)
    assert len(calls) == 3, "the state that is saved has statistics of its own"
    assert run_folder.read(run).step == 10
    start.resume(run)
    assert (run / metrics.NAME).read_bytes() == (whole / metrics.NAME).read_bytes()


@pytest.mark.parametrize("block_size", [3, 20])  # with contexts that can be counted, and too long
@pytest.mark.parametrize("step", [7, 20])  # between two evaluations, and at the very end
def test_a_stop_does_not_measure_all_contexts_and_costs_no_bit(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, block_size: int
) -> None:
    run, whole = tmp_path / "run", tmp_path / "whole"
    these = settings(words, f"model.block_size={block_size}")
    start.new(these, whole)
    seen: list[int] = []
    hprebn = Network.hprebn

    def counted(network: Network, parameters: Any, Xb: Any) -> Any:
        seen.append(len(Xb))
        return hprebn(network, parameters, Xb)

    def stop(self: Asking, at: int, losses: Any, lr: float) -> None:
        seen.clear()
        Asking.advanced(self, at, losses, lr)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "AT_A_STOP", 5)
        patched.setattr(loop, "MAX_CHUNK", 1)
        patched.setattr(Network, "hprebn", counted)
        asking = type("Asked", (Asking,), {"advanced": stop})(step)
        with pytest.raises(Interrupted):
            start.new(these, run, asking)
    assert run_folder.read(run).step == step and sum(seen) <= 2 * 5
    start.resume(run)
    for name in (run_folder.CHECKPOINT, metrics.NAME):
        assert (run / name).read_bytes() == (whole / name).read_bytes()


def test_few_contexts_are_all_measured_and_every_one_counts_as_often_as_it_occurs(
    words: Path,
) -> None:
    data = start.load(settings(words))
    everything = Weighted(data.train, len(data.vocabulary))
    thin = everything.thinned(7)
    assert sum(len(batch.Xb) for batch in thin.batches(8)) <= 7
    assert thin.total == sum(float(batch.counts.sum()) for batch in thin.batches(8))
    assert everything.thinned(10**6).total == everything.total == len(data.train)


def test_measuring_statistics_is_given_up_as_well(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    hprebn = Network.hprebn

    def asking(*arguments: Any) -> Any:
        seen.append(1)
        if len(seen) == 3:
            signal.raise_signal(signal.SIGTERM)
        return hprebn(*arguments)

    monkeypatch.setattr(evaluation, "ELEMENTS", 1)
    monkeypatch.setattr(loop, "AT_A_STOP", 5)
    monkeypatch.setattr(Network, "hprebn", asking)
    with pytest.raises(Interrupted):
        start.new(settings(words), tmp_path / "run")
    assert len(seen) <= 3 + 2 * 5 and run_folder.read(tmp_path / "run").step == 0


def test_a_run_that_is_stopped_at_its_very_end_tells_its_losses_when_it_is_resumed(
    words: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    with pytest.raises(Interrupted):
        start.new(settings(words), run, Asking(20))
    assert run_folder.read(run).step == 20 and not (run / run_folder.SUMMARY).exists()
    assert start.resume(run) == json.loads((run / run_folder.SUMMARY).read_text())


def test_a_run_that_is_stopped_before_its_first_state_leaves_nothing(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Any
) -> None:
    numbered = counting.numbered

    def asking(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGTERM)
        return numbered(*arguments)

    monkeypatch.setattr(evaluation, "numbered", asking)
    answer = cli("train", "quick", "--data", words, "--out", tmp_path / "run")
    assert answer.code == 143 and "before there was anything to save" in answer.err
    assert not (tmp_path / "run").exists()


def test_a_third_ctrl_c_changes_nothing() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    try:
        _three_times_ctrl_c()
    finally:
        signal.signal(signal.SIGINT, before)


def _three_times_ctrl_c() -> None:
    with caught() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.signal == signal.SIGINT
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):
            stop.check()
