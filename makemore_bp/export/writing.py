"""The formats by name, and writing the files of one."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

from makemore_bp.errors import RequestError
from makemore_bp.files import cannot_write, replacing

MARK = "makemore-bp export"  # what tells a file of ours from anybody else's, near its beginning
FORMATS = ("html", "onnx", "torch", "json")  # each a module NAME_file.py
FOLDER, STEM = "export", "network"


def export(run: Path, name: str, out: Path | None = None) -> tuple[Path, str]:
    """Writes the network of the run in ``run`` in the format ``name`` to the file ``out``, or to
    RUN/export/network with the format's ending.

    Returns the file, and a few lines of Python that say how to use it. Raises RequestError for an
    unknown format, a missing package, what is no run, and a file that cannot be written or is not
    an export and so is not replaced.
    """
    if name not in FORMATS:
        raise RequestError(
            "--format {name}: there is no such format. There are {formats}.",
            name=name,
            formats=", ".join(FORMATS),
        )
    from makemore_bp.export.trained import Format, Trained
    from makemore_bp.training import run_folder

    saved = run_folder.read(run)
    format: Format = import_module(f"makemore_bp.export.{name}_file").FORMAT
    path = out or run / FOLDER / f"{STEM}{format.suffix}"
    if path.suffix != format.suffix:
        raise RequestError(
            "--out {path}: a file of the format {name} ends in {suffix}.",
            path=path,
            name=name,
            suffix=format.suffix,
        )
    contents = format.contents(Trained(saved, path.stem))
    files = {path.with_suffix(suffix): content for suffix, content in contents.items()}
    _make_room(files)
    with ExitStack() as all_or_none:
        for file, content in files.items():
            all_or_none.enter_context(replacing(file)).write_bytes(content)
    return path, format.use(path)


def _make_room(files: Iterable[Path]) -> None:
    """Makes the folder; raises RequestError if one of the files is there and not an export."""
    for path in files:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            foreign = path.is_file() and MARK.encode() not in _beginning(path)
        except OSError as error:
            raise cannot_write(path, error) from None
        if foreign:
            raise RequestError(
                "{path} exists and is not an export of makemore-bp. Take another --out.", path=path
            )


def _beginning(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(1024)
