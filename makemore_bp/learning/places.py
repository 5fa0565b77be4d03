"""Where a script keeps its gradients, by whatever name.

The lecture's name for the gradient of W1 is dW1. Others write d_W1, dL_dW1, grad_W1, W1_grad, gW1,
keep gradients in a dictionary or a namespace, or assign them to W1.grad. And a script may say it
outright: ``cmp("W1", mine, W1)``, ``torch.allclose(mine, W1.grad)``.
"""

from __future__ import annotations

import ast
import re
import types
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

_FORMS = (
    r"d_?(\w+)",
    r"d(?:[LlJE]|loss|Loss)_?d_?(\w+)",
    r"(?:grad|gradient|delta)_?(\w+)",
    r"g_?(\w+)",
    r"(\w+?)_?(?:grad|gradient|bar)",
    r"(\w+)_g",
    r"(\w+)\.grad",
)
_COMPARISONS = {"cmp", "allclose", "equal", "isclose", "assert_close", "compare", "check"}
_STORES = re.compile(r"^(d|g|gs|gr|.*grad\w*|deltas?)$", re.IGNORECASE)


@dataclass(frozen=True)
class Place:
    """A name, an entry of a dictionary (``grads["W1"]``) or an attribute (``grads.W1``)."""

    root: str
    key: str | None = None
    attribute: bool = False

    def __str__(self) -> str:
        if self.key is None:
            return self.root
        return f"{self.root}.{self.key}" if self.attribute else f'{self.root}["{self.key}"]'

    def get(self, names: Mapping[str, Any]) -> Any:
        """What is there; None if nothing is."""
        value = names.get(self.root)
        if self.key is None or value is None:
            return value
        if self.attribute:
            return getattr(value, self.key, None)
        return value.get(self.key) if isinstance(value, dict) else None

    def put(self, names: dict[str, Any], value: Any) -> None:
        """Puts ``value`` there, in ``names`` only: what the root holds is copied, not changed."""
        if self.key is None:
            names[self.root] = value
        elif self.attribute:
            old = names.get(self.root)
            if isinstance(old, types.SimpleNamespace):
                names[self.root] = types.SimpleNamespace(**{**vars(old), self.key: value})
        else:
            names[self.root] = {**names.get(self.root, {}), self.key: value}


def tensor_meant(name: str, tensors: Collection[str]) -> str | None:
    """The tensor whose gradient is usually called ``name``, if there is one."""
    if name in tensors:
        return None
    for form in _FORMS:
        found = re.fullmatch(form, name)
        if found and found[1] in tensors:
            return found[1]
    return None


def places(
    names: Mapping[str, Any], tensors: Collection[str], told: Mapping[str, str]
) -> dict[str, Place]:
    """The place of each gradient that ``names`` holds, by its tensor's name. ``told`` says which
    place (as text) holds the gradient of which tensor, whatever it is called."""
    found: dict[str, Place] = {}
    for place in _candidates(names, tensors):
        meant = told.get(str(place)) or told.get(str(place).replace('"', "'"))
        tensor = meant or tensor_meant(place.key or place.root, tensors)
        if tensor is None and place.key in tensors:
            tensor = place.key
        if tensor is not None and _prefer(place, found.get(tensor), tensor, bool(meant)):
            found[tensor] = place
    return found


def _candidates(names: Mapping[str, Any], tensors: Collection[str]) -> Iterator[Place]:
    for name, value in names.items():
        if name.startswith("__"):
            continue
        if isinstance(value, dict | types.SimpleNamespace):
            entries = value if isinstance(value, dict) else vars(value)
            for key, entry in entries.items():
                if (
                    isinstance(key, str)
                    and isinstance(entry, Tensor)
                    and (_STORES.match(name) or tensor_meant(key, tensors))
                ):
                    yield Place(name, key, not isinstance(value, dict))
        elif name not in tensors:
            yield Place(name)


def _prefer(new: Place, old: Place | None, tensor: str, told: bool) -> bool:
    """What the script says outright goes before the lecture's name, and that before all others."""
    if old is None or str(new) == "d" + tensor:
        return True
    return told and str(old) != "d" + tensor


def told_by(tree: ast.AST, tensors: Collection[str]) -> dict[str, str]:
    """What a script's comparisons say: the text of a place, and the tensor whose gradient it is."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _name_of(node.func) in _COMPARISONS:
            found |= _pairs(node.args, tensors)
        elif isinstance(node, ast.Compare) and len(node.comparators) == 1:
            found |= _pairs([node.left, node.comparators[0]], tensors, only_grad=True)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                tensor = _tensor_of_grad(target, tensors)
                if tensor is not None and isinstance(node.value, ast.Name):
                    found[node.value.id] = tensor
    return found


def _pairs(
    arguments: list[ast.expr], tensors: Collection[str], only_grad: bool = False
) -> dict[str, str]:
    """From (..., mine, tensor) or (mine, tensor.grad), in either order."""
    mine: list[str] = []
    meant: list[str] = []
    for argument in arguments:
        tensor = _tensor_of_grad(argument, tensors)
        if tensor is not None:
            meant.append(tensor)
        elif isinstance(argument, ast.Name) and argument.id in tensors and not only_grad:
            meant.append(argument.id)
        elif isinstance(argument, ast.Name | ast.Subscript | ast.Attribute):
            mine.append(ast.unparse(argument))
    if len(mine) == 1 and len(meant) == 1:
        return {mine[0].replace("'", '"'): meant[0]}
    return {}


def gradients_kept(tree: ast.Module, tensors: Collection[str]) -> frozenset[str]:
    """The tensors to whose ``.grad`` the statements outside of functions assign what they compute;
    a plain name on the right is that gradient's own place."""
    outside = (node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef))
    assigned = [
        target
        for statement in outside
        for node in ast.walk(statement)
        if isinstance(node, ast.Assign | ast.AugAssign)
        and not isinstance(node.value, ast.Constant | ast.Name)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return frozenset(filter(None, (_tensor_of_grad(target, tensors) for target in assigned)))


class GradientsAsNames(ast.NodeTransformer):
    """Makes ``W1.grad`` one name in a syntax tree, which Python runs like any other."""

    def __init__(self, tensors: Collection[str]) -> None:
        self._tensors = tensors

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        tensor = _tensor_of_grad(node, self._tensors)
        return ast.copy_location(ast.Name(f"{tensor}.grad", node.ctx), node) if tensor else node


def _tensor_of_grad(node: ast.expr, tensors: Collection[str]) -> str | None:
    if isinstance(node, ast.Attribute) and node.attr == "grad" and isinstance(node.value, ast.Name):
        return node.value.id if node.value.id in tensors else None
    return None


def _name_of(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
