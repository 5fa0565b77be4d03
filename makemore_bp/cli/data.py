"""makemore-bp data"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from makemore_bp.cli import bundled
from makemore_bp.cli.options import Json
from makemore_bp.text import LONGEST_PATH, letters, visible

app = typer.Typer(no_args_is_help=True, help="Look at word lists; fetch the lecture's.")

LISTS = {
    "names": "first names of many cultures",
    "towns": "towns of Europe, with their accents",
}
SHOWN_REFUSED = 20
SHOWN_CHARACTERS = 1000


@app.command()
def info(
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="A word file, or bundled:NAME.", show_default=False),
    ],
    as_json: Json = False,
) -> None:
    """Counts, lengths, characters, duplicates and refused lines of a file of words.

    Example: makemore-bp data info names.txt
    """
    from makemore_bp import config
    from makemore_bp.dataset import statistics

    facts = statistics.of(config.data_path(file))
    if as_json:
        print(json.dumps(facts, ensure_ascii=True))
    else:
        _show(facts)
    if facts["refused"]:
        raise typer.Exit(2)


@app.command()
def fetch(
    out: Annotated[Path, typer.Option("--out", help="Where to put the file.")] = Path("names.txt"),
    url: Annotated[
        str | None,
        typer.Option("--url", help="Another address of the same file.", show_default=False),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file.")] = False,
) -> None:
    """Download the lecture's names.txt and check its SHA-256.

    Example: makemore-bp data fetch --out names.txt
    """
    from makemore_bp.dataset import fetching

    path = fetching.fetch(out, url or fetching.LECTURE_URL, overwrite)
    print(
        f"{visible(str(path), LONGEST_PATH)}: {fetching.LECTURE_WORDS:,} names, SHA-256 as expected"
    )


@app.command("list")
def list_(as_json: Json = False) -> None:
    """The word lists that come with the program.

    Their names go behind bundled: as in makemore-bp train --set data.path=bundled:towns
    """
    from makemore_bp import resources
    from makemore_bp.dataset import words

    counts = {
        name: len(words.read_all(path).words)
        for name, path in resources.bundled("data", ".txt").items()
    }
    about = {name: f"{n:,} {LISTS.get(name, 'words')}" for name, n in counts.items()}
    bundled.show_lines({f"bundled:{name}": text for name, text in about.items()}, as_json)


def _show(facts: dict[str, Any]) -> None:
    from makemore_bp.cli.tables import FoldedTable, output

    console = output()
    table = FoldedTable(show_header=False)
    table.add_column(no_wrap=True)
    table.add_column()
    lengths = facts["length"]
    characters = letters("".join(facts["characters"]), SHOWN_CHARACTERS)
    rows = {
        "words": f"{facts['words']:,}",
        "distinct": f"{facts['distinct']:,}",
        "duplicates": f"{facts['words'] - facts['distinct']:,}",
        "blank lines": f"{facts['blank_lines']:,}",
        "length": f"{lengths['min']} to {lengths['max']}, mean {lengths['mean']:.2f}"
        if facts["words"]
        else "-",
        "shortest": ", ".join(visible(word, 40) for word in facts["shortest"]),
        "longest": ", ".join(visible(word, 40) for word in facts["longest"]),
        "most frequent": ", ".join(f"{visible(w, 40)} ({n}x)" for w, n in facts["repeated"]),
        "characters": f"{len(facts['characters'])}: {characters}",
        "examples": f"{facts['examples']:,}",
        "SHA-256": facts["sha256"],
        "refused lines": f"{len(facts['refused']):,}",
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    if count := facts["spellings"]["not_composed"]:
        twice = ", ".join(visible(word, 40) for word in facts["spellings"]["twice"])
        console.print(
            f"{count:,} word{'s are' if count > 1 else ' is'} not in Unicode's composed form (NFC)"
            + (f"; in both forms: {twice}" if twice else "")
            + ". To train on one form: --set data.normalize=NFC"
        )
    for line in facts["refused"][:SHOWN_REFUSED]:
        console.print(f"line {line['line']}: {line['reason']}: '{visible(line['text'], 60)}'")
    if len(facts["refused"]) > SHOWN_REFUSED:
        console.print(f"... and {len(facts['refused']) - SHOWN_REFUSED:,} more")
