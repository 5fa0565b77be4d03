"""The page of a pass as one HTML file."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from makemore_bp.learning.page.graph import MARKS, graph
from makemore_bp.learning.page.model import Pass
from makemore_bp.learning.page.numbers import encoded
from makemore_bp.learning.page.panel import MEANINGS, panels, paragraph
from makemore_bp.pages import document as pages
from makemore_bp.pages.document import GENERATOR, text

_HERE = Path(__file__).parent


def document(shown: Pass) -> str:
    """The whole file."""
    style, script = ((_HERE / name).read_text("utf-8") for name in ("page.css", "page.js"))
    body = (
        f"<header class=top><h1>{text(shown.title, 300)}</h1>{_summary(shown)}</header>\n"
        f'<main><div class="picture">{_legend(shown)}{graph(shown)}</div>\n'
        f'<div class="panels">{_buttons()}{panels(shown)}</div></main>\n'
        f"<footer>{GENERATOR}. {_keys()}</footer>\n"
    )
    kind = "check" if shown.own else "walk"
    return pages.document(shown.title, body, style, script, encoded(shown), kind)


def _summary(shown: Pass) -> str:
    return "".join(f"<p>{paragraph(shown, remark)}</p>" for remark in shown.remarks)


def _legend(shown: Pass) -> str:
    counts = Counter(node.status for node in shown.nodes if node.status)
    items = "".join(
        f'<li><span class="chip {status}">{MARKS[status]} {count} {status}</span> '
        f"<span>{meaning}</span></li>"
        for status, meaning in MEANINGS.items()
        if (count := counts[status])
    )
    return f'<ul class="legend">{items}</ul>' if items else ""


def _buttons() -> str:
    return (
        '<div class="buttons" hidden><button type="button" id="back">Back</button>'
        '<button type="button" id="next">Next</button>'
        '<span id="where"></span><a href="#graph">To the graph</a></div>'
    )


def _keys() -> str:
    return "Keys: arrows or n and b for the next and the one before, d for the derivation."
