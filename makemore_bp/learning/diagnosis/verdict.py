"""What kind of mistake a wrong gradient is: hypotheses, tried one after another on its numbers."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from inspect import getdoc
from typing import Any

import torch
from torch import Tensor

from makemore_bp.learning.diagnosis import table
from makemore_bp.learning.diagnosis.changes import changes, show
from makemore_bp.learning.diagnosis.compare import (
    CLEAR,
    agrees,
    combination,
    multiple,
    same_bits,
    scale,
)
from makemore_bp.learning.diagnosis.evidence import Evidence
from makemore_bp.learning.diagnosis.forms import (
    branches,
    evaluate,
    forms,
    is_gradient,
    names_in,
    rule_of,
)
from makemore_bp.learning.diagnosis.numbers import factor_text
from makemore_bp.network.stage import Rule

# The simpler comes first: where the data cannot tell two kinds apart, it is preferred.
KINDS = (
    "aliased",
    "overwritten",
    "sign",
    "factor",
    "missing-factor",
    "missing-term",
    "reduction",
    "transposed",
    "wrong-input",
    "unknown",
)


@dataclass(frozen=True)
class Diagnosis:
    """kind: one of ``KINDS``; text: what is wrong, for the learner; hint: the rule's idea."""

    kind: str
    text: str
    hint: str

    def as_json(self) -> dict[str, str]:
        """The three as a mapping."""
        return {"kind": self.kind, "text": self.text, "hint": self.hint}


@dataclass(frozen=True)
class Finding:
    """A hypothesis that reproduces the learner's tensor. ``brought`` are names that it brings into
    the rule; ``witnessed`` if it rests on what the script was seen to do, not on numbers alone."""

    kind: str
    text: str
    brought: frozenset[str] = frozenset()
    witnessed: bool = False


def diagnose(
    name: str,
    gradients: Mapping[str, Tensor],
    record: Mapping[str, Any],
    rule: Rule | None = None,
    evidence: Evidence | None = None,
    exactly: bool = False,
) -> Diagnosis:
    """What kind of mistake made the gradient ``name`` (such as ``dh``) what it is.

    ``gradients`` are the pass's own by name, ``record`` is the true forward pass, ``rule`` the
    local rule that the pass was held to. With ``exactly`` only hypotheses that reproduce every bit
    count; for gradients that are nothing but rounding. Never raises for odd tensors.
    """
    evidence = evidence or Evidence()
    hint = idea(name, rule)
    learner = gradients[name]
    if not bool(torch.isfinite(learner).all()):
        return Diagnosis("unknown", _not_finite(learner), hint)
    names = {**record, **gradients}
    source = evidence.source(name)
    for tree in sorted(forms(name, rule), key=lambda tree: _unheard(names_in(tree), source)):
        truth = evaluate(tree, names) if names_in(tree) <= names.keys() else None
        if truth is None:
            continue
        trial = _Trial(name, learner, truth, tree, names, evidence, exactly)
        findings = list(trial.findings())
        if findings:
            best = _choose(findings, names_in(tree), source)
            return Diagnosis(best.kind, _sentence(best.text), hint)
    text = "The kind of mistake is not one of those that can be recognised."
    return Diagnosis("unknown", text, hint)


def idea(name: str, rule: Rule | None = None) -> str:
    """The idea of a gradient's rule in words: the first paragraph of its docstring."""
    doc = getdoc(rule or rule_of(name)) or ""
    return " ".join(doc.split("\n\n")[0].split())


