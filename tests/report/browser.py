"""A headless Chromium, spoken to in its DevTools protocol over two pipes.

Messages are JSON objects that end in a NUL byte; the browser reads them from file descriptor 3 and
answers on 4.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
KEY_CODES = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowUp": 38,
             "ArrowRight": 39, "ArrowDown": 40}  # fmt: skip
# Becomes the browser, with the two pipes at 3 and 4; by way of 50 and 51, for they may be 4 and 3.
LAUNCH = """
import os, sys
read, write = (os.dup2(int(given), 50 + n) for n, given in enumerate(sys.argv[1:3]))
os.dup2(read, 3)
os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def installed() -> str | None:
    """The path of a browser, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def required() -> str:
    """The path of a browser; skips the test where there is none."""
    path = installed()
    if path is None or not hasattr(os, "geteuid"):
        pytest.skip("no headless Chromium is installed")
    return path


class Page:
    """One page of the browser, and every event that it has reported."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read = write, read
        self._buffer, self._number = b"", 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Asks for something and returns the answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self.events.append(answer)
        assert "error" not in answer, answer
        return dict(answer["result"])

    def open(self, path: Path) -> None:
        """Opens a file and waits until it is loaded."""
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self._next())

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, or of the promise that it makes."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def resize(self, width: int, height: int = 800) -> None:
        """Shows the page in a window of this size; a phone's, if it is narrow."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=width < 500,
        )  # fmt: skip

    def press(self, key: str, text: str = "") -> None:
        """Presses and releases a key by its name; ``text`` is what it types."""
        code = KEY_CODES.get(key, 0)
        for kind, more in (("keyDown", {"text": text} if text else {}), ("keyUp", {})):
            self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **more
            )

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """``Moved``, ``Pressed`` or ``Released`` at a place of the window."""
        self.call("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, **more)

    def drag(self, *places: tuple[float, float]) -> None:
        """Presses at the first place, moves over the others and releases at the last."""
        held: dict[str, Any] = {"button": "left", "buttons": 1, "clickCount": 1}
        self.mouse("Moved", *places[0])
        self.mouse("Pressed", *places[0], **held)
        for place in places[1:]:
            self.mouse("Moved", *place, button="left", buttons=1)
        self.mouse("Released", *places[-1], **held)

    def touch(self, *moments: list[tuple[float, float]]) -> None:
        """Fingers at the places of the first moment, moved to those of the others, lifted."""
        for number, places in enumerate(moments):
            points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(places)]
            kind = "touchMove" if number else "touchStart"
            self.call("Input.dispatchTouchEvent", type=kind, touchPoints=points)
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def complaints(self) -> list[dict[str, Any]]:
        """What the page has thrown or written to the console since it was opened."""
        return self.named("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")

    def requests(self) -> list[str]:
        """The addresses that the page has asked for since it was opened, its own among them."""
        sent = self.named("Network.requestWillBeSent")
        return [str(event["params"]["request"]["url"]) for event in sent]

    def named(self, *methods: str) -> list[dict[str, Any]]:
        """The events of some kinds since the page was opened."""
        return [event for event in self.events if event.get("method") in methods]

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            more = os.read(self._read, 2**16)
            assert more, "the browser has ended"
            self._buffer += more
        raw, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(raw))


@contextmanager
def page(browser: str, profile: Path) -> Iterator[Page]:
    """A fresh page in a browser of its own, with no network."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    options = [
        "--headless", "--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage",
        "--no-first-run", "--disable-background-networking", "--disable-component-update",
        "--proxy-server=127.0.0.1:9", f"--user-data-dir={profile}", *root,
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", LAUNCH, str(to_read), str(from_write), browser, *options],
        pass_fds=(to_read, from_write),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read)
    os.close(from_write)
    try:
        opened = Page(to_write, from_read)
        yield opened
        with suppress(AssertionError, OSError):
            opened.call("Browser.close")
    finally:
        os.close(to_write)
        os.close(from_read)
        process.kill()
        process.wait()
