"""From what a script left behind to what the learner is told of each gradient.

The gradients are gone through from the loss downwards. For each the question is put to its own
statements: are they right where everything that they read is right (see ``truth``)? Then it is
``exact`` or ``close``, or it inherits a mistake from above. If they are not, the mistake is here,
and is looked for: in the order of events, by repair, by what it left behind.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from makemore_bp.gradcheck.judge import Status, TensorReport
from makemore_bp.learning.blocks import Blocks, Home
from makemore_bp.learning.diagnosis.blame import Blame
from makemore_bp.learning.diagnosis.compare import agrees, same_bits, scale
from makemore_bp.learning.diagnosis.kinds import Diagnosis
from makemore_bp.learning.diagnosis.replay import Bench
from makemore_bp.learning.diagnosis.rounding import why_close
from makemore_bp.learning.diagnosis.world import Given, quietly
from makemore_bp.learning.truth import Truth
from makemore_bp.learning.values import as_tensor, lacking_axes, measured

RIGHT = ("exact", "close")


@dataclass(frozen=True)
class Finding:
    """report: the gradient held against autograd's, with its final status; place: where the script
    keeps it; line: the line that gave it its last value; why_close, unfinished, note: what else
    there is to say of it."""

    report: TensorReport
    place: str = ""
    line: int | None = None
    diagnosis: Diagnosis | None = None
    why_close: str | None = None
    unfinished: str | None = None
    note: str | None = None

    @property
    def status(self) -> str:
        """The final status."""
        return self.report.status

    @property
    def right(self) -> bool:
        """Whether there is nothing to fix."""
        return self.status in RIGHT


def examine(
    blocks: Blocks, truth: Truth, expected: Collection[str], lent: Collection[str] = ()
) -> dict[str, Finding]:
    """What to say of each gradient of ``truth`` that is expected or that the script has, by its
    tensor's name. ``lent`` are tensors whose gradients the script was given."""
    with quietly():
        examiner = _Examiner(blocks, truth, frozenset(lent))
        names = [name for name in truth.gradients if name in expected or name in examiner.homes]
        return {name: examiner.finding(name) for name in names}


