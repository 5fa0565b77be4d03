"""A whole notebook is its own truth: its words, its seed, its sizes and its batch.

A script that runs a forward pass of its own under the lecture's names is judged on its own tensors.
What it does to them afterwards, such as training, is left out of the judgement.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from makemore_bp.gradcheck.batch import Batch
from makemore_bp.gradcheck.reference import reference as autograd_reference
from makemore_bp.learning.blocks import Blocks, Unit
from makemore_bp.learning.lecture import LECTURE, LectureTruth
from makemore_bp.learning.places import tensor_meant
from makemore_bp.learning.source import targets
from makemore_bp.learning.trace import Trace
from makemore_bp.network.parameters import NAMES
from makemore_bp.network.passes import LECTURE_ORDER

BATCH = ("Xb", "Yb")
_GIVEN = (*NAMES, *BATCH)
_PASS = frozenset(LECTURE_ORDER) - frozenset(NAMES)
_FEW = 3  # tensors of a forward pass; a loop that sets as many runs one


def before_training(text: str) -> tuple[str, int | None]:
    """A script up to a loop that trains the network, and the line of that loop.

    Only what stands before such a loop is judged where gradients were made by then, so nobody need
    wait for 200,000 steps. Without such a loop it is the whole script, and no line.
    """
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return text, None
    made: set[str] = set()
    for statement in body:
        sets = targets(statement)
        loops = any(isinstance(node, ast.For | ast.While) for node in ast.walk(statement))
        if made and loops and not _defines(statement) and len(sets & _PASS) >= _FEW:
            return "\n".join([*text.splitlines()[: statement.lineno - 1], ""]), statement.lineno
        made |= {name for name in sets if tensor_meant(name, LECTURE_ORDER)}
    return text, None


def _defines(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)


def own_pass(trace: Trace, given: LectureTruth) -> tuple[Trace, LectureTruth]:
    """The truth of the script's own forward pass, with the trace as far as that pass lasts; as they
    are where the script has none, or one of another network."""
    units = Blocks(trace, LECTURE_ORDER).top.units
    begins = [k for k, unit in enumerate(units) if _changes(unit, "logits")]
    spans = [(k, _end(units, k)) for k in begins]
    for _, end in sorted(spans, key=lambda span: _gradients(units, *span), reverse=True):
        names = units[end - 1].after.names
        truth = truth_of(names)
        if truth is not None and not near(truth.reference["logits"], given.reference["logits"]):
            return _until(trace, units, end), truth
        if truth is not None:
            break
    return trace, given


def truth_of(names: Mapping[str, Any]) -> LectureTruth | None:
    """The truth of the parameters and the batch in a namespace, if the forward tensors there are
    what the lecture's pass makes of them."""
    found = [names.get(name) for name in _GIVEN]
    if not all(isinstance(tensor, Tensor) for tensor in found):
        return None
    parameters = {name: names[name].detach() for name in NAMES}
    try:
        reference = autograd_reference(Batch(LECTURE, parameters, names["Xb"], names["Yb"]))
    except (RuntimeError, IndexError):  # shapes that do not fit together
        return None
    if other(names, reference.record) is not None:
        return None
    return LectureTruth(reference)


def other(names: Mapping[str, Any], record: Mapping[str, Any]) -> str | None:
    """The first forward tensor of a namespace that is not the one of ``record``."""
    there = (name for name in reversed(LECTURE_ORDER) if isinstance(names.get(name), Tensor))
    return next((name for name in there if not near(names[name], record[name])), None)


def near(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors are one but for rounding."""
    if one.shape != other.shape or one.is_complex():
        return False
    scale = float(other.abs().max()) if other.numel() else 0.0
    apart = (one.detach().to(other.dtype) - other).abs()
    return bool((apart <= 1e-3 * scale + 1e-6).all())


def _changes(unit: Unit, name: str) -> bool:
    before, after = unit.before.names.get(name), unit.after.names.get(name)
    return isinstance(after, Tensor) and after is not before


def _end(units: tuple[Unit, ...], start: int) -> int:
    """The first unit from ``start`` on that moves on from the pass, or the number of all."""
    later = range(start + 1, len(units))
    return next((k for k in later if _moves_on(units[k])), len(units))


def _moves_on(unit: Unit) -> bool:
    for name in (*_GIVEN, "emb", "logits"):
        before, after = unit.before.names.get(name), unit.after.names.get(name)
        same = after is before or (
            isinstance(after, Tensor) and isinstance(before, Tensor) and near(after, before)
        )
        if isinstance(before, Tensor) and not same:
            return True
    return False


def _gradients(units: tuple[Unit, ...], start: int, end: int) -> int:
    """How many gradients a part of the script makes."""
    return len(set(_made(units[start:end])))


def _made(units: tuple[Unit, ...]) -> Iterator[str]:
    for unit in units:
        for name in targets(unit.node):
            tensor = tensor_meant(name, LECTURE_ORDER)
            if tensor is not None:
                yield tensor


def _until(trace: Trace, units: tuple[Unit, ...], end: int) -> Trace:
    if end == len(units):
        return trace
    unit = units[end]
    return Trace(trace.source, trace.steps[: unit.at], unit.before, trace.functions)
