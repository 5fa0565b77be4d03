"""What is said while an experiment goes on."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import redirect_stderr
from typing import Any

import pytest

from makemore_bp.cli import bars
from makemore_bp.cli.experiment_progress import ExperimentProgress
from makemore_bp.experiments.folder import Changes
from makemore_bp.experiments.runner import Outlook

OUTLOOK = Outlook("trial", {"a": 1000, "b": 1000}, Changes(new=["a", "b"]), 1, 1, 1, 60.0)
STARTED = {"event": "started", "step": 0, "steps": 1000, "engine": "torch"}
LATER = {"event": "progress", "step": 900, "loss": 2.5, "speed": 1000.0}
EVALUATED = {"event": "evaluated", "step": 500, "val_loss": 2.4567}
FAILED = {"event": "failed", "reason": "There was no room."}


class Clock:
    """A clock that is set by hand."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(bars, "time", clock)
    monkeypatch.setattr("makemore_bp.cli.experiment_progress.time", clock)
    return clock


Told = Callable[..., list[str]]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str], clock: Clock) -> Told:
    """The lines that messages about run ``a`` give in a log, after what was planned."""

    def lines(*messages: dict[str, Any], quiet: bool = False, seconds: float = 0.0) -> list[str]:
        with ExperimentProgress(quiet) as progress:
            progress.planned(OUTLOOK)
            planned = capsys.readouterr().err
            assert bool(planned) is not quiet
            for message in messages:
                clock.now += seconds
                progress.told("a", message)
        return capsys.readouterr().err.splitlines()

    return lines


def test_a_log_has_a_line_for_each_evaluation_and_each_end(told: Told) -> None:
    assert told(STARTED, LATER, EVALUATED, {"event": "done"}) == [
        "a: step 500, val 2.4567",
        "a: finished. 1 of 2 done, about 1 s left",
    ]
    without = {**EVALUATED, "val_loss": None}
    assert told(STARTED, without, FAILED) == ["a: step 500", "a: There was no room."]


def test_a_log_hears_something_once_a_minute(told: Told) -> None:
    assert told(STARTED, LATER, LATER, LATER, seconds=29.0) == ["0 of 2 done, about 2 min left"]
    assert told(STARTED, LATER, LATER, seconds=19.0) == []


def test_a_quiet_experiment_says_nothing_on_its_way(told: Told) -> None:
    assert told(STARTED, EVALUATED, FAILED, {"event": "done"}, quiet=True, seconds=61.0) == []


def test_texts_from_strangers_are_harmless_in_a_log(told: Told) -> None:
    assert told({"event": "failed", "reason": "\x1b[2J"}) == ["a: \\x1b[2J"]


class Terminal(io.StringIO):
    """A terminal, which may be closed."""

    gone = False

    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self.gone:
            raise OSError(5, "Input/output error")
        return super().write(text)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    return Terminal()


def test_a_terminal_has_a_table_and_the_failures_above_it(terminal: Terminal) -> None:
    with redirect_stderr(terminal), ExperimentProgress(quiet=False) as progress:
        progress.planned(OUTLOOK)
        progress.told("a", STARTED)
        progress._drawn = 0.0
        progress.told("a", EVALUATED)
        progress.told("b", FAILED)
    shown = terminal.getvalue()
    assert "2.4567" in shown and "0 of 2 done" in shown and "b: There was no room." in shown
    assert "finished" not in shown and shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_a_terminal_that_is_closed_ends_the_showing_and_not_the_experiment(
    terminal: Terminal,
) -> None:
    with redirect_stderr(terminal), ExperimentProgress(quiet=False) as progress:
        progress.planned(OUTLOOK)
        terminal.gone = True
        progress._drawn = 0.0
        for message in (STARTED, LATER, EVALUATED, FAILED):
            progress.told("a", message)
