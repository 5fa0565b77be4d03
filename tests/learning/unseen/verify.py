# ruff: noqa: SIM905
"""Holds every label against autograd. A script: python -m tests.learning.unseen.verify [name ...]

The lecture's forward pass is built in float64; every case's script is run on it. For every gradient
that the script defines, what its own rule gives on the script's own gradients of the tensors that
read it is computed by autograd (where the script has no such gradient, the rule's own value goes
on). A gradient is off where it differs from that. What is off must be exactly what is blamed,
except where the case says why it is not (`because`).
"""

from __future__ import annotations

import ast
import contextlib
import io
import random
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from .case import GRADIENTS, KINDS, RETURNED, Case

Tensor = torch.Tensor
Rule = tuple[tuple[str, ...], Callable[..., Tensor]]


def rules(n: int, Xb: Tensor, Yb: Tensor) -> dict[str, Rule]:
    return {
        "emb": (("C",), lambda C: C[Xb]),
        "embcat": (("emb",), lambda emb: emb.view(emb.shape[0], -1)),
        "hprebn": (("embcat", "W1", "b1"), lambda x, W, b: x @ W + b),
        "bnmeani": (("hprebn",), lambda x: 1 / n * x.sum(0, keepdim=True)),
        "bndiff": (("hprebn", "bnmeani"), lambda x, m: x - m),
        "bndiff2": (("bndiff",), lambda x: x**2),
        "bnvar": (("bndiff2",), lambda x: 1 / (n - 1) * x.sum(0, keepdim=True)),
        "bnvar_inv": (("bnvar",), lambda x: (x + 1e-5) ** -0.5),
        "bnraw": (("bndiff", "bnvar_inv"), lambda x, s: x * s),
        "hpreact": (("bngain", "bnraw", "bnbias"), lambda g, x, b: g * x + b),
        "h": (("hpreact",), torch.tanh),
        "logits": (("h", "W2", "b2"), lambda x, W, b: x @ W + b),
        "logit_maxes": (("logits",), lambda x: x.max(1, keepdim=True).values),
        "norm_logits": (("logits", "logit_maxes"), lambda x, m: x - m),
        "counts": (("norm_logits",), torch.exp),
        "counts_sum": (("counts",), lambda x: x.sum(1, keepdims=True)),
        "counts_sum_inv": (("counts_sum",), lambda x: x**-1),
        "probs": (("counts", "counts_sum_inv"), lambda x, s: x * s),
        "logprobs": (("probs",), torch.log),
        "loss": (("logprobs",), lambda x: -x[range(n), Yb].mean()),
    }


def data(batch: int, g: torch.Generator) -> tuple[Tensor, Tensor]:
    path = Path(__file__).parents[3] / "data" / "names.txt"
    words = path.read_text().split() if path.exists() else ["emma", "olivia", "ava", "zoe", "jax"]
    random.seed(42)
    random.shuffle(words)
    xs, ys = [], []
    for word in words[:3000]:
        context = [0, 0, 0]
        for letter in word + ".":
            index = 0 if letter == "." else ord(letter) - 96
            xs.append(context)
            ys.append(index)
            context = [*context[1:], index]
    ix = torch.randint(0, len(xs), (batch,), generator=g)
    return torch.tensor(xs)[ix], torch.tensor(ys)[ix]