@dataclass(frozen=True)
class _Trial:
    """One gradient, held against everything that may have gone wrong with one form of its rule."""

    name: str
    learner: Tensor
    truth: Tensor
    tree: ast.expr
    names: Mapping[str, Any]
    evidence: Evidence
    exactly: bool

    def findings(self) -> Iterator[Finding]:
        if self._reproduces(self.truth, even_if_true=True):
            return
        yield from self._from_history()
        if self.learner.shape == self.truth.shape:
            yield from self._multiples()
        yield from self._changes()
        if self.name == "dC":
            mistakes = table.table_mistakes(self.learner, self.names["demb"], self.names)
            yield from (Finding(kind, text) for kind, text in mistakes)
        yield from self._layout()
        yield from self._superfluous()

    def _reproduces(self, value: Tensor | None, even_if_true: bool = False) -> bool:
        if value is None or value.shape != self.learner.shape:
            return False
        value = value.to(self.learner.dtype)
        if self.exactly:
            return same_bits(value, self.learner)
        if not agrees(value, self.learner):
            return False
        return even_if_true or not agrees(value, self.truth, CLEAR)

    def _from_history(self) -> Iterator[Finding]:
        own = [v for v in self.evidence.history.get(self.name, ()) if v.own]
        for earlier in own[:-1]:
            tensor = earlier.tensor
            if tensor.shape == self.learner.shape and agrees(tensor + self.learner, self.truth):
                text = (
                    f"line {own[-1].line} assigns {self.name} anew (=) where it must be added to "
                    f"(+=), so what line {earlier.line} computed is lost"
                )
                yield Finding("overwritten", text, witnessed=True)
        step = self.evidence.step(self.name)
        for read in sorted(names_in(self.tree)):
            if is_gradient(read) and step is not None:
                version = self.evidence.as_read(read, step)
                if version is not None and self._with(read, version.tensor):
                    text = (
                        f"it is computed from {read} as it was after line {version.line}, before "
                        f"{read} was complete"
                    )
                    yield Finding("wrong-input", text, witnessed=True)
            mutation = self.evidence.mutated.get(read)
            if mutation is not None and self._with(read, mutation.tensor):
                text = f"line {mutation.line} changes {read}, and this gradient reads it afterwards"
                yield Finding("wrong-input", text, witnessed=True)

    def _with(self, name: str, tensor: Tensor) -> bool:
        return self._reproduces(evaluate(self.tree, {**self.names, name: tensor}))

    def _multiples(self) -> Iterator[Finding]:
        if scale(self.learner) == 0:
            if scale(self.truth):
                yield Finding("missing-term", "every entry is zero: nothing ever reaches it")
            return
        if self.exactly:
            if same_bits(self.learner, -self.truth):
                yield Finding(*factor_text(-1, self.names, self.name))
            return
        c = multiple(self.learner, self.truth)
        if c is not None:
            yield Finding(*factor_text(c, self.names, self.name))
            return
        yield from self._branches()

    def _branches(self) -> Iterator[Finding]:
        terms = branches(self.tree)
        values = [evaluate(term, self.names) for term in terms]
        full = [
            v.expand_as(self.truth) for v in values if v is not None and _spreads(v, self.truth)
        ]
        found = combination(self.learner, full) if len(terms) == len(full) > 1 else None
        if found is None:
            return
        off = [(c, term) for c, term in zip(found, terms, strict=True) if abs(c - 1) > 2e-4]
        if len(off) != 1:
            return
        c, term = off[0]
        if abs(c) < 2e-4:
            yield Finding("missing-term", f"the branch {show(term)} is left out")
        else:
            yield Finding(*factor_text(c, self.names, f"the branch {show(term)}"))

    def _changes(self) -> Iterator[Finding]:
        others = tuple(
            name
            for name, value in self.names.items()
            if isinstance(value, Tensor)
            and (value.is_floating_point() or name in ("Xb", "Yb"))
            and name != self.name
        )
        for change in changes(self.tree, others):
            if self._reproduces(evaluate(change.tree, self.names)):
                yield Finding(change.kind, change.text, change.brought)

    def _layout(self) -> Iterator[Finding]:
        truth = self.truth
        if truth.ndim == 2 and self._reproduces(truth.T):
            yield Finding("transposed", "rows and columns are exchanged")
        elif table.is_reshaped(self.learner, truth):
            squeezed = [d for d in self.learner.shape if d != 1] == [
                d for d in truth.shape if d != 1
            ]
            text = f"the numbers are right, their shape must be {tuple(truth.shape)}"
            if squeezed:
                yield Finding("reduction", f"{text}; look at keepdim")
            else:
                yield Finding("transposed", text)
        elif truth.ndim == 3:
            n, rows, columns = truth.shape
            swapped = truth.reshape(n, columns, rows).transpose(1, 2)
            if self._reproduces(swapped):
                yield Finding("transposed", "the last two axes are exchanged")

    def _superfluous(self) -> Iterator[Finding]:
        for name, value in self.names.items():
            if is_gradient(name) or not isinstance(value, Tensor) or not value.is_floating_point():
                continue
            if not _spreads(value, self.truth):
                continue
            if self._reproduces(self.truth * value):
                text = f"it is multiplied by {name} as well, which does not belong there"
                yield Finding("wrong-input", text, frozenset({name}))
            if self._reproduces(self.truth / value):
                text = f"it is divided by {name} as well, or {name} is not multiplied in"
                yield Finding("missing-factor", text, frozenset({name}))


def _spreads(tensor: Tensor, over: Tensor) -> bool:
    """Whether broadcasting makes a tensor one of the shape of another."""
    try:
        return tensor.expand_as(over).shape == over.shape
    except RuntimeError:
        return False


def _unheard(names: Iterable[str], source: str) -> int:
    """How many of the names do not occur in the source; 0 if there is no source to look at."""
    return len(set(names) - set(re.findall(r"\w+", source))) if source else 0


def _choose(findings: list[Finding], right: set[str], source: str) -> Finding:
    """The finding that fits the learner's own words best, and among those the simplest.

    ``right`` are the names that the true rule reads.
    """
    words = set(re.findall(r"\w+", source))

    def badness(finding: Finding) -> tuple[bool, int, bool, bool, int, int]:
        unheard = _unheard(finding.brought, source)
        # A name that the rule does not read, and the learner did: there is the mistake.
        heard = bool(finding.brought & words - right)
        # Over the batch, a mean is a sum with 1/n in front; what is typed tells the two apart.
        averages = finding.kind == "reduction" and " mean " in f" {finding.text} "
        misses = (averages or "mean" in words) and averages != ("mean" in words)
        rank = KINDS.index(finding.kind)
        return not finding.witnessed, unheard, misses, not heard, rank, len(finding.text)

    return min(findings, key=badness)


def _not_finite(tensor: Tensor) -> str:
    nans, infinities = int(tensor.isnan().sum()), int(tensor.isinf().sum())
    return (
        f"{nans} of {tensor.numel()} entries are NaN and {infinities} are infinite. Look for a "
        "division by zero, the logarithm of zero, or a root or power of a negative number."
    )


def _sentence(text: str) -> str:
    """A full stop and a capital, which a tensor's name must not get."""
    first = text.split()[0].rstrip(",;:")
    is_name = is_gradient(first) or is_gradient("d" + first) or "_" in first or len(first) == 1
    return (text if is_name and first != "a" else text[:1].upper() + text[1:]) + "."
