"""Words become contexts and targets, as the lecture's two nested loops make them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from makemore_bp import config, dataset
from makemore_bp.dataset import examples as encoding
from makemore_bp.dataset.examples import encode
from makemore_bp.dataset.packed import Packed
from makemore_bp.dataset.vocabulary import Vocabulary

WORDS = st.lists(
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9),
    min_size=1,
    max_size=20,
)


def by_hand(
    words: list[str], vocabulary: Vocabulary, block_size: int
) -> tuple[list[list[int]], list[int]]:
    """One example at a time, a context that slides by one."""
    contexts, targets = [], []
    for word in words:
        context = [0] * block_size
        for id in [*vocabulary.encode(word), 0]:
            contexts.append(context)
            targets.append(id)
            context = [*context[1:], id]
    return contexts, targets


@given(WORDS, st.integers(1, 6))
def test_the_vectorised_encoding_gives_every_example_in_order(
    words: list[str], block_size: int
) -> None:
    vocabulary = Vocabulary.of(Packed.of(words))
    examples = encode(Packed.of(words), vocabulary, block_size)
    Xb, Yb = examples.batch(torch.arange(len(examples)))
    contexts, targets = by_hand(words, vocabulary, block_size)
    assert Xb.tolist() == contexts
    assert Yb.tolist() == targets
    assert examples.words == len(words)


@given(WORDS, st.integers(1, 4), st.integers(1, 3), st.randoms(use_true_random=False))
def test_words_in_another_order_give_the_examples_of_that_order_whatever_the_chunks(
    words: list[str], block_size: int, chunk: int, rng: random.Random
) -> None:
    packed = Packed.of(words)
    order = rng.sample(range(len(words)), len(words))
    vocabulary = Vocabulary.of(packed)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(encoding, "CHUNK", chunk)
        examples = encode(packed[np.array(order)], vocabulary, block_size)
    Xb, Yb = examples.batch(torch.arange(len(examples)))
    expected = by_hand([words[i] for i in order], vocabulary, block_size)
    assert (Xb.tolist(), Yb.tolist()) == expected
    assert packed[np.array(order)].texts() == [words[i] for i in order]


@given(WORDS)
def test_ids_follow_the_characters_order_and_lead_back_to_them(words: list[str]) -> None:
    vocabulary = Vocabulary.of(Packed.of(words))
    assert list(vocabulary.characters) == sorted(set("".join(words)))
    longest = max(map(len, words))
    ids = np.zeros((len(words), longest), dtype=np.int64)
    for row, word in zip(ids, words, strict=True):
        row[: len(word)] = vocabulary.encode(word)
        assert row[: len(word)].all()
    assert vocabulary.words(ids) == words


def test_a_full_stop_in_a_word_is_a_character_like_any_other() -> None:
    vocabulary = Vocabulary.of(Packed.of(["a.b"]))
    assert vocabulary.encode(".") == [1] and len(vocabulary) == 4


def test_large_vocabularies_get_wider_ids() -> None:
    words = [chr(0x4E00 + k) for k in range(300)]
    examples = encode(Packed.of(words), Vocabulary.of(Packed.of(words)), 2)
    assert examples.stream.dtype == torch.int16
    assert examples.batch(torch.arange(600))[1].tolist()[::2] == list(range(1, 301))


def test_an_example_costs_less_than_a_dozen_bytes(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(f"word{k}" for k in range(20_000)))
    data = dataset.load(config.Data(path=str(path)), block_size=8)
    splits = [data[split] for split in dataset.SPLITS]
    assert sum(part.nbytes for part in splits) < 12 * sum(map(len, splits))


def test_shuffle_and_cuts_are_the_lectures(tmp_path: Path) -> None:
    words = [f"{a}{b}" for a in "abcdefghij" for b in "klmnopqrstu"]
    path = tmp_path / "words.txt"
    path.write_text("\n".join(words))
    data = dataset.load(config.Data(path=str(path)), block_size=3)

    random.seed(42)
    random.shuffle(words)
    first, second = int(0.8 * len(words)), int(0.9 * len(words))
    parts = {"train": words[:first], "val": words[first:second], "test": words[second:]}
    for split in dataset.SPLITS:
        expected = by_hand(parts[split], data.vocabulary, 3)
        Xb, Yb = data[split].batch(torch.arange(len(data[split])))
        assert (Xb.tolist(), Yb.tolist()) == expected


def test_the_lectures_names_give_its_numbers_of_examples(lecture_names: Path) -> None:
    data = dataset.load(config.Data(path=str(lecture_names)), block_size=3)
    assert [len(data[split]) for split in dataset.SPLITS] == [182_625, 22_655, 22_866]
    assert len(data.vocabulary) == 27


def test_splits_may_be_empty_but_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "words.txt"
    path.write_text("anna\nbo\ncarla\n")
    data = dataset.load(config.Data(path=str(path), split=(1.0, 0.0, 0.0)), block_size=3)
    assert len(data.val) == len(data.test) == 0
