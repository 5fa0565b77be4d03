"""What a stage is: a forward function, and one named rule for each gradient it gives back.

The parameters of a function *are* the names of what it reads. ``def dbnvar(bnvar, dbnvar_inv)``
says that the gradient of ``bnvar`` follows from ``bnvar`` and from the gradient of ``bnvar_inv``,
and nothing else. So a pass through the network is a list of functions and one dictionary, the
*record*, that holds every tensor by the lecture's name. Whoever wants a named tensor or gradient
reads it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from inspect import signature
from operator import itemgetter
from typing import Any

from torch import Tensor

# Tensors by the lecture's name, and the batch size `n`, which is a plain integer.
Record = dict[str, Any]
Rule = Callable[..., Tensor]


@dataclass(frozen=True)
class Stage:
    """One stage of the network.

    ``forward`` returns its local names as a record. ``backward`` holds the rules in the order in
    which the backward pass runs them; a rule called ``dx`` returns the gradient of ``x``.
    """

    forward: Callable[..., Record]
    backward: tuple[Rule, ...]


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


def run_forward(stages: Iterable[Stage], record: Record) -> Record:
    """Runs the forward functions in order and adds what they compute to ``record``."""
    for stage in stages:
        record.update(call(stage.forward, record))
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
