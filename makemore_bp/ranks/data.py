"""The encoded words of a run over several ranks: every machine maps its own file of them."""

from __future__ import annotations

from pathlib import Path

from makemore_bp.config import Config
from makemore_bp.dataset import Dataset, mapped
from makemore_bp.ranks.group import Group


def load(config: Config, ranks: Group) -> Dataset:
    """The words of ``config``, mapped; the first rank of every machine encodes them if need be.

    Raises RequestError if they cannot be used, or are not the same on all machines.
    """
    path = ""
    with ranks.together():
        if ranks.local_rank == 0:
            path = str(mapped.ensure(config.data, config.model.block_size))
    # torchrun numbers the ranks of a machine one after another.
    paths = ranks.texts(path)
    with ranks.together():
        data = mapped.load(Path(paths[ranks.rank - ranks.local_rank]))
    ranks.refuse_different(data.sha256, "SHA-256 of the words")
    return data
