"""One gradient of a derivation, explained: which lines read its tensor, the idea, the steps."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator
from textwrap import indent

from makemore_bp.errors import RequestError
from makemore_bp.learning.derive.derivation import Derivation
from makemore_bp.learning.derive.program import Variable
from makemore_bp.learning.derive.rules import RULES
from makemore_bp.learning.derive.statements import Part


def explain(derivation: Derivation, name: str) -> str:
    """The derivation of a gradient in Markdown; ``name`` is its own or its tensor's.

    Raises RequestError if there is no such gradient.
    """
    return "\n".join(_explained(derivation, find(derivation, name)))


def idea(derivation: Derivation, variable: Variable) -> str:
    """The ideas behind one gradient, in a few sentences."""
    terms = [t for part in derivation.parts for t in part.terms if t.variable is variable]
    ideas = list(dict.fromkeys(idea for term in terms for idea in term.ideas))
    if len(terms) > 1:
        readers = (
            f"{variable.name} is read {_times(len(terms))}, so {len(terms)} gradients are added."
        )
        ideas.insert(0, readers)
    return " ".join(ideas)


def find(derivation: Derivation, name: str) -> Variable:
    """The variable with a gradient of this name. Raises RequestError if there is none."""
    names = {derivation.name(v): v for v in derivation.variables}
    plain = {v.name: v for v in derivation.variables}
    found = names.get(name) or plain.get(name)
    if found is None:
        near = difflib.get_close_matches(name, [*names, *plain], 1)
        raise RequestError(
            "There is no gradient of the name '{name}'. " + (
                "Did you mean {near}?" if near else "There are {known}."
            ), name=name, near=near[0] if near else "", known=", ".join(names),
        )  # fmt: skip
    return found


def _explained(derivation: Derivation, variable: Variable) -> Iterator[str]:
    name = derivation.name(variable)
    yield f"## {name}\n"
    parts = [
        (part, terms)
        for part in derivation.parts
        if (terms := [term for term in part.terms if term.variable is variable])
    ]
    if len(parts) > 1:
        count = len(parts)
        yield f"{variable.name} is read by {count} lines, so {count} gradients are added.\n"
    for part, terms in parts:
        yield from _code(derivation, part, variable)
        if part.left:
            yield "There is no rule for this line; autograd gives what it hands back.\n"
        for rule in dict.fromkeys(rule for term in terms for rule in term.rules):
            yield _markdown(inspect.getdoc(RULES[rule].rule) or "")
    yield f"Shapes: {_shapes([part for part, _ in parts], derivation, variable)}.\n"


def _code(derivation: Derivation, part: Part, variable: Variable) -> Iterator[str]:
    own = derivation.name(variable)
    lines = [
        line for line in part.code if _target(line) == own or part.left or len(part.terms) == 1
    ]
    yield indent("\n".join([*(f"# {line}" for line in part.step.lines()), *lines]), "    ") + "\n"


def _target(line: str) -> str:
    return line.split()[0].split("[")[0].split(".")[0].rstrip(",")


def _shapes(parts: list[Part], derivation: Derivation, variable: Variable) -> str:
    read = [(derivation.name(part.step.result), part.step.result) for part in parts]
    told = [f"{name} {_shape(v)}" for name, v in read if v is not derivation.loss]
    others = [f"{v.name} {_shape(v)}" for part in parts for v in part.step.reads]
    return f"{', '.join(dict.fromkeys([*others, *told]))} -> {_shape(variable)}"


def _shape(variable: Variable) -> str:
    return f"({', '.join(map(str, variable.value.shape))})"


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


def _markdown(doc: str) -> str:
    """A docstring as Markdown: what is indented is code; elsewhere a star is a star."""
    lines = doc.splitlines()
    plain = (each if each.startswith("    ") else each.replace("*", r"\*") for each in lines)
    return "\n".join(plain) + "\n"
