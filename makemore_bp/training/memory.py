"""Whether a run would fit in this machine's memory, said before anything starts."""

from __future__ import annotations

import math
import os

import torch

from makemore_bp.engines.engine import Work
from makemore_bp.errors import RequestError


def refuse_what_does_not_fit(work: Work, rows: int | None = None) -> None:
    """Raises RequestError if a run exceeds the machine's memory. ``rows`` of the batch lie on this
    machine; without it all of them."""
    if work.device != "cpu" or not hasattr(os, "sysconf"):
        return
    sizes, n_hidden = work.sizes, work.sizes.n_hidden
    needed, installed = _needed(work, rows or work.batch_size), _installed(work)
    if needed > installed:
        raise RequestError(
            f"A network with model.n_hidden = {n_hidden:,}, model.n_embd = {sizes.n_embd:,}, "
            f"model.block_size = {sizes.block_size:,} and {sizes.vocabulary:,} characters, trained "
            f"with train.batch_size = {rows or work.batch_size:,}, needs about "
            f"{needed / 2**30:,.0f} GiB; this machine has {installed / 2**30:,.0f} GiB. "
            "Make one of them smaller."
        )


def models_that_fit(work: Work) -> int:
    """How many models of one shape half of their device's memory has room for, at least one. It
    is the device's whole memory that counts, so that an experiment that goes on finds the same."""
    return max(1, _installed(work) // 2 // _needed(work, work.batch_size))


def _needed(work: Work, rows: int) -> int:
    """Bytes: of the parameters, their gradients and a copy to save, and for the batch of about
    eight tensors of each layer's width, forward and backward together."""
    shapes = work.sizes.shapes
    fan_in, n_hidden = shapes["W1"]
    width = 4 * fan_in + 12 * n_hidden + 6 * work.sizes.vocabulary
    return (3 * sum(map(math.prod, shapes.values())) + rows * width) * work.dtype.itemsize


def _installed(work: Work) -> int:
    """Bytes of memory: of the GPU, or of this machine; 4 GiB where the system does not say."""
    if work.on_gpu:
        return int(torch.cuda.get_device_properties(work.device).total_memory)
    if not hasattr(os, "sysconf"):
        return 2**32
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
