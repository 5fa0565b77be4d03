"""How a picture looks, and how it becomes SVG for the page and PNG beside it.

Pictures are drawn once, in the light palette. In the SVG each of its colours is replaced by a CSS
variable, so that the page decides between light and dark, and text takes the page's font. Nothing
of a user's matplotlib settings has a say, and equal runs give equal files.
"""

from __future__ import annotations

import io
import re
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from makemore_bp.errors import RequestError
from makemore_bp.files import write_whole
from makemore_bp.pages.theme import PALETTE
from makemore_bp.report import fonts
from makemore_bp.report.numbers import numbers

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

INK, MUTED, GRID, BLUE, VERMILION, GREEN, PURPLE = (light for light, _ in PALETTE.values())

SIZE = (5.2, 3.3)  # inches; small, so that text stays readable at the width of a phone
PNG_DPI = 200
_STYLE: dict[RcKeyType, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.formatter.use_mathtext": False,
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.unicode_minus": True,
    "figure.figsize": SIZE,
    "font.size": 10,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "image.composite_image": False,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "svg.fonttype": "none",
    "svg.hashsalt": "makemore-bp",
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": 9,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": 9,
}
_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
_COLOURS = {light: f"var(--{name})" for name, (light, _) in PALETTE.items()}
_FONTS = re.compile(r"font-family:[^;]*;?")


@dataclass(frozen=True)
class Picture:
    """A picture to be drawn.

    name: its file's, without suffix. alt: what is to be seen, for those who cannot see it. reading:
    how it is read. draw: puts it on axes. live: its numbers for the page's script, where they are
    others than those that stand on the axes.
    """

    name: str
    title: str
    alt: str
    reading: str
    draw: Callable[[Axes], None]
    size: tuple[float, float] = SIZE
    live: dict[str, Any] | None = None


@dataclass(frozen=True)
class Rendered:
    """A picture as an SVG element for a page, and as a PNG file.

    live: its numbers for the page's script, None where there are none to read. boxes: the
    characters for which no font is installed; the PNG has boxes in their place.
    """

    picture: Picture
    svg: str
    png: bytes
    live: dict[str, Any] | None = None
    boxes: frozenset[str] = frozenset()


def render(picture: Picture) -> Rendered:
    """Draws a picture in both forms. The PNG carries its title, for it may stand alone."""
    nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with _drawn(picture) as (figure, boxes):
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", transparent=True, metadata=nothing)
        live = picture.live or numbers(figure.axes[0])
        figure.suptitle(picture.title, fontsize=11)
        figure.savefig(png, format="png", dpi=PNG_DPI, metadata={"Software": None})
    return Rendered(picture, _for_a_page(svg.getvalue(), picture), png.getvalue(), live, boxes)


def save(picture: Picture, path: Path) -> frozenset[str]:
    """Writes a picture with its title, in the format that the file's name asks for.

    Returns the characters for which no font is installed. Raises RequestError if the format is not
    known or the file cannot be written.
    """
    content = io.BytesIO()
    with _drawn(picture) as (figure, boxes):
        figure.suptitle(picture.title, fontsize=11)
        try:
            figure.savefig(content, format=path.suffix[1:] or "png", dpi=PNG_DPI)
        except ValueError as error:
            raise RequestError(
                "{path}: {reason}. Take FILE.png.", path=path, reason=str(error).splitlines()[0]
            ) from None
    write_whole(path, content.getvalue())
    return boxes


@contextmanager
def _drawn(picture: Picture) -> Iterator[tuple[Figure, frozenset[str]]]:
    """The picture as a figure, in fonts that have its characters as far as any is installed."""
    with _our_style():
        figure = _figure(picture)
        families = list(matplotlib.rcParams["font.family"])
        missing = fonts.without_glyph(_characters(figure), families)
        if missing and (found := fonts.covering(frozenset(missing))):
            matplotlib.rcParams["font.family"] = [*families, *found]
            missing = fonts.without_glyph(missing, found)
            figure = _figure(picture)
        yield figure, frozenset(missing)


def _figure(picture: Picture) -> Figure:
    figure = Figure(figsize=picture.size, layout="constrained")
    picture.draw(figure.subplots())
    return figure


def _characters(figure: Figure) -> set[str]:
    """The characters of all texts, the labels of ticks included."""
    for axes in figure.axes:
        axes.get_xticklabels(), axes.get_yticklabels()  # they are made when they are asked for
    return {c for text in figure.findobj(Text) if isinstance(text, Text) for c in text.get_text()}


def fading(*colours: str) -> ListedColormap:
    """A colour map for images on any background: transparent at zero, opaque at the ends.

    One colour: from zero up. Two: below and above zero.
    """
    steps = 128
    ramps = [[(*to_rgb(c), k / (steps - 1)) for k in range(steps)] for c in colours]
    below = ramps[0][::-1] if len(ramps) == 2 else []
    return ListedColormap([*below, *ramps[-1]])


@contextmanager
def _our_style() -> Iterator[None]:
    with matplotlib.rc_context(), warnings.catch_warnings():
        # What no installed font has is told of once (see Rendered.boxes).
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        yield


def _for_a_page(svg: str, picture: Picture) -> str:
    """matplotlib's file as an element that stands in a page beside others."""
    for prefix, space in (("", _SVG), ("xlink", _XLINK)):
        ET.register_namespace(prefix, space)
    root = ET.fromstring(svg)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        element.attrib = {k: v for k, v in _themed(element.attrib, picture.name) if v}
    title = ET.Element(f"{{{_SVG}}}title")
    title.text = picture.title
    description = ET.Element(f"{{{_SVG}}}desc")
    description.text = picture.alt
    root[:0] = [title, description]
    root.set("role", "img")
    root.set("aria-label", f"{picture.title}. {picture.alt}")
    del root.attrib["width"], root.attrib["height"]
    return ET.tostring(root, encoding="unicode")


def _themed(attributes: dict[str, str], name: str) -> Iterator[tuple[str, str]]:
    """Attributes with the page's colours and font, and with names that no other picture has."""
    for key, value in attributes.items():
        if key == "id":
            # Only what is referred to needs a name; those end in matplotlib's hash.
            yield key, f"{name}-{value}" if re.fullmatch(r"[a-z]+[0-9a-f]{10}", value) else ""
        elif key == f"{{{_XLINK}}}href" and value.startswith("#"):
            yield key, f"#{name}-{value[1:]}"
        elif key == "clip-path":
            yield key, value.replace("url(#", f"url(#{name}-")
        elif key == "style":
            themed = _FONTS.sub("", value)
            for light, variable in _COLOURS.items():
                themed = themed.replace(light, variable)
            yield key, themed
        else:
            yield key, value
