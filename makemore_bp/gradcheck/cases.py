"""Hard cases: batches on which a hand-written backward pass is wrong if it is ever wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch

from makemore_bp.engines.masks import Masks
from makemore_bp.errors import RequestError
from makemore_bp.gradcheck.batch import Batch
from makemore_bp.gradcheck.check import Check, check
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import Network

SEED = 2147483647
PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
LECTURE = Sizes(vocabulary=27, n_hidden=64)
SWITCHES = tuple(product(("op-by-op", "fused"), repeat=2))


@dataclass(frozen=True)
class Case:
    """A named case: what is hard about it, its sizes, what it changes in place in the batch, and
    the probability with which its hidden outputs are switched off."""

    name: str
    about: str
    sizes: Sizes = LECTURE
    batch: int = 32
    change: Callable[[Batch], None] = lambda batch: None
    dropout: float = 0.0

    def build(self, dtype: torch.dtype, network: Network) -> Batch:
        """The case's batch for a network without dropout, which the case adds if it asks for it."""
        g, g_batchnorm = generators(SEED)
        parameters = initialise(self.sizes, g, g_batchnorm, dtype)
        shape, V = (self.batch, self.sizes.block_size), self.sizes.vocabulary
        Xb = torch.randint(0, V, shape, generator=g)
        Yb = torch.randint(0, V, (self.batch,), generator=g)
        shape, mask = (self.batch, self.sizes.n_hidden), None
        if self.dropout:
            mask = Masks(self.dropout, SEED, shape, dtype).at(0)
        batch = Batch(network.dropping(mask is not None), parameters, Xb, Yb, mask)
        self.change(batch)
        return batch


def _all_rows_alike(s: Batch) -> None:
    s.Xb[:] = s.Xb[0]


def _one_row_repeated(s: Batch) -> None:
    s.Xb[1::2] = s.Xb[0]
    s.Yb[1::2] = s.Yb[0]


def _one_character(s: Batch) -> None:
    s.Xb[::2] = 5


def _ties(s: Batch) -> None:
    """Three columns of logits alike, and above all others."""
    s.parameters["W2"][:, 1:3] = s.parameters["W2"][:, :1]
    s.parameters["b2"][:3] = 4.0


def _large_logits(s: Batch) -> None:
    """Half of the columns moved up by 80 would leave the others without probability; so all of
    them, which max-subtraction takes out again."""
    s.parameters["b2"].add_(80.0)


def _small_logits(s: Batch) -> None:
    s.parameters["b2"].sub_(80.0)


def _logits_far_apart(s: Batch) -> None:
    s.parameters["b2"][0::2] = 80.0
    s.parameters["b2"][1::2] = -80.0
    s.Yb.sub_(s.Yb % 2)


def _saturated(s: Batch) -> None:
    s.parameters["bngain"].mul_(40.0)


def _to_the_boundary(s: Batch) -> None:
    s.Yb[:] = 0


ALL = {
    case.name: case
    for case in (
        Case("default", "the lecture's exercise: n_hidden 64, batch of 32"),
        Case("batch-of-2", "the smallest batch that has an unbiased variance", batch=2),
        Case(
            "all-rows-alike",
            "variance 0: only EPS keeps the root away from 0",
            change=_all_rows_alike,
        ),
        Case("one-row-repeated", "every other example is the same one", change=_one_row_repeated),
        Case("one-character", "one row of C is read by half of the batch", change=_one_character),
        Case(
            "single-characters",
            "a block of 1: every embedding row is read once or not at all",
            sizes=Sizes(vocabulary=64, block_size=1, n_hidden=64),
            batch=16,
        ),
        Case("ties", "three logits of every row share the maximum", change=_ties),
        Case("logits-near-80", "exp(80) would nearly overflow float32", change=_large_logits),
        Case(
            "logits-near-minus-80", "exp(-80) would nearly underflow float32", change=_small_logits
        ),
        Case(
            "logits-far-apart",
            "80 beside -80: probabilities underflow to 0",
            change=_logits_far_apart,
        ),
        Case(
            "saturated-tanh",
            "most hidden units at -1 or 1, where the slope is 0",
            change=_saturated,
        ),
        Case(
            "one-character-vocabulary",
            "V = 1: the loss is 0 and so is every gradient",
            Sizes(1, n_hidden=64),
        ),
        Case("two-id-vocabulary", "V = 2: the boundary and one character", Sizes(2, n_hidden=64)),
        Case("one-hidden-unit", "n_hidden 1", Sizes(27, n_hidden=1)),
        Case("block-size-1", "a context of one character", Sizes(27, block_size=1, n_hidden=64)),
        Case(
            "block-size-16",
            "a context of sixteen characters",
            Sizes(27, block_size=16, n_hidden=64),
        ),
        Case("targets-all-boundary", "every word ends here", change=_to_the_boundary),
        Case("dropout", "a third of the hidden outputs is switched off", dropout=1 / 3),
    )
}


@dataclass(frozen=True)
class Outcome:
    """One case in one precision with one pair of switches."""

    case: str
    dtype: str
    cross_entropy: str
    batchnorm: str
    check: Check


def named(name: str) -> list[Case]:
    """The case of that name, or every one for ``all``. Raises RequestError if there is none."""
    if name == "all":
        return list(ALL.values())
    if name not in ALL:
        raise RequestError(
            "There is no case '{name}'. Name one of: all, {known}.", name=name, known=", ".join(ALL)
        )
    return [ALL[name]]


def run(case: Case, dtype: str, cross_entropy: str, batchnorm: str) -> Outcome:
    """Checks our own pass on a case."""
    network = Network.of(cross_entropy=cross_entropy, batchnorm=batchnorm)
    batch = case.build(PRECISIONS[dtype], network)
    return Outcome(case.name, dtype, cross_entropy, batchnorm, check(batch))


def run_all(cases: list[Case]) -> Iterator[Outcome]:
    """Checks cases in both precisions with all four pairs of switches."""
    for case, dtype, switches in product(cases, PRECISIONS, SWITCHES):
        yield run(case, dtype, *switches)
