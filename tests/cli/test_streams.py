"""What is made of the standard streams, the window and Ctrl-C before a command runs."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from makemore_bp.cli import interrupts, streams


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


@pytest.fixture(params=["latin-1", "ascii", "cp1252", "utf-8"])
def encoding(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def written(stream: io.TextIOWrapper, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """What reaches the file of ``stream`` when it is standard output."""
    monkeypatch.setattr(sys, "stdout", stream)
    streams.prepare()
    print("zo\u00eb \u674e \udcff", end="", flush=True)
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue()


def test_what_does_not_go_to_a_terminal_is_utf_8(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONIOENCODING", raising=False)
    stream = io.TextIOWrapper(io.BytesIO(), encoding)
    assert written(stream, monkeypatch) == "zo\u00eb \u674e \\udcff".encode()


def test_a_terminal_and_an_explicit_wish_keep_their_encoding(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = "zo\u00eb \u674e \udcff".encode(encoding, "backslashreplace")
    assert written(Terminal(io.BytesIO(), encoding), monkeypatch) == expected
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    assert written(io.TextIOWrapper(io.BytesIO(), encoding), monkeypatch) == expected


@pytest.mark.usefixtures("capsys")
@pytest.mark.parametrize("value", ["0", "-5", "x", "", "00"])
def test_a_window_of_nonsense_is_forgotten(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "LINES", "TERMINAL_WIDTH"):
        monkeypatch.setenv(name, value)
    streams.prepare()
    assert not {"COLUMNS", "LINES", "TERMINAL_WIDTH"} & set(os.environ)
    monkeypatch.setenv("COLUMNS", "40")
    streams.prepare()
    assert os.environ["COLUMNS"] == "40"


@pytest.fixture
def handled() -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("handled")
def test_only_the_first_ctrl_c_is_raised_and_none_is_while_python_closes_down() -> None:
    with pytest.raises(SystemExit), interrupts.once():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        raise SystemExit(130)
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@pytest.mark.usefixtures("handled")
def test_a_command_that_was_not_interrupted_leaves_ctrl_c_as_it_was() -> None:
    with pytest.raises(SystemExit), interrupts.once():
        raise SystemExit(0)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with interrupts.once():
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
