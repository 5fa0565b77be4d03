"""An expression of the file as an expression over the program's variables.

What is a variable becomes a reference to it, whatever way the file took to it. Local numbers become
the numbers that they were; names of the module that are bound once stay what they are. A call that
might come to something else a second time, or do something, becomes what it came to: the
expressions are evaluated again, and the printed file must mean the run that was seen.
"""

from __future__ import annotations

import ast
import builtins
import types
from typing import TYPE_CHECKING, Any

from torch import Tensor

from makemore_bp.learning.derive.instrument import number
from makemore_bp.learning.derive.program import Reference

if TYPE_CHECKING:
    from makemore_bp.learning.derive.tracker import Tracker

_UNSEEN = object()
_LIBRARIES = ("builtins", "math", "numpy", "torch")
_ONCE = (next, input, open, print, exec, eval)  # those of the built-in functions that do something
_UNCHANGING = (Tensor, bool, int, float, complex, str, bytes, tuple, range)
_REPLACED = {  # methods that forget what was there, as expressions of x and their arguments
    "zero_": "x.new_zeros(x.shape)",
    "fill_": "x.new_full(x.shape, a)",
    "copy_": "a.expand_as(x).clone()",
}


class Flattener:
    """Rewrites the expressions of a recorder's present scope."""

    def __init__(self, recorder: Tracker) -> None:
        self._recorder = recorder

    def is_path(self, node: ast.expr) -> bool:
        """Whether an expression only names something that is there: ``x``, ``self.w``, ``p["w"]``,
        but not ``x.T`` or ``x[0]`` of a tensor x, which make new ones."""
        if isinstance(node, ast.Name):
            return True
        if isinstance(node, ast.Attribute | ast.Subscript):
            return self.is_path(node.value) and not isinstance(self._value(node.value), Tensor)
        return False

    def happens_once(self, node: ast.expr) -> bool:
        """Whether an expression is a call that is not made again; what it came to stands for it.

        One that makes tensors from tensors is made again, since gradients pass through it.
        """
        if not isinstance(node, ast.Call) or _repeats(self._value(node.func)):
            return False
        return not (
            _has_tensors(self._value(node))
            and any(
                _has_tensors(self._value(part))
                for part in ast.walk(node)
                if isinstance(part, ast.expr) and part is not node
            )
        )

    def flat(self, node: ast.expr) -> ast.expr:
        """The expression over variables."""
        value = self._value(node)
        if isinstance(value, Tensor):
            return self._tensor(node, value)
        if value is not _UNSEEN and self.happens_once(node):
            return self._thing(node, value)
        if isinstance(node, ast.Name):
            return self._named(node, value)
        if isinstance(node, ast.GeneratorExp | ast.ListComp):
            return self._row(self._recorder.scope.elements.get(number(node.elt), []), node)
        if isinstance(node, ast.IfExp):
            return self.flat(node.body if self._value(node.test) else node.orelse)
        if self.is_path(node) and value is not _UNSEEN:
            return self._thing(node, value)
        return self._inside(node)

    def out_of_place(self, call: ast.Call) -> ast.expr | None:
        """``x.mul(2)`` for ``x.mul_(2)``, or None if no method does that."""
        assert isinstance(call.func, ast.Attribute)
        x, method = self.flat(call.func.value), call.func.attr
        arguments = [self.flat(argument) for argument in call.args]
        if method in _REPLACED:
            names = {"x": x, **dict(zip("a", arguments, strict=False))}
            return _Put(names).visit(ast.parse(_REPLACED[method], mode="eval").body)  # type: ignore[no-any-return]
        if not hasattr(Tensor, method[:-1]):
            return None
        keywords = [ast.keyword(k.arg, self.flat(k.value)) for k in call.keywords]
        return ast.Call(ast.Attribute(x, method[:-1], ast.Load()), arguments, keywords)

    def _value(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant):
            return node.value
        return self._recorder.scope.values.get(number(node), _UNSEEN)

    def _tensor(self, node: ast.expr, value: Tensor) -> ast.expr:
        variable = self._recorder.find(value)
        if variable is None and (self.is_path(node) or self.happens_once(node)):
            variable = self._recorder.given(value, _last(node))
        return self._inside(node) if variable is None else Reference(variable)

    def _named(self, node: ast.Name, value: Any) -> ast.expr:
        if value is _UNSEEN or (
            (self._recorder.constant(node.id) and not _holds_tensors(value))
            or getattr(builtins, node.id, self) is value
        ):  # fmt: skip
            return ast.Name(node.id, ast.Load())
        return self._thing(node, value)

    def _thing(self, node: ast.expr, value: Any) -> ast.expr:
        """Something that is not a tensor, at the end of a path."""
        if _holds_tensors(value):
            return self._row(value, node)
        if _is_literal(value):
            return ast.parse(repr(value), mode="eval").body
        if isinstance(node, ast.Attribute | ast.Subscript) and not _leads_through(node, "self"):
            return self._inside(node)
        return self._object(node, value)

    def _object(self, node: ast.expr, value: Any) -> ast.expr:
        """A thing that the module may not know by this name: it is handed over under another."""
        names = self._recorder.names
        if isinstance(node, ast.Name) and names.get(node.id) is value:
            return ast.Name(node.id, ast.Load())
        given = self._recorder.program.given
        name = next((name for name, thing in given.items() if thing is value), None)
        if name is None:
            name = f"_{_last(node)}_{len(given)}"
            given[name] = value
        return ast.Name(name, ast.Load())

    def _row(self, values: Any, node: ast.expr) -> ast.expr:
        row: list[ast.expr] = []
        for value in values:
            if isinstance(value, Tensor):
                known = self._recorder.find(value)
                row.append(Reference(known or self._recorder.given(value, _last(node))))
            elif _holds_tensors(value):
                row.append(self._row(value, node))
            elif _is_literal(value):
                row.append(ast.parse(repr(value), mode="eval").body)
            else:
                row.append(self._object(node, value))
        return ast.List(row, ast.Load())

    def _inside(self, node: ast.expr) -> ast.expr:
        """A copy of the node whose parts are flat."""
        changed: dict[str, Any] = {}
        for name, value in ast.iter_fields(node):
            if isinstance(value, ast.expr):
                changed[name] = self.flat(value)
            elif isinstance(value, list):
                changed[name] = [self._part(each) for each in value]
            else:
                changed[name] = value
        return type(node)(**changed)

    def _part(self, part: Any) -> Any:
        if isinstance(part, ast.keyword):
            return ast.keyword(part.arg, self.flat(part.value))
        return self.flat(part) if isinstance(part, ast.expr) else part


