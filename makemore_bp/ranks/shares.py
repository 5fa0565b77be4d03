"""Which part of a row of things is whose: as even as can be, the first ranks have one more."""

from __future__ import annotations


def share(total: int, rank: int, size: int) -> range:
    """The numbers below ``total`` that are ``rank``'s, of ``size`` ranks; every one is somebody's.

    33 over 2 ranks are 0 to 16 and 17 to 32.
    """
    each, more = divmod(total, size)
    first = rank * each + min(rank, more)
    return range(first, first + each + (rank < more))
