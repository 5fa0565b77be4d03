"""The lecture's network as a truth for learners: its own rules, in float64."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import getdoc
from typing import Any

import torch
from torch import Tensor

from makemore_bp.gradcheck.batch import Batch
from makemore_bp.gradcheck.reference import Reference, reference
from makemore_bp.gradcheck.running_error import standard_errors
from makemore_bp.network.parameters import NAMES
from makemore_bp.network.passes import LECTURE_ORDER, Network
from makemore_bp.network.stage import Record, Rule, call, reads

# Standard errors within which the same mathematics, written in another way, stays.
SAFETY = 32.0
LECTURE = Network()
RULES: Mapping[str, Rule] = {rule.__name__[1:]: rule for rule in LECTURE.rules}
# The two fused rules as a learner would write them.
_FUSED = {
    "logits": ("(F.softmax(logits, 1) - F.one_hot(Yb, num_classes=logits.shape[1])) / n",),
    "hprebn": (
        "bngain * bnvar_inv / n * (n * dhpreact - dhpreact.sum(0)"
        " - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0))",
    ),
}


@dataclass(frozen=True)
class LectureTruth:
    """The op-by-op pass of one batch; ``judged`` has autograd's gradients in its own precision."""

    judged: Reference

    @classmethod
    def of(cls, parameters: Mapping[str, Tensor], Xb: Tensor, Yb: Tensor) -> LectureTruth:
        """The truth of a batch Xb (n, block_size), Yb (n)."""
        return cls(reference(Batch(LECTURE, parameters, Xb, Yb)))

    @property
    def reference(self) -> Mapping[str, Tensor]:
        """Autograd's gradients."""
        return self.judged.gradients

    @cached_property
    def tensors(self) -> Record:
        """The forward pass in float64."""
        record = self.judged.record
        exact = {name: record[name].double() for name in NAMES}
        with torch.no_grad():
            return LECTURE.forward(exact, record["Xb"], record["Yb"])

    @cached_property
    def gradients(self) -> Mapping[str, Tensor]:
        """The backward pass in float64, in the lecture's order."""
        found = LECTURE.backward(self.tensors)
        return {name: found["d" + name] for name in LECTURE_ORDER}

    def noise(self, name: str) -> float:
        """From the running error analysis."""
        return SAFETY * float(self._errors["d" + name].max())

    @cached_property
    def _errors(self) -> Mapping[str, Tensor]:
        return standard_errors(LECTURE, self.tensors)

    def terms(self, name: str) -> Mapping[str, Tensor]:
        """A rule is linear in the gradients that it reads, so each term is the rule with the other
        ones at zero."""
        rule, known = RULES[name], self._known({})
        sources = [read for read in reads(rule) if read[1:] in self.gradients]
        if len(sources) < 2:
            return {sources[0][1:] if sources else "loss": self.gradients[name]}
        return {
            source[1:]: call(rule, known | {d: known[d] * (d == source) for d in sources})
            for source in sources
        }

    def local(self, name: str, given: Mapping[str, Tensor]) -> Tensor:
        """By the rule of the heart."""
        value: Tensor = call(RULES[name], self._known(given))
        return value

    def _known(self, given: Mapping[str, Tensor]) -> dict[str, Any]:
        gradients = {**self.gradients, **given}
        return {**self.tensors, **{"d" + name: gradient for name, gradient in gradients.items()}}

    def forms(self, name: str) -> Sequence[str]:
        """The fused lines; the others are the sums of their terms."""
        return _FUSED.get(name, ())

    def idea(self, name: str) -> str:
        """The first paragraph of the rule's docstring."""
        return " ".join((getdoc(RULES[name]) or "").split("\n\n")[0].split())
