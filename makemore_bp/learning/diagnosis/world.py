"""The worlds in which statements are run again, and when a value in one is true."""

from __future__ import annotations

import contextlib
import io
import types
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from makemore_bp.learning.diagnosis.compare import scale

# Relative to the largest entry; epsilon left out is 1e-7 or more, rounding in float64 1e-13.
EXACT = 1e-10
SINGLE = 2e-5  # the same where something in the script is float32 whatever comes in


@dataclass(frozen=True)
class Given:
    """What a world lends besides gradients. forward: the true forward tensors, also where the
    script changed them; finished: gradients as they will be, also where the script reads them
    before they are complete; single: everything in the script's own precision."""

    forward: bool = False
    finished: bool = False
    single: bool = False


AS_READ = Given()


@dataclass(frozen=True)
class World:
    """A namespace for a statement, private to it, that shows whether somebody wrote into it."""

    names: Mapping[str, Any]
    tensors: tuple[Tensor, ...]
    version: int

    @classmethod
    def of(cls, names: Mapping[str, Any]) -> World:
        """A world of copies."""
        copies = {name: private(value) for name, value in names.items()}
        tensors = tuple(value for value in copies.values() if isinstance(value, Tensor))
        return cls(copies, tensors, sum(tensor._version for tensor in tensors))

    @property
    def touched(self) -> bool:
        """Whether a tensor in it was changed in place."""
        return self.version != sum(tensor._version for tensor in self.tensors)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """In here statements are run again: in float64, without a word, without a graph."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with contextlib.redirect_stdout(io.StringIO()), torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        torch.set_default_dtype(before)


def exact(value: Any) -> Any:
    """A value with its floating numbers in float64."""
    if isinstance(value, Tensor):
        return value.double() if value.is_floating_point() else value
    if type(value) is dict:
        return {key: exact(entry) for key, entry in value.items()}
    if type(value) is types.SimpleNamespace:
        return types.SimpleNamespace(**exact(vars(value)))
    if type(value) in (list, tuple) and len(value) < 200:
        return type(value)(exact(entry) for entry in value)
    return value


def private(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.clone()
    if type(value) is dict:
        return {key: private(entry) for key, entry in value.items()}
    if type(value) is types.SimpleNamespace:
        return types.SimpleNamespace(**private(vars(value)))
    return value


def as_number(value: Any) -> Tensor | None:
    if isinstance(value, bool | int | float):
        return torch.tensor(float(value))
    if not isinstance(value, Tensor) or value.is_complex():
        return None
    return value if value.is_floating_point() else value.double()


def near(one: Tensor, other: Tensor) -> bool:
    """Whether a tensor of any precision is another, up to what single precision can hold."""
    if one.shape != other.shape:
        return False
    if not one.is_floating_point() or not other.is_floating_point():
        return torch.equal(one, other)
    return scale(one.double() - other) <= SINGLE * scale(other)


def is_true(value: Tensor, truth: Tensor, noise: float) -> bool:
    """Whether a value computed in float64 is the true one. Leading axes of length 1 may lack."""
    lacking = truth.dim() - value.dim()
    if lacking > 0 and all(length == 1 for length in truth.shape[:lacking]):
        value = value.reshape(*[1] * lacking, *value.shape)
    if value.shape != truth.shape:
        return False
    single = value.is_floating_point() and value.dtype != torch.float64
    allowed = max(noise, (SINGLE if single else EXACT) * scale(truth))
    difference = value.double() - truth
    return bool(torch.isfinite(difference).all()) and scale(difference) <= allowed
