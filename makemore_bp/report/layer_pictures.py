"""What one minibatch looks like inside the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from torch import Tensor

from makemore_bp.report.drawing import BLUE, INK, MUTED, VERMILION, Picture, fading
from makemore_bp.report.expectations import FOLLOWED
from makemore_bp.report.letters import kinds, shown_characters
from makemore_bp.report.observations import FLAT, Observations, saturated

SHOWN_ROWS, SHOWN_UNITS = 64, 400  # of an image; more would be finer than its pixels
POINTS = 1000  # units of a line, characters of a scatter plot
LABELS = 150  # characters with a label in the picture of the embedding
TICKS = 40  # characters with a label on an axis
NEIGHBOURS = 5  # of a character in the embedding
TALL = (5.2, 4.2)  # inches
BEGAN, LATER = "at the start", "now"


def layer_pictures(seen: Observations) -> list[Picture]:
    """Activations and batchnorm of the minibatch, from the input to the output of the layer."""
    return [
        _batchnorm(seen, "hprebn", "before"),
        _batchnorm(seen, "hpreact", "after"),
        _histogram(seen),
        _saturation(seen),
    ]


def output_pictures(seen: Observations) -> list[Picture]:
    """The gradient at the logits, the embedding, and what follows each character."""
    return [_dlogits(seen), _embedding(seen), _following(seen)]


def _histogram(seen: Observations) -> Picture:
    name = seen.network.kind("activation")
    shares = {
        BEGAN: float(saturated(seen, seen.start).double().mean()),
        LATER: float(saturated(seen, seen.now).double().mean()),
    }

    def draw(axes: Axes) -> None:
        both = [_numbers(record["h"]) for record in (seen.start, seen.now)]
        edges = np.linspace(min(-1, *map(np.min, both)), max(1, *map(np.max, both)), 51)
        for label, record, colour, style in (
            (BEGAN, seen.start, MUTED, "--"),
            (LATER, seen.now, BLUE, "-"),
        ):
            h = _numbers(record["h"]).ravel()
            heights, _ = np.histogram(h, edges)
            said = f"{label}: {shares[label]:.1%} saturated"
            shares_of_bins = 100 * heights / len(h)
            axes.stairs(
                shares_of_bins, edges, label=said, linewidth=1.5, color=colour, linestyle=style
            )
        axes.set_xlabel(f"output of {name}, h")
        axes.set_ylabel("% of the outputs")
        axes.legend(loc="upper center")

    return Picture(
        name,
        f"Outputs of {name}",
        f"Histogram of h. Saturated are {shares[BEGAN]:.1%} of the outputs at the start and "
        f"{shares[LATER]:.1%} now.",
        f"Where the slope of {name} is below {FLAT:.2f}, hardly any gradient passes: an output is "
        "saturated. A few per cent of tanh's at the start are harmless; towers at the ends with "
        "nothing between them are a layer that hardly learns.",
        draw,
    )


def _saturation(seen: Observations) -> Picture:
    flat = saturated(seen, seen.now)
    dead = int(flat.all(0).sum())
    shown = flat[:SHOWN_ROWS, :SHOWN_UNITS]
    part = "" if shown.shape == flat.shape else f" The first {_by(shown)} of {_by(flat)} are shown."

    def draw(axes: Axes) -> None:
        values = _numbers(shown)
        axes.imshow(values, cmap=fading(BLUE), vmin=0, vmax=1, aspect="auto", interpolation="none")
        _image_axes(axes, "hidden unit", "example")

    return Picture(
        "saturation",
        "Saturated units",
        f"{float(flat.double().mean()):.1%} of the outputs are saturated; {dead} of "
        f"{flat.shape[1]:,} units are so for every example of the minibatch.",
        f"A row is an example, a column a hidden unit, filled where hardly any gradient passes. A "
        f"column that is filled from top to bottom is a unit that learns nothing here: {dead} of "
        f"{flat.shape[1]:,}.{part}",
        draw,
    )


def _batchnorm(seen: Observations, name: str, place: str) -> Picture:
    values = _numbers(seen.now[name])
    means, spreads = values.mean(0), values.std(0, ddof=1)
    order = np.argsort(means, kind="stable")
    order = order[:: -(-len(order) // POINTS)]

    def draw(axes: Axes) -> None:
        units = np.linspace(0, len(means) - 1, len(order))
        m, s = means[order], spreads[order]
        marker = "o" if len(order) < 3 else None  # a line needs two ends
        axes.fill_between(units, m - s, m + s, color=BLUE, alpha=0.25, linewidth=0)
        axes.plot(units, m, color=BLUE, marker=marker)
        axes.axhline(0, color=MUTED, linewidth=1)
        axes.set_xlabel(f"hidden unit, in the order of its mean of {name}")
        axes.set_ylabel(name)

    read = {
        "before": "Before batchnorm every unit has a level and a spread of its own; the wider "
        "they lie apart, the more units the activation would drive into saturation.",
        "after": "After batchnorm the mean of a unit is its bnbias and its spread the size of its "
        "bngain: learned numbers, and no longer an accident of the weights below.",
    }
    return Picture(
        f"{name}",
        f"{name}, {place} batchnorm",
        f"Means of the units from {means.min():.2f} to {means.max():.2f}, standard deviations from "
        f"{spreads.min():.2f} to {spreads.max():.2f}.",
        f"The line is each unit's mean over the minibatch, the band one standard deviation. "
        f"{read[place]}",
        draw,
    )


def _dlogits(seen: Observations) -> Picture:
    n, V = seen.gradients["dlogits"].shape
    forces = _numbers(n * seen.gradients["dlogits"])[:SHOWN_ROWS]
    targets = _numbers(seen.now["Yb"])[:SHOWN_ROWS]
    labels = shown_characters(seen.saved.vocabulary)

    def draw(axes: Axes) -> None:
        cmap = fading(BLUE, VERMILION)
        image = axes.imshow(forces, cmap=cmap, vmin=-1, vmax=1, aspect="auto", interpolation="none")
        if V <= TICKS:
            axes.scatter(targets, np.arange(len(targets)), s=2, color=INK, linewidths=0)
            axes.set_xticks(range(V), labels, fontsize=8)
        _image_axes(axes, "character", "example")
        assert axes.figure is not None
        bar = axes.figure.colorbar(image, ax=axes, ticks=[-1, 0, 1], pad=0.02)
        bar.ax.set_yticklabels(["up", "0", "down"])

    return Picture(
        "dlogits",
        "Gradient at the logits",
        f"n * dlogits of {len(forces)} examples and {V} characters, from {forces.min():.2f} to "
        f"{forces.max():.2f}.",
        "Each row is softmax(logits) minus the one-hot target, and adds up to 0. The right "
        "character (dotted) is pulled up by 1 - p, every other is pushed down by the probability "
        "it was given: a pale row is one that the network knows already.",
        draw,
    )


@dataclass(frozen=True)
class Projection:
    """points (V, 2): the embedding on its first two principal components; shares: of variance."""

    points: np.ndarray[tuple[int, int], np.dtype[np.float64]]
    shares: tuple[float, float]


def project(C: Tensor) -> Projection:
    """The embedding C (V, n_embd) seen from where it spreads most.

    The sign of a component is free; each gets the one that makes its largest entry positive.
    """
    centred = C.double() - C.double().mean(0)
    U, S, _ = torch.linalg.svd(centred, full_matrices=False)
    if len(S) < 2:
        U, S = torch.cat((U, torch.zeros_like(U)), 1), torch.cat((S, torch.zeros_like(S)))
    scores = (U * S)[:, :2]
    largest = scores.abs().max(0).indices
    scores = scores * torch.where(scores[largest, torch.arange(2)] < 0, -1.0, 1.0)
    total = float((S**2).sum()) or 1.0
    first, second = (S[:2] ** 2 / total).tolist()
    return Projection(scores.numpy(), (first, second))


def _embedding(seen: Observations) -> Picture:
    found = project(seen.saved.parameters["C"])
    labels = shown_characters(seen.saved.vocabulary)
    x, y = found.points[:POINTS, 0], found.points[:POINTS, 1]

    def draw(axes: Axes) -> None:
        many = len(labels) > LABELS
        axes.scatter(x, y, s=6 if many else 150, color=BLUE, alpha=0.5 if many else 0.16, lw=0)
        size = 11 if len(labels) <= 60 else 8
        for label, across, up in zip(labels[:LABELS], x, y, strict=False):
            axes.text(across, up, label, ha="center", va="center", fontsize=size, clip_on=True)
        axes.set_xlabel(f"first principal component, {found.shares[0]:.0%} of the variance")
        axes.set_ylabel(f"second, {found.shares[1]:.0%}")

    part = " Not every point has its label." if len(labels) > LABELS else ""
    part += f" The first {POINTS:,} are shown." if len(labels) > POINTS else ""
    return Picture(
        "embedding",
        "Embedding of the characters",
        f"{len(labels)} points; the two components hold {found.shares[0]:.0%} and "
        f"{found.shares[1]:.0%} of the variance.",
        "Characters that lie together are treated alike by the network. The full stop is "
        "the boundary before and after a word. The smaller the shares on the axes, the "
        f"less of the table's {seen.saved.config.model.n_embd} dimensions is seen. Neighbours are "
        f"the nearest in all dimensions.{part}",
        draw,
        size=TALL,
        live=_live_embedding(seen, found),
    )


def _live_embedding(seen: Observations, found: Projection) -> dict[str, Any]:
    """The points for the page's script, each with its nearest neighbours and their distances."""
    C = seen.saved.parameters["C"][:POINTS].double()
    distances = torch.cdist(C, C).fill_diagonal_(torch.inf)
    near = distances.topk(min(NEIGHBOURS, len(C) - 1), largest=False)
    points = found.points[:POINTS]
    lows, highs = points.min(0), points.max(0)
    margins = 0.07 * (highs - lows) + 1e-3
    return {
        "kind": "points",
        "height": 300,
        "xlabel": f"first principal component, {found.shares[0]:.0%} of the variance",
        "ylabel": f"second, {found.shares[1]:.0%}",
        "xlim": [lows[0] - margins[0], highs[0] + margins[0]],
        "ylim": [lows[1] - margins[1], highs[1] + margins[1]],
        "x": [round(x, 4) for x in points[:, 0].tolist()],
        "y": [round(y, 4) for y in points[:, 1].tolist()],
        "labels": shown_characters(seen.saved.vocabulary)[:POINTS],
        "kinds": kinds(seen.saved.vocabulary)[:POINTS],
        "near": [
            [[other, round(distance, 4)] for other, distance in zip(*both, strict=True)]
            for both in zip(near.indices.tolist(), near.values.tolist(), strict=True)
        ],
    }


