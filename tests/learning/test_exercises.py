"""The exercises: written as files, runnable at once, checked by the command that each states."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from makemore_bp.cli.exercise import app
from makemore_bp.errors import RequestError
from makemore_bp.learning.exercises.checking import Progress, check_exercises, exercise_files
from makemore_bp.learning.exercises.templates import FILES
from makemore_bp.learning.exercises.training import train_with, watched
from makemore_bp.learning.exercises.writing import write_exercises
from makemore_bp.learning.limits import Limits
from makemore_bp.network.parameters import Sizes, generators, initialise
from tests.learning.learner_faults import BATCHNORM, CROSS_ENTROPY, OP_BY_OP

BACKWARD = """\
# Exercise 4


def backward(n, Xb, Yb, C, W1, W2, bngain, emb, embcat, bnraw, bnvar_inv, hpreact, h, logits):
    dlogits = F.softmax(logits, 1)
    dlogits[range(n), Yb] -= 1
    dlogits /= n
    dh = dlogits @ W2.T
    dW2 = h.T @ dlogits
    db2 = dlogits.sum(0)
    dhpreact = (1.0 - h**2) * dh
    dbngain = (bnraw * dhpreact).sum(0, keepdim=True)
    dbnbias = dhpreact.sum(0, keepdim=True)
    dhprebn = bngain * bnvar_inv / n * (n * dhpreact - dbnbias - n / (n - 1) * bnraw * dbngain)
    dembcat = dhprebn @ W1.T
    dW1 = embcat.T @ dhprebn
    db1 = dhprebn.sum(0)
    demb = dembcat.view(emb.shape)
    dC = torch.zeros_like(C).index_put_((Xb,), demb, accumulate=True)
    return dC, dW1, db1, dW2, db2, dbngain, dbnbias
