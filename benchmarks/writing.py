"""A table as Markdown, JSON and, where matplotlib is installed, a picture."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def save(
    folder: Path,
    name: str,
    title: str,
    about: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    absent: Mapping[str, str],
) -> None:
    """Prints a table and writes it to ``folder``; ``absent``: rows that are not there, and why."""
    text = "\n".join(_markdown(title, about, rows, absent)) + "\n"
    print(text, flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text)
    content = {"title": title, "machine": dict(about), "rows": list(rows), "absent": dict(absent)}
    (folder / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")
    if find_spec("matplotlib") and any("median, us" in row for row in rows):
        _picture(folder / f"{name}.png", title, rows)


def _markdown(
    title: str,
    about: Mapping[str, str],
    rows: Sequence[Mapping[str, Any]],
    absent: Mapping[str, str],
) -> Iterator[str]:
    yield f"## {title}\n"
    yield "; ".join(f"{key} {value}" for key, value in about.items()) + "\n"
    columns = list(rows[0])
    yield "| " + " | ".join(columns) + " |"
    yield "|" + "|".join("---" if isinstance(rows[0][c], str) else "--:" for c in columns) + "|"
    for row in rows:
        yield "| " + " | ".join(_cell(row[column]) for column in columns) + " |"
    for name, reason in absent.items():
        yield f"\n{name}: absent ({reason})."


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def _picture(path: Path, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    labels = [
        f"{row['what']}, {row['batch']} x {row['hidden']}" if "batch" in row else row["what"]
        for row in rows
    ]
    medians = [row["median, us"] for row in rows]
    spread = [
        [row["median, us"] - row["least, us"] for row in rows],
        [row["most, us"] - row["median, us"] for row in rows],
    ]
    figure, axes = pyplot.subplots(figsize=(9, 1 + 0.35 * len(rows)))
    axes.barh(labels, medians, xerr=spread, color="0.6")
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("microseconds a step")
    axes.set_title(title)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
