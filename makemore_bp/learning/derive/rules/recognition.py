"""Which operation an expression is, whatever way it is written: ``x.exp()``, ``torch.exp(x)``."""

from __future__ import annotations

import ast
import builtins
import types
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from makemore_bp.learning.derive.program import text
from makemore_bp.learning.derive.rules.operation import RULES, Operation, UnknownOperation, number

_BINARY = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow",
    ast.MatMult: "matmul",
}  # fmt: skip
_ALIASES = {"axis": "dim", "keepdims": "keepdim", "input": "x", "self": "x", "tensor": "x"}


def recognised(
    node: ast.expr, dy: ast.expr, result: ast.expr | None, names: Mapping[str, Any]
) -> Operation:
    """The operation that an expression is. Raises UnknownOperation."""
    if isinstance(node, ast.Constant | ast.Name):
        raise UnknownOperation
    name, given, keywords = _parts(node, names)
    known = RULES.get(name)
    if known is None:
        raise UnknownOperation
    arguments = _arguments(known.parameters, given, keywords)
    return Operation(name, node, arguments, dy, result, names, known.defaults)


def operation_name(node: ast.expr, names: Mapping[str, Any]) -> str | None:
    """The name of the operation that an expression is, if there is a rule for it."""
    try:
        name, _, _ = _parts(node, names)
    except UnknownOperation:
        return None
    return name if name in RULES else None


def _parts(
    node: ast.expr, names: Mapping[str, Any]
) -> tuple[str, list[ast.expr], dict[str, ast.expr]]:
    """The operation's name, the operands in order, and the arguments that are given by name."""
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)], [node.left, node.right], {}
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return "neg", [node.operand], {}
    if isinstance(node, ast.Subscript):
        if isinstance(node.value, ast.Call):
            value = eval(text(node.value), dict(names))
            if not isinstance(value, Tensor):
                return _part_of_row(node.value, node.slice, names)
        return "getitem", [node.value, node.slice], {}
    if isinstance(node, ast.Attribute):
        if node.attr in ("values", "indices"):
            return _part_of_row(node.value, number(int(node.attr == "indices")), names)
        return node.attr, [node.value], {}
    if isinstance(node, ast.Call):
        return _called(node, names)
    raise UnknownOperation


def _called(
    node: ast.Call, names: Mapping[str, Any]
) -> tuple[str, list[ast.expr], dict[str, ast.expr]]:
    if any(isinstance(argument, ast.Starred) for argument in node.args):
        raise UnknownOperation
    keywords = {_ALIASES.get(k.arg, k.arg): k.value for k in node.keywords if k.arg is not None}
    if isinstance(node.func, ast.Attribute):
        holder = eval(text(node.func.value), dict(names))
        if isinstance(holder, Tensor):
            return node.func.attr, [node.func.value, *node.args], keywords
        function = getattr(holder, node.func.attr, None)
    else:
        function = eval(text(node.func), dict(names))
    if isinstance(function, torch.nn.Module) or not _is_library(function):
        raise UnknownOperation
    name = str(getattr(function, "__name__", ""))
    return (
        f"builtin_{name}" if function is getattr(builtins, name, None) else name,
        [*node.args],
        keywords,
    )


def _is_library(function: Any) -> bool:
    """Whether a function is PyTorch's or Python's, and not a person's own of the same name."""
    kinds = (types.FunctionType, types.BuiltinFunctionType, types.MethodDescriptorType)
    module = getattr(function, "__module__", None) or "torch"
    return hasattr(function, "__name__") and (
        not isinstance(function, kinds) or module.split(".")[0] in ("torch", "builtins", "math")
    )


def _part_of_row(
    row: ast.expr, place: ast.expr, names: Mapping[str, Any]
) -> tuple[str, list[ast.expr], dict[str, ast.expr]]:
    """``x.chunk(3)[0]``, ``x.max(1).values``: the operation is chunk_part, max_part."""
    name, given, keywords = _parts(row, names)
    return f"{name}_part", [place, *given], keywords


def _arguments(
    parameters: tuple[str, ...], given: list[ast.expr], keywords: Mapping[str, ast.expr]
) -> dict[str, Any]:
    arguments: dict[str, Any] = dict(keywords)
    for place, parameter in enumerate(parameters):
        if parameter.startswith("*"):
            rest = given[place:]
            if len(rest) == 1 and isinstance(rest[0], ast.Tuple | ast.List):
                rest = list(rest[0].elts)
            if rest:
                arguments[parameter[1:]] = rest
        elif place < len(given):
            arguments[parameter] = given[place]
    if len(given) > len(parameters) and not parameters[-1].startswith("*"):
        raise UnknownOperation
    first = parameters[0].lstrip("*")
    if first not in arguments and "x" in arguments:
        arguments[first] = arguments.pop("x")
    return arguments
