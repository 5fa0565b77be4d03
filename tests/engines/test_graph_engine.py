"""The engine whose steps can be captured: the torch engine's numbers, however they are launched."""

from __future__ import annotations

import json
import math
import warnings
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from makemore_bp import config, dataset
from makemore_bp.config import Config
from makemore_bp.dataset import Examples
from makemore_bp.engines import configured, graph_engine
from makemore_bp.engines.choice import Choice, choose, named
from makemore_bp.engines.cuda_graphs import Calls, Capture
from makemore_bp.engines.graph_engine import GraphEngine, longest, parts
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.ranks.engine import RanksEngine
from makemore_bp.ranks.group import ALONE
from makemore_bp.training import run_folder, start
from makemore_bp.training.loop import State
from tests.engines import recorded_work
from tests.works import network, work

BATCH, HIDDEN = 7, 13
LENGTHS = (1, 3, 64, 150, 1, 129, 6)  # shorter than a graph, as long, longer, and odd
SWITCHES = list(product(("op-by-op", "fused"), repeat=2))
needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def uncaptured(work: Calls) -> Calls:
    return work


def failing(work: Calls) -> Calls:
    work()
    raise RuntimeError("operation not permitted when stream is capturing\nSearch for ...")


class Setting:
    """A network with its data, from which engines start alike."""

    def __init__(
        self,
        switches: tuple[str, str] = ("fused", "fused"),
        dtype: torch.dtype = torch.float32,
        dropout: float = 0.0,
        weight_decay: float = 0.0,
        device: str = "cpu",
    ) -> None:
        g, g_batchnorm = generators(42)
        self.parameters = initialise(Sizes(27, n_hidden=HIDDEN), g, g_batchnorm, dtype)
        stream = torch.randint(0, 27, (503,), generator=g).to(torch.uint8)
        self.examples = Examples(stream, torch.arange(500, dtype=torch.int32), 3)
        more = {"dropout": dropout, "weight_decay": weight_decay, "seed": 5, "device": device}
        of = network(switches, dropout > 0)
        self.work = work(of, self.parameters, self.examples, BATCH, **more)

    def plain(self) -> TorchEngine:
        return TorchEngine(self.work, self.parameters, 11)

    def graphs(self, capture: Capture) -> GraphEngine:
        return GraphEngine(self.work, self.parameters, 11, capture)


def chunks(lengths: tuple[int, ...] = LENGTHS) -> list[tuple[Tensor, list[float]]]:
    """Minibatches and learning rates, another one in every step."""
    g = torch.Generator().manual_seed(3)
    steps = iter(range(sum(lengths)))
    return [
        (
            torch.randint(0, 500, (length, BATCH), generator=g),
            [0.1 * math.cos(next(steps) / 300) for _ in range(length)],
        )
        for length in lengths
    ]


def assert_same_run(one: Any, other: Any, lengths: tuple[int, ...] = LENGTHS) -> None:
    """The same losses and parameters, to the bit, chunk after chunk."""
    for indices, rates in chunks(lengths):
        assert torch.equal(one.advance(indices, rates), other.advance(indices, rates))
        for name, parameter in one.parameters().items():
            assert torch.equal(parameter, other.parameters()[name]), name


