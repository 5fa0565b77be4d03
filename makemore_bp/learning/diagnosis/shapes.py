"""What an expression is, and small expressions to put beside it."""

from __future__ import annotations

import ast
from collections.abc import Sequence

SIZES = ("n", "vocab_size", "n_hidden", "n_embd", "block_size", "batch_size")

_PLAIN = (
    ast.Constant, ast.BinOp, ast.UnaryOp, ast.operator, ast.unaryop, ast.expr_context,
)  # fmt: skip


def is_number(node: ast.expr, sizes: Sequence[str] = SIZES) -> bool:
    """Whether it is a plain number, made of constants and sizes."""
    if isinstance(node, ast.BinOp):
        return is_number(node.left, sizes) and is_number(node.right, sizes)
    if is_length(node):
        return True
    return all(
        isinstance(part, _PLAIN) or (isinstance(part, ast.Name) and part.id in sizes)
        for part in ast.walk(node)
    )


def is_length(node: ast.AST) -> bool:
    """Whether it is ``len(x)``, ``x.numel()``, ``x.size(0)`` or ``x.shape[0]``."""
    match node:
        case (
            ast.Call(func=ast.Name(id="len")) | ast.Call(func=ast.Attribute(attr="numel" | "size"))
        ):
            return True
        case ast.Subscript(value=ast.Attribute(attr="shape")):
            return True
    return False


def is_size(node: ast.expr, sizes: Sequence[str] = SIZES) -> bool:
    return (isinstance(node, ast.Name) and node.id in sizes) or isinstance(
        node, ast.Subscript | ast.Call
    )


def is_epsilon(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, float) and node.value < 1e-3


def turned(node: ast.expr) -> ast.expr:
    if isinstance(node, ast.Attribute) and node.attr == "T":
        return node.value
    return ast.Attribute(node, "T", ast.Load())


def named(name: str) -> ast.expr:
    """An expression in the script's own words: ``h``, ``p["w"]``, ``layer.w``."""
    return ast.parse(name, mode="eval").body


def torch_call(function: str, argument: ast.expr) -> ast.expr:
    return ast.Call(ast.Attribute(named("torch"), function, ast.Load()), [argument], [])
