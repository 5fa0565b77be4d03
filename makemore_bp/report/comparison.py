"""Several runs side by side: the page of an experiment's folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

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
SIZE = (5.2, 4.2)  # inches, the legend included
WIDE = 8  # from this ratio of the largest to the smallest value on, its axis is logarithmic
LABEL = 28  # characters of a run's name in a legend


def comparison(folder: Path, runs: Sequence[Compared]) -> tuple[str, list[Rendered]]:
    """The HTML of an experiment's page, and its pictures."""
    rendered = [render(picture) for picture in _pictures(runs)]
    finished = sum(run.finished for run in runs)
    lead = page.paragraph(f"{len(runs)} runs, {finished} of them finished.")
    sections = [
        Section("ranking", "Runs by validation loss", _ranking(runs)),
        Section("pictures", "Pictures", page.pictures(rendered)),
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
    pictures = [_against(runs, key) for key in _numeric(runs)]
    if any(len(run.history.val) for run in runs):
        pictures.append(
            Picture(
                "val-loss",
                "Validation loss",
                f"{len(runs)} runs over their steps. {said}",
                "A line is a run; compare where they end, not where they begin. Only the best have "
                "a colour, the others are grey.",
                _lines(runs, lambda h: h.val, lambda s: s.values, "validation loss"),
                SIZE,
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
                SIZE,
            )
        )
    return pictures


def _numeric(runs: Sequence[Compared]) -> list[str]:
    """The keys, the seed aside, of which the runs have several numbers to set a loss against."""
    return [key for key in _varied(runs) if key != "train.seed" and len(_points(runs, key)) > 1]


def _points(runs: Sequence[Compared], key: str) -> dict[float, list[float]]:
    """Validation losses by the number that ``key`` has, in ascending order."""
    points: dict[float, list[float]] = {}
    for run in runs:
        value = run_folder.flat(run.config)[key] if run.config else None
        loss = run.loss("val")
        if isinstance(value, int | float) and not isinstance(value, bool) and loss is not None:
            points.setdefault(float(value), []).append(loss)
    return dict(sorted(points.items()))


def _against(runs: Sequence[Compared], key: str) -> Picture:
    points = _points(runs, key)
    means = {value: sum(losses) / len(losses) for value, losses in points.items()}
    best = min(means, key=lambda value: means[value])

    def draw(axes: Axes) -> None:
        for value, losses in points.items():
            axes.plot([value] * len(losses), losses, "o", color=BLUE, alpha=0.5, markersize=4)
        axes.plot(list(means), list(means.values()), color=BLUE, linewidth=1.2)
        if min(points) > 0 and max(points) > WIDE * min(points):
            axes.set_xscale("log")
        axes.set_xticks(list(points), [f"{value:g}" for value in points])
        axes.minorticks_off()
        axes.tick_params(axis="x", labelrotation=45 if len(points) > 6 else 0)
        axes.set_xlabel(key)
        axes.set_ylabel("validation loss")

    return Picture(
        f"by-{key}",
        f"Validation loss against {key}",
        f"The lowest mean, {means[best]:.4f}, is that of {key} = {best:g}.",
        f"A point is a run, the line joins the means. The lowest mean is at {best:g}; at an end of "
        "the line the best value may lie beyond it.",
        draw,
        SIZE,
    )


def _lines(
    runs: Sequence[Compared],
    series_of: Callable[[History], Series],
    values_of: Callable[[Series], Numbers],
    label: str,
) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        looked_at: list[float] = []
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
            # Without the beginning, which lies far above the rest and would flatten it.
            looked_at += values[max(len(values) // 8, min(1, len(values) - 1)) :].tolist()
        margin = 0.05 * (max(looked_at) - min(looked_at)) + 1e-3
        axes.set_ylim(min(looked_at) - margin, max(looked_at) + margin)
        axes.set_ylabel(label)
        step_axis(axes)
        handles, names = axes.get_legend_handles_labels()
        assert isinstance(axes.figure, Figure)
        axes.figure.legend(handles[::-1], names[::-1], loc="outside lower center", ncols=2)

    return draw
