"""Fresh words from a trained network.

A context of ``block_size`` boundaries is fed to the network, a character is drawn from its softmax
and shifted into the context, until the boundary is drawn. Where the contexts are few enough the
network is evaluated once for all of them, and its table of next-character distributions is drawn
from; otherwise it is evaluated for a batch of words at a time. Both draw the same words.

Words come in blocks. A block is a function of the seed and its number, so blocks can be drawn
anywhere and in any order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain, count

import torch
import torch.nn.functional as F
from torch import Tensor

from makemore_bp import threads
from makemore_bp.dataset import Vocabulary
from makemore_bp.engines import configured
from makemore_bp.engines.masks import lowbias32
from makemore_bp.errors import RequestError
from makemore_bp.text import visible
from makemore_bp.training.checkpoint import Checkpoint

BLOCK = 1024  # words drawn side by side from one generator; another number, other words
LOGITS = 2**18  # at most so many at a time, or few words of a large vocabulary would take minutes
TABLE_NUMBERS = 2**24  # the most entries of a table of distributions
ROWS = 2**15  # contexts evaluated at a time


@dataclass(frozen=True)
class Settings:
    """How words are drawn.

    temperature divides the logits: below 1 likelier words, above 1 wilder ones. top_k keeps the
    so many likeliest next characters. prefix is what every word begins with.
    """

    seed: int = 2_147_483_657
    temperature: float = 1.0
    top_k: int | None = None
    prefix: str = ""
    max_length: int = 1000


class Sampler:
    """Draws words from a checkpoint."""

    def __init__(self, checkpoint: Checkpoint, settings: Settings) -> None:
        """Raises RequestError for a prefix with a character that the vocabulary does not hold."""
        self._checkpoint = checkpoint
        self._settings = settings
        self._network = configured.network(checkpoint.config)
        self._block_size = checkpoint.config.model.block_size
        self._vocabulary = checkpoint.vocabulary
        self._prefix = _ids(self._vocabulary, settings.prefix)
        V, B = len(self._vocabulary), self._block_size
        self.size = min(BLOCK, max(8, LOGITS // V))
        self._place = V ** torch.arange(B).flip(0) if V ** (B + 1) <= TABLE_NUMBERS else None
        self._table: Tensor | None = None
        self._widest = max(V, checkpoint.config.model.n_hidden)  # columns of a layer

    def words(self) -> Iterator[str]:
        """Words without end; the same seed gives the same ones in the same order."""
        return chain.from_iterable(map(self.block, count()))

    @torch.no_grad()
    def block(self, number: int) -> list[str]:
        """The ``size`` words from number ``number * size`` on, drawn side by side."""
        if self._place is not None and self._table is None:
            self._table = self._all_contexts()
        with threads.for_numbers(self.size * self._widest):
            return self._drawn(number)

    def _drawn(self, number: int) -> list[str]:
        g = _generator(self._settings.seed, number)
        start = [0] * self._block_size + self._prefix
        context = torch.tensor(start[len(start) - self._block_size :]).repeat(self.size, 1)
        columns = [torch.full((self.size,), id) for id in self._prefix]
        alive = torch.arange(self.size)
        for _ in range(self._settings.max_length - len(self._prefix)):
            uniform = torch.rand(len(alive), 1, generator=g)
            cumulative = self._cumulative(context)
            # Scaled by the row's own end, so that rounding cannot push a draw past the last id.
            following = torch.searchsorted(cumulative, uniform * cumulative[:, -1:], right=True)
            following = following.clamp_(max=len(self._vocabulary) - 1)
            going = following[:, 0] != 0
            alive, following = alive[going], following[going]
            if not len(alive):
                break
            columns.append(
                torch.zeros(self.size, dtype=torch.long).index_copy_(0, alive, following[:, 0])
            )
            context = torch.cat((context[going], following), 1)[:, 1:]
        if not columns:
            return [""] * self.size
        return self._vocabulary.words(torch.stack(columns, 1).numpy())

    def _cumulative(self, context: Tensor) -> Tensor:
        """Running sums of the next id's probabilities, (n, V), of contexts (n, block_size)."""
        if self._place is None or self._table is None:
            return self._evaluated(context)
        return self._table[context @ self._place]

    def _all_contexts(self) -> Tensor:
        V, B = len(self._vocabulary), self._block_size
        numbers = torch.arange(V**B)
        digits = numbers[:, None] // V ** torch.arange(B).flip(0) % V
        rows = [self._evaluated(part) for part in torch.split(digits, ROWS)]
        return torch.cat(rows)

    def _evaluated(self, context: Tensor) -> Tensor:
        saved, settings = self._checkpoint, self._settings
        statistics = saved.statistics
        logits = self._network.logits(
            saved.parameters, statistics.bnmean, statistics.bnvar, context
        )
        logits = logits.double().div_(settings.temperature)
        if settings.top_k is not None and settings.top_k < logits.shape[1]:
            least = logits.topk(settings.top_k, 1).values[:, -1:]
            logits = logits.masked_fill(logits < least, -torch.inf)
        return F.softmax(logits, 1).cumsum_(1)  # in place: fresh memory costs more than the sums


def unseen(words: Iterator[str], known: Collection[str], patience: int = 100_000) -> Iterator[str]:
    """The words that are not in ``known``.

    Raises RequestError after ``patience`` known ones in a row: the network has learned its list by
    heart, or the prefix leaves no choice.
    """
    in_a_row = 0
    for word in words:
        if word not in known:
            in_a_row = 0
            yield word
        elif (in_a_row := in_a_row + 1) >= patience:
            raise RequestError(
                f"{patience:,} words in a row are all in the data file; there are no new ones to "
                "find. Leave out --only-new, or raise --temperature."
            )


def _generator(seed: int, block: int) -> torch.Generator:
    """A block's own generator; that of block 0 is the seed's.

    PyTorch's generator on the CPU listens to the low 32 bits of its seed. Hashed numbers of so few
    bits would soon meet: of 80,000 blocks two would be the same, as likely as not. ``lowbias32`` is
    one-to-one, so no two of the first 2**32 blocks are.
    """
    return torch.Generator().manual_seed(seed ^ lowbias32(block))


def _ids(vocabulary: Vocabulary, prefix: str) -> list[int]:
    try:
        return vocabulary.encode(prefix)
    except KeyError as error:
        characters = visible(vocabulary.characters, 120)
        raise RequestError(
            f"--prefix {visible(prefix)}: the run's vocabulary has no character "
            f"'{visible(error.args[0])}'. It has: {characters}"
        ) from None
