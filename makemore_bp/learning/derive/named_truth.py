"""A network of the learner's own as a truth by names: what blame and repair are handed.

It has the shape of ``learning.truth.Truth``. All names are those of tensors of the forward pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import torch
from torch import Tensor

from makemore_bp.learning.derive.derivation import Derivation
from makemore_bp.learning.derive.explaining import idea
from makemore_bp.learning.derive.program import Variable, text
from makemore_bp.learning.derive.reading import Forward


class NamedTruth:
    """The forward pass of a file and its true gradients."""

    def __init__(self, forward: Forward) -> None:
        self._truth = forward.truth
        self._named = {v.name: v for v in forward.truth.variables if v is not forward.loss}
        self._forward = forward

    @cached_property
    def _derivation(self) -> Derivation:
        return Derivation(self._forward.program, self._truth)

    @cached_property
    def _exact(self) -> dict[Variable, Tensor]:
        return self._truth.exact()

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """The tensors of the forward pass in float64; those of whole numbers as they are."""
        read = {v.name: v.value for step in self._truth.steps for v in step.reads}
        return {name: t.double() if t.is_floating_point() else t for name, t in read.items()}

    @cached_property
    def gradients(self) -> Mapping[str, Tensor]:
        """The true gradients in float64, in the order of the backward pass."""
        return {name: self._exact[v] for name, v in self._named.items()}

    @cached_property
    def reference(self) -> Mapping[str, Tensor]:
        """Autograd's gradients in the file's own precision."""
        return {name: self._truth.gradients[v] for name, v in self._named.items()}

    def noise(self, name: str) -> float:
        """How far rounding in float64 may carry a gradient."""
        measured = self._truth.measured(self._named[name])
        scale = torch.finfo(torch.float64).eps / torch.finfo(measured.value.dtype).eps
        return float(measured.tolerance.max()) * scale

    def terms(self, name: str) -> Mapping[str, Tensor]:
        """What each tensor that is computed from ``name`` gives back for it, by that tensor's
        name."""
        return self._handed(name, {})

    def local(self, name: str, given: Mapping[str, Tensor]) -> Tensor:
        """The gradient of ``name`` where those of the tensors computed from it are ``given``."""
        return torch.stack(list(self._handed(name, given).values())).sum(0)

    def idea(self, name: str) -> str:
        """The ideas of the rules for it."""
        return idea(self._derivation, self._named[name])

    def forms(self, name: str) -> Sequence[str]:
        """The gradient as the sum of what its rules say, where that is one expression."""
        variable = self._named[name]
        terms = [t for part in self._derivation.parts for t in part.terms if t.variable is variable]
        if not terms or any(term.gradient is None or term.statements for term in terms):
            return ()
        return (" + ".join(text(term.gradient) for term in terms if term.gradient is not None),)

    def _handed(self, name: str, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        def upstream(result: Variable) -> Tensor:
            return given.get(result.name, self._exact[result])

        found = self._truth.terms(self._named[name], upstream)
        return {step.result.name: term.double() for step, term in found.items()}
