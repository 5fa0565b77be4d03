"""``gradcheck --html``: the page of a pass, written where the person asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from makemore_bp.cli import streams
from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_read, write_whole
from makemore_bp.gradcheck.check import Check, reference_for
from makemore_bp.gradcheck.setting import Setting
from makemore_bp.learning.check import LearnerCheck
from makemore_bp.learning.page.document import MARK, document
from makemore_bp.learning.page.lecture import judged, walk
from makemore_bp.learning.page.model import Pass
from makemore_bp.network.passes import Network


def write_walk(
    page: Path, found: Check, setting: Setting, switches: tuple[str, str], title: str
) -> None:
    """The walk through our own pass. Raises RequestError if the page cannot be written."""
    network = Network.of(*switches, dropout=setting.mask is not None)
    reference = reference_for(setting.parameters, setting.Xb, setting.Yb, switches[0], setting.mask)
    _write(page, walk(f"Backward, step by step: {title}", network, reference.gradients, found))


def write_check(page: Path, file: Path, found: LearnerCheck, true: Mapping[str, Tensor]) -> None:
    """The page of a learner's file. Raises RequestError if it cannot be written."""
    _write(page, judged(file.name, found, true))


def _write(page: Path, shown: Pass) -> None:
    try:
        beginning = page.read_bytes()[:1024] if page.exists() else MARK.encode()
    except OSError as error:
        raise cannot_read(page, error) from None
    if MARK.encode() not in beginning:
        raise RequestError(
            "{page} exists and is not a page of makemore-bp. Take another --html.", page=page
        )
    write_whole(page, document(shown).encode())
    streams.tell(f"The picture of the pass is in {page}.")
