"""How far a learner's script may go before it is stopped, inside its own process."""

from __future__ import annotations

import contextlib
import io
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any, TextIO

from makemore_bp.processes import OUTPUT_LIMIT


class StoppedError(BaseException):
    """The script is stopped. Not an Exception: the script's own ``except`` must not catch it."""

    def __init__(self, why: str, text: str) -> None:
        super().__init__(text)
        self.why = why


class Limits:
    """The time and the output of one run. ``check`` is called before every statement, an alarm
    rings in the middle of one; where the system has no alarm, the former must do."""

    def __init__(self, seconds: float, stop_before: int | None = None) -> None:
        """``stop_before`` is the statement at which an earlier run ended its process."""
        self._seconds, self._stop_before = seconds, stop_before
        self._deadline = float("inf")
        self._statements = 0
        self._over: StoppedError | None = None

    def check(self) -> None:
        """Raises StoppedError when the script has gone too far."""
        self._statements += 1
        if self._over is None and self._statements == self._stop_before:
            self._over = StoppedError("ended", "")
        if self._over is None and time.monotonic() > self._deadline:
            self._ring()
        if self._over is not None:
            raise self._over

    def _ring(self, *_: Any) -> None:
        text = (
            f"The script was still running after {self._seconds:g} seconds and was stopped. Does a "
            "loop never end? What it had defined by then is checked; --timeout gives it more time."
        )
        self._over = StoppedError("time", text)
        raise self._over

    def printed_too_much(self) -> None:
        """Called when more is printed than is allowed."""
        text = (
            f"The script printed more than {OUTPUT_LIMIT // 1000} kB and was stopped. What it had "
            "defined by then is checked."
        )
        self._over = StoppedError("output", text)
        raise self._over

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """In here the script may run."""
        self._deadline = time.monotonic() + self._seconds
        alarm = hasattr(signal, "setitimer") and threading.current_thread() is (
            threading.main_thread()
        )
        before = signal.signal(signal.SIGALRM, self._ring) if alarm else None
        if alarm:
            # It rings again and again, for a script may catch everything in a loop.
            signal.setitimer(signal.ITIMER_REAL, self._seconds, 0.1)
        try:
            yield
        finally:
            if alarm:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)


class Tee(io.TextIOBase):
    """Passes on what a script prints and keeps it, up to a limit."""

    def __init__(self, stream: TextIO | None, kept: list[str], limits: Limits) -> None:
        self._stream, self._kept, self._limits = stream, kept, limits

    def write(self, text: str) -> int:
        room = OUTPUT_LIMIT - sum(map(len, self._kept[-1:])) - self._size()
        if len(text) > room:
            self._kept.append(text[: max(0, room)])
            self._limits.printed_too_much()
        self._kept.append(text)
        if len(self._kept) > 1000:
            self._kept[:] = ["".join(self._kept)]
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):
                self._stream.write(text)
        return len(text)

    def _size(self) -> int:
        return sum(map(len, self._kept[:-1]))

    def writable(self) -> bool:
        return True

    def flush(self) -> None:
        if self._stream is not None:
            with contextlib.suppress(OSError, ValueError):
                self._stream.flush()

    def fileno(self) -> int:
        if self._stream is None:
            raise OSError("no file")
        return self._stream.fileno()
