"""``exercise watch`` and ``gradcheck --watch``: save the file, see the answer."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.columns import Columns
from rich.console import Console, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.text import Text

from makemore_bp.cli.tables import STYLES, output
from makemore_bp.learning.answer import Answer
from makemore_bp.learning.checkers import Checkers
from makemore_bp.learning.exercises import checking
from makemore_bp.learning.exercises.checking import Progress
from makemore_bp.learning.live.saves import INTERVAL, Saves
from makemore_bp.learning.live.session import Session
from makemore_bp.learning.notebook import read_source
from makemore_bp.learning.wording import worded
from makemore_bp.text import visible

MARKS = {"exact": "✓", "close": "✓", "wrong": "✗", "shape": "✗", "inherits": "↓", "missing": "·"}
KEYS = "h hint   d derivation   l list   n next   s solution   r again   q quit"
_CLEAR = "\x1b[2J\x1b[3J\x1b[H"


def watch_exercises(path: Path, timeout: float | None, steps: int) -> None:
    """Watches the exercises of a folder, or one file, until the person leaves.

    Raises RequestError if there is nothing to watch.
    """
    files = checking.exercise_files(path)
    with Checkers() as checkers:

        def judge(number: int) -> Progress:
            (found,) = checking.check_exercises({number: files[number]}, timeout, steps, checkers)
            return found

        _watch(Session(files, judge))


def watch_file(path: Path, timeout: float, config: Mapping[str, Any]) -> None:
    """Watches any learner's file, on the batch of a resolved configuration, until the person
    leaves."""
    with Checkers() as checkers:

        def judge(number: int) -> Progress:
            answer = checkers.check(path, timeout, config)
            right, expected = answer["right"], answer["expected"]
            return Progress(number, path, right, expected, answer["passed"], "", answer)

        _watch(Session({1: path}, judge))


def _watch(session: Session) -> None:
    screen = _Screen(session)
    with _leaving(), _single_keys() as keys:
        saves = Saves(session.files.values())
        screen.working()
        session.begin()
        screen.show()
        while True:
            key = keys()
            if key == "q":
                return
            for path in saves.new():
                screen.working()
                session.saved(path)
                screen.show()
            if key in screen.actions:
                screen.actions[key]()


class _Screen:
    """What is seen of a session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.actions: dict[str, Callable[[], None]] = {
            "h": self._hint,
            "d": self._derivation,
            "l": self._list,
            "n": self._next,
            "s": self._solution,
            "r": self._again,
        }

    def working(self) -> None:
        """Says that the answer is on its way."""
        _clear()
        output().print("Checking ...")

    def show(self, more: RenderableType | None = None) -> None:
        """The current exercise, what is to be said of it, and what was asked for besides."""
        session, out = self._session, output()
        number = session.current
        _clear()
        _heading(session, out)
        if number in session.refused:
            out.print(Text(session.refused[number], style="bold red"))
        elif session.answer is not None:
            _verdict(session.answer, session.files[number], out)
        elif number in session.progress:
            out.print(visible(session.progress[number].message, 1000))
        if session.done(number):
            out.print(Text("s shows a solution, n goes on.", style="bold green"))
        if more is not None:
            out.print(Padding(more, (1, 0, 0, 2), expand=False))
        out.print(Text(f"\n{KEYS}", style="dim"))

    def _hint(self) -> None:
        self.show(Text(self._session.hint() or "There is nothing to give a hint for."))

    def _derivation(self) -> None:
        text = self._session.derivation()
        self.show(Markdown(text or "There is nothing to derive here."))

    def _solution(self) -> None:
        lines = self._session.solution()
        self.show(Text(lines or "The solution is shown once the exercise is done."))

    def _list(self) -> None:
        output().print("Checking ...")
        self._session.look_at_the_rest()
        self.show(Text("\n".join(self._listed())))

    def _listed(self) -> Iterator[str]:
        for number, path in self._session.files.items():
            found = self._session.progress.get(number)
            count = f"{found.right} of {found.expected}" if found else "cannot be read"
            mark = "✓" if self._session.done(number) else "·"
            here = "   (here)" if number == self._session.current else ""
            yield f"{mark} {visible(path.name)}: {count}{here}"

    def _next(self) -> None:
        self.working()
        self._session.go_on()
        self.show()

    def _again(self) -> None:
        self.working()
        self._session.look(self._session.current)
        self.show()


def _heading(session: Session, out: Console) -> None:
    number = session.current
    found = session.progress.get(number)
    count = f", {found.right} of {found.expected}" if found is not None else ""
    out.print(Text(f"{visible(str(session.files[number]), 1000)}{count}", style="bold"))
    if len(session.files) > 1:
        done = sum(session.done(k) for k in session.files)
        bar = "".join("■" if session.done(k) else "□" for k in session.files)
        out.print(f"{bar}  {done} of {len(session.files)} exercises are done.")
    out.print()


def _verdict(answer: Answer, path: Path, out: Console) -> None:
    """The gradients in a line or two of marks, what is to fix, and what comes next."""
    said = worded(answer, read_source(path).text)
    marks = [_mark(tensor["name"], tensor["status"]) for tensor in answer["tensors"]]
    out.print(Columns(marks, padding=(0, 2)))
    out.print()
    for blame in said.blames:
        out.print(Text(blame.heading, style="bold red"))
        for line in blame.code:
            out.print(Padding(Text(line, style="dim"), (0, 0, 0, 4), expand=False))
        out.print(Padding(Text(blame.text), (0, 0, 0, 2), expand=False))
    for remark in said.remarks:
        out.print(Text(remark))
    if said.failure:
        out.print(Text(said.ended, style="bold red"))
        out.print(Padding(Text(said.failure), (0, 0, 0, 2), expand=False))
    out.print(said.verdict)


def _mark(name: str, status: str) -> Text:
    return Text(f"{MARKS[status]} {visible(name, 40)}", style=STYLES.get(status, "green"))


def _clear() -> None:
    if sys.stdout.isatty():
        sys.stdout.write(_CLEAR)
        sys.stdout.flush()


@contextmanager
def _leaving() -> Iterator[None]:
    """Ctrl-C and SIGTERM leave quietly, with the terminal as it was."""

    def ended(*_: Any) -> None:
        raise typer.Exit(143)

    before = signal.signal(signal.SIGTERM, ended)
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)
        if sys.stdout.isatty():
            print()


@contextmanager
def _single_keys() -> Iterator[Callable[[], str]]:
    """A function that waits a moment and gives the key that was pressed meanwhile, or nothing."""
    if os.name == "nt":
        yield _key_on_windows
        return
    if not sys.stdin.isatty():
        yield lambda: _pause()
        return
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setcbreak(number)
    try:
        yield lambda: _key(number)
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def _key(number: int) -> str:
    if not select.select([number], [], [], INTERVAL)[0]:
        return ""
    pressed = os.read(number, 1)
    return pressed.decode("ascii", "replace").lower() if pressed else "q"  # the terminal is gone


def _pause() -> str:
    import time

    time.sleep(INTERVAL)
    return ""


def _key_on_windows() -> str:
    import msvcrt  # type: ignore[import-not-found,unused-ignore]

    _pause()
    windows: Any = msvcrt
    return str(windows.getwch()).lower() if windows.kbhit() else ""
