"""What a backward pass is held to, whatever network it belongs to.

Blame and repair know no network. They are handed a ``Truth``: the forward pass and the true
gradient of each of its tensors, how far rounding may carry a gradient, and what each line of the
forward pass that reads a tensor gives back for it. The lecture's network is one such truth
(``lecture``); a forward pass of the learner's own is another.

    A gradient is at fault if its statements, run again on what the script had at that point but
    with the *true* gradients in place of the learner's own, do not give the true gradient.

So a single mistake is blamed once: below it the same statements are right, and inherit it. And two
mistakes that cancel are both blamed: what agrees with autograd only because its own input is wrong
does not agree when its input is right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor


class Truth(Protocol):
    """One forward pass and its true backward pass. All names are those of tensors of the forward
    pass, without a d."""

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """The tensors of the forward pass in float64, by name; integer tensors as they are."""
        ...

    @property
    def gradients(self) -> Mapping[str, Tensor]:
        """The true gradient of each tensor in float64, of the tensor's shape, in the order in which
        a backward pass comes to them: what the loss reads first, the first layer's parameters last.
        """
        ...

    @property
    def reference(self) -> Mapping[str, Tensor]:
        """The same as autograd computes them, in the precision of the script's own tensors."""
        ...

    def noise(self, name: str) -> float:
        """The largest difference from ``gradients[name]`` that rounding in float64 can account for,
        in absolute terms. A gradient whose entries are all below it is zero in truth."""
        ...

    def terms(self, name: str) -> Mapping[str, Tensor]:
        """What each tensor that is computed from ``name`` gives back for it in float64, by that
        tensor's name and of the shape of ``name``. Their sum is the true gradient. For a tensor
        that the loss itself reads, the key is ``loss``."""
        ...

    def local(self, name: str, given: Mapping[str, Tensor]) -> Tensor:
        """What the gradient of ``name`` must be if the tensors computed from it have the gradients
        ``given`` (by tensor name, float64); what is not given is taken to be true."""
        ...

    def idea(self, name: str) -> str:
        """The idea of the rule in one or two sentences, without the answer; may be empty."""
        ...

    def forms(self, name: str) -> Sequence[str]:
        """The gradient as one expression, in each way in which it is usually written, in the names
        of tensors and, for gradients, dx. May be empty."""
        ...
