"""Running a learner's statements again: bounded, in a namespace of one's own, failures apart."""

from __future__ import annotations

import ast
import copy
import types
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from makemore_bp.learning.source import changed_by_name
from makemore_bp.learning.trace import HOOK

SETTING = "__makemore_bp_setting__"


def rebind(names: dict[str, Any]) -> None:
    """Lets the learner's functions read the names of this world and not those of the script."""
    for name, value in names.items():
        if isinstance(value, types.FunctionType) and HOOK in value.__globals__:
            code = value.__code__
            cells = zip(code.co_freevars, value.__closure__ or (), strict=True)
            closure = tuple(types.CellType(names[n]) if n in names else cell for n, cell in cells)
            names[name] = types.FunctionType(
                code, names, value.__name__, value.__defaults__, closure
            )
    names[HOOK] = _Patience()


class _Patience:
    """Called before every statement in a function and every round of a ``while``."""

    def __init__(self, rounds: int = 50_000) -> None:
        self._left = rounds

    def __call__(self, _: int) -> None:
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("it never ends")


class Bounded(ast.NodeTransformer):
    """Has every round of a ``while`` counted."""

    def visit_While(self, node: ast.While) -> ast.While:
        self.generic_visit(node)
        call = ast.Call(ast.Name(HOOK, ast.Load()), [ast.Constant(0)], [])
        node.body.insert(0, ast.Expr(call))
        return ast.fix_missing_locations(node)


def setting_in(world: Mapping[str, Tensor], tensor: str, value: Any) -> Any:
    """What a gradient is in the world, if it can be what the script means by the name."""
    true = world.get(tensor)
    fits = true is not None and isinstance(value, Tensor) and value.shape == true.shape
    return true.clone() if fits and true is not None else value


def with_settings(node: Any, own: Mapping[str, str]) -> Any:
    """A copy of a statement in which each of the names is set anew after every statement inside
    that changes it."""
    changed = copy.copy(node)
    for field, value in ast.iter_fields(node):
        if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
            body: list[ast.stmt] = []
            for statement in value:
                body.append(with_settings(statement, own))
                if not hasattr(statement, "body"):
                    names = changed_by_name(statement) & own.keys()
                    body += [_setting(name, own[name], statement) for name in sorted(names)]
            setattr(changed, field, body)
    return changed


def _setting(name: str, tensor: str, at: ast.stmt) -> ast.stmt:
    call = ast.Call(
        ast.Name(SETTING, ast.Load()), [ast.Constant(tensor), ast.Name(name, ast.Load())], []
    )
    statement = ast.Assign([ast.Name(name, ast.Store())], call)
    return ast.fix_missing_locations(ast.copy_location(statement, at))


def execute(statements: list[ast.stmt], names: dict[str, Any]) -> bool:
    """Runs statements of the learner's, possibly with one thing changed; False if they fail."""
    try:
        code = compile(ast.Module(statements, []), "<again>", "exec", dont_inherit=True)
        # The learner asked for this script to be run; this is the same script.
        exec(code, names)
    except TimeoutError:
        raise
    except (Exception, SystemExit):
        return False
    return True
