"""The exercises beyond the lecture: each runs, its solution passes, its file has room for all."""

from __future__ import annotations

from pathlib import Path

import pytest

from makemore_bp.errors import RequestError
from makemore_bp.learning.networks.exercises import (
    Exercise,
    exercise,
    exercises,
    from_forward,
    progress,
    solution,
    template,
    write,
)
from tests.conftest import Cli
from tests.derive.derive_helpers import derived, judged


@pytest.mark.parametrize("each", exercises(), ids=lambda each: each.name)
def test_a_solution_passes_the_check(each: Exercise) -> None:
    derivation = derived(each.forward.read_text())
    check = judged(solution(each))
    assert derivation.notes == []
    assert check.passed
    assert len(check.findings) == len(derivation.variables)


@pytest.mark.parametrize("each", exercises(), ids=lambda each: each.name)
def test_what_is_new_takes_five_sentences(each: Exercise) -> None:
    text = " ".join(each.new.split())
    assert sum(text.count(end) for end in (". ", "? ")) + 1 == 5


def test_the_file_to_fill_in_has_room_for_every_gradient_and_no_answer(tmp_path: Path) -> None:
    each = exercise("layer-norm")
    text = template(each, tmp_path / "layer_norm.py")
    for variable in derived(each.forward.read_text()).variables:
        assert f"# d{variable.name} =" in text
    assert "gradcheck --file" in text
    assert not any(line.startswith("d") and " = d" in line for line in text.splitlines()[30:])


def test_progress_counts_what_is_right(tmp_path: Path) -> None:
    path = write(exercise("two-layers"), tmp_path)
    assert progress(path).right == ()
    path.write_text(path.read_text() + "dlogprobs = torch.zeros_like(logprobs)\n"
                    "dlogprobs[range(n), y] = -1 / n\n")  # fmt: skip
    now = progress(path)
    assert now.right == ("logprobs",)
    assert now.next == "logits"


def test_work_is_not_overwritten(tmp_path: Path) -> None:
    write(exercise("gru"), tmp_path)
    with pytest.raises(RequestError, match="not overwritten"):
        write(exercise("gru"), tmp_path)


def test_a_near_name_is_suggested() -> None:
    with pytest.raises(RequestError, match="Did you mean layer-norm"):
        exercise("layernorm")


def test_a_teachers_own_forward_pass_is_an_exercise(tmp_path: Path) -> None:
    forward = tmp_path / "my_net.py"
    forward.write_text("import torch\nx = torch.ones(3)\ny = x * 2\nloss = y.sum()\n")
    text = template(from_forward(forward), tmp_path / "mine.py")
    assert text.startswith("# Exercise: My net.")
    assert "# dy =" in text


def test_derive_prints_a_file_and_explains_a_gradient(cli: Cli, tmp_path: Path) -> None:
    forward = tmp_path / "net.py"
    forward.write_text(exercise("rms-norm").forward.read_text())
    printed = cli("derive", forward, "--check")
    assert printed.code == 0
    assert "dx2 = " in printed.out
    explained = cli("derive", forward, "--explain", "dx")
    assert "x is read by 2 lines" in explained.out
    assert cli("derive", forward, "--explain", "dxx").code == 2
    assert cli("derive", tmp_path / "none.py").code == 2
