"""Ten notebooks in the manner of real ones, run and judged as files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from makemore_bp.learning.checkers import Checkers
from makemore_bp.learning.exercises.checking import exercise_files
from makemore_bp.learning.grading import graded
from makemore_bp.learning.notebook import read_source
from makemore_bp.learning.wording import Wording, worded
from tests.conftest import Cli
from tests.notebook.notebooks import EXERCISE_2, NOTEBOOKS, write

RIGHT = ("whole", "other sizes", "plots", "training", "colab", "all exercises", "out of order")


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[Any, Wording]]]:
    """What is found in each, and what is said of it."""
    folder = tmp_path_factory.mktemp("notebooks")
    found = {}
    with Checkers() as checkers:
        for name, cells in NOTEBOOKS.items():
            path = write(folder / f"{name}.ipynb", cells)
            answer = checkers.check(path)
            found[name] = answer, worded(answer, read_source(path).text)
    yield found


Answers = dict[str, tuple[Any, Wording]]


@pytest.mark.parametrize("name", [*RIGHT, "functions"])
def test_a_right_notebook_passes_on_its_own_tensors(answers: Answers, name: str) -> None:
    answer, said = answers[name]
    assert said.verdict == "26 of 26 gradients are right. Done."
    assert answer["passed"]
    assert answer["changed"] == []


def test_half_done_is_not_blamed(answers: Answers) -> None:
    _, said = answers["half done"]
    assert said.verdict == "11 of 26 gradients are right. Next: dhpreact."
    assert said.blames == ()


def test_one_wrong_line_is_blamed_at_its_cell_and_line(answers: Answers) -> None:
    answer, said = answers["one mistake"]
    (blame,) = said.blames
    assert blame.heading == "dbnvar, cell 9, line 21: sign"
    assert blame.code[0].startswith("dbnvar = (0.5*(bnvar")
    assert said.verdict == "18 of 26 gradients are right. To fix: dbnvar."
    (wrong,) = [t for t in answer["tensors"] if t["status"] == "wrong"]
    assert wrong["diagnosis"]["where"] == "cell 9, line 21"


def test_what_was_left_out_lent_and_moved_is_said(answers: Answers) -> None:
    for name, words in (
        ("colab", "!wget -q https://raw.githubusercontent.com"),
        ("whole", "%matplotlib inline (cell 1, line 5)"),
        ("whole", "the names that come with makemore-bp"),
        ("out of order", "which cell 9 sets, so it is run after cell 9"),
        ("training", "The loop on cell 11, line 2 trains the network and was not run"),
    ):
        assert any(words in remark for remark in answers[name][1].remarks), (name, words)


def test_the_command_judges_a_notebook_draws_it_and_leaves_it_alone(
    cli: Cli, tmp_path: Path
) -> None:
    path = write(tmp_path / "mine.ipynb", NOTEBOOKS["one mistake"])
    before = path.read_bytes()
    result = cli("gradcheck", "--file", path, "--html", tmp_path / "mine.html")
    assert result.code == 1
    assert "dbnvar, cell 9, line 21: sign" in result.out
    assert "cell 9, line 21" in (tmp_path / "mine.html").read_text()
    assert path.read_bytes() == before


def test_an_exercise_may_be_a_notebook_and_so_may_a_hand_in(tmp_path: Path) -> None:
    second = write(tmp_path / "anna.ipynb", ["# Exercise 2: in one step", EXERCISE_2])
    assert exercise_files(second) == {2: second}
    write(tmp_path / "bo.ipynb", ["%matplotlib inline", "dlogprobs = -logprobs"])
    (tmp_path / "carl.ipynb").write_text("{")
    anna, bo, carl = graded(tmp_path)
    assert (anna.right, anna.passed) == (1, True)
    assert bo.lines == ("cell 2, line 1",)
    assert "is not a whole notebook" in carl.message
