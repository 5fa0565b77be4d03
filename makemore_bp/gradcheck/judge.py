"""Each gradient of a pass, judged twice: against autograd, and against its own local rule.

Against autograd alone one mistake makes everything below it wrong. The second judgement runs the
true rule of one gradient on what *this* pass handed it; if the rule gives what the pass has, the
mistake is further up.

The tolerance of an entry is ``SAFETY`` standard errors of that entry (see ``running_error``): it
grows with the magnitude of the terms that were summed and not with the result, which for
dlogit_maxes and db1 is zero but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import torch
from torch import Tensor

from makemore_bp.gradcheck.reference import Reference
from makemore_bp.gradcheck.running_error import Uncertain, standard_errors, unit, with_errors
from makemore_bp.network.stage import Record, Rule, call, reads

# Passes that are right stay below one standard error in all settings that were measured; an error
# of one per cent in a gradient is at least forty in float32.
SAFETY = 8.0
_FARTHEST = torch.iinfo(torch.int64).max


class Status(StrEnum):
    """What a gradient is, from the best to the worst."""

    EXACT = "exact"
    """Equal to autograd, every bit; NaNs at the same places count as equal."""
    CLOSE = "close"
    """Within the tolerance of autograd."""
    INHERITS = "inherits"
    """Not close, but what its rule gives for what the pass handed it."""
    MISSING = "missing"
    """Not defined."""
    SHAPE = "shape"
    """Not of its tensor's shape."""
    WRONG = "wrong"
    """Not close, and not what its rule gives; or all that it reads is right: the mistake is here.
    """

    @property
    def passed(self) -> bool:
        """Whether the gradient is right."""
        return self in (Status.EXACT, Status.CLOSE)


@dataclass(frozen=True)
class TensorReport:
    """What there is to say of one gradient.

    name: the tensor's, without d. shape: the tensor's own, which the gradient must have. allclose:
    within the tolerance. max_abs_diff, max_ulp: the largest difference from autograd and the
    largest distance in units in the last place; None where they cannot be computed (another
    shape, missing, an infinity or a NaN on one side only). got: the gradient's shape where it is
    another. diagnosis: the kind of mistake, filled in by whoever knows.
    """

    name: str
    shape: tuple[int, ...]
    status: Status
    exact: bool = False
    allclose: bool = False
    max_abs_diff: float | None = None
    max_ulp: int | None = None
    got: tuple[int, ...] | None = None
    diagnosis: Mapping[str, str] | None = None

    @property
    def passed(self) -> bool:
        """Whether the gradient is right."""
        return self.status.passed

    def as_json(self) -> dict[str, Any]:
        """The report as plain data; what does not apply is left out."""
        plain = asdict(self) | {"shape": list(self.shape)}
        if self.got is None:
            del plain["got"]
        else:
            plain |= {"got": list(self.got), "expected_shape": list(self.shape)}
        if self.diagnosis is None:
            del plain["diagnosis"]
        return plain

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> TensorReport:
        """The report that ``as_json`` made this of."""
        shapes = {key: tuple(plain[key]) for key in ("shape", "got") if key in plain}
        kept = {key: value for key, value in plain.items() if key != "expected_shape"}
        return cls(**{**kept, **shapes, "status": Status(plain["status"])})

    def badness(self) -> tuple[int, float]:
        """Larger for what is worse, of reports of one tensor."""
        return list(Status).index(self.status), self.max_abs_diff or 0.0


def ulp_distance(a: Tensor, b: Tensor) -> Tensor:
    """How many steps from one representable number to the next lie between a and b, entry by entry,
    as int64; both float32 or both float64, of one shape.

    0.0 and -0.0 are the same number, infinity is one step above the largest. Two NaNs are 0 apart,
    a NaN and a number as far as int64 reaches, and so is everything beyond that.
    """
    one, other = _steps_from_zero(a), _steps_from_zero(b)
    apart = (one - other).abs()
    overflowed = ((one < 0) != (other < 0)) & ((one.abs() + other.abs()) < 0)
    apart = apart.masked_fill(overflowed, _FARTHEST)
    apart = apart.masked_fill(a.isnan() != b.isnan(), _FARTHEST)
    return apart.masked_fill(a.isnan() & b.isnan(), 0)


def _steps_from_zero(tensor: Tensor) -> Tensor:
    """The place of each number in the order of all numbers of its precision, 0 at zero."""
    as_integer = torch.int64 if tensor.dtype == torch.float64 else torch.int32
    # Numbers of one sign are ordered as their bits are; the topmost bit is the sign.
    bits = tensor.contiguous().view(as_integer).long()
    magnitude = bits & torch.iinfo(as_integer).max
    return torch.where(bits < 0, -magnitude, magnitude)


def judge(
    gradients: Mapping[str, Tensor], reference: Reference, rules: Iterable[Rule]
) -> list[TensorReport]:
    """Judges the gradients (``dlogits``, ...) of a pass, in the lecture's order.

    rules: what the pass is held to. Reported is every gradient that has a rule there, ``missing``
    where the pass lacks it, and every further one of the lecture's that the pass has; for those,
    the op-by-op rule counts.
    """
    return _Judge(dict(gradients), reference, tuple(rules)).reports()


