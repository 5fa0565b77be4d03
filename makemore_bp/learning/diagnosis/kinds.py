"""The kinds of mistakes. A new one is a row here and the place where it is found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Kind(StrEnum):
    """What kind of mistake it is. The simpler stands first: where the data cannot tell two apart,
    it is preferred."""

    aliased = "aliased"
    overwritten = "overwritten"
    sign = "sign"
    factor = "factor"
    epsilon = "epsilon"
    missing_factor = "missing-factor"
    missing_term = "missing-term"
    reduction = "reduction"
    transposed = "transposed"
    shape = "shape"
    place = "index"
    wrong_input = "wrong-input"
    extra_factor = "extra-factor"
    extra_term = "extra-term"
    operation = "operation"
    parentheses = "parentheses"
    start = "start"
    exchanged = "exchanged"
    several = "several"
    unknown = "unknown"

    @property
    def phrase(self) -> str:
        """The kind in a few words, for a summary."""
        return TITLES[self]


TITLES = {
    Kind.aliased: "two names for one tensor",
    Kind.overwritten: "assigned where it must be added to",
    Kind.sign: "a wrong sign",
    Kind.factor: "a wrong number in front",
    Kind.epsilon: "epsilon forgotten or doubled",
    Kind.missing_factor: "a factor is missing",
    Kind.missing_term: "a branch is missing",
    Kind.reduction: "a sum is missing, too many or over the wrong axis",
    Kind.transposed: "rows and columns exchanged",
    Kind.shape: "the right numbers in another shape",
    Kind.place: "a wrong index or range",
    Kind.wrong_input: "another tensor is used",
    Kind.extra_factor: "a factor too many",
    Kind.extra_term: "a term too many",
    Kind.operation: "another operation",
    Kind.parentheses: "parentheses at the wrong place",
    Kind.start: "a wrong value to start from",
    Kind.exchanged: "two gradients exchanged",
    Kind.several: "two mistakes in one line",
    Kind.unknown: "not recognised",
}


@dataclass(frozen=True)
class Repair:
    """One change to the learner's text. line and column count from 1; ``old`` is what stands there
    and becomes ``new``; ``statement`` is the whole statement as it should be."""

    line: int
    column: int
    old: str
    new: str
    statement: str

    def as_json(self) -> dict[str, Any]:
        """Where it is and what changes."""
        return {
            "line": self.line,
            "column": self.column,
            "old": self.old,
            "new": self.new,
            "statement": self.statement,
        }


@dataclass(frozen=True)
class Diagnosis:
    """text: what is wrong, for the learner; hint: the rule's idea; line: the line at fault, where
    it is known; repair: the change to the learner's line that makes it right, if one is known."""

    kind: Kind
    text: str
    hint: str = ""
    line: int | None = None
    repair: Repair | None = None

    def as_json(self) -> Mapping[str, Any]:
        """The diagnosis as a mapping; what is not known is left out."""
        told: dict[str, Any] = {"kind": str(self.kind), "text": self.text, "hint": self.hint}
        if self.line is not None:
            told["line"] = self.line
        if self.repair is not None:
            told["repair"] = self.repair.as_json()
        return told
