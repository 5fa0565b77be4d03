"""Progress of an experiment on standard error: a live table on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from makemore_bp.cli.bars import Progress
from makemore_bp.text import visible

if TYPE_CHECKING:
    from makemore_bp.experiments.runner import Outlook

REFRESH_SECONDS = 0.25


@dataclass
class Row:
    """A run that is being trained."""

    step: int = 0
    loss: float | None = None
    val_loss: float | None = None
    speed: float | None = None


class ExperimentProgress(Progress):
    """Says what is planned, then shows the runs of the moment and the whole."""

    def __init__(self, quiet: bool) -> None:
        super().__init__(quiet)
        self._quiet = quiet
        self._rows: dict[str, Row] = {}
        self._over = 0
        self._failed = 0
        self._table: Live | None = None
        self._drawn = 0.0

    def close(self) -> None:
        """See ``Progress.close``."""
        if self._table is not None:
            with self.while_it_is_there():
                self._table.stop()
            self._table = None

    def planned(self, outlook: Outlook) -> None:
        """See ``runner.Watcher``."""
        self._outlook, self._began = outlook, time.monotonic()
        if self._quiet:
            return
        for line in describe(outlook):
            self.say(line)
        if self.live and len(outlook.steps) > len(outlook.changes.kept):
            # Drawn by hand: a thread of its own would meet a closed terminal unguarded.
            self._table = Live(console=self.console, auto_refresh=False, transient=True)
            with self.while_it_is_there():
                self._table.start()

    def told(self, name: str, message: dict[str, Any]) -> None:
        """See ``runner.Watcher``."""
        if message["event"] in ("started", "progress", "evaluated"):
            self._goes_on(self._rows.setdefault(name, Row()), message)
            if self.plain and message["event"] == "evaluated":
                self.say(f"{visible(name)}: {_evaluated(message)}")
        else:
            self._ends(name, message)
        if self.is_silent():
            self.say(self._overall())
        if self.live and time.monotonic() - self._drawn > REFRESH_SECONDS:
            self._draw()

    def _goes_on(self, row: Row, message: dict[str, Any]) -> None:
        row.step = message["step"]
        for key in ("loss", "val_loss", "speed"):
            if message.get(key) is not None:
                setattr(row, key, message[key])

    def _ends(self, name: str, message: dict[str, Any]) -> None:
        self._rows.pop(name, None)
        self._over += 1
        if message["event"] != "done":
            self._failed += 1
            self._announce(f"{visible(name)}: {visible(message['reason'], 1000)}")
        elif self.plain:
            self.say(f"{visible(name)}: finished. {self._overall()}")

    def _announce(self, line: str) -> None:
        if self._table is not None:
            with self.while_it_is_there():
                self.console.print(line, soft_wrap=True)  # above the table
        elif not self._quiet:
            self.say(line)

    def _draw(self) -> None:
        self._drawn = time.monotonic()
        if self._table is not None:
            with self.while_it_is_there():
                self._table.update(self._picture(), refresh=True)

    def _picture(self) -> Group:
        table = Table(box=None, padding=(0, 1), pad_edge=False)
        roomy = self.console.width >= 80
        table.add_column("run", no_wrap=True, overflow="ellipsis", ratio=1)
        if roomy:
            table.add_column("", width=16)
        for head in ("step", "loss", "val", "steps/s"):
            table.add_column(head, justify="right", no_wrap=True)
        shown = dict(islice(self._rows.items(), max(1, self.console.height - 4)))
        for name, row in shown.items():
            bar = [ProgressBar(self._outlook.steps[name], row.step, width=16)] if roomy else []
            losses = ("" if one is None else f"{one:.4f}" for one in (row.loss, row.val_loss))
            speed = "" if row.speed is None else f"{row.speed:,.0f}"
            table.add_row(Text(visible(name)), *bar, f"{row.step:,}", *losses, speed)
        more = len(self._rows) - len(shown)
        rest = [Text(f"and {more:,} more that are being trained")] if more else []
        return Group(table, *rest, Text(self._overall()))

    def _overall(self) -> str:
        kept, total = len(self._outlook.changes.kept), len(self._outlook.steps)
        failed = f", {self._failed} failed" if self._failed else ""
        done = f"{kept + self._over} of {total} done{failed}"
        return f"{done}, {about(self._left())} left" if kept + self._over < total else f"{done}."

    def _left(self) -> float:
        """Seconds until the end, by what was done so far or, at the beginning, by the estimate."""
        steps = self._outlook.steps
        elapsed = time.monotonic() - self._began
        parts = self._over + sum(row.step / steps[name] for name, row in self._rows.items())
        if parts <= 0.5:
            return self._outlook.seconds - elapsed
        return elapsed * (len(steps) - len(self._outlook.changes.kept) - parts) / parts


def _evaluated(message: dict[str, Any]) -> str:
    val_loss = message["val_loss"]
    return f"step {message['step']:,}" + ("" if val_loss is None else f", val {val_loss:.4f}")


def describe(outlook: Outlook) -> list[str]:
    """What is about to be done, and how long it will take by what estimate."""
    changes = outlook.changes
    counts = {
        "to train": len(changes.new),
        "to go on with": len(changes.resumed),
        "to redo": len(changes.redone),
        "done already": len(changes.kept),
    }
    total = len(outlook.steps)
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    lines = [f"{visible(outlook.name)}: {total} run{'s' * (total != 1)}, {said}."]
    if changes.aside:
        names = ", ".join(visible(name) for name in changes.aside[:3])
        more = f" and {len(changes.aside) - 3} more" if len(changes.aside) > 3 else ""
        lines.append(f"No longer asked for, their folders are kept: {names}{more}.")
    if outlook.seconds > 0:
        many = f" of up to {outlook.together} runs that advance together"
        lines.append(
            f"{about(outlook.seconds)[0].upper()}{about(outlook.seconds)[1:]} with "
            f"{outlook.workers}{many if outlook.together > 1 else ''} at a time, {outlook.threads} "
            f"thread{'s' * (outlook.threads != 1)} each (estimated from a few steps and one "
            "evaluation of each size, measured just now)."
        )
    return lines


def about(seconds: float) -> str:
    """A rough duration in words."""
    if seconds < 90:
        return f"about {max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.1f} h"