class World:
    """One forward pass, its tensors by the lecture's names, and autograd's gradients of them."""

    def __init__(self, batch: int, hidden: int, dtype: torch.dtype, seed: int = 2147483647) -> None:
        g = torch.Generator().manual_seed(seed)
        f32 = {
            "C": torch.randn((27, 10), generator=g),
            "W1": torch.randn((30, hidden), generator=g) * (5 / 3) / 30**0.5,
            "b1": torch.randn(hidden, generator=g) * 0.1,
            "W2": torch.randn((hidden, 27), generator=g) * 0.1,
            "b2": torch.randn(27, generator=g) * 0.1,
        }
        self.Xb, self.Yb = data(batch, g)
        f32["bngain"] = torch.randn((1, hidden), generator=g) * 0.1 + 1.0
        f32["bnbias"] = torch.randn((1, hidden), generator=g) * 0.1
        self.n, self.hidden, self.dtype, self.g = batch, hidden, dtype, g
        self.rules = rules(batch, self.Xb, self.Yb)
        self.leaves = tuple(f32)
        live = {k: v.to(dtype).requires_grad_() for k, v in f32.items()}
        for name, (inputs, rule) in self.rules.items():
            live[name] = rule(*(live[i] for i in inputs))
            live[name].retain_grad()
        live["loss"].backward()
        self.live = live
        self.values = {k: v.detach().clone() for k, v in live.items()}
        self.truth = {k: v.grad.clone() for k, v in live.items() if v.grad is not None}

    def scope(self, plain: bool = True) -> dict[str, Any]:
        scope: dict[str, Any] = {"__name__": "__main__", "torch": torch, "F": F, "random": random}
        if plain:
            tensors = {k: v.clone() for k, v in self.values.items()}
            for k, v in tensors.items():
                v.grad = self.truth[k].clone()
        else:
            fresh = World(self.n, self.hidden, self.dtype)
            tensors = fresh.live
        scope.update(tensors)
        scope.update(
            g=self.g,
            n=self.n,
            batch_size=self.n,
            block_size=3,
            vocab_size=27,
            n_embd=10,
            n_hidden=self.hidden,
            Xb=self.Xb.clone(),
            Yb=self.Yb.clone(),
            cmp=compare,
            parameters=[tensors[k] for k in "C W1 b1 W2 b2 bngain bnbias".split()],
        )
        return scope

    def expected(self, name: str, own: dict[str, Tensor]) -> tuple[Tensor | None, float]:
        """What the rule of `name` gives on the script's own gradients; None: cannot be said."""
        if name == "loss":
            return torch.ones((), dtype=self.dtype), 1.0
        total, scale = torch.zeros_like(self.values[name]), 0.0
        for reader, (inputs, rule) in self.rules.items():
            if name not in inputs:
                continue
            g = own.get("d" + reader)
            if g is None:
                g, _ = self.expected(reader, own)
            if g is None:
                return None, 0.0
            if g.shape != self.values[reader].shape:
                if g.numel() != self.values[reader].numel():
                    return None, 0.0
                g = g.reshape(self.values[reader].shape)
            at = [self.values[i].clone().requires_grad_(i == name) for i in inputs]
            part = torch.autograd.grad(rule(*at), at[inputs.index(name)], g.to(self.dtype))[0]
            total = total + part
            scale = max(scale, part.abs().max().item(), g.abs().max().item())
        return total, scale


def compare(s: str, dt: Tensor, t: Tensor) -> None:
    assert isinstance(s, str) and isinstance(dt, Tensor) and isinstance(t, Tensor), "cmp"


def run(case: Case, world: World, plain: bool = True) -> tuple[dict[str, Tensor], Exception | None]:
    """The script's gradients by the lecture's names, and what it raised."""
    scope = world.scope(plain)
    error: Exception | None = None
    found: dict[str, Any] = {}
    before = torch.get_default_dtype()
    torch.set_default_dtype(world.dtype)
    guard = torch.no_grad() if plain else contextlib.nullcontext()
    try:
        with guard, contextlib.redirect_stdout(io.StringIO()):
            try:
                exec(compile(case.script, f"<{case.name}>", "exec"), scope)
                if case.exercise == 4:
                    found = call_backward(scope, case)
            except Exception as caught:
                error = caught
    finally:
        torch.set_default_dtype(before)
    if case.exercise != 4:
        for name in GRADIENTS:
            with contextlib.suppress(Exception):
                found[name] = eval(case.names.get(name, name), scope)
    kept = {
        name: value.detach().clone()
        for name, value in found.items()
        if name in GRADIENTS and isinstance(value, Tensor)
    }
    return kept, error


def call_backward(scope: dict[str, Any], case: Case) -> dict[str, Any]:
    """The seven that `backward` returns, and the local gradients at its return."""
    function = scope[case.names.get("backward", "backward")]
    inner: dict[str, Any] = {}

    def watch(frame: Any, event: str, argument: Any) -> None:
        if event == "return" and frame.f_code is function.__code__:
            inner.update(frame.f_locals)

    order = "n Xb Yb C W1 W2 bngain emb embcat bnraw bnvar_inv hpreact h logits".split()
    sys.setprofile(watch)
    try:
        returned = function(*(scope[name] for name in order))
    finally:
        sys.setprofile(None)
    found = {
        name: inner[case.names.get(name, name)]
        for name in GRADIENTS
        if case.names.get(name, name) in inner
    }
    if not isinstance(returned, tuple | list) or len(returned) != 7:
        raise TypeError("backward returns seven gradients")
    found.update(zip(RETURNED, returned, strict=True))
    return found


def off(case: Case, world: World, found: dict[str, Tensor], tolerance: float) -> dict[str, str]:
    """The gradients that differ from their own rule on the script's own gradients."""
    result = {}
    for name, mine in found.items():
        forward = name[1:]
        if mine.shape != world.values[forward].shape:
            result[name] = f"shape {tuple(mine.shape)} for {tuple(world.values[forward].shape)}"
            continue
        want, scale = world.expected(forward, found)
        if want is None:
            result[name] = "?"
            continue
        difference = (mine.to(world.dtype) - want).abs().max().item()
        if not difference <= tolerance * max(scale, 1e-6):
            result[name] = f"{difference / max(scale, 1e-30):.1e}"
    return result


