"""How many threads PyTorch takes for small work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

# Numbers in the largest tensor for which a second thread is worth waking. With fewer, threads wait
# for each other longer than they work, above all where something else has a core.
WORTH_TWO = 2**22


@contextmanager
def for_numbers(largest: int) -> Iterator[None]:
    """Within, PyTorch takes one thread if no tensor has more than ``largest`` numbers and that is
    too few for more. The results are the same: at such sizes no sum is split between threads."""
    before = torch.get_num_threads()
    if largest >= WORTH_TWO or before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
