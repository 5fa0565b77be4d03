"""What a stage is: a forward function, and one named rule for each gradient it gives back.

The parameters of a function *are* the names of what it reads. ``def dbnvar(bnvar, dbnvar_inv)``
says that the gradient of ``bnvar`` follows from ``bnvar`` and from the gradient of ``bnvar_inv``,
and nothing else. So a pass through the network is a list of functions and one dictionary, the
*record*, that holds every tensor by the lecture's name. Whoever wants a named tensor or gradient
reads it there.

The source of a stage is read as well: the check goes on from any tensor in the middle, follows the
rounding of every operation, and prints the equations. So a stage is written like this:

- A forward function is a row of ``name = expression``, then ``return locals()``.
- A rule is a docstring, rows of ``name = expression``, then ``return expression``.
- Expressions read the function's parameters, earlier names, ``torch``, ``F`` and constants of the
  module. Their operations are those that ``gradcheck/running_error.py`` follows; any other is
  refused there with a sentence that names it.
- A docstring's first paragraph is the rule's idea; the derivation and ``Shapes:`` follow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from inspect import signature
from operator import itemgetter
from typing import Any

from torch import Tensor

# Tensors by the lecture's name, and the batch size `n`, which is a plain integer.
Record = dict[str, Any]
Rule = Callable[..., Tensor]


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage of the network, and all that is to be said of it.

    title: what it is called in a heading.
    forward: returns its local names as a record.
    backward: the rules in the order in which the backward pass runs them; a rule called ``dx``
    returns the gradient of ``x``.
    inference: what takes the place of ``forward`` once the network is trained.
    op_by_op: the same mathematics with one operation a line; None if the stage is that itself.
    gain: what the weights before it are drawn with, so that its outputs neither fade nor swell.
    way: what tells its rules from another stage's where both give one gradient.
    rounding: for a tensor whose gradient a right line may round otherwise than PyTorch, why.
    zero: for a tensor whose true gradient is zero, why.
    """

    title: str
    forward: Callable[..., Record]
    backward: tuple[Rule, ...]
    inference: Callable[..., Record] | None = None
    op_by_op: Stage | None = None
    gain: float = 1.0
    way: str = "one operation at a time"
    rounding: Mapping[str, str] = field(default_factory=dict)
    zero: Mapping[str, str] = field(default_factory=dict)


@cache
def reads(function: Callable[..., Any]) -> tuple[str, ...]:
    """The names of the tensors that ``function`` reads: its parameters."""
    return tuple(signature(function).parameters)


@cache
def _taking(function: Callable[..., Any]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Takes what ``function`` reads out of a record, in one go: small steps are mostly calls."""
    names = reads(function)
    if len(names) > 1:
        return itemgetter(*names)
    return lambda record: tuple(record[name] for name in names)


def call(function: Callable[..., Any], record: Mapping[str, Any]) -> Any:
    """Calls ``function`` with what it reads, taken from ``record`` by name.

    Raises KeyError if the record lacks one of the names.
    """
    return function(*_taking(function)(record))


def run_forward(functions: Iterable[Callable[..., Record]], record: Record) -> Record:
    """Runs forward functions in order and adds what they compute to ``record``."""
    for function in functions:
        record.update(call(function, record))
    return record


def run_backward(rules: Iterable[Rule], record: Mapping[str, Any]) -> dict[str, Tensor]:
    """Runs the rules in order; each may read the forward record and every gradient before it.

    Returns the gradients by name: ``{"dlogits": ..., "dh": ..., ...}``.
    """
    known = dict(record)
    gradients: dict[str, Tensor] = {}
    for rule in rules:
        name = rule.__name__
        known[name] = gradients[name] = call(rule, known)
    return gradients
