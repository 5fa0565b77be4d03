"""Mistakes in the embedding table's gradient, which is a loop and not a formula."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from makemore_bp.learning.diagnosis.compare import agrees, combination, same_bits, scale


def table_mistakes(
    learner: Tensor, demb: Tensor, record: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """The kinds and sentences that explain ``learner`` (V, n_embd), a wrong dC, from ``demb``
    (n, block_size, n_embd)."""
    C, Xb = record["C"], record["Xb"]
    if demb.shape != (*Xb.shape, C.shape[1]) or learner.shape != C.shape:
        return
    if scale(learner) == 0:
        yield "missing-term", "every entry is zero: nothing of demb is ever added"
        return
    if _assigned(learner, demb, Xb):
        yield (
            "overwritten",
            "a row is assigned where it must be added to (= instead of +=): of the places where a "
            "character stands, only one counts in its row",
        )
    yield from _left_out(learner, demb, record)
    counts = torch.bincount(Xb.flatten(), minlength=C.shape[0]).clamp(min=1).to(demb.dtype)
    if agrees(learner * counts[:, None], _added(C, Xb, demb)):
        yield "reduction", "the mean over the places of a character is taken, the sum belongs there"
    if agrees(learner, _added(C, Xb.flip(1), demb)):
        yield "wrong-input", "the positions of the context are read from the other end"


def _added(C: Tensor, Xb: Tensor, demb: Tensor) -> Tensor:
    return torch.zeros_like(C).index_put_((Xb,), demb, accumulate=True)


def _assigned(learner: Tensor, demb: Tensor, Xb: Tensor) -> bool:
    """Whether every row that a character has in the batch is that of one of its places alone."""
    ids, rows = Xb.flatten(), demb.reshape(-1, demb.shape[-1])
    several = False
    for id in set(ids.tolist()):
        places = rows[ids == id]
        several |= len(places) > 1
        if not (places == learner[id]).all(1).any():
            return False
    absent = torch.ones(learner.shape[0], dtype=torch.bool)
    absent[ids] = False
    return several and scale(learner[absent]) == 0


def _left_out(
    learner: Tensor, demb: Tensor, record: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    C, Xb = record["C"], record["Xb"]
    block_size = Xb.shape[1]
    shares = [_added(C, Xb[:, j : j + 1], demb[:, j : j + 1]) for j in range(block_size)]
    found = combination(learner, shares) if block_size > 1 else None
    if found is not None and all(min(abs(c), abs(c - 1)) < 1e-4 for c in found):
        missing = [str(j) for j, c in enumerate(found) if abs(c) < 1e-4]
        if missing:
            yield "missing-term", f"position {' and '.join(missing)} of the context is left out"
    n = Xb.shape[0]
    for first, last in ((0, n - 1), (1, n)):
        if agrees(learner, _added(C, Xb[first:last], demb[first:last])):
            yield "missing-term", f"example {0 if first else n - 1} of the batch is left out"


def is_reshaped(learner: Tensor, truth: Tensor) -> bool:
    """Whether the learner's numbers are right and only laid out in another shape."""
    return (
        learner.shape != truth.shape
        and learner.numel() == truth.numel()
        and (
            same_bits(learner.flatten(), truth.flatten())
            or agrees(learner.flatten(), truth.flatten())
        )
    )
