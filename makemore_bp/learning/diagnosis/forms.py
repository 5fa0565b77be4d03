"""The local rules of the heart as expression trees, so that one thing in them can be changed.

A tree is read from the rule's own source. Where a rule is written in several statements, or in a
way that only serves exactness, the plain formula stands in ``_PLAIN``; the tests hold each of these
to its rule.
"""

from __future__ import annotations

import ast
import copy
import inspect
import warnings
from collections.abc import Iterator, Mapping
from functools import cache
from textwrap import dedent
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from makemore_bp.network.batchnorm import EPS
from makemore_bp.network.passes import Network
from makemore_bp.network.stage import Rule

_PLAIN = {
    "dlogprobs": "-1.0 / n * F.one_hot(Yb, num_classes=logprobs.shape[1])",
    "dlogits": "(F.softmax(logits, 1) - F.one_hot(Yb, num_classes=logits.shape[1])) / n",
    "dhpreact": "(1 - h**2) * dh",
}
_OP_BY_OP = {rule.__name__: rule for rule in Network.of().rules}
_FUSED = {
    rule.__name__: rule
    for rule in Network.of(cross_entropy="fused", batchnorm="fused").rules
    if rule not in Network.of().rules
}


@cache
def forms(name: str, rule: Rule | None = None) -> tuple[ast.expr, ...]:
    """The trees of the gradient ``name``, the one for ``rule`` first if it is given.

    dlogits and dhprebn have two rules, op-by-op and fused, and a learner may write either.
    """
    found = [r for r in (rule, _OP_BY_OP.get(name), _FUSED.get(name)) if r is not None]
    distinct = list(dict.fromkeys(found))
    return tuple(_tree(r) for r in distinct)


def _tree(rule: Rule) -> ast.expr:
    name = rule.__name__
    if name in _PLAIN and (name != "dlogits" or rule is _FUSED[name]):
        return ast.parse(_PLAIN[name], mode="eval").body
    tree = _inlined(rule)
    if rule is _FUSED.get("dhprebn"):
        # The rule takes two sums that were computed before; a learner's line computes them anew.
        sums = {d: _inlined(_OP_BY_OP[d]) for d in ("dbngain", "dbnbias")}
        tree = _substitute(tree, sums)
    return tree


def _inlined(rule: Rule) -> ast.expr:
    """The returned expression, with the names that the body assigns put into it."""
    (function,) = ast.parse(dedent(inspect.getsource(rule))).body
    assert isinstance(function, ast.FunctionDef)
    known: dict[str, ast.expr] = {}
    for statement in function.body[1:]:  # the first is the docstring
        if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
            known[statement.targets[0].id] = _substitute(statement.value, known)
        elif isinstance(statement, ast.Return) and statement.value is not None:
            return _substitute(statement.value, known)
    raise AssertionError(f"{rule.__name__} is not a row of assignments and a return")


def _substitute(tree: ast.expr, known: Mapping[str, ast.expr]) -> ast.expr:
    class Put(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return copy.deepcopy(known.get(node.id, node))

    result: ast.expr = Put().visit(copy.deepcopy(tree))
    return result


def rule_of(name: str) -> Rule:
    """The op-by-op rule of a gradient. Raises KeyError for a name that is no gradient's."""
    return _OP_BY_OP[name]


def evaluate(tree: ast.expr, names: Mapping[str, Any]) -> Tensor | None:
    """The value of a tree; None if it has none, because the shapes do not fit together.

    Only trees made here from the heart's own source are compiled, never a learner's text.
    """
    scope = {"torch": torch, "F": F, "EPS": EPS, "range": range, **names}
    whole = ast.fix_missing_locations(ast.Expression(tree))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # x.T of a vector is among what is tried
            value = eval(compile(whole, "<rule>", "eval"), {"__builtins__": {}}, scope)
    except (RuntimeError, IndexError, TypeError, ValueError, AttributeError, NameError):
        return None
    except (ZeroDivisionError, OverflowError):
        return None
    return value if isinstance(value, Tensor) else None


def names_in(tree: ast.AST) -> set[str]:
    """The names of tensors, gradients and n that a tree reads."""
    found = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    return found - {"torch", "F", "EPS", "range"}


def is_gradient(name: str) -> bool:
    """Whether a name is that of a gradient: dx, where x is a tensor of the network."""
    return name in _OP_BY_OP


def branches(tree: ast.expr) -> list[ast.expr]:
    """The terms that a gradient is the sum of, each with its sign and all its factors.

    Only sums of gradients are taken apart: 1 - h**2 is a slope and stays whole.
    """
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, ast.USub):
        return [_negative(term) for term in branches(tree.operand)]
    if isinstance(tree, ast.BinOp):
        left, right = tree.left, tree.right
        if isinstance(tree.op, ast.Add | ast.Sub) and _carries(left) and _carries(right):
            rest = branches(right)
            minus = isinstance(tree.op, ast.Sub)
            return branches(left) + [_negative(t) if minus else t for t in rest]
        if isinstance(tree.op, ast.Mult | ast.Div):
            many = branches(left)
            if len(many) > 1:
                return [ast.BinOp(term, tree.op, right) for term in many]
            many = branches(right)
            if isinstance(tree.op, ast.Mult) and len(many) > 1:
                return [ast.BinOp(left, tree.op, term) for term in many]
    return [tree]


def _carries(tree: ast.expr) -> bool:
    """Whether a part of the gradient flows through this tree: it reads a gradient, or, at the very
    top of the pass, gives the probabilities or the targets."""
    return any(is_gradient(name) or name in ("Yb", "logits") for name in names_in(tree))


def _negative(tree: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.USub(), tree)


def everywhere(tree: ast.expr) -> Iterator[tuple[ast.expr, Any]]:
    """Every node of a tree together with a function that puts another in its place."""
    yield tree, lambda other: other
    for field, value in ast.iter_fields(tree):
        parts = value if isinstance(value, list) else [value]
        for position, part in enumerate(parts):
            if not isinstance(part, ast.expr) or _fixed(tree, field):
                continue
            for node, put in everywhere(part):
                yield node, _inside(tree, field, position, put)


def _fixed(parent: ast.expr, field: str) -> bool:
    """Exponents are changed together with their base, and no function is exchanged for another."""
    if isinstance(parent, ast.BinOp):
        return isinstance(parent.op, ast.Pow) and field == "right"
    if isinstance(parent, ast.Attribute):
        return isinstance(parent.value, ast.Name) and parent.value.id in ("torch", "F")
    return False


def _inside(parent: ast.expr, field: str, position: int, put: Any) -> Any:
    def replace(other: ast.expr) -> ast.expr:
        changed = copy.copy(parent)
        old = getattr(parent, field)
        if isinstance(old, list):
            new: Any = [*old[:position], put(other), *old[position + 1 :]]
        else:
            new = put(other)
        setattr(changed, field, new)
        return changed

    return replace
