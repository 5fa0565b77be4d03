"""What an engine is, and what it is asked to run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from makemore_bp.dataset import Examples
from makemore_bp.network.parameters import Sizes
from makemore_bp.network.passes import Network

# The multiplications of a step for which one more thread pays. With fewer for each, threads gain
# little (benchmarks/crossover.py) and lose much where something else takes a core.
THREAD_WORTH = 20_000_000


@dataclass(frozen=True)
class Work:
    """Training steps: which network, on which examples, and how.

    dropout: probability that a hidden output is switched off; weight_decay: W1 and W2 lose
    lr * weight_decay of themselves in every step; seed: of dropout's masks; steps: how many there
    will be, where that is known.
    """

    network: Network
    sizes: Sizes
    examples: Examples
    batch_size: int
    dropout: float = 0.0
    weight_decay: float = 0.0
    seed: int = 0
    device: str = "cpu"
    dtype: torch.dtype = torch.float32
    steps: int | None = None

    @property
    def multiplications(self) -> int:
        """The multiplications of a step's six matrix products."""
        fan_in, n_hidden = self.sizes.shapes["W1"]
        return 3 * self.batch_size * n_hidden * (fan_in + self.sizes.vocabulary)

    @property
    def threads(self) -> int:
        """How many threads a step is worth on a CPU.

        At most as many as PyTorch takes, so that what holds PyTorch back (``OMP_NUM_THREADS``, a
        process bound to some of the cores) holds every engine.
        """
        return max(1, min(torch.get_num_threads(), self.multiplications // THREAD_WORTH))


class Engine(ABC):
    """Holds the parameters of some work and trains them.

    A subclass is an engine by its ``name``, under which a configuration asks for it, and by its
    place in ``choice.ENGINES``.
    """

    name: ClassVar[str]
    device: ClassVar[str | None] = None  # the only kind of device that it is made for

    @classmethod
    @abstractmethod
    def obstacle(cls, work: Work) -> str | None:
        """Why this engine cannot run ``work`` on this machine, in one clause; None if it can."""

    @classmethod
    def remark(cls, work: Work) -> str:
        """How it will run ``work``, in one clause; "" where there is nothing to say."""
        return ""

    @abstractmethod
    def __init__(self, work: Work, parameters: Mapping[str, Tensor], step: int = 0) -> None:
        """Takes a copy of ``parameters``; the next step is number ``step``."""

    @abstractmethod
    def advance(self, indices: Tensor, rates: Sequence[float]) -> Tensor:
        """Trains k steps: step s on the examples ``indices[s]`` (k, batch_size), at ``rates[s]``.

        Returns the minibatch losses (k), each from before its own update, on the CPU.
        """

    @abstractmethod
    def gradients(self, indices: Tensor) -> dict[str, Tensor]:
        """Every gradient that it has of the minibatch ``indices`` (batch_size), by name
        (``dlogits``, ..., ``dC``), and ``loss``; with the mask of the next step, which is still the
        next one: nothing is updated."""

    @abstractmethod
    def parameters(self) -> dict[str, Tensor]:
        """The parameters as they are now, by name. They change with the next ``advance``."""


def unfused(work: Work, runs: str) -> str | None:
    """Why an engine of the fused backward passes alone cannot run ``work``; ``runs``: its name and
    "runs"."""
    for name in ("cross_entropy", "batchnorm"):
        if (kind := work.network.kind(name)) != "fused":
            return f"{runs} the fused backward passes, and backward.{name} is {kind}"
    return None
