"""What one would train this network with: ours, the lecture's loops, PyTorch's and JAX's.

Every candidate trains the same network (float32, plain SGD, minibatches drawn anew) from the same
parameters on the bundled names. What is in the data matters only to the native engine, which works
on the different characters of a batch: real words, or its time would not be theirs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.util import find_spec
from typing import Any

import torch
import torch.nn.functional as F
from measuring import Timing, Train
from torch import Tensor, nn

from makemore_bp import config, dataset
from makemore_bp.dataset import Examples
from makemore_bp.engines import native
from makemore_bp.engines.engine import Work
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import Network

LR, EPS = 0.01, 1e-5
NATIVE, FUSED, MODULE = "makemore-bp, native", "makemore-bp, torch, fused", "nn.Module, fused SGD"
LECTURE, COMPILED, JAX = "the lecture's manual loop", "nn.Module, torch.compile", "JAX, jit + scan"


@cache
def bundled_names() -> Examples:
    """The training examples of the bundled names: 27 characters, 3 of context."""
    return dataset.load(config.Data(), 3).train


@dataclass(frozen=True)
class Task:
    """A network, a batch size, data for them, and where all of that lies."""

    n_hidden: int = 200
    batch_size: int = 32
    device: str = "cpu"

    @property
    def operations(self) -> int:
        """The floating-point operations of a step's six matrix products."""
        return 6 * self.batch_size * self.n_hidden * (3 * 10 + 27)

    def row(self, what: str, time: Timing) -> dict[str, Any]:
        """A table's row for what took so long a step."""
        return {"batch": self.batch_size, "hidden": self.n_hidden, "what": what, **time.columns()}

    def data(self) -> Examples:
        return bundled_names().to(self.device)

    def tensors(self) -> tuple[Tensor, Tensor]:
        return self.data().batch(torch.arange(len(self.data()), device=self.device))

    def start(self) -> tuple[dict[str, Tensor], torch.Generator]:
        g, g_batchnorm = generators(2147483647)
        drawn = initialise(Sizes(27, n_hidden=self.n_hidden), g, g_batchnorm)
        return {name: p.to(self.device) for name, p in drawn.items()}, g

    def indices(self, g: torch.Generator, steps: int) -> Tensor:
        return torch.randint(0, len(bundled_names()), (steps, self.batch_size), generator=g)

    def work(self, switch: str) -> Work:
        """Our own steps, with this kind of both backward passes."""
        network = Network.of(cross_entropy=switch, batchnorm=switch)
        sizes = Sizes(27, n_hidden=self.n_hidden)
        return Work(network, sizes, bundled_names(), self.batch_size, device=self.device)

    def drawn(self) -> Drawn:
        """The same with its indices on the device before the clock starts."""
        return Drawn(self.n_hidden, self.batch_size, self.device)

    def minibatches(self, g: torch.Generator, steps: int) -> Iterator[Tensor]:
        """The indices step by step; a device gets them all at once, so as to wait for none."""
        if self.device == "cpu":
            return (self.indices(g, 1)[0] for _ in range(steps))
        return iter(self.indices(g, steps).to(self.device))


class Drawn(Task):
    """A task of which the step alone is measured. So many steps get the same indices every time."""

    def indices(self, g: torch.Generator, steps: int) -> Tensor:
        return _drawn(self.batch_size, steps, self.device)


@lru_cache(4)
def _drawn(batch_size: int, steps: int, device: str) -> Tensor:
    return torch.randint(0, len(bundled_names()), (steps, batch_size)).to(device)


def ours_native(task: Task) -> Train:
    return kernel_on(task.work("fused").threads, task)


def kernel_on(threads: int, task: Task) -> Train:
    (parameters, g), examples = task.start(), task.data()
    kernel = native.NativeKernel(
        parameters, examples.stream, examples.positions, task.batch_size, threads=threads
    )

    def train(steps: int) -> float:
        return float(kernel.advance(task.indices(g, steps), torch.full((steps,), LR))[-1])

    return train


