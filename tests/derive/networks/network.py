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


@dataclass(frozen=True)
class Network:
    name: str
    forward: str
    backward: str
    pairs: dict[str, str]
    edits: tuple[Edit, ...]
    middle: str = ""
    tail: str = ""
    loops: bool = False  # loops, functions or classes: values are not all in names of their own
    note: str = ""

    @property
    def script(self) -> str:
        return self.forward + self.middle + self.backward + self.tail


@dataclass(frozen=True)
class NetworkCase:
    """One script with its labels; the labels mean what they mean for the lecture's network."""

    name: str
    network: Network
    script: str
    backward: str
    faults: dict[str, Fault] = field(default_factory=dict)
    # What differs from its own rule on the script's own gradients, where that is not `blamed`:
    # a mistake inside a function or a loop whose inner gradients have no name outside.
    inside: tuple[str, ...] = ()

    @property
    def blamed(self) -> frozenset[str]:
        return frozenset(self.faults)


def pairs(text: str) -> dict[str, str]:
    """'dW=W db=b' or 'dW db' (a d before the tensor's name)."""
    result = {}
    for word in text.split():
        gradient, _, tensor = word.partition("=")
        result[gradient] = tensor or gradient.removeprefix("d")
    return result


def variants(network: Network) -> Iterator[NetworkCase]:
    """The right script and its wrong variants. Edits of one mistake that shows in several gradients
    stand together: the first has the text, the others repeat it with old == new."""
    yield NetworkCase(f"{network.name}-right", network, network.script, network.backward)
    base = Base(network.name, 0, network.backward)
    groups: list[list[Edit]] = []
    for one in network.edits:
        if one.old == one.new:
            groups[-1].append(one)
        else:
            groups.append([one])
    for i, group in enumerate(groups, 1):
        backward, faults = apply(base, tuple(group))
        if len(group) > 1:
            line = faults[group[0].gradient].line
            faults = {k: Fault(line, f.says, f.means, f.also) for k, f in faults.items()}
        script = network.forward + network.middle + backward + network.tail
        yield NetworkCase(f"{network.name}-{i}-{group[0].gradient}-{group[0].says[0]}", network, script, backward, faults)
