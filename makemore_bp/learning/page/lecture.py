"""The lecture's network, or one of its variants, as a page's values."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from torch import Tensor

from makemore_bp.gradcheck import derivations
from makemore_bp.gradcheck.equations import Equation, equations
from makemore_bp.learning.page.model import Line, Node, Pass
from makemore_bp.network.passes import Network
from makemore_bp.network.stage import Rule


def walk(title: str, network: Network, true: Mapping[str, Tensor], tensors: Iterable[Any]) -> Pass:
    """The page of our own pass. ``true`` are its gradients by tensor name, ``tensors`` the judge's
    reports on it."""
    statuses = {report.name: str(report.status) for report in tensors}
    nodes = tuple(_nodes(network, {k: g for k, g in true.items() if k in statuses}, {}, {}, {}))
    right = sum(status in ("exact", "close") for status in statuses.values())
    remark = f"{right} of {len(statuses)} gradients are right."
    return Pass(title, nodes, _loss(network, [node.name for node in nodes]), (remark,))


def judged(
    title: str,
    true: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    reports: Mapping[str, tuple[str, tuple[str, ...]]],
    mine: Mapping[str, tuple[Line, ...]],
    remarks: Iterable[str],
) -> Pass:
    """The page of a learner's pass. All mappings are by tensor name: autograd's gradients, the
    learner's, the status and the paragraphs on each, the statements that made it."""
    network = Network.of()
    nodes = tuple(_nodes(network, true, own, reports, mine))
    names = [node.name for node in nodes]
    return Pass(title, nodes, _loss(network, names), tuple(remarks), own=True)


def _nodes(
    network: Network,
    true: Mapping[str, Tensor],
    own: Mapping[str, Tensor],
    reports: Mapping[str, tuple[str, tuple[str, ...]]],
    mine: Mapping[str, tuple[Line, ...]],
) -> Iterable[Node]:
    lines = {equation.name: equation for equation in equations(network)}
    for rule in network.rules:
        name = rule.__name__[1:]
        if name not in true:
            continue
        made = lines.get(name)
        status, said = reports.get(name, ("", ()))
        yield Node(
            name=name,
            shape=tuple(true[name].shape),
            made=_text(made) if made is not None else "",
            used=tuple(_text(line) for line in lines.values() if name in line.reads),
            reads=_reads(name, lines, true),
            truth=true[name],
            own=own.get(name),
            status=status,
            said=said,
            mine=mine.get(name, ()),
            rule=derivations.line(rule),
            idea=_idea(rule),
            derivation=derivations.explain(name),
        )


def _text(equation: Equation) -> str:
    return f"{equation.name} = {equation.source}"


def _reads(
    name: str, lines: Mapping[str, Equation], known: Mapping[str, Tensor]
) -> tuple[str, ...]:
    """The known tensors that ``name`` is computed from, by way of those that have no gradient."""
    found: dict[str, None] = {}
    for read in sorted(lines[name].reads) if name in lines else ():
        inner = (read,) if read in known else _reads(read, lines, known)
        found |= dict.fromkeys(inner)
    return tuple(found)


def _loss(network: Network, names: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    lines = {equation.name: equation for equation in equations(network)}
    known = dict.fromkeys(names)
    return _text(lines["loss"]), _reads("loss", lines, known)  # type: ignore[arg-type]


def _idea(rule: Rule) -> str:
    """The first paragraph of a rule's derivation."""
    return " ".join((inspect.getdoc(rule) or "").split("\n\n")[0].split())
