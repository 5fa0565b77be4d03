"""Forty networks that the code was not written with: each right, and with five single mistakes."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from makemore_bp.learning.derive.checking import Finding
from tests.derive.derive_helpers import judged
from tests.derive.networks import NETWORKS, Network
from tests.derive.networks.network import NetworkCase, variants
from tests.learning.unseen.case import Fault

NAMED = 0.9  # of the mistakes, and of the lines


CASES = {case.name: case for network in NETWORKS for case in variants(network)}
WRONG = [case for case in CASES.values() if case.faults]


@cache
def found(name: str) -> list[tuple[Finding, Fault | None]]:
    """The gradients of a case that are wrong themselves, each with its label."""
    case = CASES[name]
    check = judged(case.script)
    wrong = [finding for finding in check.findings if finding.status in ("wrong", "shape")]
    return [(finding, label(finding.gradient.shown, case)) for finding in wrong]


def label(shown: str, case: NetworkCase) -> Fault | None:
    """The label of a gradient, which has another name inside an object or a row."""
    for name, fault in case.faults.items():
        plain = name.replace('"', "'")
        if (
            shown == plain
            or plain.split(".")[-1] == shown
            or re.sub(r"\[\d+\]$", "", shown) == plain
        ):
            return fault
    return None


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_a_right_pass_passes_and_a_mistake_is_blamed_once(network: Network) -> None:
    right, *wrong = (case.name for case in variants(network))
    assert [finding.gradient.shown for finding, _ in found(right)] == []
    for name in wrong:
        assert len(found(name)) > 0, name
        others = [f.gradient.shown for f, fault in found(name) if fault is None]
        assert others == [] or name in TWICE, name


# A tensor has two names there, and only one of them has the right gradient.
TWICE = {"residual-blocks-in-a-dict-5-dacts['u2']-missing-factor"}


def test_most_mistakes_are_named_at_their_line() -> None:
    named = lines = count = 0
    for case in WRONG:
        finding, fault = found(case.name)[0]
        told = finding.diagnosis
        if fault is None or told is None:
            continue
        count += 1
        named += told.kind in fault.says
        shown = case.script.splitlines()[(told.line or 1) - 1]
        lines += any(text.splitlines()[0].strip() in shown for text in (fault.line, *fault.also))
    assert named >= NAMED * count
    assert lines >= NAMED * count


def test_a_repaired_statement_is_python() -> None:
    for case in WRONG:
        for finding, _ in found(case.name):
            repair = finding.diagnosis and finding.diagnosis.repair
            if repair and not repair.statement.endswith(":"):
                ast.parse(repair.statement.removeprefix("return "))
