"""Time of a training step: ours beside what else one would train this network with.

    python benchmarks/peers.py                    the lecture's sizes, one core
    python benchmarks/peers.py --cores 2 --batch-size 1024 --n-hidden 512
    python benchmarks/peers.py --compile          torch.compile too, which takes a minute to compile

Every candidate trains the same network (float32, plain SGD, minibatches drawn anew) from the same
parameters. They take turns, several rounds, so that a noisy machine is noisy for all of them;
medians are shown, in microseconds a step, and as multiples of the fastest. Candidates whose library
is not installed are left out by name. The data is random, so every loss must end near log 27 = 3.3.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec

PARSER = argparse.ArgumentParser(description=__doc__.splitlines()[0])
PARSER.add_argument("--batch-size", type=int, default=32)
PARSER.add_argument("--n-hidden", type=int, default=200)
PARSER.add_argument("--cores", type=int, default=1)
PARSER.add_argument("--rounds", type=int, default=7)
PARSER.add_argument("--seconds", type=float, default=0.5, help="of each candidate in each round")
PARSER.add_argument("--compile", action="store_true")
ARGUMENTS = PARSER.parse_args()
if hasattr(os, "sched_setaffinity"):  # before any library counts the cores
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: ARGUMENTS.cores]))

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from makemore_bp.dataset import Examples  # noqa: E402
from makemore_bp.engines import native  # noqa: E402
from makemore_bp.engines.torch_engine import TorchEngine  # noqa: E402
from makemore_bp.network.parameters import Sizes, generators, initialise  # noqa: E402
from makemore_bp.network.passes import Network  # noqa: E402

torch.set_num_threads(ARGUMENTS.cores)
LR, EPS, EXAMPLES = 0.1, 1e-5, 180_000
SIZES = Sizes(vocabulary=27, n_hidden=ARGUMENTS.n_hidden)

# A candidate trains so many steps further and returns the loss of the last.
Train = Callable[[int], float]


def data() -> Examples:
    """Random ids; what is in them changes nothing in the time."""
    g = torch.Generator().manual_seed(1)
    stream = torch.randint(0, 27, (EXAMPLES + 3,), generator=g, dtype=torch.uint8)
    return Examples(stream, torch.arange(EXAMPLES, dtype=torch.int32), 3)


def start() -> tuple[dict[str, Tensor], torch.Generator]:
    g, g_batchnorm = generators(2147483647)
    return initialise(SIZES, g, g_batchnorm), g


def indices(g: torch.Generator, steps: int) -> Tensor:
    return torch.randint(0, EXAMPLES, (steps, ARGUMENTS.batch_size), generator=g)


def ours_native() -> Train:
    parameters, g = start()
    examples = data()
    kernel = native.NativeKernel(
        parameters, examples.stream, examples.positions, ARGUMENTS.batch_size
    )

    def train(steps: int) -> float:
        return float(kernel.advance(indices(g, steps), torch.full((steps,), LR))[-1])

    return train


def ours_torch(switch: str) -> Train:
    parameters, g = start()
    engine = TorchEngine(Network.of(switch, switch), parameters, data())

    def train(steps: int) -> float:
        return float(engine.advance(indices(g, steps), [LR] * steps)[-1])

    return train


def loss_of(p: dict[str, Tensor], Xb: Tensor, Yb: Tensor) -> Tensor:
    hprebn = p["C"][Xb].view(Xb.shape[0], -1) @ p["W1"] + p["b1"]
    var, mean = torch.var_mean(hprebn, 0, keepdim=True)
    h = torch.tanh(p["bngain"] * (hprebn - mean) / torch.sqrt(var + EPS) + p["bnbias"])
    return F.cross_entropy(h @ p["W2"] + p["b2"], Yb)


def autograd() -> Train:
    """The loop that the lecture's earlier parts use: loss.backward() and an update by hand."""
    parameters, g = start()
    examples = data()
    Xs, Ys = examples.batch(torch.arange(EXAMPLES))
    for p in parameters.values():
        p.requires_grad_()

    def train(steps: int) -> float:
        for _ in range(steps):
            ix = indices(g, 1)[0]
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


def module(compiled: bool) -> Train:
    parameters, g = start()
    Xs, Ys = data().batch(torch.arange(EXAMPLES))
    model: Callable[[Tensor, Tensor], Tensor] = Module(parameters)
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, fused=True)  # type: ignore[attr-defined]
    if compiled:
        model = torch.compile(model)

    def train(steps: int) -> float:
        for _ in range(steps):
            ix = indices(g, 1)[0]
            loss = model(Xs[ix], Ys[ix])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    return train


