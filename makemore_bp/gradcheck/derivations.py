"""Every gradient's derivation and its line of code, read from the rules of the heart.

The docstring of a rule is its derivation: an idea, the steps, the shapes. ``gradcheck --explain``,
``--solution`` and docs/backward.md show the same text. To renew the latter after a change:

    python -m makemore_bp.gradcheck.derivations docs/backward.md
"""

from __future__ import annotations

import ast
import difflib
import inspect
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from textwrap import dedent, indent

from makemore_bp.errors import RequestError
from makemore_bp.gradcheck.equations import equations
from makemore_bp.network import dropout, linear
from makemore_bp.network.batchnorm import EPS
from makemore_bp.network.passes import CHOICES, Network
from makemore_bp.network.stage import Rule, Stage

BEGIN, END = "<!-- derivations: begin -->\n", "<!-- derivations: end -->\n"

LECTURE = Network()
# The other kinds of a stage, from the loss upwards, each with a network that has it.
OTHERS: dict[Stage, Network] = {
    stage: Network.of(**{name: kind})
    for name, kinds in reversed(CHOICES.items())
    for kind, stage in kinds.items()
    if stage not in LECTURE.stages
} | {dropout.output: LECTURE.dropping(True)}


def explain(name: str) -> str:
    """The derivation of a gradient, in Markdown, by each stage that gives it.

    ``name`` is the gradient's (``dbnvar``) or its tensor's (``bnvar``). Raises RequestError if
    there is no such gradient.
    """
    ways = _ways(name)
    return "\n".join(_explained(stage.way if len(ways) > 1 else "", rule) for stage, rule in ways)


def solution(name: str) -> str:
    """The line, or few lines, that compute a gradient, to be pasted into a script.

    Raises RequestError if there is no such gradient.
    """
    every = _ways(name)
    ways = [(stage, rule) for stage, rule in every if _is_the_lectures(stage)] or every
    code = [line(rule).replace("EPS", str(EPS)) for _, rule in ways]
    if len(ways) == 1:
        return code[0]
    headed = zip(ways, code, strict=True)
    return "\n\n".join(f"# {stage.way}\n{lines}" for (stage, _), lines in headed)


def document() -> str:
    """The forward pass and every derivation in the order of the backward pass, in Markdown."""
    return "\n".join(_parts())


def renewed(text: str) -> str:
    """A page with the text between its two markers replaced by ``document()``."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{document()}\n{END}{after}"


def line(rule: Rule) -> str:
    """A rule's code as assignments to the gradient's name."""
    source = dedent(inspect.getsource(rule))
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.FunctionDef)
    first = definition.body[1]  # after the docstring
    code = dedent("\n".join(source.splitlines()[first.lineno - 1 :]))
    return code.replace("return ", f"{rule.__name__} = ")


def _parts() -> Iterator[str]:
    yield "## The forward pass\n"
    yield _code(f"{e.name} = {e.source}" for e in equations(LECTURE))
    for stage in reversed(LECTURE.stages):
        yield f"## {stage.title}\n"
        if stage is linear.output:
            yield _markdown(linear.__doc__)
        yield from (_section(rule) for rule in stage.backward)
    for stage in OTHERS:
        yield f"## {stage.title}\n"
        if stage is dropout.output:
            yield _markdown(inspect.getdoc(dropout))
        yield from (_section(rule) for rule in _own(stage))


def _section(rule: Rule) -> str:
    code = _code([*_forward(rule), *line(rule).splitlines()])
    return f"### {rule.__name__}\n\n{code}\n{_markdown(inspect.getdoc(rule))}"


def _explained(label: str, rule: Rule) -> str:
    heading = f"## {rule.__name__}" + (f", {label}" if label else "")
    general = _markdown(linear.__doc__) + "\n" if rule.__module__ == linear.__name__ else ""
    return f"{heading}\n\n{_code(_forward(rule))}\n{general}{_markdown(inspect.getdoc(rule))}"


def _forward(rule: Rule) -> Iterator[str]:
    """The lines of the forward pass that read the tensor whose gradient the rule gives."""
    network = next((n for stage, n in OTHERS.items() if rule in _own(stage)), LECTURE)
    for equation in equations(network):
        if rule.__name__[1:] in equation.reads:
            yield f"# {equation.name} = {equation.source}"


def _own(stage: Stage) -> list[Rule]:
    """The rules of a stage that the lecture's network does not have."""
    return [rule for rule in stage.backward if rule not in LECTURE.rules]


def _is_the_lectures(stage: Stage) -> bool:
    """Whether a stage is one of the lecture's network, or the same in one line."""
    return (stage.op_by_op or stage) in LECTURE.stages


def _ways(name: str) -> list[tuple[Stage, Rule]]:
    """The rules that give a gradient, each with its stage."""
    rules = {rule.__name__: [(stage, rule)] for stage in LECTURE.stages for rule in stage.backward}
    for stage in OTHERS:
        for rule in _own(stage):
            rules.setdefault(rule.__name__, []).append((stage, rule))
    found = rules.get(name) or rules.get(f"d{name}")
    if found is None:
        known = [rule.__name__ for rule in LECTURE.rules]
        near = difflib.get_close_matches(name, [*known, *(rule[1:] for rule in known)], 1)
        meant = f"Did you mean {near[0]}?" if near else f"There are {', '.join(known)}."
        raise RequestError("There is no gradient of the name '{name}'. " + meant, name=name)
    return found


def _code(lines: Iterable[str]) -> str:
    return indent("\n".join(lines), "    ") + "\n"


def _markdown(doc: str | None) -> str:
    """A docstring as Markdown: what is indented is code; elsewhere a star is a star."""
    lines = inspect.cleandoc(doc or "").splitlines()
    plain = (each if each.startswith("    ") else each.replace("*", r"\*") for each in lines)
    return "\n".join(plain) + "\n"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(renewed(page.read_text(encoding="utf-8")), encoding="utf-8")
