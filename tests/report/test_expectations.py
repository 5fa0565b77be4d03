"""What the network expects, and what is told of characters and of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from makemore_bp.dataset import Vocabulary
from makemore_bp.report import facts
from makemore_bp.report.expectations import expectations
from makemore_bp.report.letters import is_vowel, shown_characters
from tests.report.test_network_in_page import LATIN, network, next_characters


def test_the_least_likely_words_come_first_with_what_was_expected_least() -> None:
    saved = network(LATIN, "dtype=float64")
    words = ["anna", "xq", "bo", "anna", "zzz"]
    found = expectations(saved, words)
    assert found.words == 4
    for one in found.surprises:
        ids = saved.vocabulary.encode(one.word)
        chances = [next_characters(saved, ids[:k], 1.0)[id] for k, id in enumerate([*ids, 0])]
        loss = -sum(torch.tensor(chances).log().tolist()) / len(chances)
        assert one.loss == pytest.approx(loss, rel=1e-5)
        assert one.place == chances.index(min(chances))
        assert one.probability == pytest.approx(min(chances), rel=1e-4)
    losses = [one.loss for one in found.surprises]
    assert losses == sorted(losses, reverse=True)


def test_what_follows_a_character_is_the_mean_over_the_places_where_it_stands() -> None:
    saved = network(LATIN, "dtype=float64")
    found = expectations(saved, ["ab", "cab"])
    ab = [next_characters(saved, saved.vocabulary.encode(before), 1.0) for before in ("ab", "cab")]
    means = [(one + other) / 2 for one, other in zip(*ab, strict=True)]
    assert found.following[2].tolist() == pytest.approx(means, rel=1e-6)
    assert float(found.following[26].sum()) == 0  # no word holds a z


@pytest.mark.parametrize(
    "vowels", ["aeiouyäÉøıæ", "аеёиоуыэюяі", "αεηιουωά", "अआ\u093fइ", "あイ", "ա"]
)
def test_vowels_are_known_in_many_scripts(vowels: str) -> None:
    assert all(map(is_vowel, vowels))


@pytest.mark.parametrize("others", ["bcdzñßþ", "бвгдйль", "βγδ", "कखय", "かカ", "李ב'- 👩\u200d"])
def test_other_characters_are_no_vowels(others: str) -> None:
    assert not any(map(is_vowel, others))


def test_characters_that_cannot_stand_alone_are_labelled_so_that_they_can_be_seen() -> None:
    labels = shown_characters(Vocabulary.of(["a \u0301\u200d"]))
    assert labels == [".", "␣", "a", "\u25cc\u0301", "\\u200d"]


def test_a_runs_facts_are_those_that_its_files_hold(tmp_path: Path) -> None:
    assert facts.table(tmp_path) == ""
    started = {"started": "2026-11-28T09:30:00+00:00", "machine": {"processor": "<P>", "cores": 2}}
    about = {"name": "first", "note": None, "sessions": [{}, started]}
    (tmp_path / "about.json").write_text(json.dumps(about))
    unfinished = facts.table(tmp_path)
    assert "2026-11-28 09:30 UTC" in unfinished and "processor &lt;P&gt;, cores 2" in unfinished
    assert "first" in unfinished and "note" not in unfinished
    (tmp_path / "failure.json").write_text('{"status": "diverged", "reason": "the loss is nan"}')
    assert "diverged: the loss is nan" in facts.table(tmp_path)
    (tmp_path / "summary.json").write_text('{"seconds": 3723.4, "steps_per_second": 41234.5}')
    finished = facts.table(tmp_path)
    assert "1 h 2 min" in finished and "41,234 steps a second" in finished
    for damaged in ("[]", "{", '{"started": 5, "machine": [1]}'):
        (tmp_path / "summary.json").write_text(damaged)
        facts.table(tmp_path)
