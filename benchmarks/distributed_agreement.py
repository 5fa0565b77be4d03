"""How closely several ranks follow one process, over long runs.

    torchrun --standalone --nproc-per-node 4 benchmarks/distributed_agreement.py

For every number of ranks from 2 to all of them, both precisions and all four pairs of backward
passes: the largest difference between any step's loss and the single process's, 500 steps in
float64 and 200 in float32. A batch of 33 does not divide evenly. Rank 0 prints the table, and the
script ends with 1 if a difference is above 1e-12 or 1e-5.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import product

import torch
import torch.distributed as dist
from torch import Tensor

from makemore_bp import config, dataset
from makemore_bp.engines.engine import Work
from makemore_bp.engines.torch_engine import TorchEngine
from makemore_bp.network.parameters import Sizes, generators, initialise
from makemore_bp.network.passes import Network
from makemore_bp.ranks.engine import RanksEngine
from makemore_bp.ranks.launch import Place

BATCH, N_HIDDEN, RATE = 33, 64, 0.1
LIMITS = {torch.float64: (500, 1e-12), torch.float32: (200, 1e-5)}


class SomeRanks:
    """The first ``size`` of all processes."""

    def __init__(self, size: int) -> None:
        self.rank, self.size = dist.get_rank(), size
        self._group = dist.new_group(list(range(size)))

    def sum(self, share: Tensor) -> Tensor:
        dist.all_reduce(share, group=self._group)
        return share

    def gather(self, share: Tensor) -> Tensor:
        everyone = torch.empty(self.size, *share.shape, dtype=share.dtype)
        dist.all_gather(list(everyone.unbind()), share, group=self._group)
        return everyone

    def largest(self, numbers: Sequence[int]) -> list[int]:
        raise NotImplementedError


def main() -> None:
    """Prints the table on rank 0."""
    dist.init_process_group("gloo")
    torch.set_num_threads(1)
    here = Place(dist.get_rank(), dist.get_world_size(), 0, 0)
    groups = {size: SomeRanks(size) for size in range(2, here.size + 1)}
    data = dataset.load(config.Data(), 3)
    worst_ok = True
    for dtype, (steps, limit) in LIMITS.items():
        for switches in product(("op-by-op", "fused"), repeat=2):
            g, g_batchnorm = generators(1)
            sizes = Sizes(len(data.vocabulary), n_hidden=N_HIDDEN)
            parameters = initialise(sizes, g, g_batchnorm, dtype)
            indices = torch.randint(0, len(data.train), (steps, BATCH), generator=g)
            rates = [RATE] * steps
            network = Network.of(cross_entropy=switches[0], batchnorm=switches[1])
            work = Work(network, sizes, data.train, BATCH, dtype=dtype)
            alone = torch.empty(0)
            if here.speaks:
                engine = TorchEngine(work, parameters)
                alone = engine.advance(indices, rates)
            for size, ranks in groups.items():
                if here.rank >= size:
                    continue
                shared = RanksEngine(ranks, work, parameters)
                losses = shared.advance(indices, rates)
                if here.speaks:
                    apart = float((losses - alone).abs().max())
                    worst_ok &= apart < limit
                    print(
                        f"{str(dtype)[6:]}, cross-entropy {switches[0]:8}, batchnorm "
                        f"{switches[1]:8}, {size} ranks, {steps} steps: {apart:.1e} "
                        f"(loss {float(alone[0]):.3f} to {float(alone[-1]):.3f})",
                        flush=True,
                    )
    dist.barrier()
    dist.destroy_process_group()
    sys.exit(not worst_ok)


if __name__ == "__main__":
    main()
