"""What comes with the program: a line on each, and a copy to begin with."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from makemore_bp import resources
from makemore_bp.errors import RequestError
from makemore_bp.text import LONGEST_PATH, visible


@dataclass(frozen=True)
class Kind:
    """Bundled YAML files: the folder that they lie in, and what one of them is called."""

    folder: str
    called: str

    @property
    def files(self) -> dict[str, Path]:
        """The files by their names."""
        return resources.bundled(self.folder, ".yaml")


Name = Annotated[str, typer.Argument(metavar="NAME", help="Of a bundled one.", show_default=False)]
Target = Annotated[
    Path | None,
    typer.Argument(
        metavar="FILE", help="Where to put it; without it NAME.yaml.", show_default=False
    ),
]


def show(kind: Kind, as_json: bool) -> None:
    """Prints the names of a kind, with the first sentence of what each file says of itself."""
    show_lines({name: _first_sentence(path) for name, path in kind.files.items()}, as_json)


def show_lines(about: Mapping[str, str], as_json: bool) -> None:
    """Prints names and a line on each."""
    if as_json:
        print(json.dumps([{"name": name, "about": text} for name, text in about.items()], indent=2))
        return
    from rich.table import Table

    from makemore_bp.cli.tables import output

    table = Table.grid(padding=(0, 2))
    for name, text in about.items():
        table.add_row(name, text)
    output().print(table)


def copy(kind: Kind, name: str, file: Path | None) -> None:
    """Copies a bundled file; raises RequestError if there is none of that name, or if a file is in
    the way."""
    from makemore_bp.files import write_whole

    if name not in kind.files:
        raise RequestError(
            "There is no bundled {kind} '{name}'. Bundled are: {known}.",
            kind=kind.called,
            name=name,
            known=", ".join(kind.files),
        )
    target = file or Path(f"{name}.yaml")
    target = target / f"{name}.yaml" if target.is_dir() else target
    if target.exists() or target.is_symlink():
        raise RequestError(
            "{target} is there already and is not replaced. Name another file: makemore-bp {kind} "
            "copy {name} FILE",
            target=target,
            kind="config" if kind.called == "configuration" else kind.called,
            name=name,
        )
    write_whole(target, kind.files[name].read_bytes())
    print(visible(str(target), LONGEST_PATH))


def _first_sentence(path: Path) -> str:
    """The first sentence of the comment that a file begins with."""
    lines = path.read_text(encoding="utf-8").splitlines()
    text = " ".join(line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    return re.split(r"(?<=[.]) ", text, maxsplit=1)[0]
