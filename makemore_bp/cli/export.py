"""makemore-bp export"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from makemore_bp.cli.options import RunArgument
from makemore_bp.cli.streams import tell
from makemore_bp.export.writing import FORMATS
from makemore_bp.text import LONGEST_PATH, visible


def export(
    run: RunArgument,
    format: Annotated[
        str,
        typer.Option(
            "--format", metavar="FORMAT", help=f"{', '.join(FORMATS)}.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="The file to write; without it RUN/export/network with the format's ending.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Write a run's network for use elsewhere: html for a web site, onnx for onnxruntime, torch for
    plain PyTorch, json for anything else.

    Example: makemore-bp export runs/lecture --format onnx --out names.onnx
    """
    from makemore_bp.export import writing

    path, use = writing.export(run, format, out)
    print(visible(str(path), LONGEST_PATH))
    tell(f"To use it:\n{use}")
