"""Forty networks that are not the lecture's, each with a right backward pass and five wrong ones.

`cases()` yields them; verify.py holds all of them against autograd.
"""

from __future__ import annotations

from collections.abc import Iterator

from . import further, further_loops, larger, simple
from .network import Network, NetworkCase, variants

__all__ = ["NETWORKS", "Network", "NetworkCase", "cases"]

NETWORKS: tuple[Network, ...] = (
    *simple.NETWORKS,
    *larger.NETWORKS,
    *further.NETWORKS,
    *further_loops.NETWORKS,
)


def cases() -> Iterator[NetworkCase]:
    for network in NETWORKS:
        yield from variants(network)
