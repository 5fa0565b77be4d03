"""What --explain, --solution and docs/backward.md tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from makemore_bp.errors import RequestError
from makemore_bp.gradcheck import derivations
from makemore_bp.network.passes import LECTURE_ORDER, Network

PAGE = Path(__file__).parents[2] / "docs" / "backward.md"
NAMES = ["d" + name for name in LECTURE_ORDER]


def test_the_page_is_what_the_docstrings_say() -> None:
    text = PAGE.read_text(encoding="utf-8")
    how = "run python -m makemore_bp.gradcheck.derivations docs/backward.md"
    assert derivations.renewed(text) == text, how


def test_the_page_has_every_gradient_in_the_order_of_the_backward_pass() -> None:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    headings = [line.removeprefix("### ") for line in lines if line.startswith("### ")]
    rules = [rule.__name__ for rule in Network().rules]
    assert headings == [*rules, "dlogits", "dhpreact", "dhprebn", "dhdrop", "dh", "dW2"]


@pytest.mark.parametrize("name", NAMES)
def test_every_derivation_says_the_shapes_and_the_lines_it_goes_back_through(name: str) -> None:
    text = derivations.explain(name)
    assert text.startswith(f"## {name}")
    assert "\nShapes: " in text
    assert "    # " in text


def test_a_derivation_does_not_give_the_line_away_but_the_solution_does() -> None:
    line = "dbngain = (bnraw * dhpreact).sum(0, keepdim=True)"
    assert line not in derivations.explain("dbngain")
    assert derivations.solution("dbngain") == line


def test_a_tensors_name_will_do() -> None:
    assert derivations.explain("W2") == derivations.explain("dW2")


def test_where_there_are_two_ways_both_are_told() -> None:
    for name in ("dlogits", "dhprebn"):
        assert "one operation at a time" in derivations.explain(name)
        assert "the whole stage at once" in derivations.explain(name)


def test_what_dropout_changes_is_told_besides() -> None:
    assert "## dh, with dropout" in derivations.explain("dh")
    assert "# hdrop = h * mask" in derivations.explain("h")
    assert derivations.explain("hdrop").count("## ") == 1
    assert derivations.solution("dh") == "dh = dlogits @ W2.T"


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(RequestError, match="dbnvar_inv"):
        derivations.explain("dbnvarinv")


def test_the_solutions_put_together_are_a_right_backward_pass(cli: Any, tmp_path: Path) -> None:
    first = [derivations.solution(rule.__name__).split("\n\n")[0] for rule in Network().rules]
    script = tmp_path / "mine.py"
    script.write_text("\n".join(first) + "\n")
    result = cli("gradcheck", "--file", script)
    assert result.code == 0, result.out
    assert "26 of 26 gradients are right. Done." in result.out
