"""What every format holds of a run: its trained network's tensors, and the facts about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from makemore_bp import __version__
from makemore_bp.engines import configured
from makemore_bp.export.writing import MARK
from makemore_bp.gradcheck import equations
from makemore_bp.gradcheck.equations import Equation
from makemore_bp.training.checkpoint import Checkpoint


@dataclass(frozen=True)
class Trained:
    """A network that reads contexts and gives logits.

    saved: the state of its run; stem: what the files of the export are called.
    """

    saved: Checkpoint
    stem: str

    @property
    def tensors(self) -> dict[str, Tensor]:
        """The parameters and batchnorm's statistics by name."""
        statistics = self.saved.statistics
        own = {"bnmean": statistics.bnmean, "bnvar": statistics.bnvar}
        both = {**self.saved.parameters, **own}
        return {name: tensor.detach().cpu().contiguous() for name, tensor in both.items()}

    @property
    def equations(self) -> tuple[Equation, ...]:
        """What is computed, line by line, from the contexts ``Xb`` to ``logits``."""
        return equations.trained(configured.network(self.saved.config))

    @property
    def constants(self) -> dict[str, float]:
        """The numbers that the equations call by a name, such as EPS."""
        text = "\n".join(equation.source for equation in self.equations)
        numbers = {k: v for k, v in equations.GIVEN.items() if isinstance(v, float)}
        return {name: number for name, number in numbers.items() if name in text}

    @property
    def facts(self) -> dict[str, Any]:
        """What a reader needs besides the tensors. The character at place i has the id i + 1, and
        0 is the boundary before and after every word."""
        config = self.saved.config
        return {
            "format": MARK,
            "version": 1,
            "made_by": f"makemore-bp {__version__}",
            "characters": self.saved.vocabulary.characters,
            "block_size": config.model.block_size,
            "steps": self.saved.step,
            "config": config.model_dump(mode="json"),
        }


@dataclass(frozen=True)
class Format:
    """A format: how its file's name ends, what the files hold, and how to use them.

    contents: what a network's files hold, by the ending of their names; they share a stem.
    use: a few lines of Python with the file that has the ending ``suffix``.
    """

    suffix: str
    contents: Callable[[Trained], Mapping[str, bytes]]
    use: Callable[[Path], str]
