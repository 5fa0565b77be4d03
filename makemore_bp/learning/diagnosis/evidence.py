"""What is known of a learner's script besides the gradients that it left behind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass(frozen=True)
class Version:
    """A gradient as one statement of the script left it.

    step: the statement's position in the script; own: whether the statement names the gradient as
    what it changes, and does not reach it through another name for the same memory.
    """

    step: int
    line: int
    source: str
    own: bool
    tensor: Tensor


@dataclass(frozen=True)
class Mutation:
    """A tensor of the forward pass that a statement of the script changed, and what it became."""

    line: int
    source: str
    tensor: Tensor


@dataclass(frozen=True)
class Evidence:
    """The versions of each gradient in the order in which they came to be (the last is the final
    one), the forward tensors that were changed, and pairs of gradients that share their memory.

    Everything may be empty: then a diagnosis rests on the final gradients alone.
    """

    history: Mapping[str, tuple[Version, ...]] = field(default_factory=dict)
    mutated: Mapping[str, Mutation] = field(default_factory=dict)
    shared: frozenset[frozenset[str]] = frozenset()

    def source(self, name: str) -> str:
        """The statements that made the gradient ``name``, in order."""
        return "\n".join(v.source for v in self.history.get(name, ()) if v.own)

    def step(self, name: str) -> int | None:
        """The position of the last statement that itself changed the gradient ``name``."""
        steps = [v.step for v in self.history.get(name, ()) if v.own]
        return steps[-1] if steps else None

    def before_alias(self, name: str) -> Version | None:
        """The version of ``name`` before statements that do not name it changed it, or None."""
        versions = self.history.get(name, ())
        if not versions or versions[-1].own:
            return None
        own = [version for version in versions if version.own]
        return own[-1] if own else None

    def as_read(self, name: str, step: int) -> Version | None:
        """The version of ``name`` that the statement at ``step`` found."""
        earlier = [v for v in self.history.get(name, ()) if v.step < step]
        return earlier[-1] if earlier else None
