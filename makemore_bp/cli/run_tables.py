"""Runs as tables: a list that fits its window, and a few of them side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console

from makemore_bp.cli.tables import FoldedTable, output
from makemore_bp.config import flow
from makemore_bp.errors import RequestError
from makemore_bp.experiments.catalogue import Known
from makemore_bp.experiments.expansion import slug
from makemore_bp.experiments.formats import figure
from makemore_bp.text import visible

NONE = "-"
NARROWEST = 14  # characters to which such a column may be folded
GAP = 2  # blanks between two columns
LEFT = ("when", "engine", "state")
WIDEST = 24  # characters that a column of text asks for; more is folded


@dataclass(frozen=True)
class Column:
    """What a column shows of a run, and by what it is sorted.

    weight: where the window is too narrow for all, the heaviest columns find room first.
    """

    shown: Callable[[Known], str]
    sorted_by: Callable[[Known], Any]
    weight: int
    is_text: bool = False


def _loss(name: str) -> Callable[[Known], str]:
    return lambda run: NONE if run.losses[name] is None else figure(run.losses[name] or 0.0)


def _done(run: Known) -> str:
    whole = run.config.train.steps
    return f"{run.steps:,}" if run.steps == whole else f"{run.steps:,} of {whole:,}"


def _words(run: Known) -> str:
    count = run.about.words
    return run.words if count is None else f"{run.words} ({count:,})"


def _speed(run: Known) -> str:
    return NONE if run.steps_per_second is None else f"{run.steps_per_second:,.0f}/s"


def _local(when: datetime) -> str:
    """The date, and the time where that is of this year."""
    this_year = when.year == datetime.now().astimezone().year
    return when.astimezone().strftime("%b %d %H:%M" if this_year else "%Y-%m-%d")


def _titled(run: Known, name: str) -> str:
    """The folder, and the title where the folder is not called after it."""
    title = run.about.name
    return name if not title or run.folder.name.startswith(slug(title)) else f"{name} ({title})"


COLUMNS = {
    "name": Column(lambda run: run.folder.name, lambda run: str(run.folder), 100, True),
    "when": Column(lambda run: _local(run.when), lambda run: run.when, 40),
    "words": Column(_words, lambda run: run.words, 30, True),
    "recipe": Column(lambda run: run.recipe or NONE, lambda run: run.recipe, 75, True),
    "steps": Column(_done, lambda run: run.steps, 60),
    "train": Column(_loss("train_loss"), lambda run: run.losses["train_loss"], 35),
    "val": Column(_loss("val_loss"), lambda run: run.losses["val_loss"], 90),
    "engine": Column(lambda run: run.engine or NONE, lambda run: run.engine, 10),
    "speed": Column(_speed, lambda run: run.steps_per_second, 20),
    "state": Column(lambda run: run.state, lambda run: run.state, 80),
    "note": Column(lambda run: run.about.note or "", lambda run: run.about.note, 77, True),
}


def order(sort: str) -> Callable[[Sequence[Known]], list[Known]]:
    """What sorts runs by a column; what has no value there comes last. Raises RequestError."""
    name = sort.removeprefix("-")
    if name not in COLUMNS:
        raise RequestError(
            "--sort {name}: there is no such column. The columns are {known}; -val, for example, "
            "sorts from the largest to the smallest.",
            name=name,
            known=", ".join(COLUMNS),
        )
    key = COLUMNS[name].sorted_by

    def by(runs: Sequence[Known]) -> list[Known]:
        there = [run for run in runs if key(run) is not None]
        rest = [run for run in runs if key(run) is None]
        return sorted(there, key=key, reverse=sort.startswith("-")) + rest

    return by


def show_list(runs: Sequence[Known], folder: Path, sorted_by: str) -> None:
    """A row for each run, with as many columns as the window has room for."""
    console = output()
    cells = {name: _cells(name, column, runs, folder) for name, column in COLUMNS.items()}
    if not any(cells["note"]) and sorted_by != "note":
        del cells["note"]
    kept = _fitting(cells, console.width, sorted_by)
    table = FoldedTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), show_edge=False)
    for name in kept:
        text = COLUMNS[name].is_text
        right = not text and name not in LEFT
        table.add_column(name, justify="right" if right else "left", no_wrap=not text)
    for row in zip(*(cells[name] for name in kept), strict=True):
        table.add_row(*row)
    console.print(table)
    if len(kept) < len(cells):
        console.print(f"A wider window has {', '.join(n for n in cells if n not in kept)} as well.")


def _cells(name: str, column: Column, runs: Sequence[Known], folder: Path) -> list[str]:
    if name == "name":
        return [visible(_titled(run, _below(run.folder, folder))) for run in runs]
    return [visible(column.shown(run)) for run in runs]


def _below(run: Path, folder: Path) -> str:
    """The run's path as seen from the folder that is listed."""
    return run.name if run == folder else run.relative_to(folder).as_posix()


def _fitting(cells: Mapping[str, list[str]], width: int, needed: str) -> list[str]:
    """The columns that find room: the name, the one that is sorted by, and the heaviest others."""
    kept = {"name", needed}
    left = width - sum(_width(name, cells[name]) + GAP for name in kept)
    for name in sorted(cells.keys() - kept, key=lambda n: -COLUMNS[n].weight):
        wanted = _width(name, cells[name])
        least = min(wanted, NARROWEST) if COLUMNS[name].is_text else wanted
        if least + GAP <= left:
            kept.add(name)
            left -= min(left, wanted + GAP)
    return [name for name in cells if name in kept]


def _width(name: str, cells: list[str]) -> int:
    """How wide a column should be: text may be folded, but not into crumbs."""
    widest = max(map(len, [name, *cells]))
    return min(widest, WIDEST) if COLUMNS[name].is_text else widest


def show_comparison(runs: Sequence[Known], differing: Mapping[str, Sequence[Any]]) -> None:
    """The keys that differ, what each run reached, and the curves."""
    from makemore_bp.cli.curve import show_curve  # with numpy, for which a list need not wait
    from makemore_bp.report import history

    console = output()
    names = [visible(str(run.folder)) for run in runs]
    if differing:
        rows = {key: [_value(v) for v in values] for key, values in differing.items()}
        _side_by_side(console, "What differs in the configuration", names, rows)
    else:
        console.print("The configurations are the same.")
    _side_by_side(console, "What they reached", names, _reached(runs))
    for run, name in zip(runs, names, strict=True):
        show_curve(console, history.read(run.folder).loss, name)


def _value(value: Any) -> str:
    return value if isinstance(value, str) else flow(value)


def _reached(runs: Sequence[Known]) -> dict[str, list[str]]:
    """The rows of the second table; test losses are compared nowhere."""
    shown: dict[str, Callable[[Known], str]] = {
        "train loss": _loss("train_loss"),
        "validation loss": _loss("val_loss"),
        "steps": _done,
        "state": lambda run: run.state,
        "engine": lambda run: run.engine or NONE,
        "speed": _speed,
        "words": _words,
        "when": lambda run: _local(run.when),
        "note": lambda run: run.about.note or NONE,
    }
    cells = {name: [of(run) for run in runs] for name, of in shown.items()}
    return {name: row for name, row in cells.items() if {*row} != {NONE}}


def _side_by_side(
    console: Console, title: str, names: Sequence[str], rows: Mapping[str, Sequence[str]]
) -> None:
    table = FoldedTable(title=title, title_justify="left")
    table.add_column("")
    for name in names:
        table.add_column(name)
    for name, cells in rows.items():
        table.add_row(name, *map(visible, cells))
    console.print(table)
