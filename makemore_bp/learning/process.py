"""The process in which a learner's script runs: ``python -m ...process FOLDER``.

FOLDER is private to one run and holds request.json and inputs.safetensors; what the script does is
written there as it happens (see watch). The script is the user's own code and runs with
the user's rights. It has a process of its own so that it can loop, exit or crash without harm to
the check.
"""

from __future__ import annotations

import ast
import difflib
import faulthandler
import json
import os
import sys
import types
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from makemore_bp.learning import source as sources
from makemore_bp.learning.namespace import namespace, silence_matplotlib
from makemore_bp.learning.watch import Journal, Watch
from makemore_bp.network.parameters import NAMES

SHOWN_NAMES = 12
MESSAGE = 2000  # characters of an error's own message


def main(folder: Path) -> None:
    """Runs the script that the request in ``folder`` names."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    inputs = load_file(folder / "inputs.safetensors")
    torch.set_num_threads(request["threads"])
    silence_matplotlib()
    sys.path.append(str(Path(request["path"]).resolve().parent))
    sys.argv = [request["path"]]
    with (folder / "stuck.txt").open("w") as stuck:
        journal = Journal(folder)
        journal.write(event="started")
        # Shortly before the process is stopped it notes where it is.
        faulthandler.dump_traceback_later(request["timeout"] * 0.9, file=stuck)
        process = os.getpid()
        script = Script(request["source"], request["path"], journal, _names(inputs, "record/"),
                        _names(inputs, "gradient/"))  # fmt: skip
        script.run()
        if os.getpid() != process:
            os._exit(0)  # a copy that the script forked has come to the script's end
        faulthandler.cancel_dump_traceback_later()


def _names(inputs: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): t for key, t in inputs.items() if key.startswith(prefix)}


class Script:
    """A learner's script, the names that it finds, and the watch over it."""

    def __init__(
        self,
        source: str,
        path: str,
        journal: Journal,
        record: Mapping[str, Tensor],
        gradients: Mapping[str, Tensor],
    ) -> None:
        self._source, self._path, self._journal = source, path, journal
        module = types.ModuleType("__main__")
        module.__file__ = path
        sys.modules["__main__"] = module
        self.names = module.__dict__
        self._forward = {name: tensor.clone() for name, tensor in record.items()}
        self.names.update(namespace(record, gradients))
        self._expected = {"d" + name: gradient for name, gradient in gradients.items()}
        self.tree = ast.Module([], [])

    def run(self) -> None:
        """Runs the statements one after another; an error ends the script, not the process."""
        if not self.guarded(self._parse):
            return
        watch = Watch(self._journal, self.names, self._forward, self._expected)
        lent = sources.read_only(self.tree, self._expected)
        watch.lend(lent)
        hidden = sources.hidden_in_functions(self.tree, self._expected)
        self._journal.write(event="parsed", lent=list(lent), hidden=list(hidden))
        for step, statement in enumerate(self.tree.body):
            self._journal.write(event="statement", line=statement.lineno)
            fine = self.guarded(partial(self._execute, statement))
            watch.after(step, statement, self._text(statement))
            if not fine:
                break
        else:
            self._call_backward(watch)
        watch.end()

    def define(self) -> bool:
        """Runs the whole script unwatched, for what it defines; False if that failed."""
        return self.guarded(self._parse) and all(
            self.guarded(partial(self._execute, statement)) for statement in self.tree.body
        )

    def _parse(self) -> None:
        self.tree = ast.parse(self._source, self._path)
        # Some errors, such as a return outside a function, are found by compiling the whole.
        compile(self._source, self._path, "exec", dont_inherit=True)

    def _execute(self, statement: ast.stmt) -> None:
        code = compile(ast.Module([statement], []), self._path, "exec", dont_inherit=True)
        # The learner asked for this script to be run, as `python my_backward.py` would run it.
        # This is the one place of the project that executes text as code.
        exec(code, self.names)

    def _call_backward(self, watch: Watch) -> None:
        """A script that only defines ``backward(...)``, as in exercise 4, has it called once."""
        function = self.names.get("backward")
        if not isinstance(function, types.FunctionType):
            return
        if any(name in self.names for name in self._expected):
            return
        found = [node for node in self.tree.body if getattr(node, "name", "") == "backward"]
        if not found:
            return

        def call() -> None:
            inside: dict[str, Any] = {}
            returned = call_backward(function, self.names, inside)
            self.names.update({name: inside.get(name) for name in self._expected} | returned)

        self._journal.write(event="statement", line=found[0].lineno)
        self.guarded(call)
        everything = ast.parse(f"{', '.join(self._expected)} = ...").body[0]
        everything.lineno = found[0].lineno
        watch.after(len(self.tree.body), everything, self._text(found[0]))

    def guarded(self, action: Callable[[], None]) -> bool:
        """Does something with the learner's code; False if it failed, which is written down."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("default")
                action()
        except BaseException as error:  # sys.exit and KeyboardInterrupt end the script as well
            self._journal.write(event="error", **self._describe(error))
            return False
        return True

    def _text(self, statement: ast.stmt) -> str:
        return ast.get_source_segment(self._source, statement) or ""

    def _describe(self, error: BaseException) -> dict[str, Any]:
        if isinstance(error, SyntaxError) and error.filename == self._path:
            return {
                "kind": type(error).__name__,
                "line": error.lineno or 1,
                "text": str(error.msg),
                "column": error.offset,
                "names": [],
            }
        line, frame = self._where(error)
        values = {**self.names, **(frame.f_locals if frame is not None else {})}
        names = sources.names_at(self.tree, line) if line else ()
        shown = [f"{name}: {_look(values[name])}" for name in names if _is_data(values.get(name))]
        suggestion: list[str] = []
        if isinstance(error, NameError) and error.name:
            known = {name for name in [*values, *self._expected] if not name.startswith("_")}
            suggestion = difflib.get_close_matches(error.name, known, 3, 0.7)
        return {
            "kind": type(error).__name__,
            "line": line,
            "text": _message(error),
            "names": shown[:SHOWN_NAMES],
            "suggestion": suggestion,
            "missing": getattr(error, "name", None) if isinstance(error, NameError) else None,
        }

    def _where(self, error: BaseException) -> tuple[int | None, types.FrameType | None]:
        """The last line of the script's own that the error passed through."""
        found: tuple[int | None, types.FrameType | None] = (None, None)
        trace = error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == self._path:
                found = trace.tb_lineno, trace.tb_frame
            trace = trace.tb_next
        return found


def call_backward(
    function: types.FunctionType, names: Mapping[str, Any], inside: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Calls a learner's ``backward`` with what its parameters name; gives the gradients by dx.

    ``inside`` is filled with the function's local names as it returns. It may return a mapping, by
    dx or x, or a row of seven in the order of ``parameters``.
    Raises TypeError, with a text for the learner, if it asks for or returns something else.
    """
    asked = function.__code__.co_varnames[: function.__code__.co_argcount]
    unknown = [name for name in asked if name not in names]
    if unknown:
        raise TypeError(
            f"backward asks for {', '.join(unknown)}, which the forward pass does not have; its "
            "parameters must be names such as h, logits, W2, Yb, n"
        )

    def at_return(frame: types.FrameType, event: str, _: Any) -> None:
        if event == "return" and frame.f_code is function.__code__ and inside is not None:
            inside.update(frame.f_locals)

    sys.setprofile(at_return if inside is not None else None)
    try:
        result = function(*[names[name] for name in asked])
    finally:
        sys.setprofile(None)
    if isinstance(result, Mapping):
        return {_d(str(key)): value for key, value in result.items()}
    if isinstance(result, tuple | list) and len(result) == len(NAMES):
        return {"d" + name: value for name, value in zip(NAMES, result, strict=True)}
    what = f"{len(result)} things" if isinstance(result, tuple | list) else _look(result)
    raise TypeError(
        f"backward returns {what}; it must return the seven gradients "
        f"{', '.join('d' + name for name in NAMES)}, in this order or in a dictionary"
    )


def _d(key: str) -> str:
    return "d" + key if key in NAMES else key


def _is_data(value: Any) -> bool:
    return isinstance(value, Tensor | bool | int | float | list | tuple | str)


def _look(value: Any) -> str:
    """What a value is, in a few words: its shape if it has one."""
    if isinstance(value, Tensor):
        return f"{tuple(value.shape)}"
    if isinstance(value, bool | int | float):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"a {type(value).__name__} of {len(value)}"
    return "None" if value is None else f"a {type(value).__name__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)[:MESSAGE]
    except Exception:  # an error class of the learner's own may not be able to show itself
        return ""


if __name__ == "__main__":
    main(Path(sys.argv[1]))
