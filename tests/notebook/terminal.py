"""A command in a real terminal: a pty, what it showed, and keys that are pressed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PATIENCE = 120.0  # seconds; a machine may be busy


class Terminal:
    """One command, and everything that it has shown."""

    def __init__(self, *arguments: object, rows: int = 40, columns: int = 200) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm"}
        environment.pop("COLUMNS", None)
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "makemore_bp", *map(str, arguments)],
            stdin=slave, stdout=slave, stderr=slave, env=environment, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self._slave = slave
        self.shown = ""

    def press(self, keys: str) -> None:
        """Types."""
        os.write(self._master, keys.encode())

    def wait_for(self, text: str) -> str:
        """Waits until ``text`` is shown, and takes everything up to it; gives what it took."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.shown:
            left = deadline - time.monotonic()
            assert left > 0 and select.select([self._master], [], [], left)[0], self.shown
            self.shown += os.read(self._master, 65536).decode("utf-8", "replace")
        before, _, self.shown = self.shown.partition(text)
        return before + text

    def end(self) -> int:
        """Waits until the command has ended; its exit code."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            if select.select([self._master], [], [], 0.05)[0]:
                self.shown += os.read(self._master, 65536).decode("utf-8", "replace")
        while select.select([self._master], [], [], 0.05)[0]:
            self.shown += os.read(self._master, 65536).decode("utf-8", "replace")
        return self.process.wait(1)

    @property
    def settings(self) -> list[object]:
        """The terminal's settings as they are."""
        return termios.tcgetattr(self._slave)

    def close(self) -> None:
        """Ends what still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._slave)


@contextmanager
def terminal(*arguments: object) -> Iterator[Terminal]:
    """A command in a terminal of its own, ended with the block."""
    opened = Terminal(*arguments)
    try:
        yield opened
    finally:
        opened.close()
