# ruff: noqa: SIM905
"""What a labelled learner's file is, and how one is made from a right base by exact edits.

An edit is (gradient, old text, new text, kinds, truth): the old text must occur exactly once in the
base. The statement at fault is the one in which the new text stands, unless `line` names another
(where a statement was taken away, or stands in the wrong order).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

GRADIENTS = (
    "dlogprobs dprobs dcounts_sum_inv dcounts_sum dcounts dnorm_logits dlogit_maxes dlogits dh dW2 "
    "db2 dhpreact dbngain dbnbias dbnraw dbnvar_inv dbnvar dbndiff2 dbndiff dbnmeani dhprebn "
    "dembcat dW1 db1 demb dC"
).split()
RETURNED = "dC dW1 db1 dW2 db2 dbngain dbnbias".split()
KINDS = (
    "sign factor missing-factor missing-term extra-term reduction transposed wrong-input "
    "overwritten aliased index operation parentheses start eps shape exchanged"
).split()


@dataclass(frozen=True)
class Fault:
    """One gradient at fault."""

    line: str  # the exact text of the statement at fault
    says: tuple[str, ...]  # every kind that a fair teacher would accept
    means: str  # what is wrong in truth, for a human judge
    also: tuple[str, ...] = ()  # other statements that may fairly be shown in its place


@dataclass(frozen=True)
class Base:
    """A right solution as text."""

    name: str
    exercise: int
    text: str
    names: dict[str, str] = field(default_factory=dict)  # lecture's name -> expression in the file


@dataclass(frozen=True)
class Case:
    """One learner's file with its labels."""

    name: str
    group: str
    exercise: int
    script: str
    faults: dict[str, Fault]
    missing: frozenset[str] = frozenset()
    names: dict[str, str] = field(default_factory=dict)
    # Gradients in `missing` whose numbers are right already (the missing branch is zero in truth).
    right_already: frozenset[str] = frozenset()
    # Gradients in `faults` that may fairly be called wrong or not: the numbers are right and only
    # the shape is another one, the slip changes nothing but rounding, or the line at fault raised
    # and left nothing. They are not in `blamed`; if they are blamed, `faults` says what is fair.
    either: frozenset[str] = frozenset()
    raises: bool = False  # the script stops with an exception
    float32: bool = False  # float32 is typed into the script
    sizes: bool = True  # False: 32 or 64 is typed into the script
    # Why the plain comparison with the script's own final gradients does not show exactly `blamed`.
    because: str = ""
    plainly_off: frozenset[str] = frozenset()  # what that comparison shows, where `because` is said
    note: str = ""

    @property
    def blamed(self) -> frozenset[str]:
        return frozenset(self.faults) - self.either

    @property
    def line_text(self) -> dict[str, str]:
        return {gradient: fault.line for gradient, fault in self.faults.items()}

    @property
    def says(self) -> dict[str, tuple[str, ...]]:
        return {gradient: fault.says for gradient, fault in self.faults.items()}

    @property
    def means(self) -> dict[str, str]:
        return {gradient: fault.means for gradient, fault in self.faults.items()}


@dataclass(frozen=True)
class Edit:
    gradient: str
    old: str
    new: str
    says: tuple[str, ...]
    means: str
    line: str | None = None
    also: tuple[str, ...] = ()


def edit(
    gradient: str, old: str, new: str, says: str, means: str, line: str | None = None, *also: str
) -> Edit:
    return Edit(gradient, old, new, tuple(says.split()), means, line, also)


def statement_at(script: str, start: int, end: int) -> str:
    """The innermost statement that covers these characters; of a block, its first line."""
    lines = script.split("\n")
    offsets = [0]
    for text in lines:
        offsets.append(offsets[-1] + len(text) + 1)
    best: ast.stmt | None = None
    for node in ast.walk(ast.parse(script)):
        if not isinstance(node, ast.stmt) or node.end_lineno is None:
            continue
        first = offsets[node.lineno - 1] + node.col_offset
        last = offsets[node.end_lineno - 1] + (node.end_col_offset or 0)
        if first <= start and end <= last and (best is None or best.lineno <= node.lineno):
            best = node
    if best is None:
        raise ValueError(f"no single statement covers {script[start:end]!r}: give line=")
    if isinstance(best, ast.For | ast.While | ast.If | ast.With | ast.FunctionDef):
        header = lines[best.lineno - 1].strip()
        if start >= offsets[best.lineno]:
            raise ValueError(f"more than one statement in {script[start:end]!r}: give line=")
        return header
    return ast.get_source_segment(script, best) or ""


def apply(base: Base, edits: tuple[Edit, ...]) -> tuple[str, dict[str, Fault]]:
    """The edited script and its labels."""
    script = base.text
    for one in edits:
        if one.old == one.new:
            continue
        if base.text.count(one.old) != 1 or script.count(one.old) != 1:
            raise ValueError(f"{base.name}: {one.old!r} occurs {base.text.count(one.old)} times")
        script = script.replace(one.old, one.new)
    faults = {}
    for one in edits:
        line = one.line
        if line is None:
            new = one.new.strip("\n")
            core = new.strip()
            at = script.find(one.new) + one.new.find(core)
            if script.count(one.new) != 1:
                # The new text is short: find it by what stands before it in the base.
                position = base.text.find(one.old)
                shift = sum(
                    len(other.new) - len(other.old)
                    for other in edits
                    if other is not one and base.text.find(other.old) < position
                )
                at = position + shift + one.new.find(core)
            line = statement_at(script, at, at + len(core))
        faults[one.gradient] = Fault(line, one.says, one.means, one.also)
    return script, faults


def on(
    group: str,
    base: Base,
    *edits: Edit,
    because: str = "",
    plainly_off: str = "",
    missing: str = "",
    right_already: str = "",
    either: str = "",
    raises: bool = False,
    sizes: bool = True,
    note: str = "",
) -> Case:
    """A case: these edits on this base. The name is made from the base and the gradients."""
    script, faults = apply(base, edits)
    kinds = "-".join(f"{one.gradient}-{one.says[0]}" for one in edits[:2])
    more = f"-and-{len(edits) - 2}-more" if len(edits) > 2 else ""
    return Case(
        name=f"{base.name}-{kinds}{more}",
        group=group,
        exercise=base.exercise,
        script=script,
        faults=faults,
        missing=frozenset(missing.split()),
        names=base.names,
        right_already=frozenset(right_already.split()),
        because=because,
        plainly_off=frozenset(plainly_off.split()),
        either=frozenset(either.split()),
        raises=raises,
        sizes=sizes,
        note=note,
    )


def right(base: Base, *, float32: bool = False, sizes: bool = True, note: str = "") -> Case:
    """A right file, which must not be blamed."""
    return Case(
        f"{base.name}-right",
        "right",
        base.exercise,
        base.text,
        {},
        names=base.names,
        float32=float32,
        sizes=sizes,
        note=note,
    )


def numbered(cases: Iterator[Case]) -> Iterator[Case]:
    """The same cases, each with a name of its own."""
    from dataclasses import replace

    seen: dict[str, int] = {}
    for case in cases:
        seen[case.name] = seen.get(case.name, 0) + 1
        count = seen[case.name]
        yield case if count == 1 else replace(case, name=f"{case.name}-{count}")