def _following(seen: Observations) -> Picture:
    percents = 100 * _numbers(seen.expected.following)
    labels = shown_characters(seen.saved.vocabulary)[: len(percents)]

    def draw(axes: Axes) -> None:
        axes.imshow(percents, cmap=fading(BLUE), vmin=0, aspect="auto", interpolation="none")
        _image_axes(axes, "next character", "after")
        axes.set_xticks(range(len(labels)), labels, fontsize=8)
        axes.set_yticks(range(len(labels)), labels, fontsize=8)

    part = f" The first {FOLLOWED} are shown." if len(seen.saved.vocabulary) > FOLLOWED else ""
    return Picture(
        "following",
        "The next character after each character",
        f"Probabilities in per cent; the largest is {percents.max():.0f}.",
        "A row is a character, a column the one after it: what the network expects there, in per "
        "cent, on average over all places in the words where the first one stands. The full stop "
        f"is the beginning of a word in a row and its end in a column.{part}",
        draw,
        size=TALL,
    )


def _image_axes(axes: Axes, across: str, down: str) -> None:
    axes.grid(False)
    axes.set_xlabel(across)
    axes.set_ylabel(down)


def _by(tensor: Tensor) -> str:
    return f"{tensor.shape[0]:,} examples and {tensor.shape[1]:,} units"


def _numbers(tensor: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    array: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = tensor.double().numpy()
    return array
