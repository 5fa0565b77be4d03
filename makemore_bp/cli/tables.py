"""Tables that several commands show."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table

from makemore_bp.cli import streams
from makemore_bp.gradcheck.words import HEADINGS, cells

SPLITS = {"train": "train", "val": "validation", "test": "test"}


class _Output(Console):
    def on_broken_pipe(self) -> None:
        """Whoever read has seen enough (`| head`); the command goes on to its exit code."""
        streams.discard(sys.stdout)


def output() -> Console:
    """Standard output, on which nothing is taken for markup."""
    return _Output(highlight=False, markup=False, emoji=False)


class FoldedTable(Table):
    """A table that is not cut in a narrow window: what does not fit goes on in the next line.

    ``no_wrap`` holds where the window has room for all columns. Where it has not, rich would take
    the room from the others until nothing of them is left.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        narrow = options.max_width < self._least(console, options)
        for column in self.columns:
            column.no_wrap = column.no_wrap and not narrow
            column.overflow = "fold"
        yield from super().__rich_console__(console, options)

    def _least(self, console: Console, options: ConsoleOptions) -> int:
        """Columns of the window that the columns need, each with two blanks and an edge."""
        needed = 1
        for column in self.columns:
            cells = (column.header, *column.cells)
            sizes = [Measurement.get(console, options, cell) for cell in cells]
            needed += 3 + max(size.maximum if column.no_wrap else size.minimum for size in sizes)
        return needed


def loss_table(losses: Mapping[str, Any], baselines: Mapping[str, Any]) -> Table:
    """The three losses beside what knowing nothing and counting pairs of characters reach."""
    table = FoldedTable(title="Loss in nats per character", title_justify="left")
    table.add_column("split")
    for column in ("network", "bigram", "uniform"):
        table.add_column(column, justify="right")
    for split, name in SPLITS.items():
        row = (losses[f"{split}_loss"], baselines["bigram"][split], baselines["uniform"])
        table.add_row(name, *(f"{value:.4f}" if value is not None else "-" for value in row))
    return table


STYLES = {"wrong": "bold red", "inherits": "yellow", "shape": "bold red", "missing": "dim"}


def gradient_table(
    tensors: Iterable[Mapping[str, Any]],
    further: Mapping[str, str] | None = None,
    heading: str = "",
) -> Table:
    """A row for each gradient, as ``gradcheck --json`` has it; ``further`` fills one more column,
    by the tensor's name."""
    table = FoldedTable()
    for at, word in enumerate(HEADINGS):
        table.add_column(word, no_wrap=at < 3, justify="left" if at < 3 else "right")
    if further:
        table.add_column(heading, justify="right")
    for tensor in tensors:
        more = (further.get(tensor["name"], ""),) if further else ()
        table.add_row(*cells(tensor), *more, style=STYLES.get(tensor["status"]))
    return table
