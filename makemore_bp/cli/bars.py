"""What the progress of one run and of many share: standard error as a console, and when to speak.

A terminal gets a live picture. A log gets a plain line for what matters, and one a minute.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console

QUIET_SECONDS = 60.0  # how long a log may hear nothing


class Progress:
    """A person to whom progress is shown on standard error, unless ``quiet``.

    A terminal or a log that is closed while the work goes on ends the showing, not the work.
    """

    def __init__(self, quiet: bool) -> None:
        self.console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self.live = not quiet and self.console.is_terminal
        self.plain = not quiet and not self.console.is_terminal
        self._said = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Takes what is live off the screen and gives the cursor back."""

    def say(self, line: str) -> None:
        """Prints one line."""
        self._said = time.monotonic()
        with self.while_it_is_there():
            print(line, file=sys.stderr, flush=True)

    def is_silent(self) -> bool:
        """Whether a log has heard nothing for a minute."""
        return self.plain and time.monotonic() - self._said >= QUIET_SECONDS

    @contextmanager
    def while_it_is_there(self) -> Iterator[None]:
        """What is shown here may fail, and then nothing is shown any more."""
        try:
            yield
        except OSError:
            self.live = self.plain = False
