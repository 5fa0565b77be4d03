"""about.json: what a run is called, and when, by which command and on which machine it was trained.

It is written as the run begins and again whenever it goes on, so a run that is stopped or killed
keeps it. ``summary.json`` repeats it at the end, with the dates that are known only then.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from makemore_bp import json_reading
from makemore_bp.files import write_whole
from makemore_bp.json_reading import Stored

NAME = "about.json"
_FIX = "Put it back from a backup, or remove it: the run goes on without its name, note and dates."


def _date(text: str) -> str:
    moment(text)
    return text


def moment(text: str) -> datetime:
    """A date as the files have it; raises ValueError if it is none, or has no time zone."""
    date = datetime.fromisoformat(text)
    if date.tzinfo is None:
        raise ValueError("should be a date with its time zone, such as 2026-11-28T09:30:00+00:00")
    return date


Date = Annotated[str, AfterValidator(_date)]


@dataclass(frozen=True)
class Origin:
    """What the person who trains has said: a title, a note, and the command line."""

    name: str | None = None
    note: str | None = None
    command: str | None = None


class Session(Stored):
    """One uninterrupted piece of training. ``ended`` is known once the next one begins."""

    started: Date
    ended: Date | None = None
    command: str | None = None
    engine: str | None = None
    machine: dict[str, Any] = Field(default={})

    @property
    def seconds(self) -> float:
        """How long it took; 0 if that is not known, or a clock was set back."""
        end = self.ended or self.started
        return max(0.0, (moment(end) - moment(self.started)).total_seconds())


class About(Stored):
    """The whole file. ``words`` is how many the run is trained on, duplicates counted."""

    name: str | None = None
    note: str | None = None
    words: Annotated[int, Field(ge=0)] | None = None
    sessions: list[Session] = Field(default=[])


def read(folder: Path) -> About:
    """What is known of the run in ``folder``; nothing where an earlier version has trained it.

    Raises RequestError if the file cannot be understood.
    """
    return json_reading.read(folder / NAME, About, _FIX) or About()


def begin(folder: Path, origin: Origin, words: int, engine: str) -> None:
    """Notes that the first session of a run begins now."""
    about = About(name=origin.name, note=origin.note, words=words)
    _write(folder, about, [_session(origin, engine)])


def go_on(folder: Path, origin: Origin, engine: str, saved: Path) -> None:
    """Notes that another session begins now. The one before has ended, for all that is left of it,
    when it wrote the state ``saved``."""
    about = read(folder)
    sessions = list(about.sessions)
    if sessions and sessions[-1].ended is None:
        ended = max(sessions[-1].started, _written(saved), key=moment)
        sessions[-1] = sessions[-1].model_copy(update={"ended": ended})
    _write(folder, about, [*sessions, _session(origin, engine)])


def at_the_end(folder: Path) -> dict[str, Any]:
    """What ``summary.json`` repeats of a run that ends now."""
    about, ended = read(folder), now()
    *earlier, last = about.sessions or [Session(started=ended)]
    sessions = [*earlier, last.model_copy(update={"ended": ended})]
    return {
        "name": about.name,
        "note": about.note,
        "words": about.words,
        "started": sessions[0].started,
        "ended": ended,
        "duration": sum(session.seconds for session in sessions),
        "command": sessions[0].command,
        "machine": last.machine,
        "sessions": [session.model_dump() for session in sessions],
    }


def now() -> str:
    """The date and the time, in UTC, as the files have them."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _written(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).isoformat(timespec="milliseconds")


def _session(origin: Origin, engine: str) -> Session:
    return Session(started=now(), command=origin.command, engine=engine, machine=machine())


def _write(folder: Path, about: About, sessions: list[Session]) -> None:
    content = about.model_copy(update={"sessions": sessions}).model_dump()
    write_whole(folder / NAME, (json.dumps(content, indent=2) + "\n").encode())


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, system and Python; not the host's name."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
