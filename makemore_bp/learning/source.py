"""What can be read off a learner's script without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from keyword import iskeyword

# Functions that a script calls by name and that change no tensor of it.
_HARMLESS = {
    "print", "range", "len", "cmp", "float", "int", "abs", "zip", "enumerate", "list", "tuple",
    "any", "all", "dict", "set", "map", "min", "max", "sum", "isinstance", "round", "str", "type",
    "sorted", "reversed",
}  # fmt: skip


def is_name(text: str) -> bool:
    """Whether a text can stand as a name in a script. ``globals()`` and ``setattr`` take any text,
    which, put into an expression, would be code."""
    return text.isidentifier() and not iskeyword(text)


def targets(tree: ast.AST) -> set[str]:
    """The names that a piece of code assigns, extends (+=), writes into or changes by a method
    whose name ends in an underscore."""
    return {name for node in ast.walk(tree) for name in _targets(node)}


def changed_by_name(statement: ast.stmt) -> set[str]:
    """The names that a statement itself says it changes.

    An assignment speaks of its left side only: in ``dh = dlogits.mul_(2)`` the change of dlogits is
    a side effect.
    """
    if isinstance(statement, ast.Assign):
        return {name for target in statement.targets for name in targets(target)}
    if isinstance(statement, ast.AugAssign | ast.AnnAssign):
        return targets(statement.target)
    return targets(statement) | _handed_over(statement)


def _targets(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
        yield node.id
    elif isinstance(node, ast.Subscript | ast.Attribute) and not isinstance(node.ctx, ast.Load):
        yield from _base(node)
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute) and _is_in_place(node.func.attr):
            yield from _base(node.func.value)
        for keyword in node.keywords:
            if keyword.arg == "out":
                yield from _base(keyword.value)


def _is_in_place(method: str) -> bool:
    return method.endswith("_") and not method.endswith("__")


def _base(node: ast.AST) -> Iterator[str]:
    """The name at the root of dlogits[range(n), Yb], dlogits.T and the like."""
    while isinstance(node, ast.Subscript | ast.Attribute):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def may_change_anything(statement: ast.stmt) -> bool:
    """Whether a statement calls a function of the learner's, of which nothing is known."""
    return any(
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id not in _HARMLESS
        for node in ast.walk(statement)
    )


def _handed_over(statement: ast.stmt) -> set[str]:
    """The names that a statement gives to functions as arguments and drops the result of."""
    if not isinstance(statement, ast.Expr):
        return set()
    calls = [node for node in ast.walk(statement) if isinstance(node, ast.Call)]
    return {name for call in calls for argument in call.args for name in _base(argument)}


def read_only(tree: ast.AST, known: Iterable[str]) -> tuple[str, ...]:
    """Those of the known names that the code reads and nowhere sets, in the given order."""
    missing = names_read(tree) - targets(tree)
    # What a function calls its parameter is not set for the statements outside of it.
    outside = [node for node in getattr(tree, "body", []) if not isinstance(node, _DEFINITIONS)]
    own = ast.Module(outside, [])
    missing |= names_read(own) - targets(own)
    return tuple(name for name in known if name in missing)


_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def hidden_in_functions(tree: ast.Module, known: Iterable[str]) -> tuple[str, ...]:
    """Those of the known names that are only set inside functions, where nobody else sees them."""
    functions = [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    inside = {name for function in functions for name in targets(function)}
    outside = {
        name
        for statement in tree.body
        if not isinstance(statement, _DEFINITIONS)
        for name in targets(statement)
    }
    return tuple(name for name in known if name in inside - outside)


def names_at(tree: ast.AST, line: int) -> tuple[str, ...]:
    """The names that the innermost statement at ``line`` reads or sets, in order of appearance."""
    at_line = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    if not at_line:
        return ()
    statement = max(at_line, key=lambda node: node.lineno)
    simple = not hasattr(statement, "body")
    found = [
        node
        for node in ast.walk(statement)
        if isinstance(node, ast.Name) and (simple or node.lineno == line)
    ]
    found.sort(key=lambda node: (node.lineno, node.col_offset))
    return tuple(dict.fromkeys(node.id for node in found))


def names_read(tree: ast.AST) -> set[str]:
    """The names that a piece of code reads; one that is added to (+=) or written into is read."""
    found = {
        node.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.AugAssign):
            found |= set(_base(node.target))
    return found
