"""How far rounding may carry a gradient: a running error analysis of the heart's own functions.

An ``Uncertain`` is a tensor together with the standard error of each of its entries. Handed to the
forward functions and the rules of the heart in place of tensors, it computes the same numbers and,
beside them, what the roundings on the way do to them: every operation passes the errors of its
operands on through its derivative, and adds its own rounding of one unit u, half the precision's
epsilon, times the result. A sum of k terms adds sqrt(k) * u times the sum of their magnitudes.

So a sum of terms that cancel, such as dlogit_maxes or db1, has an error of the size of its terms,
whatever it comes to, and every entry of a tensor has its own.

Errors of different origin are added as the sides of a right angle, as independent random numbers
are: a walk of k steps of either sign comes sqrt(k) far. Bounds for the worst case would be right
as well and would hide real mistakes: the distance between the fused passes, or float32, and
float64 reaches 0.8 of these standard errors for some tensor and 0.1 for every one, measured for
n_hidden 1 to 513 and batches of 2 to 257, where worst-case bounds are missed by up to a thousand.

Sources: Higham, "Accuracy and Stability of Numerical Algorithms" (2nd edition, 2002), section 3.3
on running error analysis; Higham and Mary, "A New Approach to Probabilistic Rounding Error
Analysis" (2019), for the square roots.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from makemore_bp.network.parameters import NAMES
from makemore_bp.network.passes import Network
from makemore_bp.network.stage import Record


class UnknownOperation(TypeError):
    """A stage uses an operation of which this module does not know how it rounds."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"A stage of the network uses '{name}', and gradcheck/running_error.py does not know "
            "how that rounds. Write the stage in operations that it knows, or teach it this one."
        )


@dataclass(frozen=True, eq=False)
class Uncertain:
    """A float64 tensor, and for each entry its standard error.

    unit: the largest relative error of one rounding in the precision in question.
    """

    value: Tensor
    error: Tensor
    unit: float

    @classmethod
    def exactly(cls, tensor: Tensor, unit: float) -> Uncertain:
        """A tensor that is known without error."""
        value = tensor.double()
        return cls(value, torch.zeros_like(value), unit)

    @property
    def shape(self) -> torch.Size:
        return self.value.shape

    @property
    def T(self) -> Uncertain:
        return self._moved(lambda t: t.T)

    def view(self, *shape: Any) -> Uncertain:
        return self._moved(lambda t: t.reshape(*shape))

    def __getitem__(self, index: Any) -> Uncertain:
        return self._moved(lambda t: t[index])

    def __neg__(self) -> Uncertain:
        return Uncertain(-self.value, self.error, self.unit)

    def __add__(self, other: Any) -> Uncertain:
        other = self._lifted(other)
        return self._rounded(self.value + other.value, torch.hypot(self.error, other.error))

    def __sub__(self, other: Any) -> Uncertain:
        return self + -self._lifted(other)

    def __mul__(self, other: Any) -> Uncertain:
        a, b = self, self._lifted(other)
        error = torch.hypot(a.value * b.error, b.value * a.error)
        return self._rounded(a.value * b.value, error)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Uncertain:
        a, b = self, self._lifted(other)
        value = a.value / b.value
        return self._rounded(value, torch.hypot(a.error, value * b.error) / b.value.abs())

    def __pow__(self, exponent: float) -> Uncertain:
        slope = exponent * self.value ** (exponent - 1)
        return self._rounded(self.value**exponent, slope.abs() * self.error, roundings=2)

    def __matmul__(self, other: Uncertain) -> Uncertain:
        a, b = self.value.abs(), other.value.abs()
        roundings = (math.sqrt(self.shape[1]) + 1) * self.unit
        squares = a**2 @ other.error**2 + self.error**2 @ b**2 + (roundings * (a @ b)) ** 2
        return Uncertain(self.value @ other.value, squares.sqrt(), self.unit)

    def sum(self, axis: int, keepdim: bool = False) -> Uncertain:
        roundings = math.sqrt(self.shape[axis]) * self.unit
        own = roundings * self.value.abs().sum(axis, keepdim=keepdim)
        squares = (self.error**2).sum(axis, keepdim=keepdim) + own**2
        return Uncertain(self.value.sum(axis, keepdim=keepdim), squares.sqrt(), self.unit)

    def mean(self) -> Uncertain:
        return self.view(-1).sum(0) / self.value.numel()

    def __gt__(self, other: float) -> Tensor:
        return self.value > other

    def max(self, axis: int, keepdim: bool = False) -> SimpleNamespace:
        values, indices = self.value.max(axis, keepdim=True)
        largest = Uncertain(values, self.error.gather(axis, indices), self.unit)
        indices = indices if keepdim else indices.squeeze(axis)
        return SimpleNamespace(values=largest, indices=indices)

    def gather(self, axis: int, places: Tensor) -> Uncertain:
        return self._moved(lambda t: t.gather(axis, places))

    def scatter_(self, axis: int, places: Tensor, number: float) -> Uncertain:
        """Writes ``number``, which is rounded once, to ``places``."""
        self.value.scatter_(axis, places, number)
        self.error.scatter_(axis, places, self.unit * abs(number))
        return self

    def index_put_(
        self, indices: Sequence[Tensor], terms: Uncertain, accumulate: bool
    ) -> Uncertain:
        """Adds ``terms`` to zeros, several to one place."""
        roundings = math.sqrt(terms.value.numel() / terms.shape[-1]) * self.unit
        self.value.index_put_(tuple(indices), terms.value, accumulate=accumulate)
        squares, own = torch.zeros_like(self.error), torch.zeros_like(self.error)
        squares.index_put_(tuple(indices), terms.error**2, accumulate=accumulate)
        own.index_put_(tuple(indices), roundings * terms.value.abs(), accumulate=accumulate)
        self.error.copy_(torch.hypot(squares.sqrt(), own))
        return self

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """What PyTorch calls for ``torch.tanh(x)`` and its like, where x is an Uncertain."""
        if function in _FUNCTIONS:
            return _FUNCTIONS[function](*args, **(kwargs or {}))
        name = getattr(function, "__name__", str(function))
        if len(args) > 1 or kwargs:
            raise UnknownOperation(name)
        return args[0]._each(function, name)

    def __getattr__(self, name: str) -> Any:
        """A method without arguments, such as ``exp()``, works entry by entry."""
        if not hasattr(Tensor, name):
            raise UnknownOperation(name)
        return lambda: self._each(getattr(Tensor, name), name)

    def _each(self, function: Callable[[Tensor], Tensor], name: str) -> Uncertain:
        """A function of each entry by itself; its slope comes from autograd."""
        with torch.enable_grad():
            own = self.value.detach().requires_grad_()
            value = function(own)
        if value.shape != self.shape:
            raise UnknownOperation(name)
        (slope,) = torch.autograd.grad(value, own, torch.ones_like(value))
        return self._rounded(value.detach(), slope.abs() * self.error, roundings=2)

    def _moved(self, move: Callable[[Tensor], Tensor]) -> Uncertain:
        return Uncertain(move(self.value), move(self.error), self.unit)

    def _lifted(self, other: Uncertain | Tensor | float) -> Uncertain:
        if isinstance(other, Uncertain):
            return other
        return Uncertain.exactly(torch.as_tensor(other), self.unit)

    def _rounded(self, value: Tensor, error: Tensor, roundings: int = 1) -> Uncertain:
        return Uncertain(value, torch.hypot(error, roundings * self.unit * value), self.unit)


