"""The step of ten launches: the heart's numbers; by Triton's interpreter where there is no GPU."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("triton", reason="needs Triton: pip install triton")

from makemore_bp import config
from makemore_bp.dataset import Examples
from makemore_bp.engines import choice, configured, triton_engine
from makemore_bp.engines.cuda_graphs import Calls, CudaGraphs
from makemore_bp.engines.engine import Work
from makemore_bp.engines.graph_engine import GraphEngine
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.engines.triton_engine import TritonEngine
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import Network
from makemore_bp.training import run_folder, start

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
STEPS = int(os.environ.get("MAKEMORE_BP_STEPS", "12"))
LECTURE = Sizes(27, n_hidden=13)
ROUNDING = 1e-12  # in double precision


def uncaptured(work: Calls) -> Calls:
    return work


class Case:
    """Some work with its parameters, from which engines start alike."""

    def __init__(
        self,
        sizes: Sizes = LECTURE,
        batch: int = 7,
        activation: str = "tanh",
        dtype: torch.dtype = torch.float64,
        **more: Any,
    ) -> None:
        g, g_batchnorm = generators(42)
        self.parameters = initialise(sizes, g, g_batchnorm, dtype)
        stream = torch.randint(0, sizes.vocabulary, (503,), generator=g).to(torch.uint8)
        positions = torch.arange(500 - sizes.block_size, dtype=torch.int32)
        examples = Examples(stream, positions, sizes.block_size)
        fused = Network.of(cross_entropy="fused", batchnorm="fused", activation=activation)
        network = fused.dropping(more.get("dropout", 0) > 0)
        self.work = Work(
            network, sizes, examples, batch, seed=5, device=DEVICE, dtype=dtype, **more
        )

    def heart(self) -> TorchEngine:
        return TorchEngine(self.work, self.parameters, 11)

    def engine(self) -> TritonEngine:
        capture = CudaGraphs(DEVICE) if CUDA else uncaptured
        found = TritonEngine(self.work, self.parameters, 11, capture)
        assert found.ten_launches
        return found

    def chunk(self, steps: int, seed: int = 3) -> tuple[Tensor, list[float]]:
        g = torch.Generator().manual_seed(seed)
        count = len(self.work.examples)
        indices = torch.randint(0, count, (steps, self.work.batch_size), generator=g)
        return indices, [0.1 + 0.05 * math.cos(s) for s in range(steps)]


def assert_close(
    found: Tensor, right: Tensor, rtol: float = ROUNDING, atol: float = ROUNDING
) -> None:
    torch.testing.assert_close(found.cpu(), right.cpu(), rtol=rtol, atol=atol)


def assert_same(found: Any, right: Any, rtol: float = ROUNDING, atol: float = ROUNDING) -> None:
    for name, parameter in right.parameters().items():
        assert_close(found.parameters()[name], parameter, rtol, atol)


CASES = {
    "the lecture's": lambda: Case(),
    "dropout": lambda: Case(dropout=0.3),
    "ReLU with dropout": lambda: Case(activation="relu", dropout=0.7),
    "the least of everything": lambda: Case(Sizes(2, 1, 1, 1), 2),
    "one place": lambda: Case(Sizes(5, 1, 3, 40), 3),
    "several blocks of everything": lambda: Case(Sizes(40, 4, 17, 50), 200),
}


@pytest.mark.parametrize("make", CASES.values(), ids=CASES.keys())
def test_every_gradient_is_the_hearts(make: Callable[[], Case]) -> None:
    case = make()
    (indices,), _ = case.chunk(1)
    engine, right = case.engine(), case.heart().gradients(indices)
    found = engine.gradients(indices)
    parameters = {f"d{name}" for name in case.parameters}
    assert set(found) == parameters | {"dlogits", "dhpreact", "loss"}
    for name, gradient in found.items():
        assert_close(gradient, right[name])
    for name, parameter in case.parameters.items():  # nothing was updated
        assert torch.equal(engine.parameters()[name].cpu(), parameter)


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_a_run_is_the_hearts_but_for_rounding(activation: str) -> None:
    """A few steps here; ``MAKEMORE_BP_STEPS=500`` takes minutes in the interpreter."""
    sizes = Sizes(6, 2, 3, 5)
    case = Case(sizes, 9, activation, dropout=0.2, weight_decay=0.01)
    engine, heart = case.engine(), case.heart()
    indices, rates = case.chunk(STEPS)
    for part in (slice(0, 5), slice(5, None)):
        losses = heart.advance(indices[part], rates[part])
        found = engine.advance(indices[part], rates[part])
        assert_close(found, losses)
    assert_same(engine, heart)


def test_in_single_precision_it_is_off_by_roundings() -> None:
    case = Case(LECTURE, 40, dtype=torch.float32)
    engine, heart = case.engine(), case.heart()
    indices, rates = case.chunk(3)
    losses = heart.advance(indices, rates)
    assert_close(engine.advance(indices, rates), losses, rtol=1e-5, atol=1e-6)
    assert_same(engine, heart, rtol=1e-4, atol=1e-6)


def test_the_same_steps_give_the_same_bits_however_they_are_cut() -> None:
    case = Case(Sizes(6, 2, 3, 5), 9, dtype=torch.float32, dropout=0.2)
    indices, rates = case.chunk(6)
    ends = []
    for cut in ((0, 6), (0, 1, 6), (0, 2, 6)):
        engine = case.engine()
        losses = [engine.advance(indices[a:b], rates[a:b]) for a, b in pairwise(cut)]
        ends.append([torch.cat(losses), *(p.clone() for p in engine.parameters().values())])
    for other in ends[1:]:
        assert all(torch.equal(a, b) for a, b in zip(ends[0], other, strict=True))


def test_one_hot_rows_of_few_steps_at_a_time_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    from makemore_bp.engines import triton_step

    case = Case(Sizes(6, 2, 3, 5), 9)
    indices, rates = case.chunk(4)
    whole = case.engine()
    losses = whole.advance(indices, rates)
    monkeypatch.setattr(triton_step, "FLOATS", 3 * 9 * 6 * 2)
    parts = case.engine()
    assert torch.equal(parts.advance(indices, rates), losses)
    assert_same(parts, whole, rtol=0, atol=0)


def test_a_batch_of_one_example_over_and_over_has_no_variance() -> None:
    case = Case(dtype=torch.float32)
    indices = torch.zeros(7, dtype=torch.int64)
    found, right = case.engine().gradients(indices), case.heart().gradients(indices)
    for name, gradient in found.items():
        assert_close(gradient, right[name], rtol=1e-3, atol=1e-4)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # the interpreter's NumPy
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_what_is_not_a_number_reaches_the_loss(activation: str) -> None:
    case = Case(activation=activation)
    case.parameters["W1"][0, 0] = float("nan")
    engine = case.engine()
    assert engine.advance(*case.chunk(1)).isnan().all()


def test_without_a_compiler_the_steps_are_the_graph_engines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from makemore_bp.engines import triton_step

    def failing(*_: Any) -> None:
        raise RuntimeError("Failed to find C compiler.\nPlease specify one")

    monkeypatch.setattr(triton_step.TritonStep, "_hidden", failing)
    case = Case(dropout=0.2)
    with pytest.warns(RuntimeWarning, match=r"\(Failed to find C compiler\)") as warned:
        engine = TritonEngine(case.work, case.parameters, 11, uncaptured)
    assert len(warned) == 1 and not engine.ten_launches
    plain = GraphEngine(case.work, case.parameters, 11, uncaptured)
    indices, rates = case.chunk(3)
    assert torch.equal(engine.advance(indices, rates), plain.advance(indices, rates))
    assert torch.equal(engine.gradients(indices[0])["dC"], plain.gradients(indices[0])["dC"])
    assert_same(engine, plain, rtol=0, atol=0)


def test_a_run_that_is_cut_and_resumed_ends_in_the_same_bytes(
    cli: Any, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = partial(TritonEngine, capture=CudaGraphs(DEVICE) if CUDA else uncaptured)
    monkeypatch.setattr(start, "choose", lambda *_: choice.Choice("torch", "", make))
    keys = [f"data.path={words}", f"device={DEVICE}", "train.batch_size=5", "model.n_hidden=4"]
    keys += ["model.n_embd=2", "train.dropout=0.2", "train.eval_every=100"]
    options = [part for key in keys for part in ("--set", key)]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert cli("train", "--out", whole, *options, "--set", "train.steps=3").code == 0
    assert cli("train", "--out", cut, *options, "--set", "train.steps=2").code == 0
    assert cli("train", "--resume", cut, "--set", "train.steps=3").code == 0
    first, second = (folder / run_folder.CHECKPOINT for folder in (whole, cut))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        (["train.steps=200000"], "ten launches each, by Triton and cuBLAS"),
        (["train.steps=100"], "100 steps are too few for Triton's compilation, 5 seconds; its"),
        (["train.steps=400", "train.batch_size=65536"], "ten launches"),
        (["backward.batchnorm=op-by-op"], "backward.batchnorm is op-by-op; its steps are replayed"),
        (["model.block_size=50"], "27 at 50 places are too many"),
    ],
)
def test_auto_says_which_step_runs_on_a_gpu_and_why(
    overrides: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    resolved = config.load(None, ["device=cuda", *overrides])
    chosen = choice.choose(resolved, configured.work(resolved, 27, Case().work.examples))
    assert chosen.engine == "torch" and says in chosen.why


def test_without_triton_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_engine, "find_spec", lambda _: None)
    resolved = config.load(None, ["device=cuda"])
    work = configured.work(resolved, 27, Case().work.examples)
    assert TritonEngine.obstacle(work) == "Triton is not installed"


@pytest.mark.parametrize("batch", [2, 32, 8192, 2**20])
@pytest.mark.parametrize("more", [{}, {"weight_decay": 0.1}, {"dropout": 0.1}], ids=str)
def test_a_step_of_any_size_is_ten_launches_and_two_for_its_minibatch(
    batch: int, more: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    from launches import launches  # type: ignore[import-not-found]

    run, ready = launches(LECTURE, batch, **more)
    assert (len(run), len(ready)) == (10, 2)
    hidden = 4 * batch * LECTURE.n_hidden
    of_rows = 4 * batch * (27 * 6 + 3 * 27 + 4)
    moved = sum(launch.moved for launch in run)
    assert moved < 6 * hidden + of_rows + 200_000  # h and dhpreact come by six times, no more
