"""Progress of a training run on standard error; silent where that is no terminal."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from torch import Tensor

    from makemore_bp.engines.choice import Choice

SMOOTHING = 1000  # steps over which the shown loss is averaged


class ProgressReporter:
    """Shows step, smoothed loss, learning rate, speed and time left.

    A terminal that is closed while the run goes on ends the showing, not the run.
    """

    def __init__(self, quiet: bool) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._shown = not quiet and self._console.is_terminal
        roomy = self._console.width >= 72
        self._progress = Progress(
            *([BarColumn()] if roomy else []),
            TextColumn("step {task.completed:,.0f}/{task.total:,.0f}"),
            TextColumn("loss {task.fields[loss]:.4f}"),
            *([TextColumn("lr {task.fields[lr]:g}")] if roomy else []),
            TextColumn("{task.fields[speed]:,.0f}/s"),
            TimeRemainingColumn(compact=True),
            console=self._console,
            transient=True,
            auto_refresh=False,  # a thread of its own would meet the closed terminal unguarded
        )
        self._task: TaskID | None = None
        self._loss = float("nan")

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

    def started(self, step: int, steps: int, choice: Choice) -> None:
        """See ``Reporter.started``."""
        if not self._shown:
            return
        with self._while_it_is_there():
            self._console.print(f"Engine: {choice.engine} ({choice.why}).", style="dim")
            self._task = self._progress.add_task(
                "", total=steps, completed=step, loss=self._loss, lr=0.0, speed=0.0
            )
            self._progress.start()

    def advanced(self, step: int, losses: Tensor, lr: float) -> None:
        """See ``Reporter.advanced``."""
        if self._task is None:
            return
        mean, weight = float(losses.mean()), min(1.0, len(losses) / SMOOTHING)
        known = self._loss == self._loss
        self._loss = self._loss + weight * (mean - self._loss) if known else mean
        speed = self._progress.tasks[0].speed or 0.0
        with self._while_it_is_there():
            self._progress.update(
                self._task, completed=step, loss=self._loss, lr=lr, speed=speed, refresh=True
            )

    def evaluated(self, step: int, train_loss: float, val_loss: float | None) -> None:
        """See ``Reporter.evaluated``."""
        if self._task is not None:
            val = f", val {val_loss:.4f}" if val_loss is not None else ""
            with self._while_it_is_there():
                self._progress.print(f"step {step:>9,}: train {train_loss:.4f}{val}")

    @contextmanager
    def _while_it_is_there(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            self._task = None
