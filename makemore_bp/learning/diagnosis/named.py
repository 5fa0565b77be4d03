"""What no single change to the learner's text restores: mistakes known by what they leave behind.

Each looks at the value that the statements give where all their inputs are true, and at the truth.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from makemore_bp.learning.diagnosis.compare import combination, multiple, scale
from makemore_bp.learning.diagnosis.forms import branches, evaluate
from makemore_bp.learning.diagnosis.kinds import Kind
from makemore_bp.learning.diagnosis.numbers import factor_text
from makemore_bp.learning.diagnosis.world import is_true
from makemore_bp.learning.truth import Truth
from makemore_bp.network.batchnorm import EPS

Told = tuple[Kind, str]


@dataclass(frozen=True)
class Case:
    """value: what the statements of the gradient ``name`` give in the true world; sizes: numbers by
    the names that the script knows them by; tensors: everything that the script could have used;
    reads: the gradients that the statements read."""

    name: str
    shown: str
    value: Tensor
    truth: Truth
    sizes: Mapping[str, float]
    tensors: Mapping[str, Tensor]
    reads: Collection[str]

    @property
    def true(self) -> Tensor:
        """The true gradient."""
        return self.truth.gradients[self.name]

    def reproduces(self, tensor: Tensor) -> bool:
        """Whether the learner's value is this one."""
        noise = self.truth.noise(self.name)
        return tensor.shape == self.value.shape and is_true(self.value, tensor.double(), noise)


def recognised(case: Case) -> Iterator[Told]:
    """The mistakes that a value shows, the surest first."""
    value, true = case.value, case.true
    if not bool(torch.isfinite(value).all()):
        yield Kind.unknown, _not_finite(value)
        return
    if scale(value) == 0:
        yield Kind.missing_term, "every entry is zero: nothing ever reaches it"
        return
    if value.shape == true.shape:
        yield from _multiples(case)
        yield from _branches(case)
        yield from _forms(case)
        yield from _another_gradient(case)
        yield from _superfluous(case)
        yield from _spread_again(case)
        yield from _rows(case)
    yield from _layout(case)


def _not_finite(tensor: Tensor) -> str:
    nans, infinities = int(tensor.isnan().sum()), int(tensor.isinf().sum())
    return (
        f"{nans} of {tensor.numel()} entries are NaN and {infinities} are infinite. Look for a "
        "division by zero, the logarithm of zero, or a root or power of a negative number"
    )


def _another_gradient(case: Case) -> Iterator[Told]:
    for other, gradient in case.truth.gradients.items():
        if other != case.name and scale(gradient) > case.truth.noise(other) * 1e3:
            if not case.reproduces(gradient):
                continue
            if other in case.reads:
                yield (
                    Kind.missing_factor,
                    (
                        f"the gradient of {other} is handed on as it is: the slope of what lies "
                        f"between {case.name} and {other} is missing"
                    ),
                )
            else:
                yield Kind.exchanged, f"this is the gradient of {other}, not of {case.name}"


def _multiples(case: Case) -> Iterator[Told]:
    factor = multiple(case.value, case.true)
    if factor is not None:
        kind, text = factor_text(factor, case.sizes, case.shown)
        yield kind, text


def _branches(case: Case) -> Iterator[Told]:
    """Of the tensors that read this one, what one gives back is left out or has a wrong factor."""
    terms = case.truth.terms(case.name)
    large = {name: term for name, term in terms.items() if scale(term) > _nothing(case)}
    yield from _off(case, large, lambda name: f"the branch through {name}")


def _nothing(case: Case) -> float:
    return 1e3 * case.truth.noise(case.name)


def _off(case: Case, terms: Mapping[str, Tensor], what: Callable[[str], str]) -> Iterator[Told]:
    if len(terms) < 2:
        return
    full = [term.expand_as(case.true) for term in terms.values()]
    found = combination(case.value, full)
    if found is None:
        return
    sure = 1e-6 if case.value.dtype == torch.float64 else 1e-4
    off = [(c, name) for c, name in zip(found, terms, strict=True) if abs(c - 1) > sure]
    if len(off) == 1:
        c, name = off[0]
        if abs(c) < sure:
            yield Kind.missing_term, f"{what(name)} is left out"
        else:
            yield factor_text(c, case.sizes, what(name))


