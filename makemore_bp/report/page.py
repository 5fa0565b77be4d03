"""A page as one HTML file that asks nobody for anything: no script, no font, no address.

Every function returns HTML; every text that it is given is taken for text and escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from makemore_bp import __version__
from makemore_bp.report.drawing import Rendered
from makemore_bp.report.style import sheet
from makemore_bp.text import visible

GENERATOR = f"makemore-bp {__version__}"
MARK = b'<meta name="generator" content="makemore-bp'  # what a file of ours begins with
# Said to the browser too: should anything here ever ask for an address, it is not let through.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@dataclass(frozen=True)
class Section:
    """A heading with its anchor's name, and the HTML below it."""

    name: str
    title: str
    body: str


def text(value: str, limit: int = 1000) -> str:
    """Text from anywhere: markup escaped, control and direction characters made visible."""
    return escape(visible(value, limit))


def page(title: str, lead: str, sections: Sequence[Section]) -> str:
    """The whole file; ``lead`` is HTML."""
    links = "".join(f'<li><a href="#{s.name}">{text(s.title)}</a></li>' for s in sections)
    parts = "".join(
        f'<section aria-labelledby="{s.name}"><h2 id="{s.name}">{text(s.title)}</h2>'
        f"{s.body}</section>\n"
        for s in sections
    )
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'{MARK.decode()} {escape(__version__)}">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{text(title)}</title>\n<style>\n{sheet()}</style>\n</head>\n<body>\n"
        f"<header><h1>{text(title)}</h1>\n{lead}\n"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>\n'
        f"<main>\n{parts}</main>\n<footer>{text(GENERATOR)}</footer>\n</body>\n</html>\n"
    )


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
        f"<figure><figcaption><h3>{text(r.picture.title)}</h3>"
        f"<p>{text(r.picture.reading)}</p></figcaption>{r.svg}</figure>\n"
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
