"""Whether the other ranks still live: each counts in the store, and looks who else has counted on.

A slow rank counts on, because a thread of its own does it. A rank that was stopped, or whose
machine is cut off, does not. Looks are counted and not seconds, so that a rank that was itself
stopped for an hour suspects nobody for it; nor does one whose store does not answer.
"""

from __future__ import annotations

import threading

from torch.distributed import Store  # type: ignore[attr-defined]

INTERVAL = 2.0  # seconds from one look to the next
LOOKS = 12  # in a row without a beat: a silent rank is noticed after 24 s
HEAD_START = 2  # looks that the others wait longer than rank 0, which tells the reason


class Pulse:
    """This rank's count and what it sees of the others'; ``stop`` ends it."""

    def __init__(self, store: Store, rank: int, size: int) -> None:
        self._store, self._own = store, f"pulse/{rank}"
        self._keys = [f"pulse/{number}" for number in range(size)]
        self._seen = [b""] * size
        self._missed = [0] * size
        self._most = LOOKS + HEAD_START * (rank > 0)
        self._ended = threading.Event()
        store.add(self._own, 1)
        threading.Thread(target=self._beat, daemon=True).start()

    def silent(self) -> int | None:
        """A rank that has not counted on for many looks; None if there is none."""
        late = (rank for rank, missed in enumerate(self._missed) if missed >= self._most)
        return next(late, None)

    def look(self) -> None:
        """Counts on, and compares everybody's count with that of the last look."""
        self._store.add(self._own, 1)
        for rank, count in enumerate(self._store.multi_get(self._keys)):
            self._missed[rank] = self._missed[rank] + 1 if count == self._seen[rank] else 0
            self._seen[rank] = count

    def stop(self) -> None:
        """Looks no more."""
        self._ended.set()

    def _beat(self) -> None:
        try:
            while not self._ended.wait(INTERVAL):
                self.look()
        except RuntimeError:  # the store has ended with torchrun, which ends its ranks
            return
