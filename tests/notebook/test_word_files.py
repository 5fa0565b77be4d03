"""``open('names.txt')`` in a learner's file."""

from __future__ import annotations

import builtins
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from makemore_bp.learning.word_files import bundled_names, lend_names


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    sentences: list[str] = []
    monkeypatch.setattr(builtins, "open", builtins.open)
    monkeypatch.setattr(io, "open", io.open)
    (tmp_path / "here").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    lend_names([tmp_path / "notebooks"], sentences.append)
    yield sentences


def test_without_a_list_the_bundled_names_are_read_and_said(said: list[str]) -> None:
    with open("names.txt") as one, open("../data/names.txt") as other:
        assert one.read() == other.read() == bundled_names().read_text()
    assert len(said) == 1
    assert "names that come with makemore-bp" in said[0]


def test_a_path_object_is_lent_to_as_well(said: list[str]) -> None:
    assert Path("names.txt").read_text() == bundled_names().read_text()


def test_the_list_beside_the_notebook_comes_first(said: list[str], tmp_path: Path) -> None:
    (tmp_path / "notebooks" / "names.txt").write_text("anna\n")
    with open("names.txt", encoding="utf-8") as file:
        assert file.read() == "anna\n"
    assert said == [f"It reads {tmp_path / 'notebooks' / 'names.txt'}."]


def test_the_learners_own_list_is_read_in_silence(said: list[str]) -> None:
    Path("names.txt").write_text("emma\n")
    with open("names.txt") as file:
        assert file.read() == "emma\n"
    assert said == []


def test_nothing_is_lent_for_writing_or_under_another_name(said: list[str]) -> None:
    with pytest.raises(FileNotFoundError), open("towns.txt"):
        pass
    with open("names.txt", "w") as file:
        file.write("x")
    assert bundled_names().read_text() != "x"
    assert said == []
