"""A learner's script: run as a plain script would be, and watched.

The script finds the names that the lecture's notebook has in scope (see ``namespace``) and is asked
for nothing but to define gradients. An error ends the script, not the check.
"""

from __future__ import annotations

import ast
import contextlib
import difflib
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from torch import Tensor

from makemore_bp.learning import source as sources
from makemore_bp.learning.failure import LearnerError, explained, look
from makemore_bp.learning.limits import Limits, StoppedError, Tee
from makemore_bp.learning.places import tensor_meant
from makemore_bp.learning.trace import RETURNED, Recorder, Source, Trace
from makemore_bp.network.parameters import NAMES

SHOWN_NAMES = 12


class Script:
    """One run. names: the namespace, afterwards as the script left it; error: why it did not come
    to its end, or what failed that defines nothing; output: what it printed."""

    def __init__(
        self, text: str, path: str, names: Mapping[str, Any], tensors: Mapping[str, Any],
        limits: Limits,
    ) -> None:  # fmt: skip
        """``tensors`` are those whose gradients are looked for, by name."""
        self.text, self.path, self._limits, self._tensors = text, path, limits, tensors
        module = types.ModuleType("__main__")
        module.__file__ = path
        self._module = module
        self.names = module.__dict__
        self.names.update(names)
        self.source = Source(text, path, ast.Module([], []))
        self.error: LearnerError | None = None
        self._scratch: LearnerError | None = None
        self.lent: tuple[str, ...] = ()
        self.before_statement: Callable[[int, int], None] = lambda count, line: None
        self._kept: list[str] = []
        self._recorder: Recorder | None = None

    @property
    def output(self) -> str:
        """What the script printed."""
        return "".join(self._kept)

    def parse(self) -> bool:
        """Reads the text; False if it is not Python."""
        try:
            self.source = Source.parsed(self.text, self.path, self._tensors)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            self.error = self._syntax(error)
            return False
        for name in self.source.kept & self.names.keys():
            self.names[f"{name}.grad"] = self.names[name].grad
        return True

    def lend(self, gradients: Mapping[str, Tensor]) -> None:
        """Puts gradients (by tensor name) where the script will look for them and has none."""
        known = ["d" + name for name in gradients]
        self.lent = tuple(d[1:] for d in sources.read_only(self.source.tree, known))
        for name in self.lent:
            self.names["d" + name] = gradients[name].clone()

    def run(self) -> Trace:
        """Runs the statements one after another."""
        self._recorder = recorder = Recorder(self.source, self.names)
        recorder.interrupt = self._interrupt
        with self._going():
            for statement in self.source.tree.body:
                if not self._one(recorder.instrumented(statement), statement):
                    break
            else:
                self._call_backward(recorder)
        self.error = self.error or self._scratch
        return recorder.trace()

    def _interrupt(self) -> None:
        assert self._recorder is not None
        self.before_statement(self._recorder.count, self._recorder.line)
        self._limits.check()

    def define(self) -> bool:
        """Runs the whole script unwatched, for what it defines; False if that failed."""
        with self._going():
            return all(
                self.guarded(lambda s=s: self._execute(ast.Module([s], [])))  # type: ignore[misc]
                for s in self.source.tree.body
            )

    def do(self, action: Callable[[], Any]) -> None:
        """Does something with what the script defined, as a part of its run."""
        with self._going():
            self.guarded(action)

    @contextlib.contextmanager
    def _going(self) -> Iterator[None]:
        main, argv = sys.modules["__main__"], sys.argv
        sys.modules["__main__"], sys.argv = self._module, [self.path]
        out = Tee(sys.__stdout__, self._kept, self._limits)
        try:
            with (
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(out),
                self._limits.applied(),
            ):
                yield
        except StoppedError as stopped:  # between two statements
            self._describe(stopped)
        finally:
            sys.modules["__main__"], sys.argv = main, argv

    def _one(self, module: ast.Module, statement: ast.stmt) -> bool:
        """Runs a statement; False if the script ends with it. One that defines nothing, such as
        ``dhprebn.shape`` on a line of its own, does not end it."""
        if self.guarded(lambda: self._execute(module)):
            return True
        error = self.error
        if not isinstance(statement, ast.Expr) or error is None:
            return False
        if error.kind in ("stopped", "SystemExit", "KeyboardInterrupt"):
            return False
        self._scratch = self._scratch or replace(error, why="scratch")
        self.error = None
        return True

    def _execute(self, module: ast.Module) -> None:
        code = compile(module, self.path, "exec", dont_inherit=True)
        # The learner asked for this script to be run, as `python my_backward.py` would run it.
        # This and the replay of its statements are where the project executes text as code.
        exec(code, self.names)

    def guarded(self, action: Callable[[], Any]) -> bool:
        """Does something with the learner's code; False if it failed, which is taken down."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default")
                action()
        except BaseException as error:  # sys.exit and KeyboardInterrupt end the script as well
            self._describe(error)
            return False
        return True

    def _call_backward(self, recorder: Recorder) -> None:
        """A script that defines nothing but functions has the one that makes gradients called."""
        if any(tensor_meant(name, self._tensors) for name in self.names
               if "d" + str(name) not in self.names and name[1:] not in self.lent):  # fmt: skip
            return
        function = self.backward
        if function is None:
            return
        line = function.__code__.co_firstlineno

        def call() -> None:
            asked = ", ".join(parameters(function, self.names))
            self._execute(recorder.appended(f"{RETURNED} = {function.__name__}({asked})", line))
            for text in assignments(self.names[RETURNED], function.__name__):
                self._execute(recorder.appended(text, line))

        self.guarded(call)

    @property
    def backward(self) -> Any:
        """The function that makes gradients: ``backward``, or the last that sets some."""
        found = self.names.get("backward")
        if isinstance(found, types.FunctionType):
            return found
        for node in reversed(self.source.tree.body):
            if isinstance(node, ast.FunctionDef):
                made = {tensor_meant(name, self._tensors) for name in sources.targets(node)}
                function = self.names.get(node.name)
                if len(made - {None}) >= 2 and isinstance(function, types.FunctionType):
                    return function
        return None

    def _describe(self, error: BaseException) -> None:
        line, frame = self._where(error)
        if isinstance(error, StoppedError):
            line = line or (self._recorder.line if self._recorder else None)
            self.error = LearnerError("stopped", line, self._line(line), str(error), (), error.why)
            return
        values = {**self.names, **(frame.f_locals if frame is not None else {})}
        names = sources.names_at(self.source.tree, line) if line else ()
        shown = tuple(f"{name}: {look(values[name])}" for name in names if _is_data(values, name))
        code = self._line(line)
        known = [n for n in (*values, *("d" + t for t in self._tensors)) if not n.startswith("_")]
        near = missing = None
        if isinstance(error, NameError) and error.name:
            missing = error.name
            near = difflib.get_close_matches(missing, known, 3, 0.7)
        later = missing is not None and missing in sources.targets(self.source.tree)
        text = explained(error, code, missing, near or [], later)
        self.error = LearnerError(type(error).__name__, line, code, text, shown[:SHOWN_NAMES])

    def _where(self, error: BaseException) -> tuple[int | None, types.FrameType | None]:
        """The last line of the script's own that the error passed through."""
        found: tuple[int | None, types.FrameType | None] = (None, None)
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self.path:
                found = trace.tb_lineno, trace.tb_frame
            trace = trace.tb_next
        return found

    def _syntax(self, error: BaseException) -> LearnerError:
        line = getattr(error, "lineno", None) or 1
        code = self._line(line)
        return LearnerError(
            type(error).__name__, line, code, explained(error, code, None, [], False)
        )

    def _line(self, number: int | None) -> str:
        lines = self.text.splitlines()
        return lines[number - 1] if number and number <= len(lines) else ""


