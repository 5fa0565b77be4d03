"""Several models that take their steps together: each one's own numbers, whoever is beside it."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import vmap

from makemore_bp import config
from makemore_bp.dataset import Examples
from makemore_bp.engines.engine import Work
from makemore_bp.engines.seats import Seat, Seats
from makemore_bp.engines.stacked_engine import StackedEngine
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.network.parameters import Sizes, generators, initialise
from tests.engines import recorded_work
from tests.works import network, work

BATCH, STEPS = 7, 40  # a batch and sizes whose rows fill no vector of the processor
SWITCHES = list(product(("op-by-op", "fused"), repeat=2))


class Models:
    """Models of one shape that differ in all that they may."""

    def __init__(
        self,
        number: int = 5,
        switches: tuple[str, str] = ("fused", "fused"),
        dtype: torch.dtype = torch.float32,
        dropout: bool = True,
        device: str = "cpu",
    ) -> None:
        self.g = torch.Generator().manual_seed(3)
        sizes = Sizes(27, n_embd=3, n_hidden=13)
        self.parameters = [initialise(sizes, *generators(m), dtype) for m in range(number)]
        stream = torch.randint(0, 27, (503,), generator=self.g).to(torch.uint8)
        examples = Examples(stream, torch.arange(500, dtype=torch.int32), 3)
        of = network(switches, dropout)
        self.works = [
            work(
                of,
                self.parameters[0],
                examples,
                BATCH,
                dropout=0.1 * (m + 1) if dropout else 0.0,
                weight_decay=0.01 * m,
                seed=m,
                device=device,
            )
            for m in range(number)
        ]
        self.steps = [10 * m for m in range(number)]

    def chunk(self, steps: int) -> tuple[Tensor, Tensor]:
        """Each model's minibatches (steps, M, batch_size) and learning rates (steps, M)."""
        shape = (steps, len(self.works))
        indices = torch.randint(0, 500, (*shape, BATCH), generator=self.g)
        return indices, 0.2 * torch.rand(shape, generator=self.g, dtype=torch.float64)

    def alone(self, m: int) -> TorchEngine:
        return TorchEngine(self.works[m], self.parameters[m], self.steps[m])

    def stack(self, which: Sequence[int], **more: Any) -> StackedEngine:
        chosen = [[of[m] for m in which] for of in (self.works, self.parameters, self.steps)]
        return StackedEngine(*chosen, **more)  # type: ignore[arg-type]


def assert_alike(
    models: Models, equal: Callable[[Tensor, Tensor], bool], steps: int = STEPS, **more: Any
) -> None:
    """Each of the stacked models ends where it ends alone."""
    together = models.stack(range(len(models.works)), **more)
    indices, rates = models.chunk(steps)
    losses = together.advance(indices, rates.tolist())
    for m in range(len(models.works)):
        alone = models.alone(m)
        assert equal(alone.advance(indices[:, m], rates[:, m].tolist()), losses[:, m])
        for name, parameter in alone.parameters().items():
            assert equal(parameter, together.model(m)[name]), (m, name)


def within(tolerance: float) -> Callable[[Tensor, Tensor], bool]:
    return lambda one, other: float((one - other).abs().max()) <= tolerance


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("switches", SWITCHES)
def test_on_a_cpu_each_model_has_the_bits_of_the_torch_engine(
    switches: tuple[str, str], dtype: torch.dtype
) -> None:
    assert_alike(Models(5, switches, dtype), torch.equal)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("switches", SWITCHES)
def test_lifted_by_vmap_each_model_is_itself_to_1e_12_after_500_steps(
    switches: tuple[str, str],
) -> None:
    assert_alike(Models(3, switches, torch.float64), within(1e-12), 500, lift=vmap)


def test_five_models_are_as_many_operations_as_two() -> None:
    """What is captured on a GPU is a call for all; nothing there waits or leaves the device."""
    counts = []
    for number in (2, 5):
        models, capture = Models(number, device="meta"), recorded_work.Capture()
        engine = models.stack(range(number), capture=capture, lift=vmap)
        with torch.inference_mode():
            engine._captured(lambda engine=engine: engine._steps(2))  # type: ignore[misc]
        (recording,) = capture.recordings
        assert {tensor.device.type for tensor in recording.tensors()} == {"meta"}
        counts.append(len(recording.calls))
    assert counts[0] == counts[1]


def test_a_replayed_stack_has_the_bits_of_one_that_is_called() -> None:
    assert_alike(Models(), torch.equal, 150, capture=recorded_work.Capture())


