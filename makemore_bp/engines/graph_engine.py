"""Training steps on a GPU, some dozens of them captured as one CUDA graph.

A small step is many kernels of a few microseconds, and launching them one by one from Python takes
longer than running them. A graph launches all kernels of all its steps in one call.

Its steps read what changes from step to step, the minibatch's indices, the learning rate and the
key of dropout's mask, from tensors on the device that are filled before each replay; they update
the parameters in place. A chunk of any length is put together from graphs of 1, 2, 4, ... steps.

The steps are those of the torch engine, to the bit on the CPU. What ``capture`` makes of them is
all that depends on a GPU, so that everything else runs, and is tested, without one.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor

from makemore_bp.engines.cuda_graphs import Calls, Capture, CudaGraphs
from makemore_bp.engines.engine import Work
from makemore_bp.engines.torch_engine import TorchEngine

STEPS = 64  # in the longest graph: what is left of a launch is a small part of a step's time
EXAMPLES = 2**20  # in one graph; so many make its steps so long that launching them is nothing


class GraphEngine(TorchEngine):
    """The torch engine in steps that can be captured."""

    device = "cuda"

    @classmethod
    def obstacle(cls, work: Work) -> str | None:
        if torch.device(work.device).type != "cuda":
            return f"CUDA graphs need a GPU, not {work.device}"
        return None

    @classmethod
    def remark(cls, work: Work) -> str:
        return "its steps are replayed as CUDA graphs"

    def __init__(
        self,
        work: Work,
        parameters: Mapping[str, Tensor],
        step: int = 0,
        capture: Capture | None = None,
    ) -> None:
        """capture: makes steps into what replays them; see ``CudaGraphs``. Where it raises
        RuntimeError, a warning says why, and the same steps are called one by one."""
        super().__init__(work, parameters, step)
        self._capture = capture or CudaGraphs(work.device)
        self._replays: dict[int, Calls] = {}  # by the number of steps
        batch_size = work.batch_size
        self._longest = longest(batch_size)
        device, dtype = self._parameters["C"].device, self._parameters["C"].dtype
        self._indices = torch.zeros(self._longest, batch_size, dtype=torch.int64, device=device)
        self._rates = torch.zeros(self._longest, dtype=dtype, device=device)
        self._keys = torch.zeros(self._longest, 2, dtype=torch.int64, device=device)
        self._losses = torch.zeros(self._longest, dtype=dtype, device=device)

    @torch.inference_mode()
    def advance(self, indices: Tensor, rates: Sequence[float]) -> Tensor:
        """See ``Engine.advance``. Nothing waits for the device before the losses at the end."""
        lengths = list(parts(len(rates), self._longest))
        for length in sorted(set(lengths) - set(self._replays)):
            self._replays[length] = self._captured(partial(self._steps, length))
        inputs = self._inputs(indices, rates)
        losses, done = [], 0
        for length in lengths:
            for static, chunk in inputs:
                static[:length].copy_(chunk[done : done + length])
            self._replays[length]()
            losses.append(self._losses[:length].clone())
            done += length
        self._step_number += done
        return torch.cat(losses).cpu()

    def _inputs(self, indices: Tensor, rates: Sequence[float]) -> list[tuple[Tensor, Tensor]]:
        """The tensors that the steps read, each with what a chunk puts there part by part."""
        found = [(self._indices, indices)]
        found.append((self._rates, torch.tensor(rates, dtype=self._rates.dtype)))
        if self._masks is not None:
            found.append((self._keys, self._masks.keys(self._step_number, len(rates))))
        return [(static, self._on_device(chunk)) for static, chunk in found]

    def _steps(self, length: int) -> None:
        """The first ``length`` steps of the static tensors."""
        Xs, Ys = self._examples.batch(self._indices[:length])
        losses = [self._static_step(Xs[s], Ys[s], s) for s in range(length)]
        self._losses[:length].copy_(torch.stack(losses))

    def _static_step(self, Xb: Tensor, Yb: Tensor, s: int) -> Tensor:
        given = {} if self._masks is None else {"mask": self._masks.of(*self._keys[s])}
        loss, gradients = self._subtracted(Xb, Yb, given)
        # p - rate * gradient with a single rounding, as adding with a Python number has it.
        rates = [self._rates[s]] * len(gradients)
        torch._foreach_addcmul_(self._updated, gradients, rates, value=-1)
        return loss

    def _captured(self, work: Calls) -> Calls:
        """What replays ``work``, or ``work`` itself where it cannot be captured. The parameters
        stay as they are."""
        before = [p.clone() for p in self._updated]
        try:
            return self._capture(work)
        except RuntimeError as error:
            warnings.warn(
                f"The steps cannot be captured as CUDA graphs ({first_line(error)}), so they are "
                "launched one by one: the numbers are the same, a small step takes longer.",
                RuntimeWarning,
                stacklevel=2,
            )
            self._capture = _called
            return work
        finally:
            torch._foreach_copy_(self._updated, before)

    def _on_device(self, tensor: Tensor) -> Tensor:
        """Copied from pinned memory, which need not be waited for: PyTorch keeps that memory from
        being used again until the copy is made."""
        if self._rates.is_cuda and not tensor.is_cuda:
            tensor = tensor.pin_memory()
        return tensor.to(self._device, non_blocking=True)


def longest(batch_size: int) -> int:
    """The number of steps in the longest graph, a power of two."""
    fitting = max(1, min(STEPS, EXAMPLES // batch_size))
    return 1 << fitting.bit_length() - 1


def parts(steps: int, longest: int) -> Iterator[int]:
    """``steps`` as a sum of powers of two up to ``longest``, the largest first."""
    while steps:
        part = min(longest, 1 << steps.bit_length() - 1)
        yield part
        steps -= part


def _called(work: Calls) -> Calls:
    """Captures nothing."""
    return work


def first_line(error: BaseException) -> str:
    """The first line of the error that came first: ending a capture that has failed raises again,
    and says less."""
    while error.__context__ is not None:
        error = error.__context__
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
