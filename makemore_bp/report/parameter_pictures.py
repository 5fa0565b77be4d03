"""Gradients and updates of each parameter over the steps of a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from matplotlib.axes import Axes
from torch import Tensor

from makemore_bp.report.drawing import BLUE, GREEN, INK, PURPLE, VERMILION, Picture
from makemore_bp.report.history import History, Numbers, Series
from makemore_bp.report.loss_pictures import step_axis

Scale = Callable[[Numbers], Numbers]

GUIDE = -3  # the lecture's rule of thumb: a step changes a parameter by a thousandth of its spread
BINS = 40  # of a histogram
ROUNDING = 1e-6  # a gradient below this part of the largest one is nothing but rounding
# A layer has a colour; its weights a whole line, its biases a broken one.
LINES = {
    "C": (BLUE, "-", "o"),
    "W1": (VERMILION, "-", "s"),
    "b1": (VERMILION, "--", "s"),
    "W2": (GREEN, "-", "^"),
    "b2": (GREEN, "--", "^"),
    "bngain": (PURPLE, "-", "D"),
    "bnbias": (PURPLE, "--", "D"),
}


def parameter_pictures(history: History) -> list[Picture]:
    """Sizes of gradients and ratios of update to weight; nothing for a run without them."""
    gradients = {name: s for name, s in history.sizes["gradient"].items() if len(s)}
    ratios = {name: s for name, s in history.sizes["update_ratio"].items() if len(s)}
    if not gradients or not ratios:
        return []
    largest = max(float(series.values.max()) for series in gradients.values())
    tiny = {n for n, s in gradients.items() if s.values.max() < ROUNDING * largest}
    left_out = _left_out(tiny)
    return [
        Picture(
            "gradients",
            "Size of the gradients",
            _told(gradients, "{:.1e}"),
            "log10 of the standard deviation of each parameter's gradient, on the minibatch of "
            "that step. The lines should lie within a few powers of ten (units on this axis) of "
            f"one another, and neither die out nor explode.{left_out}",
            lambda axes: _gradients(axes, gradients, tiny),
        ),
        Picture(
            "updates",
            "Ratio of update to weight",
            _told(ratios, "{:.2f}"),
            "log10 of std(lr * gradient) / std(weight): how much one step changes a parameter. "
            f"The lecture's rule of thumb is about {GUIDE}; far above it the learning rate is too "
            f"high for this parameter, far below it learns too slowly.{left_out}",
            lambda axes: _updates(axes, ratios, tiny),
        ),
    ]


def gradient_histogram(gradients: Mapping[str, Tensor]) -> Picture:
    """How the entries of each parameter's gradient are spread over the powers of ten."""
    sizes = {name: np.log10(_nonzero(gradients[f"d{name}"])) for name in LINES}
    largest = max((entries.max() for entries in sizes.values() if len(entries)), default=0.0)
    shown = {
        name: entries
        for name, entries in sizes.items()
        if len(entries) and entries.max() > largest + np.log10(ROUNDING)
    }
    middles = {name: float(np.median(entries)) for name, entries in shown.items()}

    def draw(axes: Axes) -> None:
        low = min((float(np.percentile(entries, 1)) for entries in shown.values()), default=-1.0)
        high = max((float(entries.max()) for entries in shown.values()), default=0.0)
        edges = np.linspace(low - 0.1, high + 0.1, BINS + 1)
        for name, entries in shown.items():
            colour, style, _ = LINES[name]
            shares = 100 * np.histogram(entries, edges)[0] / len(entries)
            axes.stairs(shares, edges, label=name, color=colour, linestyle=style, linewidth=1.2)
        axes.set_xlabel("log10 of |gradient|")
        axes.set_ylabel("% of the entries")
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), handlelength=2.4)

    told = ", ".join(f"{name} {middle:.1f}" for name, middle in middles.items())
    return Picture(
        "gradient-histogram",
        "Gradients of the minibatch",
        f"The medians of log10 of the entries' sizes: {told}.",
        "How large the single entries of each gradient are. Humps that lie close together mean "
        "parameters that learn alike; one far to the left is a parameter that hardly moves. "
        "Entries that are exactly zero, such as those of characters that the minibatch does not "
        "hold, are left out.",
        draw,
    )


def _nonzero(gradient: Tensor) -> Numbers:
    entries: Numbers = gradient.double().abs().flatten().numpy()
    return entries[entries > 0]


def _left_out(tiny: set[str]) -> str:
    if not tiny:
        return ""
    why = " (batchnorm subtracts again whatever b1 adds)" if tiny == {"b1"} else ""
    return f" Left out: {', '.join(sorted(tiny))}, whose gradient is zero but for rounding{why}."


def _told(series: dict[str, Series], form: str) -> str:
    ends = ", ".join(f"{name} {form.format(s.last)}" for name, s in series.items())
    return f"At the last evaluation: {ends}."


def _lines(axes: Axes, series: dict[str, Series], tiny: set[str], scale: Scale) -> None:
    for name, one in series.items():
        if name not in tiny:
            colour, style, marker = LINES.get(name, (INK, ":", "x"))
            axes.plot(
                one.steps,
                scale(one.values),
                color=colour,
                linestyle=style,
                marker=marker,
                markersize=3,
                linewidth=1.2,
                label=name,
            )
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), handlelength=2.4)
    step_axis(axes)


def _gradients(axes: Axes, series: dict[str, Series], tiny: set[str]) -> None:
    axes.set_ylabel("log10 of std(gradient)")
    # A gradient that is exactly zero has no logarithm; its point is left out.
    _lines(axes, series, tiny, lambda stds: np.log10(np.where(stds > 0, stds, np.nan)))


def _updates(axes: Axes, series: dict[str, Series], tiny: set[str]) -> None:
    axes.axhline(GUIDE, color=INK, linewidth=1, linestyle=":")
    axes.set_ylabel("log10 of update / weight")
    _lines(axes, series, tiny, lambda ratios: ratios)