def _addcmul(x: Uncertain, a: Uncertain, b: Uncertain, value: float) -> Uncertain:
    return x + a * b * value


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    torch.addcmul: _addcmul,
    torch.zeros_like: lambda x: Uncertain.exactly(torch.zeros_like(x.value), x.unit),
    torch.ones_like: lambda x: Uncertain.exactly(torch.ones_like(x.value), x.unit),
    torch.Tensor.mul: lambda one, other: other * one,
}


def unit(dtype: torch.dtype) -> float:
    """The largest relative error of rounding to the nearest number of a precision."""
    return torch.finfo(dtype).eps / 2


def with_errors(network: Network, record: Mapping[str, Any]) -> Record:
    """The tensors of a forward pass with their errors: the record's own values, and the errors of
    the pass with one operation a line, the parameters being given without error."""
    u = unit(record["C"].dtype)
    uncertain = _forward(network, record)
    for name, tensor in uncertain.items():
        if isinstance(tensor, Uncertain) and name in record:
            uncertain[name] = Uncertain(record[name].double(), tensor.error, u)
    return uncertain


def standard_errors(network: Network, record: Mapping[str, Any]) -> dict[str, Tensor]:
    """The standard error of every gradient of the op-by-op pass by name (``dlogits``, ...), of the
    gradient's shape and in float64; not finite where float64 overflows."""
    gradients: Mapping[str, Any] = network.backward(_forward(network, record))
    return {name: gradient.error for name, gradient in gradients.items()}


def loss_error(network: Network, record: Mapping[str, Any]) -> Tensor:
    """The standard error of the loss, a scalar in float64."""
    error: Tensor = _forward(network, record)["loss"].error
    return error


def _forward(network: Network, record: Mapping[str, Any]) -> Record:
    """The forward pass of a record with the errors of its tensors, one operation a line, the
    parameters being known without error."""
    u = unit(record["C"].dtype)
    parameters: dict[str, Any] = {name: Uncertain.exactly(record[name], u) for name in NAMES}
    return network.forward(parameters, record["Xb"], record["Yb"], **network.given(record))
