"""Would several models of one architecture train faster as one batched computation?

    python benchmarks/batched_models.py

M models, which differ in their parameters, minibatches and learning rates, take their steps
together: every product is one batched product over the models, and the rest is elementwise over
one more axis. The table shows microseconds a step and model, beside the native engine's on one
core, of which parallel processes use all. Both take the lecture's sizes, and
the batched gradients are held against the engine's before the clock starts.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from makemore_bp import config
from makemore_bp.dataset import Examples
from makemore_bp.engines import choice, configured
from makemore_bp.engines.engine import Engine
from makemore_bp.network.parameters import Sizes, generators, initialise

EXAMPLES, BATCH, V, B, D, H = 180_000, 32, 27, 3, 10, 200
MODELS, ROUNDS, SECONDS = (1, 2, 4, 8, 16, 32, 64), 7, 0.2
EPSILON = 1e-5


class Batched:
    """M models in tensors with a leading axis of length M."""

    def __init__(self, models: int) -> None:
        drawn = [initialise(Sizes(V, B, D, H), *generators(seed)) for seed in range(models)]
        self.p = {name: torch.stack([one[name] for one in drawn]) for name in drawn[0]}
        self.p["b1"], self.p["b2"] = self.p["b1"][:, None], self.p["b2"][:, None]
        self._rows = torch.arange(models)[:, None]
        self._offsets = V * torch.arange(models)[:, None, None]

    def step(self, Xb: Tensor, Yb: Tensor, rates: Tensor) -> Tensor:
        """One step of every model: Xb (M, n, B), Yb (M, n), rates (M, 1, 1); losses (M)."""
        p, (M, n) = self.p, Yb.shape
        flat = (Xb + self._offsets).view(-1)
        embcat = p["C"].view(M * V, D)[flat].view(M, n, B * D)
        hprebn = torch.baddbmm(p["b1"], embcat, p["W1"])
        bndiff = hprebn - hprebn.mean(1, keepdim=True)
        bnvar_inv = (bndiff.square().sum(1, keepdim=True) / (n - 1) + EPSILON).rsqrt()
        bnraw = bndiff * bnvar_inv
        h = torch.addcmul(p["bnbias"], p["bngain"], bnraw).tanh_()
        logprobs = torch.baddbmm(p["b2"], h, p["W2"]).log_softmax(2)
        target = (self._rows, torch.arange(n), Yb)
        loss = -logprobs[target].mean(1)

        dlogits = logprobs.exp_()
        dlogits[target] -= 1
        dlogits /= n
        dh = dlogits @ p["W2"].mT
        dhpreact = dh * (1 - h * h)
        dbnbias = dhpreact.sum(1, keepdim=True)
        dbngain = (dhpreact * bnraw).sum(1, keepdim=True)
        inner = n * dhpreact - dbnbias - n / (n - 1) * bnraw * dbngain
        dhprebn = p["bngain"] * bnvar_inv / n * inner
        dembcat = dhprebn @ p["W1"].mT
        dC = torch.zeros(M * V, D).index_add_(0, flat, dembcat.view(-1, D)).view(M, V, D)
        gradients = {
            "C": dC,
            "W1": embcat.mT @ dhprebn,
            "b1": dhprebn.sum(1, keepdim=True),
            "W2": h.mT @ dlogits,
            "b2": dlogits.sum(1, keepdim=True),
            "bngain": dbngain,
            "bnbias": dbnbias,
        }
        for name, gradient in gradients.items():
            p[name].addcmul_(gradient, rates, value=-1)
        return loss


def made(engine: str, parameters: dict[str, torch.Tensor], examples: Examples) -> Engine:
    """An engine of that name with the fused passes."""
    work = configured.work(config.load(), V, examples)
    return choice.named(engine, work)(work, parameters)


def main() -> None:
    """Prints the table."""
    torch.set_grad_enabled(False)
    g = torch.Generator().manual_seed(1)
    stream = torch.randint(0, V, (EXAMPLES + B,), generator=g, dtype=torch.uint8)
    examples = Examples(stream, torch.arange(EXAMPLES, dtype=torch.int32), B)
    parameters = initialise(Sizes(V, B, D, H), *generators(0))
    engine = made("native", parameters, examples)
    check(examples)

    def alone(steps: int) -> None:
        engine.advance(torch.randint(0, EXAMPLES, (steps, BATCH), generator=g), [0.01] * steps)

    threads = sorted({1, torch.get_num_threads()})
    print(f"microseconds a step and model; the native engine on one of {os.cpu_count()} cores")
    heads = [f"batched, {count} thread{'s' * (count > 1)}" for count in threads]
    print(f"{'models':>8}{'native':>10}" + "".join(f"{head:>20}" for head in heads))
    for models in MODELS:
        torch.set_num_threads(1)
        times = [measure(alone)]  # anew in every row, so that both meet the same conditions
        for count in threads:
            torch.set_num_threads(count)
            times.append(measure(together(models, examples, g)) / models)
        print(f"{models:8}{times[0]:10.1f}" + "".join(f"{value:20.1f}" for value in times[1:]))


def together(models: int, examples: Examples, g: torch.Generator) -> Callable[[int], None]:
    """So many steps of all models; the minibatches are drawn and gathered as an engine does it."""
    batched, rates = Batched(models), torch.full((models, 1, 1), 0.01)

    def train(steps: int) -> None:
        indices = torch.randint(0, EXAMPLES, (steps, models, BATCH), generator=g)
        Xs, Ys = examples.batch(indices)
        for Xb, Yb in zip(Xs, Ys, strict=True):
            batched.step(Xb, Yb, rates)

    return train


def check(examples: Examples) -> None:
    """Raises AssertionError unless two models together train as the torch engine trains them."""
    g = torch.Generator().manual_seed(3)
    indices, rates = torch.randint(0, EXAMPLES, (20, 2, BATCH), generator=g), (0.1, 0.3)
    batched = Batched(2)
    Xs, Ys = examples.batch(indices)
    for Xb, Yb in zip(Xs, Ys, strict=True):
        batched.step(Xb, Yb, torch.tensor(rates)[:, None, None])
    for model, rate in enumerate(rates):
        parameters = initialise(Sizes(V, B, D, H), *generators(model))
        engine = made("torch", parameters, examples)
        engine.advance(indices[:, model], [rate] * len(indices))
        for name, right in engine.parameters().items():
            found = batched.p[name][model].view_as(right)
            torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-5)


def measure(run: Callable[[int], None]) -> float:
    """Microseconds a step, the median of some rounds."""
    steps, times = 1, []
    for round_ in range(ROUNDS + 3):  # the first rounds find out how many steps fill the time
        began = time.perf_counter()
        run(steps)
        one = (time.perf_counter() - began) / steps
        if round_ < 3:
            steps = max(1, min(2000, int(SECONDS / one)))
        else:
            times.append(1e6 * one)
    return statistics.median(times)


if __name__ == "__main__":
    main()