def _forms(case: Case) -> Iterator[Told]:
    names: dict[str, Any] = {**case.truth.tensors}
    names |= {"d" + name: gradient for name, gradient in case.truth.gradients.items()}
    arriving = frozenset("d" + name for name in case.truth.gradients) | {"Yb", "logits"}
    for form in case.truth.forms(case.name):
        tree = ast.parse(form, mode="eval").body
        terms = {ast.unparse(term): evaluate(term, names) for term in branches(tree, arriving)}
        if all(term is not None and _spreads(term, case.true) for term in terms.values()):
            known = {name: term for name, term in terms.items() if term is not None}
            yield from _off(case, known, lambda name: f"the branch {name}")


def _superfluous(case: Case) -> Iterator[Told]:
    for name, tensor in case.tensors.items():
        if name == case.shown or not _spreads(tensor, case.true) or scale(tensor) == 0:
            continue
        if case.reproduces(case.true * tensor):
            yield (
                Kind.extra_factor,
                (f"it is multiplied by {name} as well, which does not belong there"),
            )
        if case.reproduces(case.true / tensor):
            yield Kind.missing_factor, f"the factor {name} is missing, or divides instead"
        for sign, done in ((1, "added"), (-1, "subtracted")):
            if scale(tensor) > _nothing(case) and case.reproduces(case.true + sign * tensor):
                yield Kind.extra_term, f"{name} is {done} as well, which does not belong there"
    for number in (1, -1, EPS):
        if case.reproduces(case.true + number):
            yield Kind.start, f"every entry is off by {number:g}: it does not start from zero"


def _spread_again(case: Case) -> Iterator[Told]:
    """A sum or mean over an axis that broadcasting spreads out again."""
    for axis in range(case.true.dim()):
        for name in ("sum", "mean"):
            reduced = getattr(case.true, name)(axis, keepdim=True).expand_as(case.true)
            if case.reproduces(reduced):
                yield (
                    Kind.reduction,
                    (
                        f"the {name} over axis {axis} is taken and spread out again, where every "
                        "entry has its own value"
                    ),
                )


def _rows(case: Case) -> Iterator[Told]:
    """Right, but for some rows."""
    noise = max(case.truth.noise(case.name), 1e-10 * scale(case.true))
    for axis in range(min(2, case.true.dim())):
        off = (case.value.double() - case.true).abs().movedim(axis, 0)
        off = off.reshape(len(off), -1).amax(1) > noise
        wrong = off.nonzero().flatten().tolist()
        if 0 < len(wrong) <= max(1, len(off) // 4) and len(off) > 3:
            what = ("row", "column")[axis]
            shown = ", ".join(map(str, wrong[:4])) + (", ..." if len(wrong) > 4 else "")
            left = case.value.movedim(axis, 0)[wrong]
            how = "left out (zero)" if scale(left) == 0 else "not right"
            many = "s are" if len(wrong) > 1 else " is"
            yield Kind.place, f"{what}{many} {how}: {shown}; all others are right"


def _layout(case: Case) -> Iterator[Told]:
    value, true = case.value.double(), case.true
    if true.dim() == 2 and case.reproduces(true.T):
        yield Kind.transposed, "rows and columns are exchanged"
    elif true.dim() == 3:
        n, rows, columns = true.shape
        if value.shape == true.shape and case.reproduces(
            true.reshape(n, columns, rows).transpose(1, 2)
        ):
            yield Kind.transposed, "the last two axes are exchanged"
    if value.shape != true.shape and value.numel() == true.numel():
        if scale(value.flatten() - true.flatten()) <= 1e-9 * scale(true):
            text = f"the numbers are right, their shape must be {tuple(true.shape)}"
            yield Kind.reduction, text
    elif value.shape != true.shape:
        yield from _not_reduced(case)


def _not_reduced(case: Case) -> Iterator[Told]:
    value, true = case.value.double(), case.true
    for axis in range(value.dim()):
        for keep in (True, False):
            summed = value.sum(axis, keepdim=keep)
            if summed.shape == true.shape and is_true(summed, true, case.truth.noise(case.name)):
                yield Kind.reduction, f"the sum over axis {axis} is missing"
                return


def _spreads(tensor: Tensor, over: Tensor) -> bool:
    if not tensor.is_floating_point():
        return False
    try:
        return bool(tensor.expand_as(over).shape == over.shape)
    except RuntimeError:
        return False
