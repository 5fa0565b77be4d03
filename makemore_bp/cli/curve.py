"""A curve of the loss in characters, for a terminal."""

from __future__ import annotations

import numpy as np
from rich.console import Console

from makemore_bp.report.history import Series

HEIGHT = 6
MOST_COLUMNS = 72
LEAST_COLUMNS = 12
BLOCKS = " ▁▂▃▄▅▆▇█"
ASCII = " .:|"


def show_curve(console: Console, loss: Series, whose: str = "") -> None:
    """Prints the loss over the steps, each column the mean of its steps.

    ``whose`` is the name of the run, where several are shown. Nothing is printed for a single value
    or in a window too narrow. A terminal that has no block characters gets plain ones.
    """
    labels = _labels(loss)
    room = min(console.width, MOST_COLUMNS) - len(labels[0]) - 2
    columns = _columns(loss, room)
    if len(columns) < 2 or room < LEAST_COLUMNS:
        return
    ascii_only = console.options.ascii_only
    edge = "|" if ascii_only else "│"
    lines = _filled(columns, ASCII if ascii_only else BLOCKS)
    first, last = (f"{step:,.0f}" for step in (loss.steps[0], loss.steps[-1]))
    of = f" of {whose}" if whose else ""
    console.print(f"Loss of the minibatches{of}, step {first} to {last}:")
    for place, line in enumerate(lines):
        label = labels[0] if not place else labels[1] if place == HEIGHT - 1 else ""
        console.print(f"{label:>{len(labels[0])}} {edge}{line}", no_wrap=True)


def _labels(loss: Series) -> tuple[str, str]:
    """The ends of the vertical axis, equally long."""
    columns = _columns(loss, MOST_COLUMNS)
    ends = [f"{value:.2f}" for value in (max(columns, default=0.0), min(columns, default=0.0))]
    width = max(map(len, ends))
    return ends[0].rjust(width), ends[1].rjust(width)


def _columns(loss: Series, most: int) -> list[float]:
    """The means of ``most`` equal parts of the series, or of fewer, if it has fewer values."""
    parts = np.array_split(loss.values, max(1, min(most, len(loss))))
    return [float(part.mean()) for part in parts if len(part)]


def _filled(columns: list[float], marks: str) -> list[str]:
    """Lines from top to bottom; the highest value fills a column, the lowest leaves one mark."""
    low, high = min(columns), max(columns)
    levels = len(marks) - 1
    whole = HEIGHT * levels - 1
    heights = [1 + round(whole * (value - low) / ((high - low) or 1.0)) for value in columns]
    return [
        "".join(marks[min(max(height - levels * row, 0), levels)] for height in heights)
        for row in reversed(range(HEIGHT))
    ]
