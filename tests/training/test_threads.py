"""Small work takes one thread and gives the same words; PyTorch's own number is put back."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
import torch

from makemore_bp import threads
from makemore_bp.sampling import Sampler, Settings
from makemore_bp.training import run_folder, start
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
