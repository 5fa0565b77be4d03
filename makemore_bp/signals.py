"""Ctrl-C, SIGTERM and a closed terminal as a request that the loop answers between two chunks."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_CAUGHT = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


class Interrupted(Exception):
    """The run was asked to stop, and has saved its state. Holds the signal's number."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


class Stop:
    """Whether the run was asked to stop, and by which signal."""

    def __init__(self) -> None:
        self.signal: int | None = None
        self._left = False

    def request(self, number: int, _frame: FrameType | None) -> None:
        """The signal handler. A second Ctrl-C does not wait for the chunk; a third changes nothing,
        so that what has to be put in order is."""
        if self.signal is None:
            self.signal = number
        elif not self._left:
            self._left = True
            raise KeyboardInterrupt

    def check(self) -> None:
        """Raises Interrupted if the run was asked to stop: for long work between two states, such
        as an evaluation, which asks at every block."""
        if self.signal is not None:
            raise Interrupted(self.signal)


@contextmanager
def caught() -> Iterator[Stop]:
    """Within this context these signals only leave a note; what was ignored (nohup) stays so.

    Python tells of signals in the main thread alone. In another one the note is that which the main
    thread is caught by, if it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield _noted()
        return
    stop = Stop()
    before = {number: signal.getsignal(number) for number in _CAUGHT}
    before = {number: old for number, old in before.items() if old is not signal.SIG_IGN}
    for number in before:
        signal.signal(number, stop.request)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _noted() -> Stop:
    """What the handler of the moment leaves its note in; where there is none, nothing ever does."""
    handlers = [getattr(signal.getsignal(number), "__self__", None) for number in _CAUGHT]
    return next((one for one in handlers if isinstance(one, Stop)), Stop())
