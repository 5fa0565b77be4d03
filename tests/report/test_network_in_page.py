"""The network in a page: its words are those of a reference in Python for the same numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
import torch

from makemore_bp import config as configs
from makemore_bp.dataset import Vocabulary
from makemore_bp.dataset.packed import Packed
from makemore_bp.engines import configured
from makemore_bp.errors import RequestError
from makemore_bp.network.batchnorm import EPS
from makemore_bp.network.passes import CHOICES
from makemore_bp.report import page as page_parts
from makemore_bp.report import playing
from makemore_bp.training.checkpoint import Checkpoint
from makemore_bp.training.evaluation import Statistics
from tests.report import browser
from tests.report.browser import Page

LATIN = "abcdefghijklmnopqrstuvwxyz"
MARKS = "אבגדָ" + "क्षिा" + "e\u0301" + "👩\u200d🚀" + " '<&\u202e"
WORDS = 24  # that the page shows
FIRST = [2012149540, 1872316204, 1707632675]  # of PractRand's own sfc32 in C, with the seed 1


def network(characters: str, *settings: str) -> Checkpoint:
    """A run that has not begun, with batchnorm's statistics drawn at random."""
    config = configs.load(None, ["model.n_hidden=24", *settings])
    vocabulary = Vocabulary.of(Packed.of([characters]))
    start = configured.start(config, len(vocabulary))
    for parameter in start.parameters.values():
        parameter.mul_(1.5)  # so that some characters are much likelier than others
    like, drawn = start.parameters["bngain"], torch.Generator().manual_seed(5)
    statistics = Statistics(
        torch.randn(like.shape, generator=drawn, dtype=like.dtype),
        torch.rand(like.shape, generator=drawn, dtype=like.dtype) + 0.1,
    )
    generator = start.g.get_state()
    return Checkpoint(
        config, 0, vocabulary, "0" * 64, "torch", "2", start.parameters, statistics, generator,
        generator,
    )  # fmt: skip


def sfc32(seed: int) -> Iterator[float]:
    """Chris Doty-Humphrey's sfc32 (PractRand), seeded by one number: from 0 to below 1."""
    low = 2**32 - 1
    a, b, c, counter = 0, seed & low, 0, 1
    for number in range(2**31):
        total = (a + b + counter) & low
        counter = (counter + 1) & low
        a, b, c = b ^ b >> 9, (c + (c << 3)) & low, ((c << 21 | c >> 11) + total) & low
        if number >= 12:
            yield total / 2**32


def next_characters(saved: Checkpoint, ids: list[int], temperature: float) -> list[float]:
    """The probabilities of the next id, in double precision."""
    p = {name: tensor.double().numpy() for name, tensor in saved.parameters.items()}
    mean, var = saved.statistics.bnmean.double().numpy(), saved.statistics.bnvar.double().numpy()
    before = [0] * saved.config.model.block_size + ids
    context = before[len(before) - saved.config.model.block_size :]
    hprebn = p["C"][context].reshape(-1) @ p["W1"] + p["b1"]
    hpreact = p["bngain"] / np.sqrt(var + EPS) * (hprebn - mean) + p["bnbias"]
    h = np.tanh(hpreact) if saved.config.model.activation == "tanh" else np.maximum(hpreact, 0)
    logits = (h @ p["W2"] + p["b2"])[0]
    counts = [math.exp((logit - max(logits)) / temperature) for logit in logits]
    total = sum(counts)
    return [count / total for count in counts]


