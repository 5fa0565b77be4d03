"""When, where and how fast a run was trained, as its summary tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from makemore_bp.report import page
from makemore_bp.training import run_folder

# Key of summary.json: what it is called on the page. A summary holds some of them.
NAMES = {
    "name": "name",
    "note": "note",
    "started": "started",
    "ended": "ended",
    "seconds": "duration",
    "steps_per_second": "speed",
    "engine": "engine",
    "machine": "machine",
    "command": "command",
    "versions": "versions",
}


def table(folder: Path) -> str:
    """The HTML of what is known about a run; nothing before it has come to its end."""
    summary = _summary(folder)
    found = [
        (name, said)
        for key, name in NAMES.items()
        if summary.get(key) and (said := _said(key, summary[key]))
    ]
    return page.table("The run", ("", ""), found, numbers=False) if found else ""


def _summary(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / run_folder.SUMMARY).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _said(key: str, value: Any) -> str:
    if key == "seconds" and isinstance(value, int | float):
        return _duration(value)
    if key == "steps_per_second" and isinstance(value, int | float):
        return f"{value:,.0f} steps a second"
    if key in ("started", "ended"):
        return _moment(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {one}" for name, one in value.items() if one is not None)
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _moment(value: Any) -> str:
    """A time of day as ISO 8601 has it, to the minute; other text as it is."""
    try:
        return f"{datetime.fromisoformat(str(value)):%Y-%m-%d %H:%M %Z}".strip()
    except ValueError:
        return str(value)
