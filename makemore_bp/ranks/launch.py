"""Whether torchrun started this process, and which of how many it is."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """This process is number ``rank`` of ``size``, and ``local_rank`` of ``local_size`` on its
    machine, all from 0."""

    rank: int
    size: int
    local_rank: int
    local_size: int

    @property
    def speaks(self) -> bool:
        """Whether this is rank 0, which alone writes, shows and answers."""
        return self.rank == 0


def place() -> Place | None:
    """This process's place; None unless torchrun started it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return Place(*(int(os.environ[name]) for name in names))


def speaks() -> bool:
    """Whether this process shows what it does: rank 0, or the only one."""
    here = place()
    return here is None or here.speaks


def launch_id() -> str:
    """Which torchrun started this process, the same after it has restarted its workers.

    torchrun is the parent process. Its number alone could come again after a reboot, so the run id
    and the port of the meeting point go with it.
    """
    parts = (os.environ["TORCHELASTIC_RUN_ID"], socket.gethostname(), os.getppid())
    return " ".join(map(str, parts))
