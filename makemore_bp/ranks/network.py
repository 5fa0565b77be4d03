"""A network for a batch whose rows lie with several processes.

The stages that look across the batch are exchanged for those that send messages; everything else
works row by row and stays as it is.
"""

from __future__ import annotations

from dataclasses import replace

from makemore_bp.network import batchnorm as alone
from makemore_bp.network import batchnorm_fused as alone_fused
from makemore_bp.network import cross_entropy as alone_cross_entropy
from makemore_bp.network import cross_entropy_fused as alone_cross_entropy_fused
from makemore_bp.network.passes import Network
from makemore_bp.ranks import batchnorm, batchnorm_fused, cross_entropy

STAGES = {
    alone.op_by_op: batchnorm.op_by_op,
    alone_fused.fused: batchnorm_fused.fused,
    alone_cross_entropy.op_by_op: cross_entropy.op_by_op,
    alone_cross_entropy_fused.fused: cross_entropy.fused,
}


def over_ranks(network: Network) -> Network:
    """The same network over several ranks. Its forward pass is given this rank's rows as Xb and Yb,
    ``n``, the number of all ranks' rows, and ``ranks``; its loss is this rank's share."""
    return replace(
        network,
        batchnorm=STAGES[network.batchnorm],
        cross_entropy=STAGES[network.cross_entropy],
    )
