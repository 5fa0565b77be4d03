"""The numbers of a picture, read from the axes that it was drawn on, for the page's script.

So a picture is described once, by what draws it. Colours are the palette's names. What the script
cannot draw (a ranking by names, a scatter plot) gives None, and stays the picture that it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from matplotlib.text import Annotation
from matplotlib.ticker import FixedLocator

from makemore_bp.pages.theme import PALETTE

HEIGHT = 238  # of the page's pictures, in the units in which frame.js makes them 374 wide
POINTS = 20_000  # of all lines of a picture
LEAST_POINTS = 40  # of one line
CELLS = 30_000  # whose numbers are worth their bytes
MARKERS = ("o", "^", "s", "D", "x")
NOTE_MARGIN = 44
NAMED = "named"  # a line's gid, where its label is a name even if it begins with an underscore
_NAMES = {light: name for name, (light, _) in PALETTE.items()}

Numbers = dict[str, Any]


def numbers(axes: Axes) -> Numbers | None:
    """What stands on the axes of a picture that has been laid out."""
    if axes.images:
        return _cells(axes)
    if isinstance(axes.yaxis.get_major_locator(), FixedLocator) or not (axes.lines or axes.patches):
        return None
    notes = [_note(text, axes) for text in axes.texts if isinstance(text, Annotation)]
    found = {
        "kind": "lines",
        "height": HEIGHT,
        "xlabel": axes.get_xlabel(),
        "ylabel": axes.get_ylabel(),
        "xlim": [_rounded(end) for end in axes.get_xlim()],
        "ylim": [_rounded(end) for end in axes.get_ylim()],
        "xlog": axes.get_xscale() == "log",
        "ylog": axes.get_yscale() == "log",
        "xticks": _given(axes),
        "lines": [*_lines(axes), *_steps(axes)],
        "legend": _legend(axes),
        "bands": [_band(one) for one in axes.collections if isinstance(one, PolyCollection)],
        "guides": [_guide(line, axes) for line in axes.lines if _is_guide(line, axes)],
        "notes": notes,
    }
    if any(note["xpart"] and note["x"] >= 1 for note in notes):
        found["margin"] = NOTE_MARGIN
    return found


def _legend(axes: Axes) -> list[str]:
    """The names in the picture's legend, in its order. Lines with other names are only there to
    compare with."""
    assert axes.figure is not None
    found = [*axes.figure.legends, *filter(None, [axes.get_legend()])]
    return [text.get_text() for legend in found for text in legend.get_texts()]


def _lines(axes: Axes) -> list[Numbers]:
    drawn = [line for line in axes.lines if not _is_guide(line, axes) and _is_shown(line)]
    most = max(LEAST_POINTS, POINTS // max(1, len(drawn)))
    return [_line(line, most) for line in drawn] + [
        _line(
            Line2D(
                *_bars(one),
                color=to_hex(np.asarray(one.get_color())[0]),
                linewidth=1,
                label="_bars",
            ),
            most,
        )
        for one in axes.collections
        if isinstance(one, LineCollection)
    ]


def _is_shown(line: Line2D) -> bool:
    """The caps of error bars are markers that the script does not know."""
    return line.get_linestyle() != "None" or line.get_marker() in MARKERS


def _line(line: Line2D, most: int) -> Numbers:
    x, y = (np.asarray(data, dtype=np.float64) for data in line.get_data())
    every = -(-len(x) // most)
    label, dash = str(line.get_label()), line.get_linestyle()
    return {
        "label": label if line.get_gid() == NAMED or not label.startswith("_") else "",
        **_stroke(line),
        "dash": "" if dash == "None" else dash,
        "marker": line.get_marker() if line.get_marker() in MARKERS else "",
        "x": _all_rounded(x[::every]),
        "y": _all_rounded(y[::every]),
    }


def _stroke(line: Line2D) -> Numbers:
    alpha = line.get_alpha()
    return {
        "colour": _colour(line.get_color()),
        "width": line.get_linewidth(),
        "alpha": 1 if alpha is None else alpha,
    }


def _bars(bars: LineCollection) -> tuple[list[float], list[float]]:
    """The bars of an error bar plot as one line with gaps."""
    corners = [(*point,) for bar in bars.get_segments() for point in (*bar, (math.nan, math.nan))]
    return [x for x, _ in corners], [y for _, y in corners]


def _steps(axes: Axes) -> list[Numbers]:
    """Histograms as the lines around them."""
    found = []
    for patch in axes.patches:
        if isinstance(patch, StepPatch):
            heights, edges, _ = patch.get_data()
            line = Line2D(
                np.repeat(edges, 2)[1:-1],
                np.repeat(heights, 2),
                color=patch.get_edgecolor(),
                linestyle=patch.get_linestyle(),
                linewidth=patch.get_linewidth(),
                label=patch.get_label(),
            )
            found.append(_line(line, POINTS))
    return found


def _is_guide(line: Line2D, axes: Axes) -> bool:
    """Lines from one side of the axes to the other, such as axhline draws."""
    return line.get_transform() in (axes.get_xaxis_transform(), axes.get_yaxis_transform())


def _guide(line: Line2D, axes: Axes) -> Numbers:
    upright = line.get_transform() == axes.get_xaxis_transform()
    place = (line.get_xdata() if upright else line.get_ydata())[0]  # type: ignore[index]
    return {"x" if upright else "y": place, "dash": line.get_linestyle(), **_stroke(line)}


def _band(band: PolyCollection) -> Numbers:
    alpha = band.get_alpha()
    corners = band.get_paths()[0].vertices
    points = [_all_rounded(point) for point in np.asarray(corners)[:-1]]
    colour = _colour(band.get_facecolor()[0])
    return {"colour": colour, "alpha": 1 if alpha is None else alpha, "points": points}


def _note(note: Annotation, axes: Axes) -> Numbers:
    x, y = note.xy
    given = note.xycoords if isinstance(note.xycoords, tuple) else (note.xycoords,) * 2
    dx, dy = note.xyann
    return {
        "text": note.get_text(),
        "x": x,
        "y": y,
        "xpart": given[0] == "axes fraction",
        "ypart": given[1] == "axes fraction",
        "dx": dx,
        "dy": dy,
        "middle": note.get_verticalalignment() == "center",
        "colour": _colour(note.get_color()),
    }


def _given(axes: Axes) -> list[tuple[float, str]] | None:
    """Ticks that a picture has named itself."""
    if not isinstance(axes.xaxis.get_major_locator(), FixedLocator):
        return None
    texts = [text.get_text() for text in axes.get_xticklabels()]
    return [(float(at), text) for at, text in zip(axes.get_xticks(), texts, strict=True)]


def _cells(axes: Axes) -> Numbers | None:
    array = np.asarray(axes.images[0].get_array())
    rows, columns = array.shape
    if array.size > CELLS:
        return None
    names = _given(axes)
    return {
        "kind": "cells",
        "box": [round(part, 5) for part in axes.get_position().bounds],
        "rows": rows,
        "columns": columns,
        "xlabel": axes.get_xlabel(),
        "ylabel": axes.get_ylabel(),
        "xnames": [text for _, text in names] if names else None,
        "ynames": _row_names(axes),
        "values": _all_rounded(array.ravel(), digits=3),
    }


def _row_names(axes: Axes) -> list[str] | None:
    if not isinstance(axes.yaxis.get_major_locator(), FixedLocator):
        return None
    return [text.get_text() for text in axes.get_yticklabels()]


def _colour(colour: Any) -> str:
    return _NAMES[to_hex(colour)]


def _all_rounded(values: Iterable[float], digits: int = 5) -> list[float | None]:
    return [_rounded(float(value), digits) for value in values]


def _rounded(value: float, digits: int = 5) -> float | None:
    """A few digits are more than a picture shows; None for what is not a number. Whole numbers,
    such as steps, are left whole."""
    if not math.isfinite(value):
        return None
    rounded = value if value.is_integer() else float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded
