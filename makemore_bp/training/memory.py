"""Whether a run would fit in this machine's memory, said before anything starts."""

from __future__ import annotations

import math
import os

from makemore_bp.config import Config
from makemore_bp.errors import RequestError
from makemore_bp.network.parameters import Sizes


def refuse_what_does_not_fit(config: Config, vocabulary: int) -> None:
    """Raises RequestError if parameters, gradients and one batch exceed the machine's memory.

    Counted are the parameters, their gradients and a copy to save, and for the batch about eight
    tensors of each layer's width, forward and backward together.
    """
    if config.device != "cpu" or not hasattr(os, "sysconf"):
        return
    model, n = config.model, config.train.batch_size
    shapes = Sizes(vocabulary, model.block_size, model.n_embd, model.n_hidden).shapes
    width = 4 * model.block_size * model.n_embd + 12 * model.n_hidden + 6 * vocabulary
    numbers = 3 * sum(math.prod(shape) for shape in shapes.values()) + n * width
    needed = numbers * (8 if config.dtype == "float64" else 4)
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > installed:
        raise RequestError(
            f"A network with model.n_hidden = {model.n_hidden:,}, model.n_embd = "
            f"{model.n_embd:,}, model.block_size = {model.block_size:,} and {vocabulary:,} "
            f"characters, trained with train.batch_size = {n:,}, needs about "
            f"{needed / 2**30:,.0f} GiB; this machine has {installed / 2**30:,.0f} GiB. "
            "Make one of them smaller."
        )
