"""What the network expects: which character follows which, and the words that surprise it most."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor

from makemore_bp.dataset.examples import encode
from makemore_bp.engines import configured
from makemore_bp.training.checkpoint import Checkpoint

WORDS = 50_000  # of a file that are looked at, evenly picked
FOLLOWED = 40  # ids of which it is told what follows them
SHOWN = 24  # the least likely words
NUMBERS = 2**22  # of the probabilities that are held at a time


@dataclass(frozen=True)
class Surprise:
    """A word, its loss in nats a character, and what in it was expected least: the place of the
    character, which is the word's length where that is its end, with the character's probability.
    """

    word: str
    loss: float
    place: int
    probability: float


@dataclass(frozen=True)
class Expectations:
    """following (FOLLOWED, FOLLOWED), or (V, V) where there are fewer ids: the mean probability of
    each next id after each id, over all places in the words where the first stands; 0 where it
    stands nowhere. surprises: the worst first. words: how
    many distinct ones were looked at."""

    following: Tensor
    surprises: list[Surprise]
    words: int


@torch.no_grad()
def expectations(saved: Checkpoint, words: list[str]) -> Expectations:
    """Passes words through the network of a run."""
    distinct = list(dict.fromkeys(words))
    distinct = distinct[:: -(-len(distinct) // WORDS)]
    size = min(FOLLOWED, len(saved.vocabulary))
    sums, counts, losses = torch.zeros(size, size, dtype=torch.float64), torch.zeros(size), []
    for last, targets, logprobs in _passed(saved, distinct):
        shown = last < size
        sums.index_add_(0, last[shown], logprobs[shown, :size].exp().double())
        counts.index_add_(0, last[shown], torch.ones(int(shown.sum())))
        losses.append(-logprobs.gather(1, targets[:, None])[:, 0])
    following = sums / counts.clamp(min=1)[:, None]
    return Expectations(following, _surprises(distinct, torch.cat(losses)), len(distinct))


def _passed(saved: Checkpoint, words: list[str]) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Of every example of the words in order: the last id of its context, its target, and the
    logarithms of the probabilities of all ids."""
    network, statistics = configured.network(saved.config), saved.statistics
    examples = encode(words, saved.vocabulary, saved.config.model.block_size)
    rows = max(1, NUMBERS // max(len(saved.vocabulary), saved.config.model.n_hidden))
    for some in torch.split(torch.arange(len(examples)), rows):
        Xb, Yb = examples.batch(some)
        logits = network.logits(saved.parameters, statistics.bnmean, statistics.bnvar, Xb)
        yield Xb[:, -1], Yb, F.log_softmax(logits, 1)


def _surprises(words: list[str], losses: Tensor) -> list[Surprise]:
    """A word has an example for each of its characters and one for its end."""
    lengths = torch.tensor([len(word) + 1 for word in words])
    numbers = torch.repeat_interleave(torch.arange(len(words)), lengths)
    means = torch.zeros(len(words)).index_add_(0, numbers, losses.float()) / lengths
    ends = lengths.cumsum(0)
    order = means.argsort(descending=True, stable=True).tolist()
    return [
        _surprise(words[k], losses[ends[k] - lengths[k] : ends[k]]) for k in islice(order, SHOWN)
    ]


def _surprise(word: str, losses: Tensor) -> Surprise:
    place = int(losses.argmax())
    return Surprise(word, float(losses.mean()), place, float((-losses[place]).exp()))