def word(saved: Checkpoint, prefix: str, temperature: float, uniform: Iterator[float]) -> str:
    """One word, drawn character by character."""
    ids = saved.vocabulary.encode(prefix)
    while len(ids) < playing.LONGEST:
        drawn, sums = next(uniform), np.cumsum(next_characters(saved, ids, temperature))
        id = min(int(np.searchsorted(sums, drawn, side="right")), len(sums) - 1)
        if not id:
            break
        ids.append(id)
    return "".join(saved.vocabulary.characters[id - 1] for id in ids)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser.page(browser.required(), tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def opened(tab: Page, tmp_path: Path) -> Callable[[Checkpoint], Page]:
    def open_(saved: Checkpoint) -> Page:
        path = tmp_path / f"{uuid4()}.html"
        path.write_text(playing.network_page(saved, "Words <b>"), encoding="utf-8")
        tab.open(path)
        assert tab.complaints() == []
        assert all(url == path.as_uri() or url.startswith("data:") for url in tab.requests())
        return tab

    return open_


def fill(page: Page, **values: Any) -> None:
    for name, value in values.items():
        page.evaluate(
            f"(field => {{ field.value = {value!r}; field.dispatchEvent(new Event('input')); }})"
            f"(document.querySelector('[name={name}]'))"
        )


def shown(page: Page, part: str) -> list[str]:
    return list(
        page.evaluate(
            f"[...document.querySelectorAll('[data-part={part}] li bdi')].map(e => e.textContent)"
        )
    )


def probabilities(page: Page) -> dict[str, float]:
    """What the bars say, each by its label."""
    bars = page.evaluate(
        "[...document.querySelectorAll('.probability')].map(bar => "
        "[bar.querySelector('bdi').textContent, Number(bar.style.getPropertyValue('--p'))])"
    )
    return {label: share for label, share in bars}


NETWORKS = {
    **{f"latin, {kind}": (LATIN, f"model.activation={kind}") for kind in CHOICES["activation"]},
    "marks, joiners and markup": (MARKS, "model.block_size=5", "dtype=float64"),
    "a context of one": (LATIN, "model.block_size=1", "model.n_embd=2"),
    "many": ("".join(chr(0x4E00 + k) for k in range(400)), "model.block_size=2"),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_pages_words_are_those_of_the_reference(
    name: str, opened: Callable[[Checkpoint], Page]
) -> None:
    saved = network(*NETWORKS[name])
    page = opened(saved)
    prefix = saved.vocabulary.characters[-2:]
    for seed, temperature, start in ((1, 1.0, ""), (4_000_000_000, 0.5, prefix)):
        fill(page, seed=seed, temperature=temperature, prefix=start)
        uniform = sfc32(seed)
        expected = [word(saved, start, temperature, uniform) for _ in range(WORDS)]
        escaped = [one.replace("\u202e", "\\u202e") or "(nothing)" for one in expected]
        assert shown(page, "words") == escaped
    assert len(set(expected)) > 5


@pytest.mark.parametrize("activation", CHOICES["activation"])
def test_the_next_characters_are_those_of_the_trained_network(
    activation: str, opened: Callable[[Checkpoint], Page]
) -> None:
    saved = network(LATIN, f"model.activation={activation}", "dtype=float64")
    page = opened(saved)
    fill(page, prefix="ab")
    context = torch.tensor([[0, *saved.vocabulary.encode("ab")]])
    statistics = saved.statistics
    logits = configured.network(saved.config).logits(
        saved.parameters, statistics.bnmean, statistics.bnvar, context
    )
    found = probabilities(page)
    expected = logits.softmax(1)[0].tolist()
    assert [found["end"], *(found[c] for c in LATIN)] == pytest.approx(expected, rel=1e-12)


def test_typing_shows_what_comes_next(opened: Callable[[Checkpoint], Page]) -> None:
    saved = network(LATIN)
    page = opened(saved)
    before = probabilities(page)
    page.evaluate("document.querySelector('[name=prefix]').focus()")
    page.press("q", "q")
    after = probabilities(page)
    assert after != before and list(after.values()) == sorted(after.values(), reverse=True)
    assert all(one.startswith("q") for one in shown(page, "words"))
    ids = saved.vocabulary.encode("q")
    assert after["a"] == pytest.approx(next_characters(saved, ids, 1.0)[1], rel=1e-12)


def test_a_click_on_a_character_appends_it_and_new_words_have_a_new_seed(
    opened: Callable[[Checkpoint], Page],
) -> None:
    page = opened(network(LATIN))
    likeliest = page.evaluate("document.querySelector('button.probability bdi').textContent")
    page.evaluate("document.querySelector('button.probability').click()")
    assert page.evaluate("document.querySelector('[name=prefix]').value") == likeliest
    before = shown(page, "words")
    page.evaluate("document.querySelector('[data-part=fresh]').click()")
    seed = int(page.evaluate("document.querySelector('[name=seed]').value"))
    assert 0 <= seed < 2**32 and shown(page, "words") != before


def test_a_character_that_the_network_does_not_know_is_named(
    opened: Callable[[Checkpoint], Page],
) -> None:
    page = opened(network(LATIN))
    fill(page, prefix="aÄ")
    said = page.evaluate("document.querySelector('[data-part=unknown]').textContent")
    assert "“Ä”" in said and "a b c" in said
    fill(page, prefix="a")
    assert page.evaluate("document.querySelector('[data-part=unknown]').hidden")


def test_an_accent_may_be_typed_in_either_spelling(opened: Callable[[Checkpoint], Page]) -> None:
    page = opened(network("e\u0301ab"))
    fill(page, prefix="\u00e9")
    assert all(one.startswith("e\u0301") for one in shown(page, "words"))


def test_a_network_that_would_not_fit_is_left_out_with_a_sentence() -> None:
    large = network(LATIN, "model.n_hidden=20000")
    assert playing.network(large) is None
    assert playing.section(None) == page_parts.paragraph(playing.TOO_LARGE)
    with pytest.raises(RequestError, match="too large to stand in a page"):
        playing.network_page(large, "Large")
    small = playing.network_page(network(LATIN), "Small")
    assert 'data-part="words"' in small and len(small) < 100_000


def test_the_reference_generator_is_the_published_one() -> None:
    assert [int(u * 2**32) for u in islice(sfc32(1), 3)] == FIRST
