"""Tables that several commands show."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from makemore_bp.cli import streams

SPLITS = {"train": "train", "val": "validation", "test": "test"}


class _Output(Console):
    def on_broken_pipe(self) -> None:
        """Whoever read has seen enough (`| head`); the command goes on to its exit code."""
        streams.discard(sys.stdout)


def output() -> Console:
    """Standard output, on which nothing is taken for markup."""
    return _Output(highlight=False, markup=False, emoji=False)


def loss_table(losses: Mapping[str, Any], baselines: Mapping[str, Any]) -> Table:
    """The three losses beside what knowing nothing and counting pairs of characters reach."""
    table = Table(title="Loss in nats per character", title_justify="left")
    table.add_column("split")
    for column in ("network", "bigram", "uniform"):
        table.add_column(column, justify="right")
    for split, name in SPLITS.items():
        row = (losses[f"{split}_loss"], baselines["bigram"][split], baselines["uniform"])
        table.add_row(name, *(f"{value:.4f}" if value is not None else "-" for value in row))
    return table
