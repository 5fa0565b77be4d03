"""Pictures of an experiment: what ``experiments.results`` has ranked, drawn in that order.

A group's runs differ only in their seed. The best groups get a colour of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from makemore_bp.experiments.expansion import slug
from makemore_bp.experiments.formats import cell
from makemore_bp.experiments.results import Group, Results, Spread
from makemore_bp.report.drawing import BLUE, GREEN, INK, MUTED, PURPLE, VERMILION, Picture
from makemore_bp.report.history import History, Numbers, Series
from makemore_bp.report.loss_pictures import RAW_POINTS, step_axis
from makemore_bp.report.numbers import NAMED
from makemore_bp.text import visible

LINES = [
    (colour, style) for style in ("-", "--") for colour in (BLUE, VERMILION, GREEN, PURPLE, INK)
]
SIZE = (5.2, 4.2)  # inches, the legend included
WIDE = 8  # from this ratio of the largest to the smallest value on, its axis is logarithmic
FAR = 3  # from this ratio of losses on; one that is so high would flatten the others
LABEL = 28  # characters of a group's name in a legend
RANKED = 40  # groups in a ranking, from the best

Histories = Mapping[str, History]


def experiment_pictures(found: Results, histories: Histories) -> list[Picture]:
    """The loss over each number that varies, or the ranking, and the losses over the steps."""
    pictures = _losses(found)
    if any(len(history.val) for history in histories.values()):
        pictures.append(
            Picture(
                "val-loss",
                "Validation loss",
                f"{len(found.runs)} runs over their steps. {_told(found)}",
                "A line is a run; compare where they end, not where they begin. Only the best have "
                "a colour, runs that differ in their seed the same; the others are grey.",
                _lines(found, histories, lambda h: h.val, lambda s: s.values, "validation loss"),
                SIZE,
            )
        )
    if any(len(history.loss) for history in histories.values()):
        pictures.append(
            Picture(
                "loss",
                "Minibatch loss, smoothed",
                f"{len(found.runs)} runs over their steps. {_told(found)}",
                "Running means of the minibatches' own losses. Lines that differ by less than they "
                "shake tell nothing about which run is better.",
                _lines(
                    found, histories, lambda h: h.loss, lambda s: s.smoothed(), "minibatch loss"
                ),
                SIZE,
            )
        )
    return pictures


def losses(found: Results) -> Picture | None:
    """The picture that says most: over the only key that varies if it has numbers, else ranked."""
    return _over(found, found.columns[0]) if _one_number(found) else _ranking(found)


def _losses(found: Results) -> list[Picture]:
    """The loss over each number that varies, and the ranking where that is another picture."""
    ranking = None if _one_number(found) else _ranking(found)
    over = [_over(found, key) for key in found.columns if len(found.over(key)) > 1]
    return over + ([ranking] if ranking else [])


def _one_number(found: Results) -> bool:
    return len(found.columns) == 1 and len(found.over(found.columns[0])) > 1


def _told(found: Results) -> str:
    best = found.groups[0] if found.groups else None
    if best is None or best.val_loss is None:
        return ""
    return f"The best: {_label(best)}, {best.val_loss.mean:.4f}."


def _label(group: Group) -> str:
    """A run's name, or what the runs of a group have in common."""
    if len(group.runs) == 1 or not group.varied:
        return group.runs[0].name
    return ", ".join(
        cell(value) if key == "variant" else f"{key.rpartition('.')[2]}={cell(value)}"
        for key, value in group.varied.items()
    )


def _spread(group: Group) -> Spread:
    assert group.val_loss is not None
    return group.val_loss


