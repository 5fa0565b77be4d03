"""Training steps of several models at once, all of one shape.

The models lie one above another: every tensor of a step has one axis more than a single model's,
and that axis comes first. The passes are the heart's own, lifted to it. The models may start from
different parameters and steps, and differ in their seeds, learning rates, weight decay and dropout.

On a GPU ``torch.func.vmap`` lifts them: it makes one operation of all the models' (a matrix product
becomes a batched product), so that many models are as many kernels as one. No operation mixes the
numbers of two models. A library may choose another kernel for another number of models, so a
model's bits may depend on that number and on its place among them, and on nothing else.

On a CPU the models take their turns within a step, each as if it were alone: to the bit the torch
engine's. There the order of a batched product's sums depends on where in memory a model lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap

from makemore_bp.engines.cuda_graphs import Capture, uncaptured
from makemore_bp.engines.engine import Work
from makemore_bp.engines.fixed_order import fixed_order
from makemore_bp.engines.graph_engine import GraphEngine
from makemore_bp.engines.masks import StackedMasks
from makemore_bp.engines.torch_engine import masks, passes
from makemore_bp.network.parameters import NAMES, WEIGHTS
from makemore_bp.network.passes import Network

# From parameters, Xb, Yb and what else the stages read to the loss and the parameters' gradients.
Passes = Callable[..., tuple[Tensor, dict[str, Tensor]]]


class StackedEngine(GraphEngine):
    """M models with a leading axis of length M.

    Wherever an engine has a number or a row for each step, this one has M of them: indices
    (k, M, batch_size), rates (k, M), losses (k, M).
    """

    def __init__(
        self,
        works: Sequence[Work],
        parameters: Sequence[Mapping[str, Tensor]],
        steps: Sequence[int],
        capture: Capture | None = None,
        lift: Callable[[Passes], Passes] | None = None,
    ) -> None:
        """One work, its parameters and the number of its next step for each model.

        Raises ValueError for works of different shapes.
        """
        if len({shape(work) for work in works}) != 1:
            raise ValueError("models of different shapes cannot be stacked")
        on_gpu = works[0].on_gpu
        stacked = {name: torch.stack([p[name] for p in parameters]) for name in NAMES}
        capture = capture or (None if on_gpu else uncaptured)
        super().__init__(works[0], stacked, 0, capture, (len(works),))
        self._parameters = {name: aligned(p) for name, p in self._parameters.items()}
        self._updated = list(self._parameters.values())
        lift = lift or (vmap if on_gpu else one_by_one)
        self._lifted = lift(partial(of_the_parameters, self._network))
        own = [mask for work in works if (mask := masks(work)) is not None]
        self._masks = StackedMasks(own, steps) if own else None
        decays = torch.tensor([work.weight_decay for work in works], dtype=torch.float64)
        self._decays = of_each(decays, self._parameters["W1"]) if decays.any() else None

    def model(self, number: int) -> dict[str, Tensor]:
        """The parameters of one model, where they lie; they change with the next ``advance``."""
        return {name: p[number] for name, p in self._parameters.items()}

    def advance(self, indices: Tensor, rates: Sequence[Any]) -> Tensor:
        """See ``Engine.advance``, and the class for the shapes."""
        with fixed_order(self._device, self._threads):
            return super().advance(indices, rates)

    def _static_step(self, Xb: Tensor, Yb: Tensor, s: int) -> Tensor:
        given = {}
        if self._masks is not None:
            given["mask"] = self._masks.of(*self._keys[s].unbind(-1))
        loss, gradients = self._lifted(self._parameters, Xb, Yb, given)
        if self._decays is not None:
            for name in WEIGHTS:
                own = self._parameters[name], self._decays
                gradients[name] = torch.addcmul(gradients[name], *own)
        for name, p in self._parameters.items():
            p.addcmul_(gradients[name], of_each(self._rates[s], p), value=-1)
        return loss


def of_the_parameters(
    network: Network,
    parameters: Mapping[str, Tensor],
    Xb: Tensor,
    Yb: Tensor,
    given: Mapping[str, Any],
) -> tuple[Tensor, dict[str, Tensor]]:
    """A minibatch's loss, and the gradient of each parameter by the parameter's name."""
    loss, gradients = passes(network, parameters, Xb, Yb, given)
    return loss, {name: gradients["d" + name] for name in parameters}


def one_by_one(single: Passes) -> Passes:
    """Lifts the passes of a single model to a stack as ``vmap`` does, in a loop."""

    def lifted(
        parameters: Mapping[str, Tensor], Xb: Tensor, Yb: Tensor, given: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        def of(stack: Mapping[str, Tensor], m: int) -> dict[str, Tensor]:
            return {name: tensor[m] for name, tensor in stack.items()}

        models = range(len(Yb))
        found = [single(of(parameters, m), Xb[m], Yb[m], of(given, m)) for m in models]
        losses, gradients = zip(*found, strict=True)
        return torch.stack(losses), {n: torch.stack([g[n] for g in gradients]) for n in parameters}

    return lifted


def shape(work: Work) -> tuple[Any, ...]:
    """What the works of one stack have in common; their examples are one object."""
    return work.network, work.sizes, id(work.examples), work.batch_size, work.device, work.dtype


def aligned(stack: Tensor) -> Tensor:
    """A stack whose models lie like tensors of their own, each from a multiple of 64 bytes on: what
    a matrix product on a CPU comes to, in the last bit, depends on that."""
    size = stack[0].numel()
    room = stack.new_zeros(len(stack), -(-size // 16) * 16)
    return room[:, :size].view(stack.shape).copy_(stack)


def of_each(numbers: Tensor, like: Tensor) -> Tensor:
    """A number for each model, as what multiplies a stack of tensors."""
    return numbers.to(like).view(-1, *[1] * (like.dim() - 1))
