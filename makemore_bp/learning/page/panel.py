"""What the page says of one tensor: judgement, lines, numbers, idea, derivation."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

from markdown_it import MarkdownIt

from makemore_bp.learning.page.graph import MARKS, anchor
from makemore_bp.learning.page.model import BLAMED, Line, Node, Pass
from makemore_bp.learning.page.numbers import comparable
from makemore_bp.text import visible

MEANINGS = {
    "exact": "the same bits as autograd's",
    "close": "right, and rounded differently",
    "wrong": "the mistake is here",
    "shape": "not of its tensor's shape",
    "inherits": "right in itself, fed with something wrong",
    "missing": "not defined yet",
}
_CODE = 400  # characters of a statement that are shown


def panels(shown: Pass) -> str:
    """A section for each tensor, in the order of the backward pass."""
    return "".join(_panel(shown, place, node) for place, node in enumerate(shown.nodes, 1))


def _panel(shown: Pass, place: int, node: Node) -> str:
    size = " × ".join(map(str, node.shape)) or "a number"
    parts = [
        f'<header><p class="step">{place} of {len(shown.nodes)}</p>'
        f"<h2>d{escape(node.name)} {_chip(node.status)}</h2>"
        f'<p class="size">the gradient of <code>{escape(node.name)}</code>, {size}</p></header>',
        _said(shown, node),
        _code("Forward, where it is read", node.used),
        _code("Forward, where it comes from", [node.made] if node.made else []),
        _mine(node.judgement.mine) if shown.own else "",
        f'<p class="idea"><b>Idea.</b> {paragraph(shown, node.idea)}</p>' if node.idea else "",
        _code("Backward", [] if shown.own else [node.rule]),
        _maps(node),
        _derivation(node),
    ]
    return (
        f'<section class="panel {node.status or "plain"}" id="{escape(anchor(node.name))}" '
        f'data-name="{escape(node.name)}" tabindex="-1">{"".join(parts)}</section>\n'
    )


def _chip(status: str) -> str:
    if not status:
        return ""
    return (
        f'<span class="chip {status}">{MARKS[status]} {status}</span>'
        f'<span class="meaning">{MEANINGS[status]}</span>'
    )


def _said(shown: Pass, node: Node) -> str:
    heading = node.judgement.heading
    said = f"<p><b>{escape(visible(heading))}</b></p>" if heading else ""
    said += "".join(f"<p>{paragraph(shown, text)}</p>" for text in node.judgement.said)
    if node.status == "inherits" and shown.origins(node.name):
        origins = links(shown.origins(node.name))
        said += f"<p>Nothing is to be changed here. The mistake starts at {origins}.</p>"
    heirs = shown.heirs(node.name) if node.status in BLAMED else ()
    if heirs:
        said += f'<p class="heirs">Inherited by {links(heirs)}.</p>'
    return f'<div class="said">{said}</div>' if said else ""


def paragraph(shown: Pass, text: str) -> str:
    """Text from anywhere, with its line ends; the names of gradients lead to their places."""
    lines = "<br>".join(escape(visible(line, 1500)) for line in text.splitlines())
    names = "|".join(re.escape(escape(node.name)) for node in shown.nodes)
    return re.sub(rf"(?<![\w;])d({names})\b", lambda found: links([found[1]]), lines)


def links(names: Iterable[str]) -> str:
    """The names of gradients, each a link to its part of the page."""
    return ", ".join(
        f'<a href="#{escape(anchor(name))}"><code>d{escape(name)}</code></a>' for name in names
    )


def _code(title: str, lines: Iterable[str]) -> str:
    text = "\n".join(line for line in lines if line)
    return f"<h3>{title}</h3><pre>{escape(text)}</pre>" if text else ""


def _mine(lines: Iterable[Line]) -> str:
    rows = "".join(
        f'<li><span class="place">{escape(line.place)}</span>'
        f"<pre>{_statement(line.code)}</pre></li>"
        for line in lines
    )
    return f'<h3>Yours</h3><ul class="mine">{rows}</ul>' if rows else ""


def _statement(code: str) -> str:
    return "\n".join(escape(visible(line, _CODE)) for line in code.splitlines())


def _maps(node: Node) -> str:
    """Room for the heat maps; the script draws them, for they follow the page's colours."""
    kinds = ["truth"]
    if comparable(node):
        kinds += ["own", "difference"]
    titles = {"truth": "True gradient", "own": "Yours", "difference": "Difference"}
    figures = "".join(
        f'<figure><figcaption>{titles[kind]} <span class="range"></span></figcaption>'
        f'<canvas data-kind="{kind}" tabindex="0" role="img" '
        f'aria-label="{titles[kind]} of {escape(node.name)}; arrow keys read its numbers">'
        "</canvas></figure>"
        for kind in kinds
    )
    return (
        f'<div class="maps">{figures}</div>'
        '<p class="readout" aria-live="polite">Point at a number, or move over a map with '
        "the arrow keys.</p>"
        '<p class="crop" hidden></p>'
    )


def _derivation(node: Node) -> str:
    if not node.derivation:
        return ""
    return (
        '<details class="derivation"><summary>Derivation</summary>'
        f"{markdown(node.derivation)}</details>"
    )


def markdown(text: str) -> str:
    """Markdown as HTML; markup in it is taken for text."""
    html: str = MarkdownIt("commonmark", {"html": False}).disable("image").render(text)
    return html.replace("<h2>", "<h3>").replace("</h2>", "</h3>")
