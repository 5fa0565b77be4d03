"""A rank that has stopped is told from one that is slow."""

from __future__ import annotations

import pytest
from torch.distributed import HashStore  # type: ignore[attr-defined]

from makemore_bp.ranks import pulse
from makemore_bp.ranks.pulse import HEAD_START, LOOKS, Pulse


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> list[Pulse]:
    """Three ranks, whose threads sleep: the tests look for them."""
    monkeypatch.setattr(pulse, "INTERVAL", 1e6)
    store = HashStore()
    pulses = [Pulse(store, number, 3) for number in range(3)]
    for each in reversed(pulses):  # so that the first has seen what the last has counted
        each.look()
    return pulses


def look(*pulses: Pulse, times: int = 1) -> None:
    for _ in range(times):
        for each in pulses:
            each.look()


def test_a_rank_that_does_not_count_on_is_noticed_and_rank_0_says_so_first(
    ranks: list[Pulse],
) -> None:
    look(*ranks[:2], times=LOOKS - 1)
    assert [each.silent() for each in ranks[:2]] == [None, None]
    look(*ranks[:2])
    assert [each.silent() for each in ranks[:2]] == [2, None]
    look(*ranks[:2], times=HEAD_START)
    assert [each.silent() for each in ranks[:2]] == [2, 2]


def test_a_slow_rank_is_waited_for(ranks: list[Pulse]) -> None:
    for _ in range(5):
        look(*ranks[:2], times=LOOKS - 1)
        look(ranks[2])
    look(*ranks[:2])
    assert [each.silent() for each in ranks] == [None] * 3


def test_a_rank_that_was_stopped_itself_suspects_nobody_when_it_goes_on(
    ranks: list[Pulse],
) -> None:
    look(*ranks[:2], times=10 * LOOKS)
    look(ranks[2])
    assert ranks[2].silent() is None
    look(*ranks)
    assert [each.silent() for each in ranks] == [None] * 3
