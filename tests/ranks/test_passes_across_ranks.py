"""The passes through a network whose batch lies with several ranks, against one that has it all.

The ranks are threads here; `test_torchrun.py` starts processes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import pytest
import torch
from torch import Tensor

from makemore_bp import config
from makemore_bp.dataset import Examples
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.gradcheck.batch import first_step
from makemore_bp.gradcheck.check import check, worst
from makemore_bp.network import batchnorm_fused
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import Network
from makemore_bp.ranks import batchnorm_fused as over_ranks_fused
from makemore_bp.ranks.engine import RanksEngine, whole
from makemore_bp.ranks.network import STAGES, over_ranks
from makemore_bp.ranks.shares import share
from makemore_bp.training.evaluation import Statistics, Weighted, calibrate, loss
from tests.ranks.rank_threads import ThreadRanks, on_ranks
from tests.works import network as network_of
from tests.works import work as work_of

V, B, E, H, BATCH = 9, 3, 4, 6, 33
SWITCHES: list[tuple[str, str]] = list(product(("op-by-op", "fused"), ("op-by-op", "fused")))
SIZES = (2, 3, 4)


def start(dtype: torch.dtype = torch.float64) -> tuple[dict[str, Tensor], Examples]:
    g, g_batchnorm = generators(7)
    parameters = initialise(Sizes(V, B, E, H), g, g_batchnorm, dtype)
    stream = torch.randint(0, V, (500,), generator=g, dtype=torch.uint8)
    return parameters, Examples(stream, torch.arange(490, dtype=torch.int32), B)


def rows(of: int, ranks: ThreadRanks) -> slice:
    mine = share(of, ranks.rank, ranks.size)
    return slice(mine.start, mine.stop)


@pytest.mark.parametrize("total", [0, 1, 2, 7, 33, 64])
@pytest.mark.parametrize("size", [1, 2, 3, 8])
def test_every_row_is_one_ranks_and_shares_differ_by_one_at_most(total: int, size: int) -> None:
    shares = [share(total, rank, size) for rank in range(size)]
    assert [row for mine in shares for row in mine] == list(range(total))
    lengths = [len(mine) for mine in shares]
    assert lengths == sorted(lengths, reverse=True) and lengths[0] - lengths[-1] <= 1


@pytest.mark.parametrize("switches", SWITCHES)
@pytest.mark.parametrize("size", SIZES)
def test_every_gradient_is_the_single_processs(size: int, switches: tuple[str, str]) -> None:
    parameters, examples = start()
    Xb, Yb = examples.batch(torch.arange(BATCH))
    alone = network_of(switches)
    record = alone.forward(parameters, Xb, Yb)
    expected = alone.backward(record)

    def work(ranks: ThreadRanks) -> tuple[Tensor, dict[str, Tensor]]:
        mine = rows(BATCH, ranks)
        network = over_ranks(network_of(switches))
        own = network.forward(parameters, Xb[mine], Yb[mine], n=BATCH, ranks=ranks)
        shared, gradients = whole(own["loss"], network.backward(own), ranks)
        for name, gradient in gradients.items():
            if name == "dbngain_and_dbnbias":
                continue
            wanted = expected[name]
            if wanted.shape != gradient.shape:
                wanted = wanted[mine]
            scale = float(expected[name].abs().max()) or 1.0
            assert gradient.shape == wanted.shape, name
            # What is left of db1 and dlogit_maxes, whose true value is 0, is rounding.
            assert float((gradient - wanted).abs().max()) < 1e-13 * max(scale, 1e-2), name
        return shared, gradients

    for shared, gradients in on_ranks(size, work):
        assert set(expected) <= set(gradients)
        assert abs(float(shared - record["loss"])) < 1e-14


def test_the_messages_are_those_that_the_heart_states() -> None:
    parameters, examples = start()
    Xb, Yb = examples.batch(torch.arange(BATCH))
    flat = sum(p.numel() for p in parameters.values()) - 2 * H + 1
    column = ("sum", (1, H))
    stated = {
        "op-by-op": [column] * 6,
        "fused": [("gather", (1, 2 * H + 1)), ("sum", (2, H))],
    }
    for switches in SWITCHES:

        def work(ranks: ThreadRanks, switches: tuple[str, str] = switches) -> None:
            mine = rows(BATCH, ranks)
            network = over_ranks(network_of(switches))
            own = network.forward(parameters, Xb[mine], Yb[mine], n=BATCH, ranks=ranks)
            whole(own["loss"], network.backward(own), ranks)
            assert ranks.sent == [*stated[switches[1]], ("sum", (flat,))]

        on_ranks(2, work)


def test_the_variance_keeps_its_digits_where_the_mean_is_large() -> None:
    g = torch.Generator().manual_seed(3)
    hprebn = torch.randn(64, 5, generator=g) + 3000.0
    truth = hprebn.double().var(0)
    naive = (hprebn.square().sum(0) - hprebn.sum(0).square() / 64) / 63
    gain, bias = torch.ones(1, 5), torch.zeros(1, 5)

    def work(ranks: ThreadRanks) -> Tensor:
        own = hprebn[rows(64, ranks)]
        record = over_ranks_fused.forward(own, gain, bias, 64, ranks)
        found: Tensor = record["bnvar"]
        return found[0]

    for bnvar in on_ranks(3, work):
        assert float((bnvar / truth - 1).abs().max()) < 1e-4
    assert float((naive / truth - 1).abs().max()) > 1e-2


@pytest.mark.parametrize(
    ("dtype", "steps", "tolerance"), [(torch.float64, 40, 1e-12), (torch.float32, 40, 1e-5)]
)
@pytest.mark.parametrize("switches", SWITCHES)
def test_ranks_train_as_one_process_does(
    switches: tuple[str, str], dtype: torch.dtype, steps: int, tolerance: float
) -> None:
    parameters, examples = start(dtype)
    g = torch.Generator().manual_seed(5)
    indices = torch.randint(0, len(examples), (steps, BATCH), generator=g)
    rates = [0.1] * steps
    steps_work = work_of(network_of(switches), parameters, examples, BATCH)
    alone = TorchEngine(steps_work, parameters)
    expected = alone.advance(indices, rates)

    def work(ranks: ThreadRanks) -> tuple[Tensor, dict[str, Tensor]]:
        engine = RanksEngine(ranks, steps_work, parameters)
        return engine.advance(indices, rates), engine.parameters()

    for size in SIZES:
        found = on_ranks(size, work)
        for losses, trained in found:
            assert float((losses - expected).abs().max()) < tolerance
            for name, parameter in found[0][1].items():
                assert torch.equal(trained[name], parameter), "the ranks have drifted apart"
    assert float(expected[-10:].mean()) < float(expected[0])


def test_gradcheck_finds_a_share_that_is_not_added_up(
    words: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = config.load(None, [f"data.path={words}", "model.n_hidden=8", "dtype=float64"])
    first = first_step(resolved)

    def statuses() -> list[dict[str, str]]:
        def work(ranks: ThreadRanks) -> dict[str, str]:
            own = check(first.batch, first.gradients("torch", ranks))
            found = worst(ranks.texts(json.dumps(own.as_json())))
            assert found.passed == all(report.passed for report in found.tensors)
            return {report.name: report.status for report in found.tensors}

        return on_ranks(3, work)

    assert all(set(found.values()) <= {"exact", "close"} for found in statuses())

    def own_rows_only(bnraw: Tensor, dhpreact: Tensor) -> Tensor:
        return torch.stack(((bnraw * dhpreact).sum(0), dhpreact.sum(0)))

    own_rows_only.__name__ = "dbngain_and_dbnbias"
    right = over_ranks_fused.fused
    wrong = replace(right, backward=(own_rows_only, *right.backward[1:]))
    monkeypatch.setitem(STAGES, batchnorm_fused.fused, wrong)
    for found in statuses():
        assert found["bngain"] == found["bnbias"] == "wrong"
        assert found["hpreact"] in ("exact", "close")


@pytest.mark.parametrize("block_size", [3, 60])
def test_ranks_measure_the_same_statistics_and_losses(block_size: int) -> None:
    """A block of 60 is too long to be numbered: every example passes by itself."""
    _, examples = start()
    examples = Examples(examples.stream, examples.positions[:400], block_size)
    parameters = initialise(Sizes(V, block_size, E, H), *generators(7), torch.float64)
    alone = Weighted(examples, V)
    statistics = calibrate(Network(), parameters, alone)
    expected = loss(Network(), parameters, statistics, alone)
    assert expected is not None

    def work(ranks: ThreadRanks) -> tuple[Statistics, float | None, float]:
        mine = Weighted(examples, V, ranks=ranks)
        own = sum(float(batch.counts.sum()) for batch in mine.batches(H))
        measured = calibrate(Network(), parameters, mine)
        return measured, loss(Network(), parameters, measured, mine), own

    found = on_ranks(3, work)
    assert sum(own for _, _, own in found) == len(examples)
    assert all(own for _, _, own in found)
    for measured, value, _ in found:
        assert torch.allclose(measured.bnmean, statistics.bnmean, rtol=0, atol=1e-13)
        assert torch.allclose(measured.bnvar, statistics.bnvar, rtol=0, atol=1e-13)
        assert value == pytest.approx(expected, abs=1e-13)
