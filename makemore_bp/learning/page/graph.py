"""The picture of the network: a link for each tensor, above lines along which gradients flow."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from makemore_bp.learning.page.layout import LOSS, Spot, layout
from makemore_bp.learning.page.model import BLAMED, RIGHT, Node, Pass

ROW, HEIGHT = 46, 32  # pixels from row to row, and of a box
_WIDTH = {-1: 130, 0: 108, 1: 80}  # of a box to the left, on the spine, to the right
_GAP = 16
MARKS = {
    "exact": "✓",
    "close": "✓",
    "wrong": "✗",
    "shape": "✗",
    "inherits": "↓",
    "missing": "…",
    "": "",
}


def graph(shown: Pass) -> str:
    """The whole picture as HTML."""
    spots = layout(shown)
    places = _Places(spots)
    boxes = "".join(_box(shown.by_name[name], places) for name in _in_order(shown, spots))
    lines = "".join(_lines(shown, places))
    return (
        f'<div class="graph" id="graph" style="--w:{places.width}px;--h:{places.height}px">'
        f'<svg viewBox="0 0 {places.width} {places.height}" width="{places.width}" '
        f'height="{places.height}" aria-hidden="true">{"".join(_edges(shown, places))}</svg>'
        f'<span class="loss" style="{places.style(LOSS)}">loss</span>'
        f'<nav aria-label="Tensors, from the loss down">{boxes}</nav>'
        f'<ol class="lines" aria-hidden="true">{lines}</ol></div>\n'
    )


class _Places:
    """Where a spot is, in pixels."""

    def __init__(self, spots: dict[str, Spot]) -> None:
        self.spots = spots
        columns = [spot.column for spot in spots.values()]
        self._left, self._right = min(columns), max(columns)
        self.width = self.x(self._right) + _width(self._right) + 2
        self.height = (max(spot.row for spot in spots.values()) + 1) * ROW

    def x(self, column: int) -> int:
        """The left side of a column."""
        return 2 + sum(_width(k) + _GAP for k in range(self._left, column))

    def box(self, name: str) -> tuple[int, int, int]:
        """Left, top and width of a tensor's box."""
        spot = self.spots[name]
        return self.x(spot.column), spot.row * ROW + (ROW - HEIGHT) // 2, _width(spot.column)

    def style(self, name: str) -> str:
        """The same for a style attribute."""
        x, y, width = self.box(name)
        return f"left:{x}px;top:{y}px;width:{width}px;height:{HEIGHT}px"


def _width(column: int) -> int:
    return _WIDTH[max(-1, min(1, column))]


def _in_order(shown: Pass, spots: dict[str, Spot]) -> Iterator[str]:
    return (node.name for node in shown.nodes if node.name in spots)


def _box(node: Node, places: _Places) -> str:
    said = f"d{node.name}, {node.status}" if node.status else f"d{node.name}"
    parameter = "" if node.made else " given"
    return (
        f'<a class="box {node.status or "plain"}{parameter}" href="#{escape(anchor(node.name))}" '
        f'style="{places.style(node.name)}" aria-label="{escape(said)}">'
        f"<span>{escape(node.name)}</span><b aria-hidden=true>{MARKS[node.status]}</b></a>"
    )


def anchor(name: str) -> str:
    """The id of a tensor's part of the page."""
    return f"d-{name}"


def _edges(shown: Pass, places: _Places) -> Iterator[str]:
    for node in shown.nodes:
        for upper in shown.above(node.name):
            if node.name in places.spots and upper in places.spots:
                yield _edge(upper, node.name, _flow(shown, upper), places)


def _flow(shown: Pass, upper: str) -> str:
    """What flows down from a tensor: a right gradient, a wrong one, or nothing yet."""
    status = "exact" if upper == LOSS else shown.by_name[upper].status
    if not shown.own or not status:
        return "plain"
    if status in BLAMED or status == "inherits":
        return "bad"
    return "good" if status in RIGHT else "none"


def _edge(upper: str, lower: str, flow: str, places: _Places) -> str:
    x1, y1, width1 = places.box(upper)
    x2, y2, width2 = places.box(lower)
    if places.spots[lower].column > 0 and x2 > x1:
        way = _across(x1 + width1, y1 + HEIGHT // 2, x2, y2 + HEIGHT // 2)
    else:
        way = _down(x1 + width1 // 2, y1 + HEIGHT, x2 + width2 // 2, y2)
    return (
        f'<path class="edge {flow}" data-from="{escape(upper)}" data-to="{escape(lower)}" '
        f'd="{way}"/>'
    )


def _down(x1: int, y1: int, x2: int, y2: int) -> str:
    bend = max(10, (y2 - y1) // 2)
    return f"M{x1} {y1}C{x1} {y1 + bend} {x2} {y2 - bend} {x2} {y2}"


def _across(x1: int, y1: int, x2: int, y2: int) -> str:
    """Out at one side and in at the other, through the gap before the column."""
    gap = x2 - _GAP // 2
    return (
        f"M{x1} {y1}C{gap + 6} {y1} {gap} {y1 + 4} {gap} {y1 + 14}V{y2 - 10}Q{gap} {y2} {x2} {y2}"
    )


def _lines(shown: Pass, places: _Places) -> Iterator[str]:
    """The forward lines beside the picture, each in the row of what it computes."""
    rows: dict[int, list[str]] = {0: [shown.loss[0]]}
    for node in shown.nodes:
        if node.made and node.name in places.spots:
            rows.setdefault(places.spots[node.name].row, []).append(node.made)
    for row, codes in rows.items():
        y = row * ROW
        code = "\n".join(codes)
        yield f'<li style="top:{y}px;height:{ROW}px"><code>{escape(code)}</code></li>'