def _over(found: Results, key: str) -> Picture:
    """The validation loss over the numbers that a key has."""
    best_of = found.over(key)
    means = [_spread(group).mean for group in best_of.values()]
    best = min(best_of, key=lambda value: _spread(best_of[value]).mean)

    def draw(axes: Axes) -> None:
        for value, group in best_of.items():
            losses = [run.val_loss for run in group.runs if run.val_loss is not None]
            axes.plot([value] * len(losses), losses, "o", color=BLUE, alpha=0.5, markersize=4)
        bars = [_spread(group).std or 0.0 for group in best_of.values()]
        axes.errorbar(list(best_of), means, yerr=bars, color=BLUE, linewidth=1.2, capsize=3)
        if min(best_of) > 0 and max(best_of) > WIDE * min(best_of):
            axes.set_xscale("log")
        axes.set_xticks(list(best_of), [f"{value:g}" for value in best_of])
        axes.minorticks_off()
        axes.tick_params(axis="x", labelrotation=45 if len(best_of) > 6 else 0)
        if _far_apart(means):
            axes.set_yscale("log")
        axes.set_xlabel(visible(key))
        axes.set_ylabel("validation loss")

    several = "" if len(found.columns) == 1 else ", with the best of the other keys at each value"
    return Picture(
        f"by-{slug(key)}",
        f"Validation loss against {key}",
        f"The lowest mean, {_spread(best_of[best]).mean:.4f}, is that of {key} = {best:g}.",
        f"A point is a run, the line joins the means{several}; a bar is the standard deviation "
        f"over the seeds. The lowest mean is at {best:g}; at an end of the line the best value may "
        "lie beyond it.",
        draw,
        SIZE,
    )


def _ranking(found: Results) -> Picture | None:
    """The best groups below one another; None where nothing has a validation loss."""
    groups = [group for group in found.groups if group.val_loss is not None][:RANKED]
    if not groups:
        return None
    means = [_spread(group).mean for group in groups]

    def draw(axes: Axes) -> None:
        rows = list(range(len(groups)))
        bars = [_spread(group).std or 0.0 for group in groups]
        axes.errorbar(means, rows, xerr=bars, fmt="o", color=BLUE, capsize=3)
        axes.set_yticks(rows, [visible(_label(group), 60) for group in groups])
        axes.invert_yaxis()
        if _far_apart(means):
            axes.set_xscale("log")
        axes.set_xlabel("validation loss")

    return Picture(
        "ranking",
        "Runs by validation loss",
        f"{len(groups)} groups of runs. {_told(found)}",
        "A point is the mean over the seeds, a bar their standard deviation; the best on top.",
        draw,
        (6.4, 1.2 + 0.28 * len(groups)),
    )


def _far_apart(losses: list[float]) -> bool:
    """Whether one loss is so high that the others would be a flat line beside it."""
    return 0 < min(losses) < max(losses) / FAR


def _lines(
    found: Results,
    histories: Histories,
    series_of: Callable[[History], Series],
    values_of: Callable[[Series], Numbers],
    label: str,
) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        ends: list[float] = []
        legend: list[tuple[Line2D, str]] = []
        for place, group in reversed(list(enumerate(found.groups))):
            every = [series_of(histories[run.name]) for run in group.runs]
            name = visible(_label(group), LABEL)
            drawn = [_line(axes, s, values_of(s), place, name) for s in every if len(s)]
            ends += [value for s in every for value in _without_beginning(values_of(s))]
            if drawn and place < len(LINES):
                legend.append((drawn[0], name))
        margin = 0.05 * (max(ends) - min(ends)) + 1e-3
        axes.set_ylim(min(ends) - margin, max(ends) + margin)
        axes.set_ylabel(label)
        step_axis(axes)
        _legend(axes, legend[::-1])

    return draw


def _line(axes: Axes, series: Series, values: Numbers, place: int, name: str) -> Line2D:
    """The line of a run whose group has this name and this place in the ranking."""
    every = -(-len(series) // RAW_POINTS)
    (line,) = axes.plot(series.steps[::every], values[::every], color=MUTED, linewidth=0.7)
    line.set(label=name, gid=NAMED)
    if place < len(LINES):
        colour, style = LINES[place]
        line.set(color=colour, linestyle=style, linewidth=1.3)
    else:
        line.set_alpha(0.5)
    return line


def _without_beginning(values: Numbers) -> list[float]:
    """The beginning lies far above the rest and would flatten it."""
    kept: list[float] = values[max(len(values) // 8, min(1, len(values) - 1)) :].tolist()
    return kept


def _legend(axes: Axes, lines: list[tuple[Line2D, str]]) -> None:
    """Names below the axes.

    matplotlib leaves out a label that begins with an underscore, as a run's name may, so the
    names are put in afterwards.
    """
    assert isinstance(axes.figure, Figure)
    places = [str(place) for place in range(len(lines))]
    made = axes.figure.legend(
        [line for line, _ in lines], places, loc="outside lower center", ncols=2
    )
    for text, (_, name) in zip(made.get_texts(), lines, strict=True):
        text.set_text(name)
