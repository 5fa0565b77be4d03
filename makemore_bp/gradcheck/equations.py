"""The forward pass as a list of equations, read from the heart's own source.

The forward functions are rows of assignments, so each line is an equation: a name, an expression,
and the names that it reads. The documentation prints them, and the finite differences go on from
any tensor in the middle.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from textwrap import dedent
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from makemore_bp.network.batchnorm import EPS
from makemore_bp.network.passes import Network

# What a forward function reads besides tensors; see network/stage.py.
GIVEN = {"torch": torch, "F": F, "EPS": EPS}


@dataclass(frozen=True)
class Equation:
    """``name = source``, and the names of tensors that the right side reads."""

    name: str
    source: str
    reads: frozenset[str]


@cache
def equations(network: Network) -> tuple[Equation, ...]:
    """The equations of a network's forward pass, in order, down to the loss."""
    return tuple(found for stage in network.stages for found in _of_function(stage.forward))


@cache
def trained(network: Network) -> tuple[Equation, ...]:
    """The equations that take contexts to their logits once the network is trained."""
    return tuple(found for function in network.inference for found in _of_function(function))


def _of_function(function: Callable[..., Any]) -> Iterator[Equation]:
    source = dedent(inspect.getsource(function))
    (definition,) = ast.parse(source).body
    assert isinstance(definition, ast.FunctionDef)
    for statement in definition.body:
        if isinstance(statement, ast.Assign):
            (target,) = statement.targets
            assert isinstance(target, ast.Name)
            names = {node.id for node in ast.walk(statement.value) if isinstance(node, ast.Name)}
            expression = ast.get_source_segment(source, statement.value)
            assert expression is not None
            yield Equation(target.id, expression, frozenset(names - set(GIVEN)))


@cache
def after(name: str, network: Network) -> tuple[Equation, ...]:
    """The equations of a network that depend on ``name``.

    Everything else is held as it is: the derivative with respect to bnvar_inv, say, does not move
    bnraw's other factor.
    """
    moved, found = {name}, []
    for equation in equations(network):
        if equation.name != name and equation.reads & moved:
            moved.add(equation.name)
            found.append(equation)
    return tuple(found)


@cache
def _tail(name: str, network: Network) -> Callable[[dict[str, Any]], None]:
    """A function that computes the equations after ``name`` in a namespace."""
    lines = "\n".join(f"{equation.name} = {equation.source}" for equation in after(name, network))
    code = compile(lines, f"<the forward pass after {name}>", "exec")

    def run(names: dict[str, Any]) -> None:
        # Our own source, never a user's.
        exec(code, {"__builtins__": {}, **GIVEN}, names)

    return run


def loss_as_function_of(
    name: str, network: Network, record: Mapping[str, Any]
) -> Callable[[Tensor], float]:
    """The loss of a network as a function of one tensor of its forward record, all else held."""
    tail = _tail(name, network)

    def loss(value: Tensor) -> float:
        names = {**record, name: value}
        tail(names)
        return float(names["loss"])

    return loss
