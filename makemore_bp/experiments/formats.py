"""Results as JSON, CSV and Markdown.

Without times all of them are functions of the configurations and the words alone: an experiment
that was interrupted has the same as one that was not.
"""

from __future__ import annotations

import csv
import io
from typing import Any

from makemore_bp.config import flow
from makemore_bp.experiments.results import Group, Result, Results, Spread
from makemore_bp.text import visible

TIMES = ("steps_per_second", "seconds")
LONGEST = 10_000  # characters of a cell or a command
FORMULA = tuple("=+-@＝＋－＠")  # what a formula begins with, the wide forms included
LOSSES = ("train_loss", "val_loss", "test_loss")


def as_json(results: Results, times: bool = False) -> dict[str, Any]:
    """Name, columns, groups in their order, runs in theirs, and the best run with its command."""
    best = results.best
    return {
        "name": results.name,
        "columns": results.columns,
        "groups": [_group(group) for group in results.groups],
        "runs": [_run(run, times) for run in results.runs],
        "best": best and {"run": best.name, "val_loss": best.val_loss, "command": best.command},
    }


def _group(group: Group) -> dict[str, Any]:
    return {
        "varied": group.varied,
        "runs": [run.name for run in group.runs],
        "finished": group.finished,
        "val_loss": group.val_loss and vars(group.val_loss),
        "train_loss": group.train_loss and vars(group.train_loss),
    }


def _run(run: Result, times: bool) -> dict[str, Any]:
    return {
        "name": run.name,
        "varied": run.varied,
        "seed": run.seed,
        "status": run.status,
        "reason": None if run.status == "finished" else run.what_happened,
        **{key: getattr(run, key) for key in LOSSES},
        "engine": run.engine,
        **({key: getattr(run, key) for key in TIMES} if times else {}),
        "command": run.command,
    }


def as_csv(results: Results, times: bool = False) -> str:
    """A line for every run.

    A spreadsheet takes what begins with = + - @ for a formula. Such a cell gets an apostrophe in
    front, which makes it text, unless it is a number. Control characters are escaped.
    """
    keys = ["status", "reason", *LOSSES, "engine", *(TIMES if times else ())]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([_harmless(name) for name in ("run", *results.columns, "seed", *keys)])
    for run in results.runs:
        plain = _run(run, times)
        varied = [cell(run.varied.get(key)) for key in results.columns]
        row = [run.name, *varied, run.seed, *(plain[key] for key in keys)]
        writer.writerow([_harmless(value) for value in row])
    return text.getvalue()


def _harmless(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    shown = visible(value, LONGEST)
    return f"'{shown}" if shown[:1] in FORMULA and not _number(shown) else shown


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def as_markdown(results: Results, times: bool = False) -> str:
    """The ranked groups as a table, then what has failed, then the best command."""
    head, rows = table(results, times)
    numbers = len(results.columns)
    lines = [
        _row(map(_escape, head)),
        _row(["---" if k < numbers else "---:" for k in range(len(head))]),
    ]
    lines += [_row(_escape(text) for text in row) for row in rows]
    for run in [*results.failed, *results.unfinished]:
        lines += ["", f"{_escape(run.name)}: {_escape(run.what_happened)}."]
    if results.best:
        lines += ["", f"Best: `{visible(results.best.command, LONGEST)}`"]
    return "\n".join(lines) + "\n"


def table(results: Results, times: bool = False) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of the ranked table, as text."""
    several = any(len(group.runs) > 1 for group in results.groups)
    head = [*results.columns, "val loss", "train loss", *(["runs"] if several else [])]
    head += ["steps/s", "seconds"] if times else []
    rows = []
    for group in results.groups:
        row = [cell(group.varied.get(key)) for key in results.columns]
        missing = "-" if several or group.finished else group.runs[0].status
        row += [_spread(group.val_loss, missing), _spread(group.train_loss, "-")]
        if several:
            row.append(_count(group))
        if times:
            row += [
                _mean(group, key, places)
                for key, places in (("steps_per_second", 0), ("seconds", 1))
            ]
        rows.append(row)
    return head, rows


def cell(value: Any) -> str:
    """A varied value as it is written in a file."""
    return "" if value is None else value if isinstance(value, str) else flow(value)


def figure(loss: float) -> str:
    """A loss with four places, or in short where it has grown out of all measure."""
    return f"{loss:.4f}" if abs(loss) < 1e6 else f"{loss:.4g}"


def _spread(spread: Spread | None, missing: str) -> str:
    if spread is None:
        return missing
    return figure(spread.mean) + ("" if spread.std is None else f" ± {figure(spread.std)}")


def _count(group: Group) -> str:
    total = len(group.runs)
    return str(total) if group.finished == total else f"{group.finished} of {total}"


def _mean(group: Group, key: str, places: int) -> str:
    spread = Spread.of([value for run in group.runs if (value := getattr(run, key)) is not None])
    return "-" if spread is None else f"{spread.mean:,.{places}f}"


def _row(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


def _escape(text: str) -> str:
    return visible(text).replace("|", "\\|").replace("<", "\\<")
