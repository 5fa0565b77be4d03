"""``gradcheck --html``: the page of a pass, written where the person asked for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from makemore_bp.cli import streams
from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_read, write_whole

if TYPE_CHECKING:
    from makemore_bp.gradcheck.check import Check
    from makemore_bp.gradcheck.setting import Setting

MARK = b'<meta name="generator" content="makemore-bp'  # what a page of ours begins with


def write_walk(
    page: Path, found: Check, setting: Setting, switches: tuple[str, str], title: str
) -> None:
    """The walk through our own pass. Raises RequestError if the page cannot be written."""
    from makemore_bp.gradcheck.check import reference_for
    from makemore_bp.learning.page.document import document
    from makemore_bp.learning.page.lecture import walk
    from makemore_bp.network.passes import Network

    network = Network.of(*switches, dropout=setting.mask is not None)
    reference = reference_for(setting.parameters, setting.Xb, setting.Yb, switches[0], setting.mask)
    shown = walk(f"Backward, step by step: {title}", network, reference.gradients, found)
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
