"""The files that travel with the package: word lists and configurations."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent


def folder(kind: str) -> Path:
    """The folder of the bundled ``data``, ``configs`` or ``configs/experiments``.

    In an installed wheel they lie inside the package, in a checkout beside it.
    """
    inside = _PACKAGE / "bundled" / kind
    return inside if inside.is_dir() else _PACKAGE.parent / kind


def bundled(kind: str, suffix: str) -> dict[str, Path]:
    """The bundled files of one kind by their name without suffix, in alphabetical order."""
    return {path.stem: path for path in sorted(folder(kind).glob(f"*{suffix}"))}
