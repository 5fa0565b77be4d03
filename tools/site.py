"""What mkdocs calls while it builds the site: links that leave docs/ lead to pages of the site, and
no page asks another server for anything."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
REQUEST = re.compile(r"<(?:script|link|img|iframe)[^>]+(?:src|href)=[\"']?https?:")
OUTSIDE = re.compile(r"\]\(\.\./([^)#]+)")
HEART = "makemore_bp/network"


def on_files(files: Files, config: Any) -> Files:
    """Adds a page for each Markdown file of the tree that a page of docs/ links to."""
    pages = [file.content_string for file in files.documentation_pages()]
    for path in sorted({path for page in pages for path in OUTSIDE.findall(page)}):
        if path.endswith(".md") and (ROOT / path).is_file():
            content = (ROOT / path).read_text(encoding="utf-8")
            files.append(File.generated(config, f"tree/{path}", content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Leads links out of docs/ to those pages, and links to the heart to its reference."""
    if "/" in page.file.src_uri:
        return markdown
    return OUTSIDE.sub(lambda found: f"]({_inside(found[1])}", markdown)


def _inside(path: str) -> str:
    return "reference/network.md" if path.startswith(HEART) else f"tree/{path}"


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Raises PluginError for a page that would need the network."""
    if found := REQUEST.search(output):
        raise PluginError(f"{page.file.src_uri} would need the network: {found[0]}")
    return output
