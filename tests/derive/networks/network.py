"""What a labelled network is: a forward pass, a right backward pass below it, and wrong variants.

The script is forward + middle + backward + tail. `middle` and `tail` are what a learner has there
besides (autograd's own pass, the comparison); they change no label. `pairs` says which gradient
belongs to which tensor: expressions in the script's own names at its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from ...learning.unseen.case import Base, Edit, Fault, apply, edit

__all__ = ["Edit", "Network", "NetworkCase", "edit", "variants"]

CUT = "# ---- the backward pass begins\n"


@dataclass(frozen=True)
class Network:
    name: str
    forward: str
    backward: str
    pairs: dict[str, str]
    edits: tuple[Edit, ...]
    middle: str = ""
    tail: str = ""
    loss: str = "loss"  # what the script calls its loss
    loops: bool = False  # loops, functions or classes: values are not all in names of their own
    note: str = ""


@dataclass(frozen=True)
class NetworkCase:
    """One script with its labels; the labels mean what they mean for the lecture's network."""

    name: str
    network: Network
    forward: str
    backward: str
    faults: dict[str, Fault] = field(default_factory=dict)

    @property
    def script(self) -> str:
        return self.forward + self.network.middle + self.backward + self.network.tail

    @property
    def blamed(self) -> frozenset[str]:
        return frozenset(self.faults)

    @property
    def line_text(self) -> dict[str, str]:
        return {gradient: fault.line for gradient, fault in self.faults.items()}

    @property
    def says(self) -> dict[str, tuple[str, ...]]:
        return {gradient: fault.says for gradient, fault in self.faults.items()}

    @property
    def means(self) -> dict[str, str]:
        return {gradient: fault.means for gradient, fault in self.faults.items()}


def pairs(text: str) -> dict[str, str]:
    """'dW=W db=b' or 'dW db' (a d before the tensor's name)."""
    result: dict[str, str] = {}
    for word in text.split():
        gradient, _, tensor = word.partition("=")
        result[gradient] = tensor or gradient.removeprefix("d")
    return result


def same(gradients: str, text: str, says: str, means: str) -> tuple[Edit, ...]:
    """The other gradients in which the mistake before this one shows, at the same statement."""
    return tuple(
        edit(gradient, text, text, says, means, "the same") for gradient in gradients.split()
    )


def variants(network: Network) -> Iterator[NetworkCase]:
    """The right script and its wrong variants. Edits of one mistake that shows in several gradients
    stand together: the first has the text, the others repeat it with old == new."""
    yield NetworkCase(f"{network.name}-right", network, network.forward, network.backward)
    base = Base(network.name, 0, network.forward + CUT + network.backward)
    groups: list[list[Edit]] = []
    for one in network.edits:
        if one.old == one.new:
            groups[-1].append(one)
        else:
            groups.append([one])
    for i, group in enumerate(groups, 1):
        text, faults = apply(base, tuple(group))
        line = faults[group[0].gradient].line
        faults = {
            name: Fault(line, fault.says, fault.means, fault.also) for name, fault in faults.items()
        }
        forward, backward = text.split(CUT)
        name = f"{network.name}-{i}-{group[0].gradient}-{group[0].says[0]}"
        yield NetworkCase(name, network, forward, backward, faults)
