"""Command lines one after the other on every rank, because a start of torchrun costs seconds.

The first argument is a JSON file with lists of arguments, the second a folder. What line number i
does on rank r becomes ``r-i.out``, ``r-i.err`` and ``r-i.code`` there.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from makemore_bp.cli import main


def run(arguments: list[str], name: str) -> None:
    """Runs a line and writes ``name``'s files."""
    sys.argv = ["makemore-bp", *arguments]
    code: object = None
    with (
        open(f"{name}.out", "w") as out,
        open(f"{name}.err", "w") as err,
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as stopped:
            code = stopped.code
    Path(f"{name}.code").write_text(str(code))


if __name__ == "__main__":
    _, lines, folder = sys.argv
    for number, line in enumerate(json.loads(Path(lines).read_text())):
        run(line, f"{folder}/{os.environ['RANK']}-{number}")