def outcomes(models: Models, which: Sequence[int], **more: Any) -> dict[int, dict[str, Tensor]]:
    models.g.manual_seed(8)
    engine = models.stack(which, **more)
    indices, rates = models.chunk(STEPS)
    losses = engine.advance(indices[:, list(which)], rates[:, list(which)].tolist())
    return {m: {**engine.model(at), "loss": losses[:, at]} for at, m in enumerate(which)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("which", [[0], [4], [3, 1], [4, 3, 2, 1, 0], [2, 0, 4]])
def test_a_models_bits_depend_on_no_neighbour(which: list[int], dtype: torch.dtype) -> None:
    models = Models(5, dtype=dtype)
    all_of_them = outcomes(models, range(5))
    for m, found in outcomes(models, which).items():
        for name, tensor in found.items():
            assert torch.equal(tensor, all_of_them[m][name]), (m, name)


def test_a_neighbour_that_diverges_disturbs_nobody_in_its_place_in_a_stack() -> None:
    """As on a GPU: the same places, another neighbour, the same bits."""
    models = Models(dropout=False)
    before = outcomes(models, range(5), lift=vmap)
    models.parameters[2]["W1"].fill_(math.inf)
    after = outcomes(models, range(5), lift=vmap)
    assert not after[2]["loss"].isfinite().any()
    for m in (0, 1, 3, 4):
        for name, tensor in after[m].items():
            assert torch.equal(tensor, before[m][name]), (m, name)


def test_models_of_different_shapes_are_refused() -> None:
    works = [Models(1).works[0], Models(1, ("op-by-op", "fused")).works[0]]
    with pytest.raises(ValueError, match="different shapes"):
        StackedEngine(works, Models(2).parameters, [0, 0])


def seated(seats: Seats, runs: Sequence[Callable[[Seat], None]]) -> None:
    """Each run in a thread, with its seat, to the end."""

    def one(run: Callable[[Seat], None], seat: Seat) -> None:
        try:
            run(seat)
        finally:
            seat.leave()

    threads = [
        threading.Thread(target=one, args=both) for both in zip(runs, seats.all, strict=True)
    ]
    for thread in threads:
        thread.start()
    seats.serve()
    for thread in threads:
        thread.join()


def loop(models: Models, m: int, lengths: Sequence[int], found: dict[int, Any]) -> Any:
    """A run that wants chunks of these lengths, and keeps what becomes of it."""

    def run(seat: Seat) -> None:
        engine = seat.choose(config.load(), models.works[m]).make(
            models.works[m], models.parameters[m], models.steps[m]
        )
        losses = [engine.advance(*own(m, length)) for length in lengths]
        found[m] = torch.cat(losses), {n: p.clone() for n, p in engine.parameters().items()}

    return run


def own(m: int, length: int) -> tuple[Tensor, list[float]]:
    g = torch.Generator().manual_seed(100 * m + length)
    return torch.randint(0, 500, (length, BATCH), generator=g), [0.1] * length


@pytest.mark.parametrize(("places", "width"), [([0, 1, 2], 3), ([4, 0, 2], 5)])
def test_runs_with_chunks_of_different_lengths_end_where_each_ends_alone(
    places: list[int], width: int
) -> None:
    models, found = Models(3), dict[int, Any]()
    chunks = {0: (1, 2, 4, 30), 1: (5,), 2: (16, 16, 16, 16)}
    runs = [loop(models, m, lengths, found) for m, lengths in chunks.items()]
    seated(Seats(places, width), runs)
    for m, lengths in chunks.items():
        alone = models.alone(m)
        losses = torch.cat([alone.advance(*own(m, length)) for length in lengths])
        assert torch.equal(losses, found[m][0])
        for name, parameter in alone.parameters().items():
            assert torch.equal(parameter, found[m][1][name]), (m, name)


def test_on_a_gpu_a_place_that_nobody_takes_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stack keeps its width and its places to the end, on which bits depend there."""
    widths = []
    advance = StackedEngine.advance

    def watched(self: StackedEngine, indices: Tensor, rates: Any) -> Tensor:
        widths.append(indices.shape[1])
        return advance(self, indices, rates)

    models, found = Models(2, dropout=False), dict[int, Any]()
    monkeypatch.setattr(StackedEngine, "advance", watched)
    monkeypatch.setattr(Work, "on_gpu", property(lambda work: work is not None and gpu[0]))
    gpu = [False]
    seats = Seats([3, 1], 4)
    stack = Seats._stack

    def on_gpu(self: Seats, waiting: list[Seat]) -> StackedEngine:
        gpu[0] = True
        monkeypatch.setattr("makemore_bp.engines.graph_engine.CudaGraphs", lambda _: lambda w: w)
        try:
            return stack(self, waiting)
        finally:
            gpu[0] = False

    monkeypatch.setattr(Seats, "_stack", on_gpu)
    seated(seats, [loop(models, 0, (3, 6), found), loop(models, 1, (3,), found)])
    assert set(widths) == {4} and [seat and seat.place for seat in seats._stacked] == [
        None, 1, None, 3,
    ]  # fmt: skip
    for m, lengths in ((0, (3, 6)), (1, (3,))):
        alone = models.alone(m)
        for length in lengths:
            alone.advance(*own(m, length))
        for name, parameter in alone.parameters().items():
            torch.testing.assert_close(parameter, found[m][1][name], msg=name)


def test_what_goes_wrong_with_the_stack_is_every_runs_own_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def failing(*_: Any) -> Tensor:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr(StackedEngine, "advance", failing)
    models, said = Models(2), []

    def run(seat: Seat) -> None:
        try:
            loop(models, seat.place, (1,), {})(seat)
        except RuntimeError as error:
            said.append(str(error))

    seated(Seats([0, 1], 2), [run, run])
    assert said == ["CUDA out of memory"] * 2