def call_backward(function: types.FunctionType, names: Mapping[str, Any]) -> dict[str, Any]:
    """Calls a learner's function with what its parameters name; gives the gradients by dx.

    It may return a mapping, by dx or x, or a row of seven in the order of ``parameters``.
    Raises TypeError, with a text for the learner, if it asks for or returns something else.
    """
    result = function(*[names[name] for name in parameters(function, names)])
    scope = {RETURNED: result}
    for text in assignments(result, function.__name__):
        exec(text, scope)  # a row of names that are ours
    return {name: value for name, value in scope.items() if name[:1] == "d"}


def parameters(function: types.FunctionType, names: Mapping[str, Any]) -> tuple[str, ...]:
    """The names that a function asks for. Raises TypeError if one of them is not there."""
    asked = function.__code__.co_varnames[: function.__code__.co_argcount]
    asked = asked[: len(asked) - len(function.__defaults__ or ())]
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise TypeError(
            f"{function.__name__} asks for {', '.join(unknown)}, which the forward pass does not "
            "have; its parameters must be names such as h, logits, W2, Yb, n"
        )
    return asked


def assignments(result: Any, title: str) -> list[str]:
    """Statements that give the gradients in a function's result their names. Raises TypeError if
    there are none in it."""
    if isinstance(result, Mapping):
        keys = [key for key in result if isinstance(key, str) and _d(key).isidentifier()]
        return [f"{_d(key)} = {RETURNED}[{key!r}]" for key in keys]
    if isinstance(result, tuple | list) and len(result) == len(NAMES):
        return [f"{', '.join('d' + name for name in NAMES)} = {RETURNED}"]
    what = f"{len(result)} things" if isinstance(result, tuple | list) else look(result)
    raise TypeError(
        f"{title} returns {what}; it must return the seven gradients "
        f"{', '.join('d' + name for name in NAMES)}, in this order or in a dictionary"
    )


def _d(key: str) -> str:
    return "d" + key if key in NAMES else key


def _is_data(values: Mapping[str, Any], name: str) -> bool:
    return isinstance(values.get(name), Tensor | bool | int | float | list | tuple | str)
