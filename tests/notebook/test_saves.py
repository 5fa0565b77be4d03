"""``exercise watch`` without its terminal: saves that are noticed, and where one is."""

from __future__ import annotations

import os
from pathlib import Path

from makemore_bp.errors import RequestError
from makemore_bp.learning.exercises.checking import Progress
from makemore_bp.learning.live.saves import Saves
from makemore_bp.learning.live.session import Session


def test_a_save_is_noticed_once(tmp_path: Path) -> None:
    one, other = tmp_path / "1.py", tmp_path / "2.py"
    one.write_text("a")
    other.write_text("b")
    saves = Saves([one, other])
    assert saves.new() == []
    other.write_text("bb")
    assert saves.new() == [other]
    assert saves.new() == []


def test_a_file_that_an_editor_replaces_is_a_save(tmp_path: Path) -> None:
    path = tmp_path / "1.py"
    path.write_text("a")
    saves = Saves([path])
    (tmp_path / "new").write_text("b")
    os.replace(tmp_path / "new", path)
    assert saves.new() == [path]


def test_a_file_that_goes_away_and_comes_back_is_a_save_when_it_is_back(tmp_path: Path) -> None:
    path = tmp_path / "1.py"
    path.write_text("a")
    saves = Saves([path])
    path.unlink()
    assert saves.new() == []
    path.write_text("a")
    assert saves.new() == [path]


def _session(done: set[int]) -> Session:
    files = {k: Path(f"{k}.py") for k in (1, 2, 3, 4)}

    def judge(number: int) -> Progress:
        if number == 4:
            raise RequestError("4.py does not exist.")
        return Progress(number, files[number], int(number in done), 1, number in done, "")

    return Session(files, judge)


def test_it_begins_with_the_first_exercise_that_is_not_done() -> None:
    session = _session({1})
    session.begin()
    assert session.current == 2
    assert set(session.progress) == {1, 2}


def test_the_file_that_was_saved_is_the_one_that_is_worked_on() -> None:
    session = _session({1})
    session.begin()
    session.saved(Path("3.py"))
    assert session.current == 3


def test_next_passes_over_what_is_done() -> None:
    session = _session({1, 3})
    session.begin()
    session.go_on()
    assert session.current == 4
    assert "does not exist" in session.refused[4]
    session.go_on()
    assert session.current == 2


def test_the_solution_is_shown_once_the_exercise_is_done() -> None:
    done = set[int]()
    session = _session(done)
    session.begin()
    assert session.solution() is None
    done.add(1)
    session.saved(Path("1.py"))
    assert "dlogprobs = " in (session.solution() or "")
    done.add(3)
    session.saved(Path("3.py"))
    solution = session.solution() or ""
    assert solution.startswith("dhprebn = ") and "dlogits" not in solution
