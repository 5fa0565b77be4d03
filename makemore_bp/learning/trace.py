"""What a script had at each of its statements.

The script's syntax tree gets a call before every statement, also inside functions, loops and
``with``. The call takes down what the names hold at that moment. Only the first two executions of
a statement within one call of a function are taken down, so that a loop of 200,000 steps costs a
dictionary look-up a statement, and what it did is seen at the statement after it.

    Snapshot   what the names held at one moment; tensors are copies, made once for each change
    Step       a statement that was about to be executed, and the snapshot of that moment
    Trace      all steps, and the names at the end
"""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from makemore_bp.learning.places import GradientsAsNames, gradients_kept

HOOK = "__makemore_bp_before__"
RETURNED = "__makemore_bp_returned__"  # what a function that was called for the script gave back
EXECUTIONS = 2  # of a statement that are taken down in one frame
FRAMES = 12  # calls of one function that are taken down
LARGEST = 5_000_000  # entries; a larger tensor is not copied
CONTAINER = 200  # entries; a larger list or dictionary is not looked into


@dataclass(frozen=True)
class Snapshot:
    """names: by name; storages: for names of tensors, which memory they use; local: the names that
    belong to the function's frame, empty at the top level."""

    names: Mapping[str, Any]
    storages: Mapping[str, int]
    local: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Step:
    """statement: its number in ``Source.statements``, or -1 for the end of a frame; frame: 0 at the
    top level, otherwise the number of the call; execution: 0 for the first time in this frame."""

    statement: int
    frame: int
    execution: int
    before: Snapshot


@dataclass
class Source:
    """A script's text and tree, and its statements in the order in which they are written.

    kept: the tensors to whose ``.grad`` it assigns; in the tree ``W1.grad`` is a name like others.
    """

    text: str
    path: str
    tree: ast.Module
    kept: frozenset[str] = frozenset()
    statements: list[ast.stmt] = field(default_factory=list)
    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    _segments: dict[ast.AST, str] = field(default_factory=dict)

    @classmethod
    def parsed(cls, text: str, path: str, tensors: Collection[str] = ()) -> Source:
        """A script that may assign the gradients of ``tensors`` to their ``.grad``. Raises
        SyntaxError as Python does, also for what only compiling finds."""
        tree = ast.parse(text, path)
        compile(text, path, "exec", dont_inherit=True)
        kept = gradients_kept(tree, tensors)
        source = cls(text, path, GradientsAsNames(kept).visit(tree) if kept else tree, kept)
        for node in ast.walk(tree):
            for child in ast.iter_child_nodes(node):
                source.parents[child] = node
        source.statements = sorted(
            (node for node in ast.walk(tree) if isinstance(node, ast.stmt)),
            key=lambda node: (node.lineno, node.col_offset),
        )
        return source

    def segment(self, node: ast.AST) -> str:
        """The text of a node as the learner wrote it."""
        if node not in self._segments:
            self._segments[node] = ast.get_source_segment(self.text, node) or ""
        return self._segments[node]


@dataclass
class Trace:
    """steps: in the order of execution; end: the names after the last statement; codes: for each
    frame that was taken down the name of its function, ``<module>`` for 0."""

    source: Source
    steps: list[Step]
    end: Snapshot
    functions: dict[int, str]


