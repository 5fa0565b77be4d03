# ruff: noqa: E501
"""Holds the networks' labels against autograd. A script: python -m tests.derive.networks.verify

The forward pass is run in float64 with a graph. A hook on each tensor that the script has a gradient
of takes what autograd brings there and puts the script's own gradient in its place, so each gradient
is compared with what its own rule gives on the script's own gradients of the tensors that read it.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ...learning.unseen.case import KINDS
from ...learning.unseen.verify import statements
from . import cases
from .network import NetworkCase

MADE = {torch.randn, torch.rand, torch.zeros, torch.ones, torch.full, torch.eye, torch.tensor}


class Tracked(TorchFunctionMode):
    """Whatever the script makes of floats takes part in the graph."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        if function in MADE and result.is_floating_point() and not result.requires_grad:
            result = result.requires_grad_().clone()
        return result


def compare(case: NetworkCase) -> tuple[dict[str, float], dict[str, float]]:
    """Of each gradient: how far from its own rule, and how far from autograd's, relative."""
    scope: dict[str, Any] = {"__name__": "__main__"}
    torch.set_default_dtype(torch.float64)
    try:
        with Tracked(), contextlib.redirect_stdout(io.StringIO()):
            exec(compile(case.forward, "forward", "exec"), scope)
        # A list of tensors is compared one by one, and off where one of them is.
        tensors = {f"{g}": eval(t, scope) for g, t in case.network.pairs.items()}
        lists = {g: len(t) for g, t in tensors.items() if isinstance(t, list)}
        for g, length in lists.items():
            whole = tensors.pop(g)
            tensors.update({f"{g}[{i}]": whole[i] for i in range(length)})
        loss = scope[case.network.loss]
        truth = dict(
            zip(
                tensors,
                torch.autograd.grad(loss, list(tensors.values()), retain_graph=True),
                strict=True,
            )
        )
        with torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
            exec(compile(case.backward, "backward", "exec"), scope)
        own = {g: eval(g, scope).detach().clone() for g in tensors}
        brought: dict[str, torch.Tensor] = {}

        def hook(name: str) -> Callable[[torch.Tensor], torch.Tensor | None]:
            def take(g: torch.Tensor) -> torch.Tensor | None:
                brought[name] = g.clone()
                return own[name] if own[name].shape == g.shape else None

            return take

        for name, tensor in tensors.items():
            tensor.register_hook(hook(name))
        loss.backward()
    finally:
        torch.set_default_dtype(torch.float32)

    def far(mine: torch.Tensor, want: torch.Tensor) -> float:
        if mine.shape != want.shape:
            return float("inf")
        return ((mine - want).abs().max() / max(want.abs().max().item(), 1e-12)).item()

    def all_of(values: dict[str, torch.Tensor]) -> dict[str, float]:
        result = {g: far(own[g], values[g]) for g in own}
        for g, length in lists.items():
            result[g] = max(result.pop(f"{g}[{i}]") for i in range(length))
        return result

    return all_of(brought), all_of(truth)


def check(case: NetworkCase) -> list[str]:
    complaints = []
    written = statements(case.script)
    for name, fault in case.faults.items():
        for line in (fault.line, *fault.also):
            if written.count(line) != 1:
                complaints.append(f"{name}: {written.count(line)} statements {line!r}")
        if not fault.says or set(fault.says) - set(KINDS) or not fault.means.endswith("."):
            complaints.append(f"{name}: {fault.says} {fault.means!r}")
    local, whole = compare(case)
    off = {name for name, far in local.items() if not far < 1e-9}
    if off != set(case.faults):
        complaints.append(
            f"off {[(k, f'{local[k]:.1e}') for k in sorted(off)]}, blamed {sorted(case.faults)}"
        )
    faint = [
        name
        for name in case.faults
        if name in local and local[name] < 1e-4 and "eps" not in case.faults[name].says
    ]
    if faint:
        complaints.append(f"hardly to be seen: {faint}")
    if not case.faults and any(not far < 1e-9 for far in whole.values()):
        complaints.append(f"differs from autograd: {whole}")
    scope: dict[str, Any] = {"__name__": "__main__"}
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(case.script, case.name, "exec"), scope)
    if not isinstance(scope[case.network.loss], torch.Tensor) or scope[case.network.loss].dim():
        complaints.append("the loss is no scalar tensor")
    if not case.faults and "False" in out.getvalue():
        complaints.append(f"the script's own comparison says: {out.getvalue()}")
    return complaints


def main(names: list[str]) -> int:
    torch.set_num_threads(1)
    bad, count, kinds, networks = 0, 0, Counter[str](), Counter[str]()
    texts: set[str] = set()
    for case in cases():
        if names and not any(name in case.name for name in names):
            continue
        count += 1
        networks[case.network.name] += 1
        for fault in case.faults.values():
            kinds[fault.says[0]] += 1
        try:
            complaints = check(case)
        except Exception as error:
            complaints = [f"{type(error).__name__}: {error}"]
        if case.script in texts:
            complaints.append("the same text again")
        texts.add(case.script)
        for complaint in complaints:
            print(f"{case.name}: {complaint}")
        bad += bool(complaints)
    print(f"{count} scripts, {bad} with complaints; {len(networks)} networks: {dict(networks)}")
    print("first kinds of faults:", dict(kinds))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
