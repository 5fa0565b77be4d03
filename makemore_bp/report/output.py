"""Where a report's files go, and writing them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from makemore_bp.errors import RequestError
from makemore_bp.files import write_whole
from makemore_bp.pages.document import MARK
from makemore_bp.report.drawing import Rendered

FOLDER, PAGE = "report", "report.html"


@dataclass(frozen=True)
class Place:
    """The page's path, and what the names of the pictures beside it begin with."""

    page: Path
    prefix: str


def place(run: Path, out: Path | None) -> Place:
    """RUN/report/report.html; in the folder ``out``; or the file ``out``, if it ends in .html.

    The folder is made. Raises RequestError if that cannot be, or if the page's path holds a file
    that is not one of ours.
    """
    if out is not None and out.suffix.lower() in (".html", ".htm"):
        found = Place(out, out.stem + "-")
    else:
        found = Place((out or run / FOLDER) / PAGE, "")
    try:
        found.page.parent.mkdir(parents=True, exist_ok=True)
        foreign = found.page.exists() and MARK not in _beginning(found.page)
    except OSError as error:
        raise _refused(found.page, error) from None
    if foreign:
        raise RequestError(
            "{page} exists and is not a report of makemore-bp. Take another --out.",
            page=found.page,
        )
    return found


def write(where: Place, page: str, pictures: Iterable[Rendered]) -> None:
    """Writes the pictures and then the page; raises RequestError if they cannot be written."""
    try:
        for one in pictures:
            name = f"{where.prefix}{one.picture.name}.png"
            write_whole(where.page.with_name(name), one.png)
        write_whole(where.page, page.encode())
    except RequestError as error:
        raise RequestError("{error} Or take another place with --out.", error=error) from None


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1024)


def _refused(path: Path, error: OSError) -> RequestError:
    return RequestError(
        "{path} cannot be written: {reason}. Take another place with --out.",
        path=path,
        reason=error.strerror or error,
    )
