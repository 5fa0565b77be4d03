"""The encoded words as a mapped file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from makemore_bp import config, dataset
from makemore_bp.dataset import mapped
from makemore_bp.dataset.counting import counted
from makemore_bp.errors import RequestError


@pytest.fixture
def data(words: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> config.Data:
    """A word file, an empty folder for caches, and no process of its own for the encoding."""
    monkeypatch.setenv(mapped.FOLDER, str(tmp_path / "cache"))
    monkeypatch.setattr(mapped, "write_apart", mapped.write)
    return config.Data(path=str(words))


def test_the_mapped_words_are_the_loaded_ones(data: config.Data) -> None:
    here, there = dataset.load(data, 3), mapped.load(mapped.ensure(data, 3))
    assert (here.vocabulary, here.sha256) == (there.vocabulary, there.sha256)
    for name in dataset.SPLITS:
        assert torch.equal(here[name].stream, there[name].stream)
        assert torch.equal(here[name].positions, there[name].positions)


def test_a_split_without_words_is_mapped_too(data: config.Data) -> None:
    everything = data.model_copy(update={"split": (1.0, 0.0, 0.0)})
    assert len(mapped.load(mapped.ensure(everything, 3)).test) == 0
    assert mapped.ensure(everything, 3).stat().st_mtime_ns


def test_a_process_of_its_own_writes_what_this_one_would(
    data: config.Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = mapped.ensure(data, 3)
    here = path.read_bytes()
    path.unlink()
    monkeypatch.undo()
    monkeypatch.setenv(mapped.FOLDER, str(path.parent))
    assert mapped.ensure(data, 3) == path and path.read_bytes() == here


def test_the_file_is_written_once_and_found_again(data: config.Data) -> None:
    path = mapped.ensure(data, 3)
    written = path.stat().st_mtime_ns
    assert mapped.ensure(data, 3) == path and path.stat().st_mtime_ns == written


def test_other_words_or_settings_have_another_file(data: config.Data) -> None:
    first = mapped.ensure(data, 3)
    others = {mapped.ensure(data, 4), mapped.ensure(data.model_copy(update={"seed": 1}), 3)}
    words = Path(data.path)
    words.write_text(words.read_text() + "zoe\n")
    others.add(mapped.ensure(data, 3))
    assert len(others) == 3 and first not in others
    assert "z" in mapped.load(mapped.ensure(data, 3)).vocabulary.characters


def test_a_damaged_file_is_written_again(data: config.Data) -> None:
    path = mapped.ensure(data, 3)
    whole = path.read_bytes()
    damaged = [whole[:at] for at in (0, 5, 100, len(whole) - 1)]
    for at in (0, 9, whole.index(b"vocabulary") + 16, whole.index(b"checksum"), len(whole) - 1):
        damaged.append(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    for content in damaged:
        path.write_bytes(content)
        assert mapped.ensure(data, 3) == path
        assert path.read_bytes() == whole


def test_nothing_is_left_behind_when_it_cannot_be_written(
    data: config.Data, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(RequestError, match=r"No space left.*MAKEMORE_BP_CACHE"):
        mapped.ensure(data, 3)
    assert not list(mapped.folder().iterdir())


def test_words_that_cannot_be_used_are_refused_as_ever(data: config.Data) -> None:
    Path(data.path).write_text("one\ntw\x00o\n")
    with pytest.raises(RequestError, match="line 2: holds a NUL"):
        mapped.ensure(data, 3)
    Path(data.path).unlink()
    with pytest.raises(RequestError, match="does not exist"):
        mapped.ensure(data, 3)


def test_counting_in_chunks_counts_what_counting_at_once_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("makemore_bp.dataset.counting.CHUNK", 10)
    numbers = np.random.default_rng(1).integers(0, 60, 1000)
    keys, counts = counted(numbers[at : at + 10] for at in range(0, 1000, 10))
    expected_keys, expected = np.unique(numbers, return_counts=True)
    assert np.array_equal(keys, expected_keys) and np.array_equal(counts, expected)
    assert [len(part) for part in counted(iter(()))] == [0, 0]
