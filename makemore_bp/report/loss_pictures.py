"""The loss over the steps of a run."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from makemore_bp.report.drawing import BLUE, GREEN, INK, MUTED, VERMILION, Picture
from makemore_bp.report.history import History

RAW_POINTS = 1500  # more would be drawn over one another
MARKED_RATES = 5  # changes of the learning rate that are marked one by one
HEADROOM = 1.15  # of the uniform loss; a run that went wild does not flatten the rest


def loss_pictures(history: History, losses: dict[str, Any]) -> list[Picture]:
    """The loss of minibatches and splits, and closer, if there is enough to see, of the splits."""
    pictures = [_all(history, losses)] if len(history.loss) else []
    if len(history.train) > 2:
        pictures.append(_splits(history))
    if len(history.rates()) > MARKED_RATES + 1:
        pictures.append(_rates(history))
    return pictures


def step_axis(axes: Axes) -> None:
    """Steps on the horizontal axis, with commas; few enough labels for a phone."""
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))


def _all(history: History, losses: dict[str, Any]) -> Picture:
    uniform, bigram = losses["baselines"]["uniform"], losses["baselines"]["bigram"]["train"]
    rates = history.rates()

    def draw(axes: Axes) -> None:
        smoothed = history.loss.smoothed()
        axes.plot(*history.loss.thinned(RAW_POINTS), color=BLUE, alpha=0.2, linewidth=0.6)
        axes.plot(history.loss.steps, smoothed, color=BLUE, label="minibatches, smoothed")
        _splits_on(axes, history, line="none")
        for value, label in ((uniform, "uniform"), (bigram, "bigram")):
            axes.axhline(value, color=MUTED, linewidth=1, linestyle=(0, (5, 3)))
            axes.annotate(
                f"{label}\n{value:.2f}",
                (1, value),
                (4, 0),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                va="center",
                color=MUTED,
                fontsize=9,
            )
        highest = max(uniform, float(np.percentile(history.loss.values, 99)), smoothed[0])
        lowest = min(float(np.percentile(history.loss.values, 0.5)), bigram)
        axes.set_ylim(lowest - 0.05, min(highest, HEADROOM * uniform) + 0.1)
        if len(rates) <= MARKED_RATES + 1:
            _mark_rates(axes, history)
        axes.set_ylabel("loss, nats per character")
        axes.legend(loc="upper right", bbox_to_anchor=(1, 0.93))
        step_axis(axes)

    last = history.loss.smoothed()[-1]
    return Picture(
        "loss",
        "Loss over the steps",
        f"The smoothed loss of the minibatches falls from {history.loss.smoothed()[0]:.2f} to "
        f"{last:.2f}; the bigram baseline lies at {bigram:.2f}, the uniform one at {uniform:.2f}.",
        "Read the smoothed line: a faint point is one minibatch, and jumps with the words in it. "
        "The loss should start near the uniform line (a start far above it is a network that is "
        "confidently wrong), fall below the bigram line early, and once more where the learning "
        "rate falls.",
        draw,
    )


def _mark_rates(axes: Axes, history: History) -> None:
    for place, (step, rate) in enumerate(history.rates()):
        if place:
            axes.axvline(step, color=INK, linewidth=0.9, linestyle=":")
        axes.annotate(
            f"lr {rate:g}",
            (step, 0),
            (3, 4),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            fontsize=9,
        )


def _splits_on(axes: Axes, history: History, first: int = 0, line: str = "-") -> None:
    """Train and val from their ``first`` evaluation on, told apart by colour and by shape."""
    for series, colour, marker, label in (
        (history.train, VERMILION, "o", "train"),
        (history.val, GREEN, "^", "val"),
    ):
        if len(series):
            axes.plot(
                series.steps[first:],
                series.values[first:],
                color=colour,
                linestyle=line,
                marker=marker,
                markersize=4,
                linewidth=1,
                label=label,
            )


def _splits(history: History) -> Picture:
    first = 1 if len(history.train) > 3 else 0  # the first value lies far above the others

    def draw(axes: Axes) -> None:
        _splits_on(axes, history, first)
        axes.set_ylabel("loss, nats per character")
        axes.legend(loc="upper right")
        step_axis(axes)

    said = f"The training loss ends at {history.train.last:.4f}"
    said += f", the validation loss at {history.val.last:.4f}." if len(history.val) else "."
    return Picture(
        "splits",
        "Training and validation loss",
        said,
        "Each point is a whole split with batchnorm calibrated on the training set. While both "
        "fall together, a larger network or more steps may help; where validation turns up and "
        "train goes on falling, the network learns its words by heart.",
        draw,
    )


def _rates(history: History) -> Picture:
    def draw(axes: Axes) -> None:
        axes.plot(*history.rate.thinned(RAW_POINTS), color=BLUE)
        axes.set_ylabel("learning rate")
        axes.set_ylim(bottom=0)
        step_axis(axes)

    return Picture(
        "learning-rate",
        "Learning rate over the steps",
        f"From {history.rate.values[0]:g} to {history.rate.last:g}, at most "
        f"{history.rate.values.max():g}.",
        "The factor that each gradient is multiplied by; hold its bends against the loss above.",
        draw,
    )
