"""The losses of a run that is on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from makemore_bp import dataset
from makemore_bp.dataset import Dataset
from makemore_bp.engines import configured
from makemore_bp.ranks.group import ALONE, Group
from makemore_bp.training import baselines, evaluation
from makemore_bp.training.checkpoint import Checkpoint
from makemore_bp.training.evaluation import Weighted
from makemore_bp.training.start import saved_run

Losses = dict[str, Any]


def evaluate(folder: Path, ranks: Group = ALONE) -> Losses:
    """Train, val and test loss of the latest state, in nats a character, beside the baselines.

    Raises RequestError if the folder holds no run or its data file is missing or has changed.
    """
    saved, data = saved_run(folder, ranks)
    found = {"step": saved.step, **losses(saved, data, ranks)}
    ranks.meet()
    return found


def losses(saved: Checkpoint, data: Dataset, ranks: Group = ALONE) -> Losses:
    """``train_loss``, ``val_loss``, ``test_loss`` and ``baselines`` of a state on its data.

    Each rank passes its share of the contexts through the network; rank 0 counts the bigrams.
    """
    V, network = len(data.vocabulary), configured.network(saved.config)
    found = {
        f"{split}_loss": evaluation.loss(
            network, saved.parameters, saved.statistics, Weighted(data[split], V, ranks=ranks)
        )
        for split in dataset.SPLITS
    }
    bigram = baselines.bigram(data) if ranks.rank == 0 else None
    both = {"uniform": baselines.uniform(V), "bigram": bigram}
    return {**found, "baselines": both}
