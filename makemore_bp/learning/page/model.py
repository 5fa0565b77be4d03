"""What the page shows: a backward pass as plain values, whatever network it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

RIGHT = ("exact", "close")
BLAMED = ("wrong", "shape")


@dataclass(frozen=True)
class Line:
    """A statement, and where it stands (``line 12``, ``cell 3, line 4``)."""

    place: str
    code: str


@dataclass(frozen=True)
class Judgement:
    """What is said of a gradient. status: empty where nobody judges. heading, said: a line and
    paragraphs. mine: the learner's statements. own: the learner's gradient, if there is one."""

    status: str = ""
    said: tuple[str, ...] = ()
    mine: tuple[Line, ...] = ()
    own: Tensor | None = None
    heading: str = ""


@dataclass(frozen=True)
class Node:
    """One tensor of the forward pass and its gradient.

    name, shape: the tensor's. made: the forward line that computes it, empty for a parameter. used:
    the forward lines that read it. reads: the tensors that its line reads. truth: the true
    gradient. rule: the line that computes it. idea: one sentence. derivation: Markdown.
    """

    name: str
    shape: tuple[int, ...]
    made: str
    used: tuple[str, ...]
    reads: tuple[str, ...]
    truth: Tensor
    judgement: Judgement = Judgement()
    rule: str = ""
    idea: str = ""
    derivation: str = ""

    @property
    def status(self) -> str:
        """The judgement in a word."""
        return self.judgement.status


@dataclass(frozen=True)
class Pass:
    """A whole backward pass.

    nodes: in the order of the backward pass. loss: the forward line of the loss, and the tensors
    that it reads. remarks: sentences on the whole. own: whether a learner's file is judged; else
    the page is a walk through the pass.
    """

    title: str
    nodes: tuple[Node, ...]
    loss: tuple[str, tuple[str, ...]]
    remarks: tuple[str, ...] = ()
    own: bool = False
    by_name: Mapping[str, Node] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {node.name: node for node in self.nodes})

    def above(self, name: str) -> tuple[str, ...]:
        """The tensors that are computed from ``name``: where its gradient comes from."""
        found = tuple(node.name for node in self.nodes if name in node.reads)
        return ("loss", *found) if name in self.loss[1] else found

    def origins(self, name: str) -> tuple[str, ...]:
        """The blamed gradients nearest above one that inherits."""
        found: dict[str, None] = {}
        seen, waiting = {name}, [name]
        while waiting:
            for upper in self.above(waiting.pop(0)):
                if upper in seen or upper == "loss":
                    continue
                seen.add(upper)
                if self.by_name[upper].status in BLAMED:
                    found[upper] = None
                else:
                    waiting.append(upper)
        return tuple(found)

    def heirs(self, name: str) -> tuple[str, ...]:
        """The gradients that inherit from the blamed ``name``."""
        inheriting = (node.name for node in self.nodes if node.status == "inherits")
        return tuple(heir for heir in inheriting if name in self.origins(heir))