def jax_scan() -> Train:
    """One compiled loop over the steps of a chunk; indices are drawn outside, as for ours."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if ARGUMENTS.cores == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    import jax
    import jax.numpy as jnp

    drawn, g = start()
    parameters = {name: jnp.asarray(p.numpy()) for name, p in drawn.items()}
    Xs, Ys = (jnp.asarray(t.numpy()) for t in data().batch(torch.arange(EXAMPLES)))

    def loss(p: dict[str, jax.Array], Xb: jax.Array, Yb: jax.Array) -> jax.Array:
        hprebn = p["C"][Xb].reshape(Xb.shape[0], -1) @ p["W1"] + p["b1"]
        mean = hprebn.mean(0, keepdims=True)
        var = hprebn.var(0, keepdims=True, ddof=1)
        h = jnp.tanh(p["bngain"] * (hprebn - mean) / jnp.sqrt(var + EPS) + p["bnbias"])
        logprobs = jax.nn.log_softmax(h @ p["W2"] + p["b2"])
        return -logprobs[jnp.arange(Yb.shape[0]), Yb].mean()

    @jax.jit
    def chunk(p: dict[str, jax.Array], ixs: jax.Array) -> tuple[dict[str, jax.Array], jax.Array]:
        def step(p: dict[str, jax.Array], ix: jax.Array) -> tuple[dict[str, jax.Array], jax.Array]:
            value, gradients = jax.value_and_grad(loss)(p, Xs[ix], Ys[ix])
            return {name: p[name] - LR * gradients[name] for name in p}, value

        return jax.lax.scan(step, p, ixs)

    def train(steps: int) -> float:
        nonlocal parameters
        parameters, losses = chunk(parameters, jnp.asarray(indices(g, steps).numpy()))
        return float(losses[-1])

    return train


def candidates() -> dict[str, Callable[[], Train]]:
    found: dict[str, Callable[[], Train]] = {}
    if native.available():
        found["makemore-bp, native"] = ours_native
    found["makemore-bp, torch, fused"] = lambda: ours_torch("fused")
    found["makemore-bp, torch, op-by-op"] = lambda: ours_torch("op-by-op")
    found["PyTorch, autograd, update by hand"] = autograd
    found["PyTorch, nn.Module, fused SGD"] = lambda: module(compiled=False)
    if ARGUMENTS.compile:
        found["PyTorch, torch.compile of the same"] = lambda: module(compiled=True)
    if find_spec("jax"):
        found["JAX, jit of value_and_grad and scan"] = jax_scan
    else:
        print("JAX is not installed, so it is left out.")
    return found


def steps_that_fill(train: Train, seconds: float) -> int:
    """How many steps take about so long; the first call compiles what is to be compiled."""
    steps = 20
    train(steps)
    while True:
        began = time.perf_counter()
        train(steps)
        took = time.perf_counter() - began
        if took > seconds / 4:
            fitting = max(1, int(steps * seconds / took))
            train(fitting)  # a compiled loop of another length is compiled anew
            return fitting
        steps *= 4


def main() -> None:
    """Runs the candidates in turns and prints the table."""
    trains = {name: make() for name, make in candidates().items()}
    steps = {name: steps_that_fill(train, ARGUMENTS.seconds) for name, train in trains.items()}
    micro: dict[str, list[float]] = {name: [] for name in trains}
    losses: dict[str, float] = {}
    for _ in range(ARGUMENTS.rounds):
        for name, train in trains.items():
            began = time.perf_counter()
            losses[name] = train(steps[name])
            micro[name].append(1e6 * (time.perf_counter() - began) / steps[name])
    fastest = min(statistics.median(values) for values in micro.values())
    print(
        f"batch {ARGUMENTS.batch_size}, n_hidden {ARGUMENTS.n_hidden}, {ARGUMENTS.cores} core(s), "
        f"{ARGUMENTS.rounds} rounds of {ARGUMENTS.seconds} s, PyTorch {torch.__version__}"
    )
    print(f"{'us a step':38} {'median':>8} {'min':>8} {'max':>8} {'x':>6}   last loss")
    for name, values in micro.items():
        median = statistics.median(values)
        print(
            f"{name:38} {median:8.1f} {min(values):8.1f} {max(values):8.1f} "
            f"{median / fastest:6.1f}   {losses[name]:.3f}"
        )


if __name__ == "__main__":
    main()
