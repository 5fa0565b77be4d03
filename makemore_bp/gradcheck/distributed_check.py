"""Every rank's gradients against the single process's: the check of a backward pass over ranks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from makemore_bp.config import Config
from makemore_bp.engines.distributed_engine import whole
from makemore_bp.gradcheck.check import Check, check
from makemore_bp.gradcheck.judge import TensorReport
from makemore_bp.gradcheck.setting import Setting
from makemore_bp.network.passes import CHECKED_ORDER, Network
from makemore_bp.network.ranks import Ranks
from makemore_bp.ranks.shares import share

# What is worst comes last; a rank's report of a tensor is as bad as its status.
_BADNESS = ("exact", "close", "inherits", "missing", "shape", "wrong")


class Speaking(Ranks, Protocol):
    """Ranks that can tell each other a text as well."""

    def texts(self, text: str) -> list[str]: ...


def check_ranks(setting: Setting, config: Config, ranks: Speaking) -> Check:
    """Judges what every rank has after a backward pass over all of them; on every rank.

    Each holds its gradients against autograd's of the whole minibatch in one process: its own rows
    of those that have rows, put together with the other ranks' rows, and its own copy of those that
    are sums over the batch. Of each tensor the report of the rank that is worst off is kept.
    """
    switches = (config.backward.cross_entropy, config.backward.batchnorm)
    network = Network.distributed(*switches, dropout=setting.mask is not None)
    gradients = _gradients(setting, network, ranks)
    own = check(setting.parameters, setting.Xb, setting.Yb, *switches, gradients, setting.mask)
    checks = [json.loads(text) for text in ranks.texts(json.dumps(own.as_json()))]
    reports = tuple(
        max((_report(found["tensors"][k]) for found in checks), key=_badness)
        for k in range(len(own.tensors))
    )
    return Check(all(found["passed"] for found in checks), own.loss, reports)


@torch.no_grad()
def _gradients(setting: Setting, network: Network, ranks: Ranks) -> dict[str, Tensor]:
    """This rank's gradients by name, those with a row an example completed by the other ranks'."""
    n = len(setting.Yb)
    mine = share(n, ranks.rank, ranks.size)
    rows = slice(mine.start, mine.stop)
    mask = setting.mask[rows] if setting.mask is not None else None
    record = network.forward(
        setting.parameters, setting.Xb[rows], setting.Yb[rows], mask, n=n, ranks=ranks
    )
    _, gradients = whole(record["loss"], network.backward(record), ranks)
    alone = Network.of(dropout=mask is not None)
    shapes = alone.forward(setting.parameters, setting.Xb, setting.Yb, setting.mask)
    found = {}
    for name in CHECKED_ORDER:
        gradient = gradients.get("d" + name)
        if gradient is not None:
            by_rows = name not in setting.parameters and shapes[name].shape[0] == n
            found["d" + name] = _all_rows(gradient, n, ranks) if by_rows else gradient
    return found


def _all_rows(own: Tensor, n: int, ranks: Ranks) -> Tensor:
    """The rows of all ranks in order: (rows, ...) becomes (n, ...)."""
    most = len(share(n, 0, ranks.size))
    padded = own.new_zeros((most, *own.shape[1:]))
    padded[: len(own)] = own
    everyone = ranks.gather(padded)
    return torch.cat([everyone[r, : len(share(n, r, ranks.size))] for r in range(ranks.size)])


def _report(plain: Mapping[str, Any]) -> TensorReport:
    shapes = {key: tuple(plain[key]) for key in ("shape", "got") if key in plain}
    kept = {key: value for key, value in plain.items() if key != "expected_shape"}
    return TensorReport(**{**kept, **shapes})


def _badness(report: TensorReport) -> tuple[int, float]:
    return _BADNESS.index(report.status), report.max_abs_diff or 0.0
