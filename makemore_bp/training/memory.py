"""Whether a run would fit in this machine's memory, said before anything starts."""

from __future__ import annotations

import math
import os

from makemore_bp.engines.engine import Work
from makemore_bp.errors import RequestError


def refuse_what_does_not_fit(work: Work, rows: int | None = None) -> None:
    """Raises RequestError if parameters, gradients and one batch exceed the machine's memory.

    Counts the parameters, their gradients and a copy to save, and for the batch about eight
    tensors of each layer's width, forward and backward together. ``rows`` of the batch lie on this
    machine; without it all of them.
    """
    if work.device != "cpu" or not hasattr(os, "sysconf"):
        return
    sizes, shapes = work.sizes, work.sizes.shapes
    fan_in, n_hidden = shapes["W1"]
    width = 4 * fan_in + 12 * n_hidden + 6 * sizes.vocabulary
    numbers = 3 * sum(map(math.prod, shapes.values())) + (rows or work.batch_size) * width
    needed = numbers * work.dtype.itemsize
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > installed:
        raise RequestError(
            f"A network with model.n_hidden = {n_hidden:,}, model.n_embd = {sizes.n_embd:,}, "
            f"model.block_size = {sizes.block_size:,} and {sizes.vocabulary:,} characters, trained "
            f"with train.batch_size = {rows or work.batch_size:,}, needs about "
            f"{needed / 2**30:,.0f} GiB; this machine has {installed / 2**30:,.0f} GiB. "
            "Make one of them smaller."
        )