def ours_torch(switch: str) -> Callable[[Task], Train]:
    def make(task: Task) -> Train:
        parameters, g = task.start()
        engine = TorchEngine(task.work(switch), parameters)

        def train(steps: int) -> float:
            return float(engine.advance(task.indices(g, steps), [LR] * steps)[-1])

        return train

    return make


def lecture(task: Task) -> Train:
    """The last exercise's loop: gradients by hand, the two fused rules, dC by two loops."""
    (p, g), (Xs, Ys) = task.start(), task.tensors()
    n = task.batch_size

    @torch.no_grad()
    def train(steps: int) -> float:
        for _ in range(steps):
            ix = task.indices(g, 1)[0]
            Xb, Yb = Xs[ix], Ys[ix]
            emb = p["C"][Xb]
            embcat = emb.view(n, -1)
            hprebn = embcat @ p["W1"] + p["b1"]
            mean, var = hprebn.mean(0, keepdim=True), hprebn.var(0, keepdim=True, unbiased=True)
            inverse = (var + EPS) ** -0.5
            raw = (hprebn - mean) * inverse
            h = torch.tanh(p["bngain"] * raw + p["bnbias"])
            logits = h @ p["W2"] + p["b2"]
            loss = F.cross_entropy(logits, Yb)

            dlogits = F.softmax(logits, 1)
            dlogits[range(n), Yb] -= 1
            dlogits /= n
            gradients = {"W2": h.T @ dlogits, "b2": dlogits.sum(0)}
            dhpreact = (1.0 - h**2) * (dlogits @ p["W2"].T)
            gain, bias = (raw * dhpreact).sum(0, keepdim=True), dhpreact.sum(0, keepdim=True)
            gradients |= {"bngain": gain, "bnbias": bias}
            dhprebn = p["bngain"] * inverse / n * (n * dhpreact - bias - n / (n - 1) * raw * gain)
            gradients |= {"W1": embcat.T @ dhprebn, "b1": dhprebn.sum(0)}
            demb = (dhprebn @ p["W1"].T).view(emb.shape)
            dC = torch.zeros_like(p["C"])
            for k in range(Xb.shape[0]):
                for j in range(Xb.shape[1]):
                    dC[Xb[k, j]] += demb[k, j]
            gradients["C"] = dC
            for name, parameter in p.items():
                parameter.data += -LR * gradients[name]
        return float(loss)

    return train


def loss_of(p: dict[str, Tensor], Xb: Tensor, Yb: Tensor) -> Tensor:
    hprebn = p["C"][Xb].view(Xb.shape[0], -1) @ p["W1"] + p["b1"]
    var, mean = torch.var_mean(hprebn, 0, keepdim=True)
    h = torch.tanh(p["bngain"] * (hprebn - mean) / torch.sqrt(var + EPS) + p["bnbias"])
    return F.cross_entropy(h @ p["W2"] + p["b2"], Yb)


def autograd(task: Task) -> Train:
    """The loop of the lecture's earlier parts: loss.backward() and an update by hand."""
    (parameters, g), (Xs, Ys) = task.start(), task.tensors()
    for p in parameters.values():
        p.requires_grad_()

    def train(steps: int) -> float:
        for _ in range(steps):
            ix = task.indices(g, 1)[0]
            loss = loss_of(parameters, Xs[ix], Ys[ix])
            for p in parameters.values():
                p.grad = None
            loss.backward()
            for p in parameters.values():
                assert p.grad is not None
                p.data += -LR * p.grad
        return float(loss.detach())

    return train


class Module(nn.Module):
    def __init__(self, parameters: dict[str, Tensor]) -> None:
        super().__init__()
        self.p = nn.ParameterDict({k: nn.Parameter(v) for k, v in parameters.items()})

    def forward(self, Xb: Tensor, Yb: Tensor) -> Tensor:
        return loss_of(dict(self.p.items()), Xb, Yb)


