"""Rewrites a file so that running it says what every expression came to.

Each expression ``e`` becomes ``__see__(k, e)``, with k the number of its node in the tree of the
file as it was written; before a statement comes ``__at__(k)``, after an assignment
``__done__(k, (targets,))``. Lines stay what they are, so that an error points to the learner's own.
"""

from __future__ import annotations

import ast
from copy import deepcopy
from typing import Any, TypeVar

SEE, DONE, BIND, ENTER, LEAVE, RETURN, AT = (
    "__see__", "__done__", "__bind__", "__enter__", "__leave__", "__return__", "__at__",
)  # fmt: skip
_LEFT_ALONE = (ast.Constant, ast.Starred, ast.JoinedStr, ast.FormattedValue, ast.Slice)
_NO_MOMENT = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)
_Node = TypeVar("_Node", bound=ast.AST)


def numbered(source: str, path: str) -> tuple[ast.Module, list[ast.AST]]:
    """The tree of a file and its nodes; ``number`` of a node is its place among them.

    Raises SyntaxError.
    """
    tree = ast.parse(source, path)
    nodes = list(ast.walk(tree))
    for place, node in enumerate(nodes):
        node.number = place  # type: ignore[attr-defined]
        if isinstance(node, ast.ListComp | ast.GeneratorExp):
            node.elt.owner = node  # type: ignore[attr-defined]
    return tree, nodes


def number(node: ast.AST) -> int:
    """The number of a node of a numbered tree."""
    return node.number  # type: ignore[attr-defined,no-any-return]


def instrumented(statement: ast.stmt) -> ast.Module:
    """A statement of a numbered tree, ready to be compiled with the hooks in it."""
    changed = _Hooks().statement(deepcopy(statement))
    return ast.fix_missing_locations(ast.Module(changed, []))


def leaves(target: ast.expr) -> list[ast.expr]:
    """The single targets of an assignment: ``a`` and ``b[0]`` of ``a, b[0] = ...``."""
    if isinstance(target, ast.Tuple | ast.List):
        return [leaf for each in target.elts for leaf in leaves(each)]
    return [target.value if isinstance(target, ast.Starred) else target]


class _Hooks(ast.NodeTransformer):
    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        changed = self.visit(node)
        return changed if isinstance(changed, list) else [changed]

    def visit(self, node: ast.AST) -> Any:
        if not isinstance(node, ast.stmt) or isinstance(node, _NO_MOMENT):
            return self._hooked(node)
        changed = self._hooked(node)
        here = ast.Call(ast.Name(AT, ast.Load()), [ast.Constant(number(node))], [])
        return [_at(node, ast.Expr(here)), *(changed if isinstance(changed, list) else [changed])]

    def _hooked(self, node: ast.AST) -> Any:
        visitor = getattr(self, f"visit_{type(node).__name__}", None)
        if visitor is not None:
            return visitor(node)
        changed = self.generic_visit(node)
        if not isinstance(node, ast.expr) or isinstance(node, _LEFT_ALONE) or _is_stored(node):
            return changed
        return _at(node, _call(SEE, node, changed))

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        return _at(node, _call(SEE, node, node))  # a key, as in acts[f"h{k}"]

    def visit_Lambda(self, node: ast.Lambda) -> ast.AST:
        body = self.visit(node.body)
        node.body = _at(node.body, _call(RETURN, node.body, body))
        return node

    def visit_Yield(self, node: ast.Yield) -> ast.AST:
        return node

    def visit_Assign(self, node: ast.Assign) -> list[ast.stmt]:
        targets = [leaf for target in node.targets for leaf in leaves(target)]
        return [self.generic_visit(node), _done(node, targets)]  # type: ignore[list-item]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> list[ast.stmt]:
        if node.value is None:
            return [node]
        node.value = self.visit(node.value)
        return [node, _done(node, [node.target])]

    def visit_AugAssign(self, node: ast.AugAssign) -> list[ast.stmt]:
        before = _at(node, ast.Expr(self.visit(_loaded(node.target))))
        node.value = self.visit(node.value)
        return [before, node, _done(node, [node.target])]

    def visit_Expr(self, node: ast.Expr) -> list[ast.stmt]:
        if isinstance(node.value, ast.Constant):
            return [node]
        return [self.generic_visit(node), _done(node, [])]  # type: ignore[list-item]

    def visit_Return(self, node: ast.Return) -> ast.stmt:
        if node.value is not None:
            node.value = _at(node, _call(RETURN, node.value, self.visit(node.value)))
        return node

    def visit_For(self, node: ast.For) -> ast.stmt:
        targets = leaves(node.target)
        self.generic_visit(node)
        node.body.insert(0, _at(node, ast.Expr(_call(BIND, node, _tuple(targets)))))
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.stmt:
        if any(isinstance(each, ast.Yield | ast.YieldFrom | ast.Await) for each in ast.walk(node)):
            return node
        body = [changed for statement in node.body for changed in self.statement(statement)]
        names = ast.Call(ast.Name("locals", ast.Load()), [], [])
        enter = _at(node.body[0], ast.Expr(_call(ENTER, node, names)))
        leave = _at(node.body[0], ast.Expr(ast.Call(ast.Name(LEAVE, ast.Load()), [], [])))
        node.body = [enter, _at(node.body[0], ast.Try(body, [], [], [leave]))]
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        node.body = [
            changed
            for statement in node.body
            for changed in (
                self.statement(statement) if isinstance(statement, ast.FunctionDef) else [statement]
            )
        ]
        return node


def _is_stored(node: ast.AST) -> bool:
    return not isinstance(getattr(node, "ctx", ast.Load()), ast.Load)


def _loaded(target: ast.expr) -> ast.expr:
    """A target as an expression, as it was written."""
    copy = deepcopy(target)
    for node in ast.walk(copy):
        if hasattr(node, "ctx"):
            node.ctx = ast.Load()
    return copy


def _tuple(targets: list[ast.expr]) -> ast.expr:
    return ast.Tuple([_loaded(target) for target in targets], ast.Load())


def _done(node: ast.stmt, targets: list[ast.expr]) -> ast.stmt:
    return _at(node, ast.Expr(_call(DONE, node, _tuple(targets))))


def _call(hook: str, node: ast.AST, value: Any) -> ast.Call:
    return ast.Call(ast.Name(hook, ast.Load()), [ast.Constant(number(node)), value], [])


def _at(node: ast.AST, made: _Node) -> _Node:
    for each in ast.walk(made):
        if isinstance(each, ast.expr | ast.stmt) and not hasattr(each, "lineno"):
            ast.copy_location(each, node)
    return made