"""
SOLUTIONS = {1: OP_BY_OP, 2: CROSS_ENTROPY, 3: BATCHNORM, 4: BACKWARD}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_exercises(tmp_path / "exercises")
    return tmp_path / "exercises"


def progress(folder: Path, *numbers: int, steps: int = 3) -> list[Progress]:
    files = {n: path for n, path in exercise_files(folder).items() if n in numbers}
    return list(check_exercises(files, 60.0, steps))


def solve(folder: Path, *numbers: int) -> None:
    for number in numbers:
        path = folder / FILES[number][0]
        path.write_text(path.read_text().splitlines()[0] + "\n" + SOLUTIONS[number])


def test_each_file_states_the_command_that_checks_it(folder: Path) -> None:
    for number, (name, *_) in FILES.items():
        text = (folder / name).read_text()
        command = "exercise check" if number == 4 else "gradcheck --file"
        assert text.startswith(f"# Exercise {number}: ")
        assert f"makemore-bp {command} {folder / name}" in text
        assert f"makemore-bp {command} {folder / name}" in (folder / "README.md").read_text()


def test_the_folders_name_cannot_break_a_file(tmp_path: Path) -> None:
    odd = tmp_path / "two words\nimport os"
    write_exercises(odd)
    for name, *_ in FILES.values():
        assert "\nimport os" not in (odd / name).read_text()


def test_untouched_exercises_run_and_say_what_comes_first(folder: Path) -> None:
    found = progress(folder, 1, 2, 3, 4)
    assert [p.message for p in found[:3]] == [
        f"nothing defined yet, next: {first}" for first in ("dlogprobs", "dlogits", "dhprebn")
    ]
    assert "dW2 is not defined yet" in found[3].message
    assert [(p.right, p.expected) for p in found] == [(0, 26), (0, 1), (0, 1), (0, 1)]
    assert not any(p.complete for p in found)


def test_solved_exercises_are_complete(folder: Path) -> None:
    solve(folder, 1, 2, 3, 4)
    found = progress(folder, 1, 2, 3, 4)
    assert [(p.right, p.expected, p.complete) for p in found] == [
        (26, 26, True),
        (1, 1, True),
        (1, 1, True),
        (1, 1, True),
    ]


def test_nothing_is_overwritten(folder: Path) -> None:
    (folder / "2_cross_entropy.py").write_text("my work")
    with pytest.raises(RequestError, match="not overwritten"):
        write_exercises(folder)
    assert (folder / "2_cross_entropy.py").read_text() == "my work"


def test_a_folder_without_exercises_and_a_file_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="holds no exercises"):
        exercise_files(tmp_path)
    (tmp_path / "other.py").write_text("x = 1\n")
    with pytest.raises(RequestError, match="does not say which exercise"):
        exercise_files(tmp_path / "other.py")


def test_a_missing_file_is_not_complete(folder: Path) -> None:
    (folder / "2_cross_entropy.py").unlink()
    (found,) = progress(folder, 2)
    assert (found.complete, found.message) == (False, "the file is not there")


def test_the_command_shows_progress_and_exits_with_one_until_all_is_done(folder: Path) -> None:
    solve(folder, 2)
    runner = CliRunner()
    result = runner.invoke(app, ["check", str(folder / "2_cross_entropy.py"), "--json"])
    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert answer["complete"] is True
    (row,) = answer["exercises"]
    assert (row["exercise"], row["right"], row["expected"]) == (2, 1, 1)
    result = runner.invoke(app, ["check", str(folder / "1_op_by_op.py")])
    assert result.exit_code == 1
    assert "0 of 26" in result.stdout


# Exercise 4


def train(source: str, steps: int = 12, timeout: float = 60.0) -> dict[str, Any]:
    g, g_batchnorm = generators(3)
    parameters = initialise(Sizes(27, n_hidden=16), g, g_batchnorm)
    Xb: Tensor = torch.randint(0, 27, (steps, 8, 3), generator=g)
    Yb: Tensor = torch.randint(0, 27, (steps, 8), generator=g)
    return train_with(source, "4_train.py", parameters, Xb, Yb, Limits(timeout))


def test_the_learners_gradients_train_the_network() -> None:
    result = train(BACKWARD)
    assert result["loss"] is not None
    assert [w["step"] for w in result["watched"]] == [0, 1, 2, 5, 10, 11]


def test_the_first_wrong_gradient_stops_the_training_and_is_named() -> None:
    result = train(BACKWARD.replace("dW1 = embcat.T @ dhprebn", "dW1 = W1 * 0.1"))
    assert result["mismatch"] is not None
    assert result["mismatch"][:2] == (0, "W1")
    assert result["loss"] is None


def test_a_gradient_that_goes_wrong_later_is_found_later() -> None:
    late = BACKWARD.replace(
        "    return", "    calls.append(1)\n    db2 *= len(calls) < 5\n    return"
    )
    result = train(late.replace("def backward", "calls = []\n\n\ndef backward"))
    assert result["mismatch"] is not None
    assert result["mismatch"][:2] == (5, "b2")
    assert [w["step"] for w in result["watched"]] == [0, 1, 2]


def test_gradients_may_come_as_a_dictionary() -> None:
    names = ["C", "W1", "b1", "W2", "b2", "bngain", "bnbias"]
    mapping = ", ".join(f"'{name}': d{name}" for name in names)
    body = BACKWARD[: BACKWARD.index("    return")] + f"    return {{{mapping}}}\n"
    assert train(body)["loss"] is not None


def test_a_function_that_updates_the_parameters_itself_is_told_so() -> None:
    result = train(BACKWARD.replace("    return", "    W2 -= 0.1 * dW2\n    return"))
    assert result["mismatch"] is not None
    assert "changes W2 itself" in result["mismatch"][2]


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("x = 1\n", "defines no function called backward"),
        ("def backward(nonsense): return 1\n", "asks for nonsense"),
        ("def backward(h): return h\n", "must return the seven gradients"),
        ("def backward(h): return 1 / 0\n", "ZeroDivisionError"),
    ],
)
def test_a_function_that_cannot_be_used_is_told_why(source: str, text: str) -> None:
    result = train(source)
    assert result["error"] is not None
    assert text in result["error"]["text"]


def test_a_function_that_never_returns_is_stopped() -> None:
    source = "def backward(h):\n    while True:\n        pass\n"
    result = train(source, timeout=1.0)
    assert result["error"] is not None
    assert result["error"]["line"] in (2, 3)


def test_gradients_are_watched_more_rarely_as_training_goes_on() -> None:
    steps = [step for step in range(1000) if watched(step, 1000)]
    assert steps == [0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 999]