class _Judge:
    def __init__(
        self, gradients: dict[str, Tensor], reference: Reference, rules: Sequence[Rule]
    ) -> None:
        self.asked = {rule.__name__ for rule in rules}
        network = reference.network
        self.tensors = network.tensors
        self.rules = {rule.__name__: rule for rule in (*network.rules, *rules)}
        self.gradients = gradients
        self.true = reference.gradients
        self.errors = standard_errors(network, reference.record)
        self.record = with_errors(network, reference.record)
        self.unit = unit(reference.record["C"].dtype)

    def reports(self) -> list[TensorReport]:
        found: dict[str, TensorReport] = {}
        for name in self.tensors:
            if name in self.true and ("d" + name in self.asked or "d" + name in self.gradients):
                found[name] = self._report(name)
                if found[name].status is Status.INHERITS and self._nothing_to_inherit(name, found):
                    found[name] = replace(found[name], status=Status.WRONG)
        return list(found.values())

    def _nothing_to_inherit(self, name: str, found: Mapping[str, TensorReport]) -> bool:
        """Whether all that the rule reads is right: then the rule that we hold it to is wrong.

        The lecture's order is one in which what a rule reads comes before what it gives.
        """
        needed = self._needed("d" + name)
        return all(read[1:] in found and found[read[1:]].passed for read in needed)

    def _needed(self, name: str) -> list[str]:
        """The gradients that the rule of ``name`` reads."""
        return [read for read in reads(self.rules[name]) if read[1:] in self.tensors]

    def _report(self, name: str) -> TensorReport:
        true = self.true[name]
        shape = tuple(true.shape)
        got = self.gradients.get("d" + name)
        if got is None:
            return TensorReport(name, shape, Status.MISSING)
        got = got.detach().to(true.dtype)
        if got.shape != true.shape:
            status = Status.INHERITS if self._follows("d" + name, got) else Status.SHAPE
            return TensorReport(name, shape, status, got=tuple(got.shape))
        exact = bool(_equal(got, true).all())
        close = exact or agree(got, true, SAFETY * self.errors["d" + name])
        if close:
            status = Status.EXACT if exact else Status.CLOSE
        else:
            status = Status.INHERITS if self._follows("d" + name, got) else Status.WRONG
        difference, steps = _distance(got, true)
        return TensorReport(name, shape, status, exact, close, difference, steps)

    def _follows(self, name: str, got: Tensor) -> bool:
        """Whether ``got`` is what the rule of ``name`` gives for what the pass handed it.

        Where the pass does not define a gradient that the rule reads, it may have used the true one
        or have gone on from what it has without naming it: either will do.
        """
        needed = self._needed(name)
        for supplied in (self._true_gradient, self._continued):
            try:
                handed = {read: self._handed(read) or supplied(read) for read in needed}
                value = call(self.rules[name], {**self.record, **handed})
            except (RuntimeError, IndexError, ValueError):
                # What flows in has shapes that do not fit together. Nothing more can be asked.
                return True
            if agree(got, value.value, SAFETY * value.error):
                return True
            if all(read in self.gradients for read in needed):
                return False
        return False

    def _handed(self, name: str) -> Uncertain | None:
        if name not in self.gradients:
            return None
        return Uncertain.exactly(self.gradients[name].detach(), self.unit)

    def _true_gradient(self, name: str) -> Uncertain:
        return Uncertain.exactly(self.true[name[1:]], self.unit)

    def _continued(self, name: str) -> Uncertain:
        """The gradient ``name`` as the rules make it from those that the pass does define."""
        handed = self._handed(name)
        if handed is not None:
            return handed
        known: Record = dict(self.record)
        for read in reads(self.rules[name]):
            if read[1:] in self.tensors and read not in known:
                known[read] = self._continued(read)
        value: Uncertain = call(self.rules[name], known)
        return value


def agree(one: Tensor, other: Tensor, tolerance: Tensor) -> bool:
    """Whether two tensors are of one shape and no entry differs by more than its tolerance; a
    tolerance that is not finite is none."""
    if one.shape != other.shape:
        return False
    tolerance = torch.where(tolerance.isfinite(), tolerance, 0.0)
    near = (one.double() - other.double()).abs() <= tolerance
    return bool((near | _equal(one, other)).all())


def _equal(one: Tensor, other: Tensor) -> Tensor:
    return (one == other) | (one.isnan() & other.isnan())


def _distance(got: Tensor, true: Tensor) -> tuple[float | None, int | None]:
    """The largest difference and the largest distance in units in the last place."""
    difference = (got.double() - true.double()).abs().masked_fill(_equal(got, true), 0.0)
    if not bool(difference.isfinite().all()):
        return None, None
    if not difference.numel():
        return 0.0, 0
    return float(difference.max()), int(ulp_distance(got, true).max())
