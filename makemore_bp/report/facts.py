"""When, where and how fast a run was trained, as its summary tells."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from makemore_bp.experiments import folder as folders
from makemore_bp.report import page
from makemore_bp.training import run_folder

ABOUT = "about.json"  # what is known of a run before its end; summary.json repeats it
# Keys of the two files, and what they are called on the page. A run has some of them.
NAMES = {
    "name": "name",
    "note": "note",
    "started": "started",
    "ended": "ended",
    "duration": "duration",
    "steps_per_second": "speed",
    "engine": "engine",
    "machine": "machine",
    "command": "command",
    "versions": "versions",
}


def table(folder: Path) -> str:
    """The HTML of what is known about a run; nothing, if nothing is."""
    known, failure = _known(folder), _read(folder / folders.FAILURE)
    found = [(name, _said(key, known[key])) for key, name in NAMES.items() if known.get(key)]
    if failure:
        found.insert(0, ("state", f"{failure.get('status')}: {failure.get('reason')}"))
    return page.table("The run", ("", ""), found, numbers=False) if found else ""


def _known(folder: Path) -> dict[str, Any]:
    """The summary, or what was noted when the latest session of an unfinished run began."""
    summary = _read(folder / run_folder.SUMMARY)
    if summary:
        return {"duration": summary.get("seconds"), **summary}
    about = _read(folder / ABOUT)
    sessions = about.get("sessions")
    last = sessions[-1] if isinstance(sessions, list) and sessions else {}
    return {**about, **last} if isinstance(last, dict) else about


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _said(key: str, value: Any) -> str:
    if key == "duration" and isinstance(value, int | float):
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