class _Examiner:
    def __init__(self, blocks: Blocks, truth: Truth, lent: Collection[str]) -> None:
        self.blocks, self.truth = blocks, truth
        self.homes: dict[str, Home] = {}
        self.values: dict[str, Tensor] = {}
        self.notes: dict[str, str] = {}
        for name, true in truth.reference.items():
            home = blocks.home(name)
            if home is None or not home.writes:
                continue
            value, note = as_tensor(home.value, true)
            if note:
                self.notes[name] = note
            self.homes[name] = home
            if value is not None:
                self.values[name] = self._shaped(name, value, true)
        self.findings: dict[str, Finding] = {}

    def _shaped(self, name: str, value: Tensor, true: Tensor) -> Tensor:
        if not lacking_axes(value, true):
            return value
        self.notes[name] = (
            f"it has the shape {tuple(value.shape)} where its tensor has {tuple(true.shape)}; "
            "broadcasting makes up for the axes of length 1 in front, here and in an update. "
            "keepdim=True in the sum keeps them"
        )
        return value.reshape(true.shape)

    def finding(self, name: str) -> Finding:
        if name not in self.findings:
            true = self.truth.reference[name]
            report = measured(name, self.values.get(name), true, self._tolerance(name))
            self.findings[name] = Finding(report)  # for two gradients that read each other
            self.findings[name] = self._found(name, report)
        return self.findings[name]

    def _found(self, name: str, report: TensorReport) -> Finding:
        home = self.homes.get(name)
        if home is None:
            return Finding(report)
        unit = home.block.units[home.writes[-1]]
        found = Finding(report, str(home.place), unit.node.lineno, note=self.notes.get(name))
        if name not in self.values:
            return found
        return self._judged(name, home, found)

    def _judged(self, name: str, home: Home, found: Finding) -> Finding:
        blame = Blame(self.blocks, home, name, self.truth)
        aliased = blame.aliased(self.values[name]) if found.status != "exact" else None
        if aliased is not None:
            return _wrong(found, aliased)
        for last in home.definitions:
            bench = Bench(self.blocks, home, name, self.truth, last)
            final = last == home.definitions[-1]
            if not final and not blame.used(last):
                continue
            verdict = self._verdict(name, bench)
            if verdict is False and self._at_fault(name, bench, found if final else None):
                waits = blame.unfinished(bench) if final else None
                if waits is not None:
                    return replace(found, report=_status(found, Status.MISSING), unfinished=waits)
                diagnosis = blame.diagnosis(bench, self._zero(name))
                if diagnosis is not None:
                    return _wrong(found, diagnosis)
            if final and not found.right:
                return self._not_right(name, bench, found, verdict, blame)
        return self._right(name, home, found)

    def _at_fault(self, name: str, bench: Bench, found: Finding | None) -> bool:
        """Whether statements that are not right in a true world are to be blamed. If the result is
        right all the same, it must be seen why: epsilon, or an input that is wrong as well."""
        if found is None or not found.right:
            return True
        if self._zero(name):
            return True
        if any(not self.finding(read).right for read in bench.reads()):
            return True
        return "float32" not in bench.text and ".float()" not in bench.text

    def _not_right(
        self, name: str, bench: Bench, found: Finding, verdict: bool | None, blame: Blame
    ) -> Finding:
        """The statements are right in a true world, or nothing can be said by running them."""
        order = list(self.truth.gradients)
        earlier = {*order[: order.index(name)], *bench.reads()} & self.homes.keys()
        if verdict and any(not self.finding(other).right for other in earlier):
            return replace(found, report=_status(found, Status.INHERITS))
        if verdict is None and self._follows(name):
            return replace(found, report=_status(found, Status.INHERITS))
        return _wrong(found, blame.unknown(bench))

    def _follows(self, name: str) -> bool:
        """Whether the gradient is what the true rule gives for the script's own gradients."""
        given = {
            other: value.double()
            for other, value in self.values.items()
            if other != name and value.shape == self.truth.gradients[other].shape
        }
        if not any(not self.finding(other).right for other in given if other in self.findings):
            return False
        try:
            local = self.truth.local(name, given)
        except (RuntimeError, IndexError, ValueError):
            return True
        return agrees(self.values[name].double(), local.double(), 24 * 2**29)

    def _verdict(self, name: str, bench: Bench) -> bool | None:
        """Whether the statements are right in a true world; None if they cannot be run again."""
        if self._zero(name):
            if scale(self.values[name]) == 0 or bench.right_at_random(bench.run(bench.random)):
                return True
            return False if bench.faithful else None
        value = bench.true()
        if value is not None and bench.agrees(value):
            return True
        return False if bench.faithful else None

    def _right(self, name: str, home: Home, found: Finding) -> Finding:
        if found.status != "close":
            return found
        bench = Bench(self.blocks, home, name, self.truth)
        reads = bench.reads()
        off = [
            str(self.homes[read].place)
            for read in reads
            if read in self.homes and self.finding(read).status != "exact"
        ]
        again = bench.run(self.truth.reference, given=Given(single=True))
        exact = again is not None and same_bits(_like(again, found), self.truth.reference[name])
        terms = self.truth.terms(name)
        reason = why_close(
            name,
            off,
            own_line_is_exact=exact,
            fused=not set(terms) & set(reads) and "loss" not in terms,
            zero=self._zero(name),
            all_zero=scale(self.values[name]) == 0,
        )
        return replace(found, why_close=reason)

    def _zero(self, name: str) -> bool:
        """Whether the gradient is zero in truth and holds nothing but rounding."""
        return scale(self.truth.gradients[name]) <= self.truth.noise(name)

    def _tolerance(self, name: str) -> float:
        dtype = self.truth.reference[name].dtype
        ratio = torch.finfo(dtype).eps / torch.finfo(torch.float64).eps
        return self.truth.noise(name) * ratio / 4


def _like(tensor: Tensor, found: Finding) -> Tensor:
    return tensor.reshape(found.report.shape) if tensor.numel() else tensor


def _wrong(found: Finding, diagnosis: Diagnosis) -> Finding:
    status = Status.SHAPE if found.status is Status.SHAPE else Status.WRONG
    report = replace(found.report, status=status, diagnosis=diagnosis.as_json())
    return replace(found, report=report, diagnosis=diagnosis, line=diagnosis.line or found.line)


def _status(found: Finding, status: Status) -> TensorReport:
    return replace(found.report, status=status)