class _Put(ast.NodeTransformer):
    def __init__(self, names: dict[str, ast.expr]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._names.get(node.id, node)


def _last(node: ast.AST) -> str:
    """The last name of a path: ``weight`` for ``layer.weight``."""
    while not isinstance(node, ast.Name | ast.Attribute):
        key = getattr(getattr(node, "slice", None), "value", None)
        if isinstance(key, str) and key.isidentifier():
            return key
        node = getattr(node, "value", ast.Name("t"))
    return node.id if isinstance(node, ast.Name) else node.attr


def _leads_through(node: ast.expr, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for each in ast.walk(node))


def _repeats(function: Any) -> bool:
    """Whether calling a function again gives the same and does nothing else.

    Random numbers of PyTorch's are among these: its generator is set back for them.
    """
    owner = getattr(function, "__self__", None)
    if isinstance(owner, _UNCHANGING):
        return True
    if isinstance(function, types.MethodDescriptorType):
        return issubclass(function.__objclass__, _UNCHANGING)
    module = getattr(function, "__module__", None) or ""
    known = module.split(".")[0] in _LIBRARIES and module != "numpy.random"
    return known and function not in _ONCE


def _has_tensors(value: Any) -> bool:
    return isinstance(value, Tensor) or _holds_tensors(value)


def _holds_tensors(value: Any) -> bool:
    """Whether it is a row with a tensor in it, at any depth."""
    return isinstance(value, list | tuple) and any(
        isinstance(each, Tensor) or _holds_tensors(each) for each in value
    )


def _is_literal(value: Any) -> bool:
    if type(value) in (tuple, list):
        return all(_is_literal(each) for each in value)
    return value is None or type(value) in (bool, int, float, str, range, slice)
