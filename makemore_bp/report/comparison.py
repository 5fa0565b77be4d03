"""Several runs side by side: the page of an experiment's folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes

from makemore_bp import config as configs
from makemore_bp.report import page, reproduce
from makemore_bp.report.drawing import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    PURPLE,
    VERMILION,
    Picture,
    Rendered,
    render,
)
from makemore_bp.report.experiment_folder import Compared
from makemore_bp.report.history import History, Numbers, Series
from makemore_bp.report.loss_pictures import RAW_POINTS, step_axis
from makemore_bp.report.page import Section
from makemore_bp.text import visible
from makemore_bp.training import run_folder

# The best runs get a line of their own, the others a faint one.
LINES = [
    (colour, style) for style in ("-", "--") for colour in (BLUE, VERMILION, GREEN, PURPLE, INK)
]
LABEL = 28  # characters of a run's name in a legend


def comparison(folder: Path, runs: Sequence[Compared]) -> tuple[str, list[Rendered]]:
    """The HTML of an experiment's page, and its pictures."""
    rendered = [render(picture) for picture in _pictures(runs)]
    finished = sum(run.finished for run in runs)
    lead = page.paragraph(f"{len(runs)} runs, {finished} of them finished.")
    sections = [
        Section("ranking", "Runs by validation loss", _ranking(runs)),
        Section("losses", "Losses over the steps", page.pictures(rendered)),
        Section("reproduce", "The best run again", _best(runs)),
    ]
    return page.page(f"Experiment {folder.resolve().name}", lead, sections), rendered


def _varied(runs: Sequence[Compared]) -> list[str]:
    """The keys in which the runs' configurations differ."""
    flat = [run_folder.flat(run.config) for run in runs if run.config is not None]
    return [key for key in configs.all_keys() if any(one[key] != flat[0][key] for one in flat)]


def _ranking(runs: Sequence[Compared]) -> str:
    keys = _varied(runs)
    rows = []
    for run in runs:
        values = run_folder.flat(run.config) if run.config else {}
        losses = [run.loss(split) for split in ("val", "train", "test")]
        speed = run.summary.get("steps_per_second")
        rows.append(
            (
                run.name,
                *(str(values.get(key, "?")) for key in keys),
                *("-" if loss is None else f"{loss:.4f}" for loss in losses),
                f"{speed:,.0f}" if isinstance(speed, int | float) else "-",
                "finished" if run.finished else "unfinished",
            )
        )
    columns = ("run", *keys, "val", "train", "test", "steps a second", "state")
    return page.table(
        "Nats per character, the lowest validation loss first; the columns in between are what "
        "the runs differ in",
        columns,
        rows,
    )


def _best(runs: Sequence[Compared]) -> str:
    best = next((run for run in runs if run.finished and run.config is not None), None)
    if best is None or best.config is None:
        return page.paragraph("No run has come to its end yet.")
    return page.paragraph(f"{best.name}:") + page.code(reproduce.command(best.config))


def _pictures(runs: Sequence[Compared]) -> list[Picture]:
    best = runs[0]
    loss = best.loss("val")
    said = f"The lowest: {best.name}, {loss:.4f}." if loss is not None else ""
    pictures = []
    if any(len(run.history.val) for run in runs):
        pictures.append(
            Picture(
                "val-loss",
                "Validation loss",
                f"{len(runs)} runs over their steps. {said}",
                "A line is a run; compare where they end, not where they begin. Only the best have "
                "a colour, the others are grey.",
                _lines(runs, lambda h: h.val, lambda s: s.values, "validation loss"),
            )
        )
    if any(len(run.history.loss) for run in runs):
        pictures.append(
            Picture(
                "loss",
                "Minibatch loss, smoothed",
                f"{len(runs)} runs over their steps. {said}",
                "Running means of the minibatches' own losses. Lines that differ by less than they "
                "shake tell nothing about which run is better.",
                _lines(runs, lambda h: h.loss, lambda s: s.smoothed(), "minibatch loss"),
            )
        )
    return pictures


def _lines(
    runs: Sequence[Compared],
    series_of: Callable[[History], Series],
    values_of: Callable[[Series], Numbers],
    label: str,
) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        ends = []
        for place, run in reversed(list(enumerate(runs))):
            series = series_of(run.history)
            if not len(series):
                continue
            values, every = values_of(series), -(-len(series) // RAW_POINTS)
            known = place < len(LINES)
            colour, style = LINES[place] if known else (MUTED, "-")
            axes.plot(
                series.steps[::every],
                values[::every],
                color=colour,
                linestyle=style,
                linewidth=1.3 if known else 0.7,
                alpha=1 if known else 0.5,
                label=visible(run.name, LABEL) if known else None,
            )
            ends += [values[-1], values[len(values) // 8]]
        margin = 0.08 * (max(ends) - min(ends)) + 1e-3
        axes.set_ylim(min(ends) - margin, max(ends) + margin)  # the start would flatten the rest
        axes.set_ylabel(label)
        handles, names = axes.get_legend_handles_labels()
        axes.legend(handles[::-1], names[::-1], loc="upper right", fontsize=8)
        step_axis(axes)

    return draw
