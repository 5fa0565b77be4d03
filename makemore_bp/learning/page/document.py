"""The page as one HTML file that asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from html import escape
from pathlib import Path

from makemore_bp import __version__
from makemore_bp.learning.page.graph import MARKS, graph
from makemore_bp.learning.page.model import Pass
from makemore_bp.learning.page.numbers import encoded
from makemore_bp.learning.page.panel import MEANINGS, panels, paragraph
from makemore_bp.text import visible

MARK = '<meta name="generator" content="makemore-bp'  # what a page of ours begins with
_HERE = Path(__file__).parent


def document(shown: Pass) -> str:
    """The whole file."""
    style = (_HERE / "page.css").read_text(encoding="utf-8")
    script = (_HERE / "page.js").read_text(encoding="utf-8")
    title = escape(visible(shown.title, 300))
    data = json.dumps(encoded(shown)).replace("<", "\\u003c")
    kind = "check" if shown.own else "walk"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'{MARK} {__version__}">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{title}</title>\n<style>\n{style}</style>\n'
        f'</head>\n<body class="{kind}">\n'
        f"<header class=top><h1>{title}</h1>{_summary(shown)}</header>\n"
        f'<main><div class="picture">{_legend(shown)}{graph(shown)}</div>\n'
        f'<div class="panels">{_buttons()}{panels(shown)}</div></main>\n'
        f"<footer>makemore-bp {escape(__version__)}. {_keys()}</footer>\n"
        f'<script type="application/json" id="numbers">{data}</script>\n'
        f"<script>{script}</script>\n</body>\n</html>\n"
    )


def _policy(script: str) -> str:
    """Only this very script runs, and nothing can be fetched."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    styles = "style-src 'unsafe-inline'; img-src data:"
    return f"default-src 'none'; {styles}; script-src 'sha256-{digest}'"


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
