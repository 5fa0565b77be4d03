"""The change to the learner's own line that makes a gradient true."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from typing import Any, Protocol

from torch import Tensor

from makemore_bp.learning.diagnosis.edits import Edit, Words, edits
from makemore_bp.learning.diagnosis.kinds import Diagnosis, Kind, Repair
from makemore_bp.learning.diagnosis.replay import Change
from makemore_bp.learning.diagnosis.walk import exchanged
from makemore_bp.learning.trace import RETURNED, Source

# Of processor time, so that a busy machine finds the same.
SECONDS = 3.0  # for one gradient
PAIRS = 0.6  # for two changes at once
LIKELY = 2.2  # the cost up to which a change is tried together with another


@dataclass(frozen=True)
class Found:
    """A change that makes the gradient true. site: the statement or definition that it changes."""

    edit: Edit
    site: ast.stmt
    order: int

    @property
    def rank(self) -> tuple[float, int, int]:
        """The likelier slip first; among equals the smaller change and the later line."""
        new = ast.unparse(self.edit.new) if self.edit.new is not None else ""
        old = ast.unparse(self.edit.old) if new else ""
        return self.edit.cost, len(old) - len(new) if new in old else len(new), self.order


class Bench(Protocol):
    """The statements that make a gradient."""

    source: Source

    @property
    def nodes(self) -> Sequence[Any]:
        """Them, in the order of execution, each with its ``node``."""
        ...

    def words(self, site: ast.stmt, unit: Any) -> Words:
        """The names that may stand in a statement."""
        ...


Run = Callable[..., Tensor | None]


class Repairs:
    """The search for a repair of one gradient."""

    def __init__(self, bench: Bench, run: Run, accepts: Callable[[Tensor | None], bool]) -> None:
        """``run`` runs the statements with changes; ``accepts`` says whether what they then give is
        what the gradient should be."""
        self._bench, self._run, self._accepts = bench, run, accepts
        self._source = bench.source
        self._deadline = time.process_time() + SECONDS

    def best(self) -> Found | None:
        """The likeliest single change that makes the gradient true."""
        found: Found | None = None
        for candidate in self._candidates:
            if found is not None and candidate.edit.cost > found.edit.cost:
                break
            if self._makes_true(candidate) and (found is None or candidate.rank < found.rank):
                found = candidate
            if time.process_time() > self._deadline:
                break
        return found

    @cached_property
    def _candidates(self) -> list[Found]:
        """Every single change, the likelier first."""
        found = []
        for order, (site, unit) in enumerate(self._sites()):
            shared = self._shared(site)
            for edit in edits(site, self._bench.words(site, unit), self._shown):
                found.append(Found(replace(edit, cost=edit.cost + shared), site, order))
        return sorted((*found, *self._superfluous()), key=lambda each: each.edit.cost)

    def _superfluous(self) -> Iterator[Found]:
        """Statements that change the gradient and may not belong there."""
        units = [unit for unit in self._bench.nodes if isinstance(unit.node, ast.AugAssign)]
        for order, unit in enumerate(units):
            text = f"this line does not belong there: {self._shown(unit.node)}"
            scales = isinstance(unit.node.op, ast.Mult | ast.Div)
            kind = Kind.factor if scales else Kind.extra_term
            edit = Edit(ast.Pass(), unit.node, None, kind, text, 2.4)
            yield Found(edit, unit.node, order)

    def _shared(self, site: ast.stmt) -> float:
        """A function that is called at several places is less likely at fault than one call."""
        if not isinstance(site, ast.FunctionDef):
            return 0.0
        calls = sum(self._called(node) is site for node in ast.walk(self._source.tree))
        return 0.6 if calls > 1 else 0.05

    def pair(self) -> tuple[Found, Found] | None:
        """Two changes, in one statement or in two, that make it true together."""
        deadline = time.process_time() + PAIRS
        likely = [found for found in self._candidates if found.edit.cost <= LIKELY]
        for one, other in combinations(likely, 2):
            if time.process_time() > deadline:
                return None
            changes = self._both(one, other)
            if changes and self._accepts(self._run(*changes)):
                return one, other
        return None

    def _both(self, one: Found, other: Found) -> tuple[Change, ...]:
        if one.site is not other.site:
            return (
                _change(one.site, one.edit.statement),
                _change(other.site, other.edit.statement),
            )
        merged = _merged(one, other)
        return (_change(one.site, merged),) if merged is not None else ()

    def _makes_true(self, found: Found) -> bool:
        return self._accepts(self._run(_change(found.site, found.edit.statement)))

    def _sites(self) -> Iterator[tuple[ast.stmt, Any]]:
        """The statements that make the gradient, the last first, and the functions they call."""
        units = list(reversed(self._bench.nodes))
        for unit in units:
            names = {node.id for node in ast.walk(unit.node) if isinstance(node, ast.Name)}
            if RETURNED not in names:  # that is none of the script's own statements
                yield unit.node, unit
        pending = [(unit.node, unit) for unit in units]
        seen: set[ast.stmt] = set()
        while pending:
            node, unit = pending.pop(0)
            for call in ast.walk(node):
                function = self._called(call)
                if function is not None and function not in seen:
                    seen.add(function)
                    yield function, unit
                    pending.append((function, unit))

    def _called(self, node: ast.AST) -> ast.FunctionDef | None:
        """The function or method of the script's own that a call calls."""
        match node:
            case ast.Call(func=ast.Name(id=name)):
                return self._defined.get(("", name))
            case ast.Call(func=ast.Attribute(value=ast.Name(id=thing), attr=name)) if (
                thing in self._objects
            ):
                return self._defined.get((self._objects[thing], name))
            case ast.Call(func=ast.Attribute(attr=name)):
                methods = (
                    each for (of, called), each in self._defined.items() if of and called == name
                )
                return next(methods, None)
        return None

    @cached_property
    def _defined(self) -> dict[tuple[str, str], ast.FunctionDef]:
        """Functions and methods, by class (or "") and name."""
        nodes = list(ast.walk(self._source.tree))
        methods = {method: node.name for node in nodes if isinstance(node, ast.ClassDef)
                   for method in node.body}  # fmt: skip
        return {(methods.get(node, ""), node.name): node
                for node in nodes if isinstance(node, ast.FunctionDef)}  # fmt: skip

    @cached_property
    def _objects(self) -> dict[str, str]:
        """The classes of names that are given an object: ``layer = Linear(...)``."""
        found = {}
        for node in ast.walk(self._source.tree):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=ast.Name(id=of))):
                    found[name] = of
        return found

    def _shown(self, node: ast.AST) -> str:
        text = self._source.segment(node) if hasattr(node, "lineno") else ""
        return " ".join((text or ast.unparse(node)).split())

    def diagnosis(self, found: Found, hint: str) -> Diagnosis:
        """What to tell the learner of a repair."""
        edit = found.edit
        text = edit.text[:1].upper() + edit.text[1:] if _starts_a_sentence(edit.text) else edit.text
        return Diagnosis(edit.kind, f"{text}.", hint, self.line(found), self.repair(found))

    def line(self, found: Found) -> int:
        """The line of the change."""
        return getattr(found.edit.old, "lineno", found.site.lineno)

    def repair(self, found: Found) -> Repair:
        """The change as text."""
        old = found.edit.old
        before = self._source.segment(old)
        after = ast.unparse(ast.fix_missing_locations(found.edit.new)) if found.edit.new else ""
        column = getattr(old, "col_offset", 0)
        line = self.line(found)
        whole = self._source.text.splitlines()[line - 1]
        raw = whole.encode()
        if getattr(old, "end_lineno", line) == line:
            end = getattr(old, "end_col_offset", len(raw))
            if raw[column - 1 : column] + raw[end : end + 1] != b"()":
                after = _in_parentheses(found.edit, after)
            whole = (raw[:column] + after.encode() + raw[end:]).decode()
        shown = len(raw[:column].decode(errors="replace")) + 1
        return Repair(line, shown, before, after, whole.strip())


def _change(site: ast.stmt, statement: ast.stmt) -> Change:
    return Change(site, ast.fix_missing_locations(ast.copy_location(statement, site)))


def _in_parentheses(edit: Edit, text: str) -> str:
    """The new text as it may stand inside a larger expression."""
    if isinstance(edit.new, ast.BinOp | ast.UnaryOp) and not isinstance(edit.old, ast.stmt):
        return f"({text})"
    return text


def _starts_a_sentence(text: str) -> bool:
    """A word gets a capital; a name or a formula does not."""
    return text.split()[0].rstrip(",;:") in (
        "the", "it", "a", "only", "epsilon", "axis", "this", "what",
    )  # fmt: skip


def _merged(one: Found, other: Found) -> ast.stmt | None:
    """Both changes in one statement, if neither lies inside the other."""
    if other.edit.new is None or isinstance(other.edit.old, ast.stmt):
        one, other = other, one
    old, new = other.edit.old, other.edit.new
    if new is None or isinstance(old, ast.stmt):
        return None
    merged: ast.stmt | None = exchanged(one.edit.statement, old, new)
    return merged
