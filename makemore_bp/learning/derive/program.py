"""A file's tensors as a straight program: what a run computed, one tensor after another.

Loops are unrolled, functions are inlined, and a tensor that was bound again or changed in place is
another variable. So every line reads variables that stand above it, and a backward pass is a walk
through the lines from the last to the first.
"""

from __future__ import annotations

import ast
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from makemore_bp.errors import RequestError

if TYPE_CHECKING:
    from makemore_bp.learning.derive.moments import Moment


@dataclass(frozen=True)
class Binding:
    """A name that the file gave to a variable: in the scope with this number (0 is the module),
    after so many events of the run, by the statement at ``line`` with the text ``source``."""

    scope: int
    name: str
    time: int
    line: int
    source: str
    own: bool = True
    moment: Moment | None = None


@dataclass(eq=False)
class Variable:
    """One state of one tensor.

    name: its name in the program, settled by ``naming``; value: a copy; tensor: itself;
    line: where it was made or first seen; hint: what the file calls it; step: what made it, None
    if it is given; place: an expression with which a given tensor is found, such as
    ``layers[0].weight``; note: why its making could not be followed; bindings: its names.
    """

    value: Tensor
    tensor: Tensor
    line: int
    time: int
    name: str = ""
    hint: str = "t"
    step: Step | None = None
    place: str | None = None
    note: str | None = None
    bindings: list[Binding] = field(default_factory=list)

    @property
    def is_global(self) -> bool:
        """Whether a name of the module leads to it."""
        return any(binding.scope == 0 and "[" not in binding.name for binding in self.bindings)

    @property
    def tracked(self) -> bool:
        """Whether PyTorch records it for autograd."""
        return self.tensor.requires_grad

    @property
    def differentiable(self) -> bool:
        """Whether it holds numbers that can move a little."""
        return self.value.is_floating_point()


@dataclass(eq=False)
class Step:
    """``result = expression``, or with an index: ``result = base.clone(); result[index] =
    expression``. The names in the expressions are ``Reference``s to variables.

    line, source: of the file's statement; top: the position of the module's statement in which it
    ran; state: of the random generator before, where the statement may have drawn from it; moment:
    the statement under way.
    """

    result: Variable
    expression: ast.expr
    line: int
    source: str
    top: int
    base: Variable | None = None
    index: ast.expr | None = None
    state: Tensor | None = None
    moment: Moment | None = None
    code: tuple[types.CodeType, ...] = ()

    @property
    def reads(self) -> tuple[Variable, ...]:
        """The variables that it reads, each once, in order of appearance."""
        found = [] if self.base is None else [self.base]
        for tree in (self.index, self.expression):
            found += [] if tree is None else references(tree)
        return tuple(dict.fromkeys(found))

    @property
    def depends(self) -> tuple[Variable, ...]:
        """Those of them whose numbers matter, and not only their shapes."""
        found = [] if self.base is None else [self.base]
        return tuple(dict.fromkeys([*found, *references(self.expression, numbers=True)]))

    @property
    def statement(self) -> ast.stmt | None:
        """The statement of the file that was under way."""
        return self.moment.node if self.moment is not None else None

    def lines(self) -> list[str]:
        """The step as lines of Python in the program's names."""
        name, value = self.result.name, text(self.expression)
        if self.base is None:
            return [f"{name} = {value}"]
        assert self.index is not None
        place = text(ast.Subscript(Reference(self.result), self.index, ast.Load()))
        return [f"{name} = {self.base.name}.clone()", f"{place} = {value}"]


class Reference(ast.expr):
    """A variable in an expression; it is written as the name that the variable has by then."""

    def __init__(self, variable: Variable) -> None:
        super().__init__()
        self.variable = variable


