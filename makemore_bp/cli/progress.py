"""Progress of a training run on standard error: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from makemore_bp.cli import streams
from makemore_bp.text import LONGEST_PATH, visible

if TYPE_CHECKING:
    from torch import Tensor

    from makemore_bp.training.loop import Beginning

SMOOTHING = 1000  # steps over which the shown loss is averaged
QUIET_SECONDS = 60.0  # without a line, where lines are written


class ProgressReporter:
    """Says what begins, then shows step, smoothed loss, learning rate, speed and time left.

    Where standard error is not a terminal there is a line for every evaluation, and one a minute in
    between. A terminal that is closed while the run goes on ends the showing, not the run.
    """

    def __init__(self, quiet: bool) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._bar = self._console.is_terminal and not quiet
        self._lines = not self._console.is_terminal and not quiet
        roomy = self._console.width >= 72
        self._progress = Progress(
            *([BarColumn()] if roomy else []),
            TextColumn("step {task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("{task.description}"),
            *([TextColumn("{task.fields[lr]}")] if roomy else []),
            TextColumn("{task.fields[speed]}"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            auto_refresh=False,  # a thread of its own would meet the closed terminal unguarded
        )
        self._task: TaskID | None = None
        self._loss: float | None = None
        self._steps = 0
        self.began = False
        self._mark = (0.0, 0)  # when which step was last told in a line

    def __enter__(self) -> ProgressReporter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Takes the bar off the screen and gives the cursor back."""
        if self._task is not None:
            with self._while_it_is_there():
                self._progress.stop()

    def started(self, beginning: Beginning) -> None:
        """See ``Reporter.started``."""
        self.began = True
        self._steps = beginning.steps
        self._mark = time.monotonic(), beginning.step
        if self._lines:
            streams.tell(_first_line(beginning))
        if not self._bar:
            return
        with self._while_it_is_there():
            self._console.print(_first_line(beginning), style="dim", soft_wrap=True)
            self._task = self._progress.add_task(
                "", total=beginning.steps, completed=beginning.step, lr="", speed=""
            )
            self._progress.start()

    def advanced(self, step: int, losses: Tensor, lr: float) -> None:
        """See ``Reporter.advanced``."""
        mean, weight = float(losses.mean()), min(1.0, len(losses) / SMOOTHING)
        self._loss = mean if self._loss is None else self._loss + weight * (mean - self._loss)
        if self._lines:
            self._tell_once_in_a_while(step)
        if self._task is None:
            return
        last = step == self._steps
        speed = self._progress.tasks[0].speed
        with self._while_it_is_there():
            self._progress.update(
                self._task,
                completed=step,
                description="evaluating" if last else f"loss {self._loss:.4f}",
                lr="" if last else f"lr {lr:g}",
                speed="" if last or not speed else f"{speed:,.0f}/s",
                refresh=True,
            )

    def evaluated(self, step: int, train_loss: float, val_loss: float | None) -> None:
        """See ``Reporter.evaluated``."""
        val = f", val {val_loss:.4f}" if val_loss is not None else ""
        line = f"step {step:>9,}: train {train_loss:.4f}{val}"
        if self._lines:
            self._mark = time.monotonic(), step
            streams.tell(line)
        if self._task is not None:
            with self._while_it_is_there():
                self._progress.print(line)

    def _tell_once_in_a_while(self, step: int) -> None:
        now, (told, before) = time.monotonic(), self._mark
        if now - told >= QUIET_SECONDS:
            self._mark = now, step
            speed = (step - before) / max(now - told, 1e-9)
            streams.tell(
                f"step {step:>9,} of {self._steps:,}: loss {self._loss:.4f}, {speed:,.0f} steps a "
                "second"
            )

    @contextmanager
    def _while_it_is_there(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self._task = None


def _first_line(beginning: Beginning) -> str:
    words, folder = (visible(str(one), LONGEST_PATH) for one in (beginning.words, beginning.folder))
    after = f" after {beginning.step:,}" if beginning.step else ""
    return (
        f"Training {beginning.parameters:,} parameters on {words} for "
        f"{beginning.steps - beginning.step:,} steps{after}, in {folder}. "
        f"Engine: {beginning.choice.engine} ({beginning.choice.why})."
    )