def statements(script: str) -> list[str]:
    result = []
    lines = script.split("\n")
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.For | ast.While | ast.If | ast.With | ast.FunctionDef):
            result.append(lines[node.lineno - 1].strip())
        elif isinstance(node, ast.stmt):
            result.append(ast.get_source_segment(script, node) or "")
    return result


def check(case: Case, worlds: list[World], graph: bool = False) -> list[str]:
    """What speaks against the labels of this case."""
    complaints: list[str] = []
    try:
        written = statements(case.script)
    except SyntaxError as unparsed:
        return [f"does not parse: {unparsed}"]
    for name, fault in case.faults.items():
        if name not in GRADIENTS:
            complaints.append(f"no gradient {name}")
        if written.count(fault.line) != 1:
            complaints.append(f"{name}: {written.count(fault.line)} statements {fault.line!r}")
        complaints.extend(f"{name}: no {line!r}" for line in fault.also if line not in written)
        if not fault.says or set(fault.says) - set(KINDS):
            complaints.append(f"{name}: kinds {fault.says}")
        if len(fault.means) < 10 or not fault.means.endswith("."):
            complaints.append(f"{name}: means {fault.means!r}")
    if case.either - set(case.faults):
        complaints.append("either way, but nothing to say")
    if case.missing & case.blamed:
        complaints.append("missing and blamed at once")
    for world in worlds if case.sizes else worlds[:1]:
        found, error = run(case, world)
        where = f"batch {world.n}, hidden {world.hidden}, {world.dtype}"
        if bool(error) != case.raises:
            complaints.append(f"{where}: {type(error).__name__}: {error}")
            if error:
                continue
        wide = world.dtype == torch.float64
        tolerance = (1e-9 if not case.float32 else 1e-5) if wide else 1e-5
        wrong = off(case, world, found, tolerance)
        seen = set(wrong) - case.missing
        unsure = {name for name in seen if wrong[name] == "?" or wrong[name].startswith("shape")}
        # Behind a gradient of a wrong shape nothing can be computed: there, the edit alone speaks.
        shaped = any(
            set(f.says) & {"shape", "reduction", "operation", "start"} for f in case.faults.values()
        )
        extra = seen - set(case.faults) - (unsure if shaped else set())
        absent = case.blamed - seen
        only_wide = {name for name, f in case.faults.items() if "eps" in f.says}
        if not wide:
            absent -= only_wide
        if not case.because and (extra or absent):
            detail = {name: wrong[name] for name in sorted(extra)}
            complaints.append(f"{where}: off, not blamed: {detail}; blamed, not off: {absent}")
        if not case.faults and not case.raises:
            for name, mine in found.items():
                if name in case.missing:
                    continue
                truth = world.truth[name[1:]]
                if mine.shape != truth.shape or not torch.allclose(
                    mine.to(truth),
                    truth,
                    rtol=1e-4,
                    atol=1e-6 if not wide or case.float32 else 1e-12,
                ):
                    complaints.append(f"{where}: {name} differs from autograd's")
        if case.because and seen != case.plainly_off:
            complaints.append(
                f"{where}: plainly off: {sorted(seen)}, not {sorted(case.plainly_off)}"
            )
        if case.exercise == 1:
            wanted = set(GRADIENTS)
        elif case.exercise == 4:
            wanted = set(RETURNED)
        else:
            wanted = {{2: "dlogits", 3: "dhprebn"}[case.exercise]}
        undefined = wanted - set(found) - case.missing
        if undefined:
            complaints.append(f"{where}: not defined, not called missing: {sorted(undefined)}")
    if graph and not case.raises:
        _, error = run(case, worlds[0], plain=False)
        if error:
            complaints.append(f"with requires_grad: {type(error).__name__}: {error}")
    return complaints


def main(names: list[str]) -> int:
    from . import everything

    torch.set_num_threads(1)
    worlds = [
        World(32, 64, torch.float64),
        World(33, 200, torch.float64),
        World(32, 64, torch.float32),
    ]
    bad, kinds, groups = 0, Counter[str](), Counter[str]()
    seen: dict[str, str] = {}
    for case in everything():
        if names and not any(name in case.name for name in names):
            continue
        if names:
            print("=" * 20, case.name)
            for name, fault in case.faults.items():
                print(f"  {name}: {fault.line!r} {fault.says} {fault.means}")
        groups[case.group] += 1
        for fault in case.faults.values():
            kinds[fault.says[0]] += 1
        complaints = check(case, worlds, graph="--graph" in sys.argv)
        if case.script in seen and case.group != "half-done-states":
            complaints.append(f"the same text as {seen[case.script]}")
        seen[case.script] = case.name
        for complaint in complaints:
            print(f"{case.name}: {complaint}")
        bad += bool(complaints)
    print(f"{sum(groups.values())} cases, {bad} with complaints")
    print("groups:", dict(groups))
    print("first kinds of faults:", dict(kinds))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main([word for word in sys.argv[1:] if not word.startswith("-")]))