@pytest.mark.parametrize("capture", [uncaptured, recorded_work.Capture()])
@pytest.mark.parametrize("options", [(0.0, 0.0), (0.3, 0.01)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("switches", SWITCHES)
def test_its_steps_are_the_torch_engines_to_the_bit(
    switches: tuple[str, str], dtype: torch.dtype, options: tuple[float, float], capture: Capture
) -> None:
    setting = Setting(switches, dtype, *options)
    assert_same_run(setting.plain(), setting.graphs(capture))


@pytest.mark.parametrize("switches", SWITCHES)
def test_a_captured_step_stays_on_its_device(switches: tuple[str, str]) -> None:
    """On the device ``meta`` nothing has a value, so that whoever asks for one is found out."""
    capture = recorded_work.Capture()
    engine = Setting(switches, dropout=0.3, weight_decay=0.01, device="meta").graphs(capture)
    with torch.inference_mode():
        engine._captured(lambda: engine._steps(3))
    (recording,) = capture.recordings
    assert {tensor.device.type for tensor in recording.tensors()} == {"meta"}
    waiting = ("item", "local_scalar_dense", "nonzero", "masked_select", "unique")
    assert not [name for name in recording.names() if any(word in name for word in waiting)]


def test_a_chunk_is_put_together_from_powers_of_two() -> None:
    for steps in (1, 63, 64, 200, 20_000):
        cut = list(parts(steps, 64))
        assert sum(cut) == steps and all(part & part - 1 == 0 and part <= 64 for part in cut)
    assert list(parts(150, 64)) == [64, 64, 16, 4, 2]
    assert [longest(batch) for batch in (1, 32, 2**14, 2**16, 3 * 2**18, 2**30)] == [
        64, 64, 64, 16, 1, 1,
    ]  # fmt: skip


def test_each_length_is_captured_once() -> None:
    capture = recorded_work.Capture()
    assert_same_run(Setting().plain(), Setting().graphs(capture), (5, 64, 64, 69))
    assert len(capture.recordings) == 3  # of 1, 4 and 64 steps


def test_what_cannot_be_captured_is_called_one_by_one_with_one_warning() -> None:
    setting = Setting(dropout=0.3, weight_decay=0.01)
    engine = setting.graphs(failing)
    with pytest.warns(RuntimeWarning) as warned:
        assert_same_run(setting.plain(), engine)
    (warning,) = warned
    text = str(warning.message)
    assert "(operation not permitted when stream is capturing)" in text and "\n" not in text


def test_the_reason_is_the_error_that_came_first() -> None:
    def twice(work: Calls) -> Calls:
        try:
            raise RuntimeError("a step waits for the host")
        finally:
            raise RuntimeError("operation failed due to a previous error during capture")

    with pytest.warns(RuntimeWarning, match=r"\(a step waits for the host\)"):
        Setting().graphs(twice).advance(*chunks((1,))[0])


def test_a_run_ends_in_the_same_bytes_with_a_warning_of_one_line(
    cli: Any, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole command, its steps captured, and its steps called where no capture is possible."""
    settings = [f"data.path={words}", "engine=torch", "train.steps=90", "train.batch_size=8"]
    settings += ["train.eval_every=40", "train.dropout=0.2", "train.schedule=cosine"]
    options = [part for setting in settings for part in ("--set", setting)]
    recorded = recorded_work.Capture()
    engines = {
        "plain": TorchEngine,
        "graphs": partial(GraphEngine, capture=recorded),
        "no": partial(GraphEngine, capture=failing),
    }
    errors = {}
    for name, engine in engines.items():
        monkeypatch.setattr(start, "choose", lambda *_, make=engine: Choice("torch", "", make))
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            result = cli("train", "--json", "--out", tmp_path / name, *options)
        assert result.code == 0 and json.loads(result.out)["engine"] == "torch"
        errors[name] = result.err
    assert recorded.recordings
    plain, *others = ((tmp_path / name / run_folder.CHECKPOINT).read_bytes() for name in errors)
    assert all(other == plain for other in others)
    (line,) = [line for line in errors["no"].splitlines() if line.startswith("Warning: ")]
    assert "capturing), so they are launched one by one" in line
    assert "Warning" not in errors["plain"] + errors["graphs"]


def on_cuda(words: Path, *more: str) -> Config:
    return config.load(None, [f"data.path={words}", "device=cuda", "model.n_hidden=24", *more])


def made(resolved: Config) -> tuple[Any, State, Examples]:
    data = dataset.load(resolved.data, resolved.model.block_size)
    state = State.fresh(resolved, len(data.vocabulary))
    steps = configured.work(resolved, len(data.vocabulary), data.train)
    engine = named("torch", steps)(steps, state.parameters)
    return engine, state, data.train


def test_the_choice_says_that_steps_are_replayed(
    words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for engine in ("auto", "torch"):
        resolved = on_cuda(words, f"engine={engine}")
        chosen = choose(resolved, configured.work(resolved, 27, Setting().examples))
        assert chosen.engine == "torch" and "CUDA graphs" in chosen.why
    assert "CUDA" not in RanksEngine.chosen(ALONE).why


@needs_cuda
@pytest.mark.parametrize("switches", SWITCHES)
def test_a_run_on_cuda_is_the_same_with_and_without_graphs(
    words: Path, switches: tuple[str, str]
) -> None:
    resolved = on_cuda(
        words,
        "dtype=float64",
        "train.dropout=0.3",
        "train.weight_decay=0.01",
        f"backward.cross_entropy={switches[0]}",
        f"backward.batchnorm={switches[1]}",
    )
    engine, state, examples = made(resolved)
    V = state.parameters["C"].shape[0]
    plain = TorchEngine(configured.work(resolved, V, examples), state.parameters)
    shape = (300, resolved.train.batch_size)
    indices = torch.randint(0, len(examples), shape, generator=state.g)
    rates = [0.1 * math.cos(step / 300) for step in range(300)]
    torch.testing.assert_close(engine.advance(indices, rates), plain.advance(indices, rates))
    for name, parameter in plain.parameters().items():
        torch.testing.assert_close(engine.parameters()[name], parameter, msg=name)


@needs_cuda
def test_a_capture_that_fails_on_cuda_leaves_a_device_that_works(
    words: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that waits for the device cannot be captured, and the run goes on all the same."""
    engine, state, examples = made(on_cuda(words))
    steps = GraphEngine._steps

    def waiting(self: GraphEngine, length: int) -> None:
        steps(self, length)
        self._losses.sum().item()

    shape = (100, 32)
    indices = torch.randint(0, len(examples), shape, generator=state.g)
    expected = engine.advance(indices, [0.1] * 100)
    monkeypatch.setattr(graph_engine.GraphEngine, "_steps", waiting)
    uncapturable, *_ = made(on_cuda(words))
    with pytest.warns(RuntimeWarning, match="cannot be captured"):
        found = uncapturable.advance(indices, [0.1] * 100)
    torch.testing.assert_close(found, expected)
