"""Where the loops of several runs meet, to take their steps together.

Each run trains in a thread of its own, by the one training loop, and knows nothing of the others:
its engine is a ``Seat``. A call of ``advance`` waits there until every other run has called as
well; then ``Seats.serve``, in the thread that started them, advances the stack of their models by
as many steps as all want, and again, until the first has its losses. A run that ends, fails or
diverges leaves its seat, and the others go on.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from makemore_bp.config import Config
from makemore_bp.engines.choice import Choice, choose
from makemore_bp.engines.engine import Engine, Work
from makemore_bp.engines.stacked_engine import StackedEngine
from makemore_bp.engines.torch_engine import TorchEngine


@dataclass(eq=False)
class _Wish:
    """Steps that a run waits for: those that are not done yet, and the losses of those that are."""

    indices: Tensor
    rates: Sequence[float]
    losses: list[Tensor] = field(default_factory=list)
    error: Exception | None = None

    def first(self, steps: int) -> tuple[Tensor, Sequence[float]]:
        """What so many steps read."""
        return self.indices[:steps], self.rates[:steps]

    def fulfil(self, losses: Tensor) -> None:
        """The steps of these losses are done."""
        self.losses.append(losses)
        self.indices, self.rates = self.indices[len(losses) :], self.rates[len(losses) :]

    def is_over(self) -> bool:
        return not self.rates or self.error is not None


class Seat(Engine):
    """One run's engine among others. ``place`` is its model's among the stacked ones on a GPU."""

    name = "torch"

    def __init__(self, seats: Seats, place: int) -> None:
        self.place = place
        self.wish: _Wish | None = None
        self.step = 0
        self.work: Work
        self._parameters: dict[str, Tensor] = {}
        self._seats = seats

    @classmethod
    def obstacle(cls, work: Work) -> str | None:
        return None

    def choose(self, config: Config, work: Work) -> Choice:
        """This seat; or another engine for a run that has begun with that, and must keep it."""
        if config.engine == "native":
            self.leave()
            return choose(config, work)
        return Choice(
            self.name, f"one of {len(self._seats.all)} runs that advance together", self.take
        )

    def take(self, work: Work, parameters: Mapping[str, Tensor], step: int) -> Engine:
        """This seat, for a run that goes on with these parameters and this step."""
        self.work, self.step = work, step
        self.move({name: p.to(work.device, copy=True) for name, p in parameters.items()})
        return self

    def move(self, parameters: dict[str, Tensor]) -> None:
        """The model's parameters lie there from now on."""
        self._parameters = parameters

    def leave(self) -> None:
        """The run wants no more steps. Nobody waits for it any longer."""
        self._seats.leave(self)

    def advance(self, indices: Tensor, rates: Sequence[float]) -> Tensor:
        """See ``Engine.advance``."""
        wish = _Wish(indices, rates)
        self._seats.grant(self, wish)
        if wish.error is not None:
            raise wish.error
        return torch.cat(wish.losses)

    def gradients(self, indices: Tensor) -> dict[str, Tensor]:
        """See ``Engine.gradients``; the torch engine's."""
        return TorchEngine(self.work, self._parameters, self.step).gradients(indices)

    def parameters(self) -> dict[str, Tensor]:
        """See ``Engine.parameters``."""
        return self._parameters


class Seats:
    """A seat for each of some runs. ``places`` are theirs among ``width`` models on a GPU."""

    def __init__(self, places: Sequence[int], width: int) -> None:
        self.all = [Seat(self, place) for place in places]
        self._present = list(self.all)
        self._width = width
        self._engine: StackedEngine | None = None
        self._stacked: list[Seat | None] = []  # whose model is where in the engine
        self._meeting = threading.Condition()

    def leave(self, seat: Seat) -> None:
        """See ``Seat.leave``."""
        with self._meeting:
            if seat in self._present:
                self._present.remove(seat)
                self._meeting.notify_all()

    def grant(self, seat: Seat, wish: _Wish) -> None:
        """Waits until the steps are done, or cannot be done."""
        with self._meeting:
            seat.wish = wish
            self._meeting.notify_all()
            self._meeting.wait_for(wish.is_over)

    def serve(self) -> None:
        """Advances the runs until the last of them has left."""
        with self._meeting:
            while self._present:
                self._meeting.wait_for(lambda: all(seat.wish for seat in self._present))
                wishes = {seat: seat.wish for seat in self._present if seat.wish is not None}
                if wishes:
                    self._serve(wishes)
                    self._meeting.notify_all()

    def _serve(self, wishes: Mapping[Seat, _Wish]) -> None:
        """As many steps as all runs want; what goes wrong with them is every run's own error."""
        try:
            self._advance(wishes)
        except Exception as error:
            for wish in wishes.values():
                wish.error = error
        for seat, wish in wishes.items():
            seat.wish = None if wish.is_over() else wish

    def _advance(self, wishes: Mapping[Seat, _Wish]) -> None:
        steps = min(len(wish.rates) for wish in wishes.values())
        engine = self._stack(list(wishes))
        some = next(iter(wishes.values()))
        idle = torch.zeros_like(some.indices[:steps]), [0.0] * steps
        served = [wishes.get(seat) if seat else None for seat in self._stacked]
        asked = [wish.first(steps) if wish else idle for wish in served]
        indices, rates = zip(*asked, strict=True)
        losses = engine.advance(torch.stack(indices, 1), list(zip(*rates, strict=True)))
        for wish, own in zip(served, losses.unbind(1), strict=True):
            if wish:
                wish.fulfil(own)
        for seat in wishes:
            seat.step += steps

    def _stack(self, waiting: list[Seat]) -> StackedEngine:
        """The engine that has the models of these. On a GPU it is the first one to the end, for
        there a model's bits depend on its place; a place that is not taken repeats another model,
        and stands still. On a CPU only those that wait take the time of a step."""
        on_gpu = waiting[0].work.on_gpu
        if self._engine is None or (not on_gpu and self._stacked != waiting):
            taken = {seat.place: seat for seat in waiting}
            self._stacked = [taken.get(p) for p in range(self._width)] if on_gpu else [*waiting]
            self._engine = _engine([seat or waiting[0] for seat in self._stacked])
            for number, seat in enumerate(self._stacked):
                if seat is not None:
                    seat.move(self._engine.model(number))
        return self._engine


def _engine(seats: Sequence[Seat]) -> StackedEngine:
    """An engine with the models of these seats."""
    parameters = [seat.parameters() for seat in seats]
    return StackedEngine([seat.work for seat in seats], parameters, [seat.step for seat in seats])
