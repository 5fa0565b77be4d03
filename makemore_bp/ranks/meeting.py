"""How the ranks of one attempt find each other and nobody else.

torchrun keeps one store of keys and values over all its restarts, with the addresses of ranks that
have ended still in it, and nothing that it tells a rank numbers the attempts alike on all machines.
A rank that reads the address of a dead one is refused or waits for ever. So the ranks first agree
on a token that no earlier attempt had, and everything that follows lies under it.
"""

from __future__ import annotations

import secrets
import time
from datetime import timedelta

from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]

INTERVAL = 0.01  # seconds from one look to the next


def fresh_part(store: Store, rank: int, size: int, patience: timedelta) -> Store:
    """The part of ``store`` that belongs to this attempt alone; on every rank.

    Every other rank asks with a number of its own, and rank 0 answers with that number and the
    token. A question or an answer that was left behind bears another number and is passed over.
    Raises RuntimeError if the ranks do not come together within ``patience``.
    """
    store = PrefixStore("makemore-bp", store)
    until = time.monotonic() + patience.total_seconds()
    token = _answer(store, size, until) if rank == 0 else _ask(store, rank, until)
    return PrefixStore(token, store)


def _ask(store: Store, rank: int, until: float) -> str:
    own = secrets.token_hex(8)
    store.set(f"question/{rank}", own)
    while True:
        asked, _, token = _read(store, f"answer/{rank}").partition(" ")
        if asked == own:
            store.set(f"thanks/{rank}", token)
            return token
        _wait(until)


def _answer(store: Store, size: int, until: float) -> str:
    """Answers whatever question stands there, until each rank has thanked for this very token."""
    token = secrets.token_hex(8)
    answered = dict.fromkeys(range(1, size), "")
    while answered:
        for rank, before in list(answered.items()):
            if _read(store, f"thanks/{rank}") == token:
                del answered[rank]
            elif (asked := _read(store, f"question/{rank}")) != before:
                store.set(f"answer/{rank}", f"{asked} {token}")
                answered[rank] = asked
        _wait(until)
    return token


def _read(store: Store, key: str) -> str:
    return bytes(store.get(key)).decode() if store.check([key]) else ""


def _wait(until: float) -> None:
    if time.monotonic() > until:
        raise RuntimeError("not all of them have come")
    time.sleep(INTERVAL)
