"""Progress of an experiment on standard error: a live table where that is a terminal."""

from __future__ import annotations

import math
import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from makemore_bp.text import visible

if TYPE_CHECKING:
    from makemore_bp.experiments.runner import Outlook

REFRESH = 4  # pictures a second


@dataclass
class Row:
    """A run that is being trained."""

    step: int = 0
    loss: float = math.nan
    val_loss: float = math.nan
    speed: float = math.nan


class ExperimentProgress:
    """Says what is planned, then shows the runs of the moment and the whole.

    Where standard error is no terminal it says what is planned and which runs fail, no more.
    """

    def __init__(self, quiet: bool) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._quiet = quiet
        self._rows: dict[str, Row] = {}
        self._over = 0
        self._failed = 0
        self._live: Live | None = None

    def __enter__(self) -> ExperimentProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Takes the table off the screen and gives the cursor back."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def planned(self, outlook: Outlook) -> None:
        """See ``runner.Watcher``."""
        self._outlook, self._began = outlook, time.monotonic()
        if self._quiet:
            return
        for line in describe(outlook):
            print(line, file=sys.stderr, flush=True)
        waiting = len(outlook.changes.new) + len(outlook.changes.resumed)
        if self._console.is_terminal and waiting + len(outlook.changes.redone):
            self._live = Live(
                get_renderable=self._picture,
                console=self._console,
                refresh_per_second=REFRESH,
                transient=True,
            )
            self._live.start()

    def told(self, name: str, message: dict[str, Any]) -> None:
        """See ``runner.Watcher``."""
        event = message["event"]
        if event in ("started", "progress", "evaluated"):
            row = self._rows.setdefault(name, Row())
            row.step = message["step"]
            row.loss = message.get("loss", row.loss)
            row.speed = message.get("speed", row.speed)
            val_loss = message.get("val_loss")
            row.val_loss = row.val_loss if val_loss is None else val_loss
            return
        self._rows.pop(name, None)
        self._over += 1
        if event != "done":
            self._failed += 1
            if not self._quiet:
                text = f"{visible(name)}: {visible(message['reason'], 1000)}"
                self._console.print(text, soft_wrap=True)

    def _picture(self) -> Group:
        table = Table(box=None, padding=(0, 1), pad_edge=False)
        roomy = self._console.width >= 80
        table.add_column("run", no_wrap=True, overflow="ellipsis", ratio=1)
        if roomy:
            table.add_column("", width=16)
        for head in ("step", "loss", "val", "steps/s"):
            table.add_column(head, justify="right", no_wrap=True)
        for name, row in self._rows.items():
            steps = self._outlook.steps[name]
            bar = [ProgressBar(steps, row.step, width=16)] if roomy else []
            table.add_row(
                Text(visible(name)),
                *bar,
                f"{row.step:,}",
                *(f"{value:.4f}" if value == value else "" for value in (row.loss, row.val_loss)),
                f"{row.speed:,.0f}" if row.speed == row.speed else "",
            )
        return Group(table, Text(self._overall()))

    def _overall(self) -> str:
        changes = self._outlook.changes
        total = len(self._outlook.steps)
        failed = f", {self._failed} failed" if self._failed else ""
        to_do = total - len(changes.kept)
        parts = self._over + sum(
            row.step / self._outlook.steps[name] for name, row in self._rows.items()
        )
        elapsed = time.monotonic() - self._began
        left = elapsed * (to_do - parts) / parts if parts > 0.5 else self._outlook.seconds - elapsed
        return f"{len(changes.kept) + self._over} of {total} done{failed}, {about(left)} left"


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
        lines.append(
            f"{about(outlook.seconds)[0].upper()}{about(outlook.seconds)[1:]} with "
            f"{outlook.workers} at a time, {outlook.threads} "
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
