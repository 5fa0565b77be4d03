"""How ranks find each other in a store that still holds what earlier attempts have left there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from torch.distributed import HashStore, Store  # type: ignore[attr-defined]

from makemore_bp.ranks.meeting import fresh_part

PATIENCE = timedelta(seconds=60)


def meet(store: Store, size: int) -> list[bytes]:
    """Each of ``size`` ranks writes under its part of the store and reads rank 0's word there."""

    def rank(number: int) -> bytes:
        part = fresh_part(store, number, size, PATIENCE)
        if number == 0:
            part.set("word", f"of attempt {store.add('attempts', 1)}")
        part.wait(["word"], PATIENCE)
        return bytes(part.get("word"))

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(rank, reversed(range(size))))


def test_no_attempt_reads_what_an_earlier_one_has_left() -> None:
    store = HashStore()
    for attempt in range(1, 6):
        assert meet(store, 3) == [f"of attempt {attempt}".encode()] * 3


def test_an_attempt_that_ended_in_the_middle_disturbs_no_later_one() -> None:
    store = HashStore()
    soon = timedelta(seconds=0.2)
    with ThreadPoolExecutor(2) as pool:  # rank 2 never comes
        ranks = [pool.submit(fresh_part, store, number, 3, soon) for number in (0, 1)]
        with pytest.raises(RuntimeError, match="not all"):
            ranks[0].result()
    with pytest.raises(RuntimeError, match="not all"):  # rank 0 never comes
        fresh_part(store, 2, 3, soon)
    assert meet(store, 3) == [b"of attempt 1"] * 3
