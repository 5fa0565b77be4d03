"""The true gradients of a program, and what each of its lines hands back, by autograd.

Every line is differentiated on its own, on the tensors that the file had. How far rounding may
carry a gradient is measured: the pass is run again in float64 a few times, and each number that it
makes, on the way forward and on the way back, is moved by one rounding of the file's own precision
at random. The spread of the results is the standard error, entry by entry, whatever the operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from makemore_bp.learning.derive.program import (
    Program,
    Step,
    Variable,
    differentiable_steps,
    evaluate,
    wanted,
)

DRAWS = 6
SAFETY = 8.0  # standard errors; see gradcheck.judge
_SMALLEST_SHARE = 0.3  # of a tensor's typical error, for entries whose draws lie close by chance
SEED = 2147483647


@dataclass(frozen=True)
class Measured:
    """A gradient, and by how much each entry of it may differ for rounding alone (float64)."""

    value: Tensor
    tolerance: Tensor

    def allows(self, other: Tensor) -> bool:
        """Whether ``other`` is this gradient up to rounding."""
        if other.shape != self.value.shape or other.is_complex():
            return False
        near = (other.double() - self.value.double()).abs() <= self.tolerance
        same = (other == self.value) | (other.isnan() & self.value.isnan())
        return bool((near | same).all())


class LocalTruth:
    """The true gradients of the loss of a program.

    steps: those that hand a gradient on, in the order of the forward pass; variables: those that
    have a gradient, in the order in which a backward pass comes to them.
    """

    def __init__(self, program: Program, loss: Variable, every: bool = False) -> None:
        """``every``: also the gradients of tensors that the file did not ask PyTorch to track."""
        self.program, self.loss = program, loss
        tracked = loss.tracked and not every
        self.steps = list(differentiable_steps(program.steps_to(loss), tracked))
        reads = [read for step in self.steps for read in step.depends]
        made = [step.result for step in self.steps]
        named = dict.fromkeys([*reads, *made])
        backward = sorted(named, key=lambda v: (self._last_reader(v), v.time), reverse=True)
        self.variables = [v for v in backward if wanted(v, tracked)]
        self._measured: dict[Variable, Measured] | None = None
        self._read = [read for step in self.steps for read in step.reads]
        self.gradients = self._pass(_copy)

    def measured(self, variable: Variable) -> Measured:
        """The true gradient of a variable with its tolerance."""
        if self._measured is None:
            self._measured = self._measure(
                self.gradients, lambda change: self._pass(change, torch.float64)
            )
        return self._measured[variable]

    def exact(self) -> dict[Variable, Tensor]:
        """The true gradients in float64."""
        with _double():
            return self._pass(lambda tensor: tensor.detach().double(), torch.float64)

    def terms(
        self, variable: Variable, upstream: Callable[[Variable], Tensor]
    ) -> dict[Step, Tensor]:
        """What each line that reads the variable gives back for it, for the gradient of its result
        that ``upstream`` says."""
        return {
            step: self.through(step, upstream(step.result), variable)
            for step in self.steps
            if variable in step.depends
        }

    def through(self, step: Step, upstream: Tensor, variable: Variable) -> Tensor:
        """The vector-Jacobian product of one line with respect to one of its variables."""
        leaf = variable.value.detach().clone().requires_grad_()
        with torch.enable_grad():
            read = {each: each.value for each in step.reads}
            result = evaluate(step, self._names({**read, variable: leaf}))
            if not result.requires_grad:
                return torch.zeros_like(leaf)
            (gradient,) = torch.autograd.grad(
                result, leaf, upstream.to(result.dtype), allow_unused=True
            )
        return torch.zeros_like(leaf) if gradient is None else gradient

    def _measure(
        self,
        plain: Mapping[Variable, Tensor],
        again: Callable[[Callable[[Tensor], Tensor]], Mapping[Variable, Tensor]],
    ) -> dict[Variable, Measured]:
        unit = torch.finfo(self.loss.value.dtype).eps / 2
        generator = torch.Generator().manual_seed(SEED)

        def moved(tensor: Tensor) -> Tensor:
            noise = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
            return tensor.double() * (1 + unit * noise)

        try:
            with _double():
                middle = again(lambda t: t.detach().double())
                draws = [again(moved) for _ in range(DRAWS)]
        except Exception:  # the file's own code insists on a precision
            return {
                v: Measured(g, 1e3 * unit * (g.double().abs() + _typical(g)))
                for v, g in plain.items()
            }
        found = {}
        for variable, gradient in plain.items():
            squares = sum(
                ((draw[variable] - middle[variable]) ** 2 for draw in draws), torch.zeros(())
            )
            error = (squares / DRAWS).sqrt()
            tolerance = SAFETY * (error + _SMALLEST_SHARE * _typical(error))
            found[variable] = Measured(gradient, tolerance + 4 * unit * gradient.double().abs())
        return found

    def _pass(
        self, change: Callable[[Tensor], Tensor], dtype: torch.dtype | None = None
    ) -> dict[Variable, Tensor]:
        """Autograd's gradients of a pass; in a precision of our own each number is changed as it is
        made."""
        made: dict[Variable, Tensor] = {}
        names = self._names({}, dtype)
        results = {step.result for step in self.steps}
        for variable in self.variables:
            if variable not in results:
                made[variable] = change(variable.value).requires_grad_()
                names[variable.name] = made[variable]
        with torch.enable_grad():
            for step in self.steps:
                value = evaluate(step, names)
                if not value.requires_grad:  # a comparison or detach() cut it off: it stands alone
                    value = value.detach().requires_grad_()
                if dtype is not None and value.requires_grad:
                    value = _moved(value, change)
                made[step.result] = names[step.result.name] = value
            asked = [v for v in self.variables if made[v].requires_grad]
            found = torch.autograd.grad(
                made[self.loss], [made[v] for v in asked], allow_unused=True
            )
        gradients = dict(zip(asked, found, strict=True))
        return {v: _or_zero(gradients.get(v), made[v]) for v in self.variables}

    def _names(
        self, values: Mapping[Variable, Tensor], dtype: torch.dtype | None = None
    ) -> dict[str, object]:
        """The namespace of the program's expressions: recorded values, and ``values`` for some."""
        recorded = {v.name: v.value for v in self._read}
        if dtype is not None:
            recorded = {
                name: t.to(dtype) if t.is_floating_point() else t for name, t in recorded.items()
            }
        return self.program.namespace({**recorded, **{v.name: t for v, t in values.items()}})

    def _last_reader(self, variable: Variable) -> int:
        """The place of the last line that reads a variable: a backward pass has its gradient when
        it has gone through the first; it meets it at the last."""
        readers = [place for place, step in enumerate(self.steps) if variable in step.depends]
        return min(readers, default=len(self.steps))


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone()


def _moved(value: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """The value, and its gradient on the way back, each moved a little."""
    step = change(value.detach()) - value.detach()
    value = value + torch.where(step.isfinite(), step, 0.0)
    value.register_hook(change)  # type: ignore[no-untyped-call]
    return value


def _or_zero(gradient: Tensor | None, of: Tensor) -> Tensor:
    return torch.zeros_like(of) if gradient is None else gradient.detach()


def _typical(error: Tensor) -> Tensor:
    return (error.double() ** 2).mean().sqrt() if error.numel() else error.new_zeros(())


@contextmanager
def _double() -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
