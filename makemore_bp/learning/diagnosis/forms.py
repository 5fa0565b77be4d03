"""A gradient as a sum of branches, for what a single change in a fused line cannot restore."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def branches(tree: ast.expr, names: frozenset[str]) -> list[ast.expr]:
    """The terms that a gradient is the sum of, each with its sign and all its factors.

    ``names`` are those through which a gradient arrives; only sums of these are taken apart:
    1 - h**2 is a slope and stays whole.
    """
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return [_negative(term) for term in branches(tree.operand, names)]
    if isinstance(tree, ast.BinOp):
        left, right = tree.left, tree.right
        carries = _reads(left, names) and _reads(right, names)
        if isinstance(tree.op, ast.Add | ast.Sub) and carries:
            rest = branches(right, names)
            minus = isinstance(tree.op, ast.Sub)
            return branches(left, names) + [_negative(t) if minus else t for t in rest]
        if isinstance(tree.op, ast.Mult | ast.Div):
            many = branches(left, names)
            if len(many) > 1:
                return [ast.BinOp(term, tree.op, right) for term in many]
            many = branches(right, names)
            if isinstance(tree.op, ast.Mult) and len(many) > 1:
                return [ast.BinOp(left, tree.op, term) for term in many]
    return [tree]


def evaluate(tree: ast.expr, names: Mapping[str, Any]) -> Tensor | None:
    """The value of a tree of our own; None if it has none."""
    whole = ast.fix_missing_locations(ast.Expression(tree))
    scope = {"torch": torch, "F": F, "range": range, **names}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = eval(compile(whole, "<form>", "eval"), {"__builtins__": {}}, scope)
    except (RuntimeError, IndexError, TypeError, ValueError, AttributeError, NameError):
        return None
    return value if isinstance(value, Tensor) else None


def _reads(tree: ast.AST, names: frozenset[str]) -> bool:
    return any(isinstance(node, ast.Name) and node.id in names for node in ast.walk(tree))


def _negative(tree: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), tree)