class Recorder:
    """Instruments a script and takes down its steps."""

    def __init__(self, source: Source, names: dict[str, Any]) -> None:
        """``names`` is the namespace in which the script will be executed."""
        self.source, self.names = source, names
        self.steps: list[Step] = []
        self.functions = {0: "<module>"}
        self.count = 0  # statements executed so far
        self.line = 0  # of the statement that is being executed
        self.interrupt: Callable[[], None] = lambda: None  # may raise to end the script
        self._numbers = {node: number for number, node in enumerate(source.statements)}
        self._lines = [node.lineno for node in source.statements]
        self._executions: dict[tuple[int, int], int] = {}
        self._calls: dict[types.CodeType, int] = {}
        self._frames: dict[int, tuple[types.FrameType, int]] = {}
        self._freezer = Freezer()
        self._closed = False
        names[HOOK] = self.before

    def instrumented(self, statement: ast.stmt) -> ast.Module:
        """A top-level statement with the call before it and before every statement inside it."""
        return ast.Module(self._hooked([statement], outermost=True), [])

    def appended(self, text: str, line: int) -> ast.Module:
        """A statement that the script does not have, as if it stood at its end; ``line`` is where
        its reason stands. Instrumented like the others."""
        (statement,) = ast.parse(text).body
        for node in ast.walk(statement):
            if hasattr(node, "lineno"):
                node.lineno = node.end_lineno = line  # type: ignore[attr-defined]
        self.source.tree.body.append(statement)
        self._numbers[statement] = len(self.source.statements)
        self.source.statements.append(statement)
        self._lines.append(line)
        return self.instrumented(statement)

    def before(self, number: int) -> None:
        """Called before each statement of the script."""
        if self._closed:  # the statements are run again, for the diagnosis
            return
        self.count += 1
        if number >= 0:
            self.line = self._lines[number]
        self.interrupt()
        frame = sys._getframe(1)
        if frame.f_locals is self.names:
            self._take(number, 0, self.names)
            return
        known = self._frames.get(id(frame))
        if known is None or known[0] is not frame:
            known = frame, self._called(frame)
            self._frames[id(frame)] = known
        if known[1]:
            self._take(number, known[1], frame.f_locals)

    def _called(self, frame: types.FrameType) -> int:
        """The number of a new frame, or 0 if it is one too many to be taken down."""
        calls = self._calls[frame.f_code] = self._calls.get(frame.f_code, 0) + 1
        if calls > FRAMES:
            return 0
        number = len(self.functions)
        self.functions[number] = frame.f_code.co_name
        return number

    def _take(self, number: int, frame: int, names: Mapping[str, Any]) -> None:
        execution = self._executions.get((number, frame), 0)
        if execution < EXECUTIONS:
            self._executions[number, frame] = execution + 1
            self.steps.append(Step(number, frame, execution, self._snapshot(frame, names)))

    def _snapshot(self, frame: int, names: Mapping[str, Any]) -> Snapshot:
        if frame == 0:
            return self._freezer.snapshot(self.names)
        return self._freezer.snapshot({**self.names, **names}, frozenset(names))

    def trace(self) -> Trace:
        """What was taken down. Frames are let go of."""
        end = self._freezer.snapshot(self.names)
        self._closed = True
        self._frames.clear()
        return Trace(self.source, self.steps, end, self.functions)

    def _hooked(self, body: list[ast.stmt], outermost: bool = False) -> list[ast.stmt]:
        new: list[ast.stmt] = []
        for statement in body:
            if not _is_fixed_in_place(statement):
                new.append(self._call(self._numbers[statement], statement))
            new.append(self._inside(statement))
        return new

    def _inside(self, statement: ast.stmt) -> ast.stmt:
        """A copy of a statement whose blocks are hooked."""
        blocks = {
            name: self._hooked(value)
            for name, value in ast.iter_fields(statement)
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt)
        }
        if isinstance(statement, ast.FunctionDef):
            blocks["body"].append(self._call(-1, statement.body[-1]))
        more: dict[str, Any] = {}
        if isinstance(statement, ast.Try):
            more["handlers"] = [self._handler(handler) for handler in statement.handlers]
        if isinstance(statement, ast.Match):
            more["cases"] = [
                ast.match_case(case.pattern, case.guard, self._hooked(case.body))
                for case in statement.cases
            ]
        if not blocks and not more:
            return statement
        fields = {name: getattr(statement, name) for name in statement._fields}
        return ast.copy_location(type(statement)(**{**fields, **blocks, **more}), statement)

    def _handler(self, handler: ast.ExceptHandler) -> ast.ExceptHandler:
        new = ast.ExceptHandler(handler.type, handler.name, self._hooked(handler.body))
        return ast.copy_location(new, handler)

    def _call(self, number: int, at: ast.stmt) -> ast.stmt:
        call = ast.Call(ast.Name(HOOK, ast.Load()), [ast.Constant(number)], [])
        return ast.fix_missing_locations(ast.copy_location(ast.Expr(call), at))


def _is_fixed_in_place(statement: ast.stmt) -> bool:
    """Docstrings and imports from __future__ must stay first."""
    if isinstance(statement, ast.ImportFrom):
        return statement.module == "__future__"
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


class Freezer:
    """Makes copies of what names hold, one for each state of a tensor."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Tensor, int, Tensor]] = {}

    def snapshot(self, names: Mapping[str, Any], local: frozenset[str] = frozenset()) -> Snapshot:
        """What the names hold at this moment."""
        frozen = {name: self._frozen(value) for name, value in names.items() if name != HOOK}
        storages = {
            name: value.untyped_storage().data_ptr()
            for name, value in names.items()
            if isinstance(value, Tensor) and value.layout == torch.strided and value.numel()
        }
        return Snapshot(frozen, storages, local)

    def _frozen(self, value: Any, depth: int = 0) -> Any:
        if isinstance(value, Tensor):
            return self._copy(value)
        kind = type(value)
        if depth == 2 or kind not in _CONTAINERS or len(_entries(value)) > CONTAINER:
            return value
        return _CONTAINERS[kind](value, lambda part: self._frozen(part, depth + 1))

    def _copy(self, tensor: Tensor) -> Tensor:
        if tensor.numel() > LARGEST or tensor.is_meta or tensor.is_inference():
            return tensor
        version = tensor._version
        known = self._known.get(id(tensor))
        if known is not None and known[0] is tensor and known[1] == version:
            return known[2]
        copy = tensor.detach().clone()
        if tensor.is_leaf and tensor.grad is not None:
            copy.grad = tensor.grad
        self._known[id(tensor)] = tensor, version, copy
        return copy


def _entries(value: Any) -> Any:
    return vars(value) if isinstance(value, types.SimpleNamespace) else value


_CONTAINERS: dict[type, Callable[[Any, Callable[[Any], Any]], Any]] = {
    dict: lambda value, part: {key: part(entry) for key, entry in value.items()},
    list: lambda value, part: [part(entry) for entry in value],
    tuple: lambda value, part: tuple(part(entry) for entry in value),
    types.SimpleNamespace: lambda value, part: types.SimpleNamespace(
        **{key: part(entry) for key, entry in vars(value).items()}
    ),
}


def own_statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that are executed one after another once a block is entered: those of
    ``with``, ``if`` and ``try`` count as the block's own, a loop or a definition as one."""
    for statement in body:
        if isinstance(statement, ast.With | ast.If | ast.Try):
            for part in ("body", "handlers", "orelse", "finalbody"):
                for inner in getattr(statement, part, []):
                    inside = inner.body if isinstance(inner, ast.ExceptHandler) else [inner]
                    yield from own_statements(inside)
        else:
            yield statement
