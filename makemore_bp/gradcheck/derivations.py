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
from makemore_bp.network import batchnorm_fused, cross_entropy_fused, dropout, linear
from makemore_bp.network.batchnorm import EPS
from makemore_bp.network.passes import Network
from makemore_bp.network.stage import Rule, Stage
from makemore_bp.text import visible

BEGIN, END = "<!-- derivations: begin -->\n", "<!-- derivations: end -->\n"

_TITLES = (
    "Embedding",
    "Hidden layer: linear",
    "Batch normalisation",
    "Tanh",
    "Output layer: linear",
    "Softmax and cross-entropy",
)
_FUSED = {
    "Cross-entropy in one line": cross_entropy_fused.fused,
    "Batch normalisation in one line": batchnorm_fused.fused,
}
# What is other with dropout: its own rule, and those of the output layer that reads what it leaves.
_DROPOUT = {rule.__name__: rule for rule in (dropout.dh, dropout.dhdrop, dropout.dW2)}


def explain(name: str) -> str:
    """The derivation of a gradient, in Markdown; of both ways where there are two, and of that with
    dropout where it is another one.

    ``name`` is the gradient's (``dbnvar``) or its tensor's (``bnvar``). Raises RequestError if
    there is no such gradient.
    """
    ways = _ways(name)
    dropped = _DROPOUT.get(ways[0][1].__name__)
    if dropped is not None and dropped is not ways[0][1]:
        ways = [*ways, ("with dropout", dropped)]
    return "\n".join(_explained(label, rule) for label, rule in ways)


def solution(name: str) -> str:
    """The line, or few lines, that compute a gradient, to be pasted into a script.

    Raises RequestError if there is no such gradient.
    """
    ways = _ways(name)
    code = [line(rule).replace("EPS", str(EPS)) for _, rule in ways]
    if len(ways) == 1:
        return code[0]
    return "\n\n".join(f"# {label}\n{lines}" for (label, _), lines in zip(ways, code, strict=True))


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
    yield _code(f"{e.name} = {e.source}" for e in equations(Network.of()))
    titled = zip(_TITLES, Network.of().stages, strict=True)
    for title, stage in reversed(list(titled)):
        yield f"## {title}\n"
        if stage is linear.output:
            yield _markdown(linear.__doc__)
        yield from (_section(rule) for rule in stage.backward)
    for title, stage in _FUSED.items():
        yield f"## {title}\n"
        yield from (_section(rule) for rule in _own(stage))
    yield "## Dropout\n"
    yield _markdown(inspect.getdoc(dropout))
    yield from (_section(rule) for rule in _DROPOUT.values())


def _section(rule: Rule) -> str:
    code = _code([*_forward(rule), *line(rule).splitlines()])
    return f"### {rule.__name__}\n\n{code}\n{_markdown(inspect.getdoc(rule))}"


def _explained(label: str, rule: Rule) -> str:
    heading = f"## {rule.__name__}" + (f", {label}" if label else "")
    general = _markdown(linear.__doc__) + "\n" if rule.__module__ == linear.__name__ else ""
    return f"{heading}\n\n{_code(_forward(rule))}\n{general}{_markdown(inspect.getdoc(rule))}"


def _forward(rule: Rule) -> Iterator[str]:
    """The lines of the forward pass that read the tensor whose gradient the rule gives."""
    fused = any(rule in _own(stage) for stage in _FUSED.values())
    switch = "fused" if fused else "op-by-op"
    network = Network.of(switch, switch, dropout=rule in _DROPOUT.values())
    for equation in equations(network):
        if rule.__name__[1:] in equation.reads:
            yield f"# {equation.name} = {equation.source}"


def _own(stage: Stage) -> list[Rule]:
    """The rules of a fused stage that it does not share with the op-by-op one."""
    shared = Network.of().rules
    return [rule for rule in stage.backward if rule not in shared]


def _ways(name: str) -> list[tuple[str, Rule]]:
    """The rules that give a gradient, each with the name of its way."""
    rules = {rule.__name__: [("one operation at a time", rule)] for rule in Network.of().rules}
    for stage in _FUSED.values():
        for rule in _own(stage):
            rules[rule.__name__].append(("the whole stage at once", rule))
    rules["dhdrop"] = [("with dropout", dropout.dhdrop)]
    found = rules.get(name) or rules.get(f"d{name}")
    if found is None:
        near = difflib.get_close_matches(name, [*rules, *(rule[1:] for rule in rules)], 1)
        meant = f" Did you mean {near[0]}?" if near else f" There are {', '.join(rules)}."
        raise RequestError(f"There is no gradient of the name '{visible(name)}'.{meant}")
    return found if len(found) > 1 else [("", found[0][1])]


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
