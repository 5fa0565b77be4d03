"""makemore-bp derive"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from makemore_bp.cli.streams import tell


def derive(
    forward: Annotated[
        Path,
        typer.Argument(metavar="FORWARD", help="A Python file that computes a loss from tensors."),
    ],
    loss: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="The loss, if it has an unusual name.", show_default=False
        ),
    ] = None,
    explain: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Derive one gradient with its steps: dW1, or W1.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Add lines that compare with autograd.")
    ] = False,
) -> None:
    """Print the backward pass of any forward pass, one operation at a time, as a Python file."""
    from makemore_bp.learning.derive import explaining, reading, writing

    derivation = reading.derive(forward, loss)
    for note in derivation.notes:
        tell(f"Note: {note}.")
    if explain is not None:
        print(explaining.explain(derivation, explain))
    else:
        print(writing.whole_file(derivation, check), end="")
