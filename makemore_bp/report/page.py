"""The parts of a report's page.

Every function returns HTML; every text that it is given is taken for text and escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from makemore_bp.pages.document import GENERATOR, document, text
from makemore_bp.text import visible

if TYPE_CHECKING:
    from makemore_bp.report.drawing import Rendered

_HERE = Path(__file__).parent
# In the order in which each uses what stands before it.
_SCRIPTS = ("drawing", "frame", "lines", "points", "cells", "network", "playing", "start")


@dataclass(frozen=True)
class Section:
    """A heading with its anchor's name, and the HTML below it."""

    name: str
    title: str
    body: str


def page(
    title: str,
    lead: str,
    sections: Sequence[Section],
    drawn: Iterable[Rendered] = (),
    network: Mapping[str, Any] | None = None,
) -> str:
    """The whole file; ``lead`` is HTML. The script gets the numbers of the pictures and of the
    network, if there is one."""
    links = "".join(f'<li><a href="#{s.name}">{text(s.title)}</a></li>' for s in sections)
    parts = "".join(
        f'<section aria-labelledby="{s.name}"><h2 id="{s.name}">{text(s.title)}</h2>'
        f"{s.body}</section>\n"
        for s in sections
    )
    body = (
        f"<header><h1>{text(title)}</h1>\n{lead}\n"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>\n'
        f"<main>\n{parts}</main>\n<footer>{text(GENERATOR)}</footer>\n"
    )
    return with_script(
        title, body, {one.picture.name: one.live for one in drawn if one.live}, network
    )


def with_script(
    title: str,
    body: str,
    pictures: Mapping[str, Any],
    network: Mapping[str, Any] | None,
    **more: str,
) -> str:
    """The whole file of a body, with the style and the script of reports; ``more`` is for
    ``document``."""
    style = (_HERE / "report.css").read_text(encoding="utf-8")
    parts = [(_HERE / "script" / f"{name}.js").read_text(encoding="utf-8") for name in _SCRIPTS]
    script = '"use strict";\n(() => {\n' + "\n".join(parts) + "})();\n"
    return document(title, body, style, script, {"pictures": pictures, "network": network}, **more)


def paragraph(said: str) -> str:
    """A paragraph of plain text."""
    return f"<p>{text(said, 10_000)}</p>\n"


def code(said: str) -> str:
    """Text to be copied; line ends are kept."""
    lines = "\n".join(visible(line, 10_000) for line in said.split("\n"))
    return f"<pre>{escape(lines)}</pre>\n"


def pictures(rendered: Iterable[Rendered]) -> str:
    """Pictures beside or below one another, each under its title and how it is read."""
    figures = "".join(
        f'<figure data-picture="{text(r.picture.name)}"><h3>{text(r.picture.title)}</h3>{r.svg}'
        f"<figcaption>{text(r.picture.reading)}</figcaption></figure>\n"
        for r in rendered
    )
    return f'<div class="pictures">\n{figures}</div>\n'


def table(
    caption: str, columns: Sequence[str], rows: Iterable[Sequence[str]], numbers: bool = True
) -> str:
    """A table whose first column names the row; the others are numbers, or else running text."""
    kind = "number" if numbers else "long"
    head = "".join(
        f'<th scope="col"{_class(kind if place and numbers else "")}>{text(column)}</th>'
        for place, column in enumerate(columns)
    )
    body = "".join(
        f'<tr><th scope="row">{text(row[0])}</th>'
        + "".join(f"<td{_class(kind)}>{text(cell)}</td>" for cell in row[1:])
        + "</tr>\n"
        for row in rows
    )
    # Whoever scrolls by keyboard must be able to reach a table that is wider than the window.
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{text(caption)}"><table>'
        f"<caption>{text(caption)}</caption>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table></div>\n"
    )


def names(words: Iterable[tuple[str, bool]]) -> str:
    """Words in columns; those that are not new are marked, and said to be known."""
    items = "".join(
        f"<li><bdi>{text(word, 60)}</bdi></li>\n"
        if new
        else f'<li class="known"><bdi>{text(word, 60)}</bdi> (known)</li>\n'
        for word, new in words
    )
    return f'<ul class="names">\n{items}</ul>\n'


def _class(name: str) -> str:
    return f' class="{name}"' if name else ""
