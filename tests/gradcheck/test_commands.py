"""gradcheck as a person and as a program use it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from makemore_bp.engines import native
from makemore_bp.gradcheck.cases import ALL
from makemore_bp.network.passes import LECTURE_ORDER

needs_native = pytest.mark.skipif(not native.available(), reason=native.why_not() or "built")


def found(result: Any) -> dict[str, Any]:
    plain = json.loads(result.out)
    assert isinstance(plain, dict)
    return plain


def test_without_a_configuration_the_lectures_26_gradients_are_exact(cli: Any) -> None:
    result = cli("gradcheck")
    assert result.code == 0
    assert "26 of 26 gradients are right, 26 of them to the last bit" in result.out


def test_json_is_the_contracts_in_the_lectures_order(cli: Any) -> None:
    answer = found(cli("gradcheck", "--json", "--samples", 1))
    assert answer["passed"] is True and 3 < answer["loss"] < 4
    assert [tensor["name"] for tensor in answer["tensors"]] == list(LECTURE_ORDER)
    wanted = {"name", "shape", "status", "exact", "allclose", "max_abs_diff", "max_ulp"}
    assert all(wanted <= tensor.keys() for tensor in answer["tensors"])
    assert [d["name"] for d in answer["finite_differences"]] == list(LECTURE_ORDER)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_switches_choose_the_pass_that_is_checked(cli: Any, dtype: str) -> None:
    options = ("--cross-entropy", "fused", "--batchnorm", "fused", "--dtype", dtype)
    answer = found(cli("gradcheck", *options, "--json", "--samples", 0))
    names = [tensor["name"] for tensor in answer["tensors"]]
    assert "probs" not in names and "bnvar" not in names and "logits" in names


def test_a_configuration_and_overrides_set_the_sizes(cli: Any) -> None:
    answer = found(
        cli("gradcheck", "op-by-op", "--set", "model.n_hidden=7", "--json", "--samples", 0)
    )
    shapes = {tensor["name"]: tensor["shape"] for tensor in answer["tensors"]}
    assert shapes["W1"] == [30, 7]


@needs_native
def test_the_native_engines_gradients_are_close(cli: Any) -> None:
    answer = found(cli("gradcheck", "--engine", "native", "--json"))
    assert answer["passed"]
    names = {tensor["name"] for tensor in answer["tensors"]}
    assert {"logits", "W2", "hpreact", "hprebn", "W1", "C"} <= names


@needs_native
def test_the_native_engine_has_no_op_by_op_pass_and_says_so(cli: Any) -> None:
    result = cli("gradcheck", "--engine", "native", "--batchnorm", "op-by-op")
    assert result.code == 2 and "backward.batchnorm is op-by-op" in result.err


def test_every_hard_case_passes_in_both_precisions_with_all_switches(cli: Any) -> None:
    answer = found(cli("gradcheck", "--case", "all", "--json"))
    assert answer["passed"]
    assert len(answer["cases"]) == len(ALL) * 2 * 4
    assert {case["case"] for case in answer["cases"]} == set(ALL)


def test_a_configuration_with_dropout_is_checked_with_its_mask(cli: Any) -> None:
    dropped, plain = (
        found(cli("gradcheck", "--json", "--set", f"train.dropout={p}")) for p in (0.3, 0)
    )
    for part in ("tensors", "finite_differences"):
        names = [entry["name"] for entry in dropped[part]]
        assert [name for name in names if name != "hdrop"] == list(LECTURE_ORDER)
        assert names.index("hdrop") + 1 == names.index("h")
    assert dropped["passed"] and dropped["loss"] != plain["loss"]


@needs_native
def test_the_native_engine_is_checked_with_the_same_mask(cli: Any) -> None:
    answer = found(cli("gradcheck", "--engine", "native", "--json", "--set", "train.dropout=0.3"))
    assert answer["passed"]
    assert {"h", "W2", "hpreact", "C"} <= {tensor["name"] for tensor in answer["tensors"]}


def test_a_learners_file_is_not_checked_with_dropout(cli: Any, tmp_path: Path) -> None:
    script = tmp_path / "mine.py"
    script.write_text(MISTAKE)
    result = cli("gradcheck", "--file", script, "--set", "train.dropout=0.3")
    assert result.code == 2 and "--set train.dropout=0" in result.err


def test_one_case_by_name_shows_its_row(cli: Any) -> None:
    result = cli("gradcheck", "--case", "ties")
    assert result.code == 0 and "ties" in result.out and "8 of 8 settings pass" in result.out


def test_an_unknown_case_is_refused_with_the_names_there_are(cli: Any) -> None:
    result = cli("gradcheck", "--case", "tie")
    assert result.code == 2 and "batch-of-2" in result.err


def test_requests_that_do_not_go_together_are_refused(cli: Any) -> None:
    result = cli("gradcheck", "--case", "ties", "--explain", "dh")
    assert result.code == 2 and "do not go together" in result.err


MISTAKE = """\
dlogprobs = torch.zeros_like(logprobs)
dlogprobs[range(n), Yb] = -1.0 / n
dprobs = (1.0 / probs) * dlogprobs
dcounts_sum_inv = (counts * dprobs).sum(1, keepdim=True)
dcounts_sum = counts_sum**-2 * dcounts_sum_inv
"""


def test_a_learners_mistake_is_named_with_its_kind_and_what_comes_next(
    cli: Any, tmp_path: Path
) -> None:
    script = tmp_path / "mine.py"
    script.write_text(MISTAKE)
    result = cli("gradcheck", "--file", script)
    assert result.code == 1
    assert "dcounts_sum, line 5: sign" in result.out
    assert "To fix: dcounts_sum. Next: dcounts." in result.out
    answer = found(cli("gradcheck", "--file", script, "--json"))
    tensors = {tensor["name"]: tensor for tensor in answer["tensors"]}
    assert set(tensors["counts_sum"]["diagnosis"]) == {"kind", "text", "hint", "line", "repair"}
    assert answer["next"] == "dcounts"


def test_what_a_file_prints_cannot_reach_the_terminal_unescaped(cli: Any, tmp_path: Path) -> None:
    script = tmp_path / "loud.py"
    script.write_text("print('\\x1b[31mred \\u202e')\n")
    result = cli("gradcheck", "--file", script)
    assert "\x1b" not in result.out and "\u202e" not in result.out
    assert "\\x1b[31mred" in result.out


def test_a_missing_file_is_refused(cli: Any, tmp_path: Path) -> None:
    result = cli("gradcheck", "--file", tmp_path / "nothing.py")
    assert result.code == 2 and "does not exist" in result.err


def test_the_derivation_and_the_line_are_told(cli: Any) -> None:
    assert "A power rule" in cli("gradcheck", "--explain", "dbnvar").out
    assert cli("gradcheck", "--solution", "dh").out == "dh = dlogits @ W2.T\n"
    assert cli("gradcheck", "--explain", "nonsense").code == 2
