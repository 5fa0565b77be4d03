"""Ctrl-C and SIGTERM as a request that the loop answers when a chunk of steps is done."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupted(Exception):
    """The run was asked to stop, and has saved its state. Holds the signal's number."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


class Stop:
    """Whether the run was asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def request(self, number: int, _frame: FrameType | None) -> None:
        """The signal handler. A second Ctrl-C does not wait for the chunk."""
        if self.signal is not None:
            raise KeyboardInterrupt
        self.signal = number


@contextmanager
def caught() -> Iterator[Stop]:
    """Within this context SIGINT and SIGTERM only leave a note."""
    stop = Stop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    for number in before:
        signal.signal(number, stop.request)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
