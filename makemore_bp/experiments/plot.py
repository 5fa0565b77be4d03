"""Results as a picture, by matplotlib (the extra ``report``)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from makemore_bp.errors import RequestError
from makemore_bp.experiments.formats import cell
from makemore_bp.experiments.results import Group, Results
from makemore_bp.files import cannot_write
from makemore_bp.text import visible

SHOWN = 40  # groups in a ranked plot, from the best
INK = "#1f5fa8"


def draw(results: Results, path: Path) -> None:
    """Writes the picture in the format that the file's name asks for.

    A single numeric key that varies becomes the horizontal axis; anything else is ranked from the
    best. Bars are one standard deviation over the seeds. Raises RequestError without matplotlib,
    without a finished run, or if the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise RequestError(
            "--plot needs matplotlib, which is not installed. "
            "Install it by: pip install 'makemore-bp[report]'"
        ) from None
    groups = [group for group in results.groups if group.val_loss is not None]
    if not groups:
        raise RequestError("There is nothing to plot: no run with a validation loss is finished.")
    key = _numeric_key(results)
    height = 3.6 if key else 1.2 + 0.28 * min(len(groups), SHOWN)
    figure = Figure(figsize=(6.4, height), layout="constrained")
    axes = figure.add_subplot()
    if key:
        _curve(axes, groups, key)
    else:
        _ranked(axes, groups[:SHOWN], results.columns)
    axes.set_title(_plain(results.name))
    axes.grid(alpha=0.3)
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise cannot_write(path, error) from None
    except ValueError as error:
        raise RequestError(f"{visible(str(path))}: {visible(str(error))}. Take FILE.png.") from None


def _numeric_key(results: Results) -> str | None:
    """The only column, if all its values are numbers."""
    if len(results.columns) != 1 or len(results.groups) < 2:
        return None
    values = [group.varied[results.columns[0]] for group in results.groups]
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    return results.columns[0] if numbers and all(map(math.isfinite, values)) else None


def _curve(axes: Any, groups: list[Group], key: str) -> None:
    """The mean validation loss of each group over its value of the key."""
    groups = sorted(groups, key=lambda group: float(group.varied[key]))
    values = [group.varied[key] for group in groups]
    axes.errorbar(values, *_losses(groups), marker="o", color=INK, capsize=3)
    if values[0] > 0 and values[-1] > 10 * values[0]:
        axes.set_xscale("log")
    if _wide(groups):
        axes.set_yscale("log")
    axes.set_xlabel(key)
    axes.set_ylabel("validation loss")


def _ranked(axes: Any, groups: list[Group], columns: list[str]) -> None:
    """A dot for each group, the best on top."""
    rows = list(range(len(groups)))
    means, deviations = _losses(groups)
    axes.errorbar(means, rows, xerr=deviations, fmt="o", color=INK, capsize=3)
    labels = [_plain(", ".join(cell(group.varied.get(key)) for key in columns)) for group in groups]
    axes.set_yticks(rows, labels)
    axes.invert_yaxis()
    if _wide(groups):
        axes.set_xscale("log")
    axes.set_xlabel("validation loss")
    if any(column != "variant" for column in columns):
        axes.set_ylabel(", ".join(columns))


def _losses(groups: list[Group]) -> tuple[list[float], list[float]]:
    spreads = [group.val_loss for group in groups if group.val_loss is not None]
    return [spread.mean for spread in spreads], [spread.std or 0.0 for spread in spreads]


def _wide(groups: list[Group]) -> bool:
    """Whether one loss is so high that the others would be a flat line beside it."""
    means, _ = _losses(groups)
    return 0 < min(means) < max(means) / 3


def _plain(text: str) -> str:
    """Text in which matplotlib finds no formula."""
    return visible(text, 60).replace("$", "\\$")
