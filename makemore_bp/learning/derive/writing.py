"""A derivation as a file that runs: the forward pass, the way back, and on demand a check.

What does not concern the gradients stands as it was written. A statement of the forward pass does
too, if it is one line of the program; a loop, a call or a line that was cut is replaced by the
lines of the program that it came to.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator

from torch import Tensor

from makemore_bp.learning.derive.derivation import Derivation
from makemore_bp.learning.derive.naming import find_places
from makemore_bp.learning.derive.program import Step, Variable, text
from makemore_bp.learning.derive.statements import Part

WIDTH = 96
_LEFT = '''\
def left_to_autograd(line, dy, *inputs):
    """What PyTorch hands back for a line that has no rule here."""
    inputs = [x.detach().requires_grad_() for x in inputs]
    with torch.enable_grad():
        return torch.autograd.grad(line(*inputs), inputs, dy)
'''
_CHECK = """\
# Each gradient beside autograd's.
held = {{
{rows}
}}
true = torch.autograd.grad({loss}, [tensor for _, tensor in held.values()])
for (name, (own, _)), other in zip(held.items(), true):
    exact, close = bool((own == other).all()), torch.allclose(own, other, 1e-4, 1e-6)
    print(f"{{name:20s}} | exact: {{exact!s:5s}} | approximate: {{close}}")
"""


def whole_file(derivation: Derivation, check: bool = False) -> str:
    """The forward and the backward pass as one file; with ``check`` its last lines print how every
    gradient compares with autograd's."""
    return "\n".join(_Writer(derivation).parts(check)).rstrip("\n") + "\n"


def forward_pass(derivation: Derivation) -> str:
    """The forward pass alone, as the derivation has it."""
    return "\n".join(_Writer(derivation).forward(check=False)).strip("\n")


def backward_pass(derivation: Derivation) -> str:
    """The backward pass alone."""
    said: set[str] = set()
    parts = [
        line
        for part in derivation.parts
        if part.terms
        for line in [*_part(derivation, part, said), ""]
    ]
    return "\n".join(parts)


class _Writer:
    def __init__(self, derivation: Derivation) -> None:
        self.derivation = derivation
        self.program = derivation.program
        self.tree = ast.parse(self.program.source)
        self.steps: dict[int, list[Step]] = {}
        cuts = [v.step for v in derivation.cuts if v.step is not None]
        forward = derivation.forward
        made = {step.result for step in forward}
        self.slice = self.program.steps_to(derivation.loss)
        others = [step for step in self.slice if step.result not in made]
        masks = [step for step in cuts if step.result not in made]
        for step in sorted([*others, *masks, *forward], key=lambda s: s.result.time):
            self.steps.setdefault(step.top, []).append(step)
        self.differentiable = {step.top for step in forward}
        self.renamed: set[str] = set()
        self.said: set[Variable] = set()

    def parts(self, check: bool) -> Iterator[str]:
        yield from self.forward(check)
        yield "\n# The backward pass, from the loss to the first line.\n"
        if any(part.left for part in self.derivation.parts):
            yield _LEFT
        yield backward_pass(self.derivation)
        if check:
            yield self._check()

    def forward(self, check: bool) -> Iterator[str]:
        """The lines of the forward pass."""
        if "torch" not in self.program.names:
            yield "import torch\n"
        last = self.derivation.loss.step
        assert last is not None
        find_places(self.program, [v for v in self._read() if not self._has_name(v)])
        end = 0
        for top, statement in enumerate(self.tree.body[: last.top + 1]):
            first = statement.lineno - 1
            lines = self.program.source.splitlines()
            yield from (line.rstrip() for line in lines[end:first] if top or line.strip())
            end = statement.end_lineno or statement.lineno
            yield from self._statement(top, statement, check)

    def _statement(self, top: int, statement: ast.stmt, check: bool) -> Iterator[str]:
        steps = self.steps.get(top, [])
        source = ast.get_source_segment(self.program.source, statement) or ""
        if top not in self.differentiable:
            yield from self._kept(statement, source)
        elif self._is_as_written(steps, statement):
            yield from self._given(steps, check)
            yield source
        else:
            yield from self._given(steps, check)
            for step in steps:
                yield from step.lines()
            self.renamed |= {
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            }

    def _kept(self, statement: ast.stmt, source: str) -> Iterator[str]:
        """A statement that makes no tensor of the way to the loss. If it reads what was unrolled,
        its results stand for it."""
        reads = {n.id for n in ast.walk(statement) if isinstance(n, ast.Name)}
        defines = isinstance(statement, ast.FunctionDef | ast.ClassDef)
        if defines or not reads & self.renamed:
            decorated = getattr(statement, "decorator_list", [])
            yield from (f"@{ast.unparse(each)}" for each in decorated)
            yield source
            return
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                value = self.program.names.get(node.id)
                if isinstance(value, int | float | str | tuple):
                    yield f"{node.id} = {value!r}"

    def _is_as_written(self, steps: list[Step], statement: ast.stmt) -> bool:
        if len(steps) != 1 or not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            return False
        (step,), (target,) = steps, statement.targets
        return (
            step.base is None
            and isinstance(target, ast.Name)
            and target.id == step.result.name
            and text(step.expression) == ast.unparse(statement.value)
        )

    def _given(self, steps: list[Step], check: bool) -> Iterator[str]:
        """Names for what the lines read and the file has under a longer expression; for the check,
        the tensors that autograd has to watch."""
        made = {step.result for step in self.slice if step.top in self.differentiable}
        for variable in dict.fromkeys(v for step in steps for v in step.reads):
            if variable in made or variable in self.said or variable in self.derivation.cuts:
                continue
            self.said.add(variable)
            if not self._has_name(variable) and variable.place is not None:
                yield f"{variable.name} = {variable.place}"
            elif not self._has_name(variable) and variable.step is None:
                yield f"# {variable.name}: the file keeps this tensor under no name; give it one."
            if check and variable in self.derivation.variables and not variable.tracked:
                yield f"{variable.name}.requires_grad_()"

    def _has_name(self, variable: Variable) -> bool:
        return any(b.scope == 0 and b.name == variable.name for b in variable.bindings)

    def _read(self) -> list[Variable]:
        return list(dict.fromkeys(v for step in self.slice for v in step.reads))

    def _check(self) -> str:
        gradients = [(self.derivation.name(v), v.name) for v in self.derivation.variables]
        rows = [f'    "{name}": ({name}, {tensor}),' for name, tensor in gradients]
        return _CHECK.format(rows="\n".join(rows), loss=self.derivation.loss.name)


def _part(derivation: Derivation, part: Part, said: set[str]) -> Iterator[str]:
    """The way back through one line: the line, its ideas where they come up first, the code with
    the shapes."""
    yield from (f"# {line}" for line in part.step.lines())
    for idea in dict.fromkeys(idea for term in part.terms for idea in term.ideas):
        if idea not in said:
            said.add(idea)
            yield from textwrap.wrap(idea, WIDTH, initial_indent="#   ", subsequent_indent="#   ")
    if part.left:
        yield "#   No rule is known here; autograd gives what the line hands back."
    shapes = {
        derivation.name(term.variable): tuple(term.variable.value.shape) for term in part.terms
    }
    for line in part.code:
        name = line.split()[0].split("[")[0].split(".")[0]
        told = f"  # {_shape(shapes.pop(name))}" if name in shapes and " = " in line else ""
        yield line + told


def _shape(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))})" if shape else "()"


def shape_of(tensor: Tensor) -> str:
    """A tensor's shape as it is written in the text: ``(32, 27)``."""
    return _shape(tuple(tensor.shape))
