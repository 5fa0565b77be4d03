"""The lecture's network, or one of its variants, as a page's values."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping

from torch import Tensor

from makemore_bp.gradcheck import derivations
from makemore_bp.gradcheck.check import Check
from makemore_bp.gradcheck.equations import Equation, equations
from makemore_bp.learning.page.model import Judgement, Node, Pass
from makemore_bp.network.passes import Network
from makemore_bp.network.stage import Rule


def walk(title: str, network: Network, true: Mapping[str, Tensor], found: Check) -> Pass:
    """The page of our own pass, which ``found`` has judged; ``true`` are autograd's gradients by
    tensor name."""
    known = {report.name: true[report.name] for report in found.tensors}
    right = sum(report.passed for report in found.tensors)
    remark = f"{right} of {len(known)} gradients are right. Loss {found.loss:.4f}."
    judgements = {r.name: Judgement(str(r.status)) for r in found.tensors if not r.passed}
    return passed_through(title, network, known, judgements, (remark,), own=not found.passed)


def passed_through(
    title: str,
    network: Network,
    true: Mapping[str, Tensor],
    judgements: Mapping[str, Judgement],
    remarks: tuple[str, ...],
    own: bool,
) -> Pass:
    """A pass through ``network``: ``true`` and ``judgements`` are by tensor name, ``own`` says
    whether somebody's gradients are judged."""
    lines = {equation.name: equation for equation in equations(network)}
    nodes = tuple(
        _node(rule, lines, true, judgements.get(rule.__name__[1:], Judgement()))
        for rule in network.rules
        if rule.__name__[1:] in true
    )
    return Pass(title, nodes, (_text(lines["loss"]), _reads("loss", lines, true)), remarks, own)


def _node(
    rule: Rule, lines: Mapping[str, Equation], true: Mapping[str, Tensor], judgement: Judgement
) -> Node:
    name = rule.__name__[1:]
    return Node(
        name=name,
        shape=tuple(true[name].shape),
        made=_text(lines[name]) if name in lines else "",
        used=tuple(_text(line) for line in lines.values() if name in line.reads),
        reads=_reads(name, lines, true),
        truth=true[name],
        judgement=judgement,
        rule=derivations.line(rule),
        idea=_idea(rule),
        derivation=derivations.explain(name),
    )


def _text(equation: Equation) -> str:
    return f"{equation.name} = {equation.source}"


def _reads(name: str, lines: Mapping[str, Equation], known: Iterable[str]) -> tuple[str, ...]:
    """The known tensors that ``name`` is computed from, by way of those that have no gradient."""
    found: dict[str, None] = {}
    for read in sorted(lines[name].reads) if name in lines else ():
        inner = (read,) if read in known else _reads(read, lines, known)
        found |= dict.fromkeys(inner)
    return tuple(found)


def _idea(rule: Rule) -> str:
    """The first paragraph of a rule's derivation."""
    return " ".join((inspect.getdoc(rule) or "").split("\n\n")[0].split())
