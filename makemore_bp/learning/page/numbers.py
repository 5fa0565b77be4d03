"""Tensors as the page's script reads them: rows of numbers in base64, within the page's budget."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from makemore_bp.learning.page.model import Node, Pass

BUDGET = 1_000_000  # bytes of base64, so that the whole page stays below 1.5 MB
_LARGEST_SIDE = 4096


def encoded(shown: Pass) -> dict[str, Any]:
    """For each tensor its rows and columns, how many of them are shown, and the numbers."""
    side = _LARGEST_SIDE
    while side > 1 and sum(_cost(node, side) for node in shown.nodes) > BUDGET:
        side = side * 3 // 4
    return {node.name: _numbers(node, side) for node in shown.nodes}


def _numbers(node: Node, side: int) -> Mapping[str, Any]:
    truth = rows(node.truth)
    own = rows(node.judgement.own) if comparable(node) and node.judgement.own is not None else None
    same = own is not None and _same(own, truth)
    return {
        "shape": list(node.shape),
        "rows": truth.shape[0],
        "columns": truth.shape[1],
        "shown": list(truth[:side, :side].shape),
        "bytes": _size(truth),
        "truth": _base64(truth[:side, :side]),
        "own": "same" if same else _base64(own[:side, :side]) if own is not None else None,
    }


def rows(tensor: Tensor) -> Tensor:
    """A tensor as rows and columns: the first axis down, all others side by side; a vector lies."""
    if tensor.dim() < 2:
        return tensor.reshape(1, -1)
    return tensor.reshape(tensor.shape[0], -1)


def comparable(node: Node) -> bool:
    """Whether the learner's numbers can be laid beside the true ones, entry by entry."""
    return (
        node.judgement.own is not None and rows(node.judgement.own).shape == rows(node.truth).shape
    )


def _same(one: Tensor, other: Tensor) -> bool:
    return bool(((one == other) | (one.isnan() & other.isnan())).all())


def _size(tensor: Tensor) -> int:
    return 8 if tensor.dtype == torch.float64 else 4


def _cost(node: Node, side: int) -> int:
    truth = rows(node.truth)
    shown = min(truth.shape[0], side) * min(truth.shape[1], side)
    several = 1 if node.judgement.own is None or not comparable(node) else 2
    return shown * _size(truth) * several * 4 // 3


def _base64(tensor: Tensor) -> str:
    kind = "<f8" if _size(tensor) == 8 else "<f4"
    array = tensor.detach().cpu().contiguous().numpy().astype(kind)
    return base64.b64encode(array.tobytes()).decode("ascii")
