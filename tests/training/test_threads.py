"""Small work takes one thread and gives the same words; PyTorch's own number is put back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch

from makemore_bp import threads
from makemore_bp.gradcheck.batch import first_step
from makemore_bp.gradcheck.check import check
from makemore_bp.network.passes import Network
from makemore_bp.sampling import Sampler, Settings
from makemore_bp.training import evaluation, run_folder, start
from makemore_bp.training.evaluation import Weighted
from tests.faults.test_odd_file_systems import settings


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_small_work_takes_one_thread_and_large_work_all() -> None:
    with threads.for_numbers(1000):
        assert torch.get_num_threads() == 1
    with threads.for_numbers(threads.WORTH_TWO):
        assert torch.get_num_threads() == 2
    with pytest.raises(ValueError), threads.for_numbers(1000):
        raise ValueError
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("block_size", [2, 12])  # with a table of all contexts, and without
def test_words_are_the_same_with_any_number_of_threads(
    block_size: int, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = (f"model.block_size={block_size}", "model.n_hidden=200", "model.n_embd=10")
    start.new(settings(words, *sizes), tmp_path / "run")
    saved = run_folder.read(tmp_path / "run")
    with_one = list(islice(Sampler(saved, Settings()).words(), 2000))
    monkeypatch.setattr(threads, "WORTH_TWO", 0)
    assert list(islice(Sampler(saved, Settings()).words(), 2000)) == with_one


@pytest.mark.usefixtures("two_threads")
def test_evaluation_gradients_and_checks_take_one_thread_where_they_are_small(
    words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside a busy core a second one costs ten times the time of the first."""
    taken: dict[str, int] = {}

    def noted(of: type, name: str) -> None:
        function = getattr(of, name)

        def called(*arguments: Any, **more: Any) -> Any:
            taken[name] = torch.get_num_threads()
            return function(*arguments, **more)

        monkeypatch.setattr(of, name, called)

    for name in ("hprebn", "logits", "forward"):
        noted(Network, name)
    first = first_step(settings(words))
    parameters = first.batch.parameters
    split = Weighted(first.work.examples, len(parameters["C"]))
    statistics = evaluation.calibrate(first.work.network, parameters, split)
    evaluation.loss(first.work.network, parameters, statistics, split)
    check(first.batch)
    assert taken == {"hprebn": 1, "logits": 1, "forward": 1}
    taken.clear()
    first.gradients("torch")
    assert taken == {"forward": 1} and torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_losses_are_the_same_with_any_number_of_threads(words: Path) -> None:
    first = first_step(settings(words))
    found = []
    for number in (1, 2, 4):
        torch.set_num_threads(number)
        split = Weighted(first.work.examples, len(first.batch.parameters["C"]))
        of = first.work.network, first.batch.parameters
        statistics = evaluation.calibrate(*of, split)
        found.append(evaluation.loss(*of, statistics, split))
    assert found[0] == found[1] == found[2]