@dataclass
class Program:
    """Everything that a run computed.

    tree: of the file; variables: in the order in which they came to be; names: the file's own
    namespace after the run; given: further objects that expressions read, by a name that no file
    uses; notes: what could not be followed, each with its line; moments: before each statement.
    """

    source: str
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))
    variables: list[Variable] = field(default_factory=list)
    names: dict[str, Any] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    moments: list[Moment] = field(default_factory=list, repr=False)

    def steps_to(self, loss: Variable) -> list[Step]:
        """The steps that the loss depends on, in the order in which they ran."""
        needed, found = {id(loss)}, []
        for variable in reversed(self.variables):
            if id(variable) in needed and variable.step is not None:
                found.append(variable.step)
                needed |= {id(read) for read in variable.step.reads}
        return found[::-1]

    def namespace(self, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the program's expressions may read: the file's names and the given objects."""
        return {**self.names, **self.given, **(values or {})}


def text(node: ast.expr) -> str:
    """An expression as Python, with the present names of its variables."""
    return ast.unparse(with_names(node, lambda variable: variable.name))


def with_names(node: ast.AST, name: Callable[[Variable], str]) -> Any:
    """A copy of a tree with a name for each variable."""
    return replaced(
        node,
        lambda each: (
            ast.Name(name(each.variable), ast.Load()) if isinstance(each, Reference) else None
        ),
    )


_SHAPES = frozenset(
    [
        "shape",
        "dtype",
        "device",
        "ndim",
        "size",
        "numel",
        "dim",
        "new_zeros",
        "new_ones",
        "new_full",
        "zeros_like",
        "ones_like",
        "full_like",
        "empty_like",
        "rand_like",
        "randn_like",
        "expand_as",
        "view_as",
        "reshape_as",
        "type_as",
    ]
)
_OWN = frozenset(("expand_as", "view_as", "reshape_as", "type_as"))  # of x only the argument's


def references(node: ast.AST, numbers: bool = False) -> list[Variable]:
    """The variables in an expression, in order; with ``numbers`` without those that are only asked
    for their shape, such as the x of ``x.shape[0]``."""
    if isinstance(node, Reference):
        return [node.variable]
    parts = list(ast.iter_child_nodes(node))
    if numbers:
        called = node.func if isinstance(node, ast.Call) else node
        if isinstance(called, ast.Attribute) and called.attr in _SHAPES:
            parts = [called.value] if called.attr in _OWN else []
    return [variable for part in parts for variable in references(part, numbers)]


def replaced(node: Any, change: Callable[[ast.AST], Any]) -> Any:
    """A copy of an expression in which ``change`` gives another node for some; None keeps one."""
    if not isinstance(node, ast.AST):
        return node
    new = change(node)
    if new is not None:
        return new
    if isinstance(node, Reference):
        return node
    fields = {
        name: [replaced(each, change) for each in value]
        if isinstance(value, list)
        else replaced(value, change)
        for name, value in ast.iter_fields(node)
    }
    return type(node)(**fields)


def put(node: ast.expr, old: ast.expr, new: ast.expr) -> ast.expr:
    """A copy of an expression with one of its parts exchanged."""
    changed: ast.expr = replaced(node, lambda each: new if each is old else None)
    return changed


def index_value(index: ast.expr) -> ast.expr:
    """An index as an expression of its own: outside of brackets ``a:b`` is ``slice(a, b)``."""
    if isinstance(index, ast.Slice):
        ends = (index.lower, index.upper, index.step)
        parts = [each or ast.Constant(None) for each in ends]
        return ast.Call(ast.Name("slice", ast.Load()), parts, [])
    if isinstance(index, ast.Tuple):
        return ast.Tuple([index_value(each) for each in index.elts], ast.Load())
    return index


def differentiable_steps(steps: Iterable[Step], tracked: bool) -> Iterator[Step]:
    """Those of the steps that hand a gradient on: they make floats from what has a gradient."""
    for step in steps:
        if step.result.differentiable and any(wanted(read, tracked) for read in step.depends):
            yield step


def wanted(variable: Variable, tracked: bool) -> bool:
    """Whether a variable has a gradient: where the file asks PyTorch for gradients, if it asked for
    this one; else every float does."""
    return variable.differentiable and (variable.tracked or not tracked)


def evaluate(step: Step, names: dict[str, Any]) -> Tensor:
    """The step's result from the variables' values in ``names``; the variables have been named.

    The code is the learner's own statement, which has run already. Raises RequestError if it
    cannot run again.
    """
    if step.state is not None:
        torch.set_rng_state(step.state)
    if not step.code:
        trees = [step.expression, *([] if step.index is None else [index_value(step.index)])]
        step.code = tuple(compile(text(tree), f"line {step.line}", "eval") for tree in trees)
    try:
        value, *index = [eval(code, names) for code in step.code]
    except Exception as error:
        raise RequestError(
            "line {line}: '{source}' cannot be run a second time by itself ({kind}: {reason}). "
            "Compute what it calls before, and give it a name.",
            line=step.line,
            source=step.source,
            kind=type(error).__name__,
            reason=str(error) or "no message",
        ) from error
    if step.base is None:
        return value  # type: ignore[no-any-return]
    result: Tensor = names[step.base.name].clone()
    result[index[0]] = value
    return result
