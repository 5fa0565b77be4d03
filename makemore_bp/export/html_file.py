"""A web page in which the network draws words."""

from __future__ import annotations

from pathlib import Path

from makemore_bp.export.trained import Format, Trained
from makemore_bp.export.writing import MARK
from makemore_bp.report import playing


def contents(trained: Trained) -> dict[str, bytes]:
    """One file, which asks nobody for anything.

    Raises RequestError for a network that is too large for a page.
    """
    page = playing.network_page(trained.saved, trained.stem, MARK)
    return {".html": page.encode()}


def use(path: Path) -> str:
    """Lines of Python that open it."""
    return f"""\
# Open it in a browser, or put it on a web site. It needs no other file.
import pathlib, webbrowser
webbrowser.open(pathlib.Path({str(path)!r}).resolve().as_uri())"""


FORMAT = Format(".html", contents, use)
