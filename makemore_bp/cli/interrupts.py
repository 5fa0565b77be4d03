"""Ctrl-C for the whole command: one ends it, and whoever presses on is not shown a traceback."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class _Once:
    """A handler that raises KeyboardInterrupt the first time only."""

    def __init__(self) -> None:
        self.pressed = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if not self.pressed:
            self.pressed = True
            raise KeyboardInterrupt


@contextmanager
def once() -> Iterator[None]:
    """Within, the first Ctrl-C raises KeyboardInterrupt, and the others do nothing.

    A command that ends because of one ignores the rest while Python closes down. What was ignored
    before (``nohup``, a job in the background) stays so.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or not _is_main_thread():
        yield
        return
    handler = _Once()
    signal.signal(signal.SIGINT, handler)
    after: Any = before
    try:
        yield
    except SystemExit as ended:
        after = signal.SIG_IGN if handler.pressed or ended.code == 130 else before
        raise
    finally:
        signal.signal(signal.SIGINT, after)


def _is_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()