def module(task: Task, mode: str | None = None) -> Train:
    """The network as an nn.Module with PyTorch's optimizer; compiled, if there is a ``mode``."""
    (parameters, g), (Xs, Ys) = task.start(), task.tensors()
    model: Callable[[Tensor, Tensor], Tensor] = Module(parameters)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, fused=True)  # type: ignore[attr-defined]
    if mode is not None:
        model = torch.compile(model, mode=mode)

    def train(steps: int) -> float:
        for ix in task.minibatches(g, steps):
            loss = model(Xs[ix], Ys[ix])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    return train


def jax_scan(task: Task, precision: str | None = None, models: int = 0) -> Train:
    """One compiled loop over the steps of a chunk; indices are drawn outside.

    precision: of its matrix products, where JAX has several; models: so many take each step at
    once, each on a minibatch of its own; 0 for one without an axis for models.
    """
    kind = task.device.partition(":")[0]
    os.environ.setdefault("JAX_PLATFORMS", kind)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # PyTorch needs some as well
    import jax
    import jax.numpy as jnp

    drawn, g = task.start()
    parameters = {name: jnp.asarray(p.cpu().numpy()) for name, p in drawn.items()}
    if models:
        parameters = {name: jnp.stack([p] * models) for name, p in parameters.items()}
    Xs, Ys = (jnp.asarray(t.cpu().numpy()) for t in task.tensors())

    def loss(p: dict[str, jax.Array], Xb: jax.Array, Yb: jax.Array) -> jax.Array:
        hprebn = p["C"][Xb].reshape(Xb.shape[0], -1) @ p["W1"] + p["b1"]
        mean = hprebn.mean(0, keepdims=True)
        var = hprebn.var(0, keepdims=True, ddof=1)
        h = jnp.tanh(p["bngain"] * (hprebn - mean) / jnp.sqrt(var + EPS) + p["bnbias"])
        logprobs = jax.nn.log_softmax(h @ p["W2"] + p["b2"])
        return -logprobs[jnp.arange(Yb.shape[0]), Yb].mean()

    def step(p: dict[str, jax.Array], ix: jax.Array) -> tuple[dict[str, jax.Array], jax.Array]:
        value, gradients = jax.value_and_grad(loss)(p, Xs[ix], Ys[ix])
        return {name: p[name] - LR * gradients[name] for name in p}, value

    @jax.jit
    def chunk(p: dict[str, jax.Array], ixs: jax.Array) -> tuple[dict[str, jax.Array], jax.Array]:
        return jax.lax.scan(jax.vmap(step) if models else step, p, ixs)

    @lru_cache(4)
    def on_device(steps: int) -> jax.Array:
        indices = task.indices(g, steps * max(1, models)).cpu().numpy()
        return jnp.asarray(indices.reshape(steps, *[models] * bool(models), -1))

    def train(steps: int) -> float:
        nonlocal parameters
        # A device gets its indices before the clock starts, as ours does there.
        ixs = on_device(steps) if kind != "cpu" else on_device.__wrapped__(steps)
        with jax.default_matmul_precision(precision):
            parameters, losses = chunk(parameters, ixs)
        return float(losses[-1].mean())

    return train


def candidates(with_compile: bool) -> tuple[dict[str, Callable[[Task], Train]], dict[str, str]]:
    """The candidates by name, ours first, and those that are absent with the reason."""
    found: dict[str, Callable[[Task], Train]] = {NATIVE: ours_native}
    found[FUSED] = ours_torch("fused")
    found["makemore-bp, torch, op-by-op"] = ours_torch("op-by-op")
    found[LECTURE] = lecture
    found["the lecture's loop, autograd"] = autograd
    found[MODULE] = module
    found[COMPILED] = lambda task: module(task, "default")
    found[JAX] = jax_scan
    absent = {}
    if reason := native.why_not():
        absent[NATIVE] = reason
    if not with_compile:
        absent[COMPILED] = "it takes a minute to compile; add --compile"
    if not find_spec("jax"):
        absent[JAX] = "JAX is not installed; pip install '.[bench]'"
    return {name: make for name, make in found.items() if name not in absent}, absent
