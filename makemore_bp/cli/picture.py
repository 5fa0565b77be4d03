"""``gradcheck --html``: the page of a pass, written where the person asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from makemore_bp.cli import streams
from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_read, write_whole

if TYPE_CHECKING:
    from makemore_bp.gradcheck.batch import Batch
    from makemore_bp.gradcheck.check import Check

MARK = b'<meta name="generator" content="makemore-bp'  # what a page of ours begins with


def write_walk(page: Path, found: Check, batch: Batch, title: str) -> None:
    """The walk through our own pass. Raises RequestError if the page cannot be written."""
    from makemore_bp.gradcheck.reference import reference
    from makemore_bp.learning.page.document import document
    from makemore_bp.learning.page.lecture import walk

    gradients = reference(batch).gradients
    shown = walk(f"Backward, step by step: {title}", batch.network, gradients, found)
    write_page(page, document(shown))


def write_page(page: Path, html: str) -> None:
    """Writes a page and says where it is. Raises RequestError if it cannot be written, or if
    something else stands in its place."""
    try:
        foreign = page.exists() and MARK not in page.read_bytes()[:1024]
    except OSError as error:
        raise cannot_read(page, error) from None
    if foreign:
        raise RequestError(
            "{page} exists and is not a page of makemore-bp. Take another --html.", page=page
        )
    write_whole(page, html.encode())
    streams.tell(f"The picture of the pass is in {page}.")
