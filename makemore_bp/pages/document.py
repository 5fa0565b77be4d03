"""A page as one HTML file that asks nobody for anything: no font, no address, no foreign script."""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from typing import Any

from makemore_bp import __version__
from makemore_bp.pages.theme import sheet
from makemore_bp.text import visible

MARK = b'<meta name="generator" content="makemore-bp'  # what a page of ours begins with
GENERATOR = f"makemore-bp {__version__}"


def text(value: str, limit: int = 1000) -> str:
    """Text from anywhere: markup escaped, control and direction characters made visible."""
    return escape(visible(value, limit))


def document(
    title: str,
    body: str,
    style: str,
    script: str,
    data: Any,
    kind: str = "report",
    maker: str = "makemore-bp",
) -> str:
    """The whole file.

    title: plain text. body: HTML. style: a sheet that follows the common one. script: the page's
    own, which finds ``data`` as JSON in the element ``data``. kind: a class of the body. maker:
    what the file says that it is, beginning with makemore-bp.
    """
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="generator" content="{escape(maker)} {escape(__version__)}">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(script)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{text(title)}</title>\n'
        f'<style>\n{sheet()}{style}</style>\n</head>\n<body class="{kind}">\n'
        f"{body}{_data(data)}<script>{script}</script>\n</body>\n</html>\n"
    )


def _data(data: Any) -> str:
    shown = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    # What an HTML parser, or a script's, could take for more than text.
    for character in "<\u2028\u2029":
        shown = shown.replace(character, f"\\u{ord(character):04x}")
    return f'<script type="application/json" id="data">{shown}</script>\n'


def _policy(script: str) -> str:
    """Said to the browser: only this very script runs, and nothing can be fetched."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    styles = "style-src 'unsafe-inline'; img-src data:"
    return f"default-src 'none'; {styles}; script-src 'sha256-{digest}'"
