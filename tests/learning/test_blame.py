"""One mistake in a learner's file is found where it is, and called what it is."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from makemore_bp.learning.diagnosis.kinds import Kind
from tests.learning.learner_faults import (
    BATCHNORM,
    CROSS_ENTROPY,
    FAULTS,
    HALF_DONE,
    OP_BY_OP,
    SOLUTIONS,
    Fault,
)
from tests.learning.learner_helpers import blamed, diagnoses, tensors

RIGHT = {"exact", "close"}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_mistake_is_blamed_at_its_tensor_and_at_no_other_and_called_by_its_kind(
    fault: Fault,
) -> None:
    assert blamed(fault.source) == {fault.blamed: fault.kind}


def test_the_faults_are_of_kinds_that_there_are() -> None:
    assert {fault.kind for fault in FAULTS} <= set(Kind)


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_a_right_solution_is_right_throughout(solution: str) -> None:
    assert {tensor["status"] for tensor in tensors(SOLUTIONS[solution]).values()} <= RIGHT


def test_a_sum_without_keepdim_is_judged_by_its_numbers() -> None:
    line, plain = "dbnmeani = (-dbndiff).sum(0, keepdim=True)", "dbnmeani = (-dbndiff).sum(0)"
    right = tensors(OP_BY_OP.replace(line, plain))
    assert {tensor["status"] for tensor in right.values()} <= RIGHT
    assert blamed(OP_BY_OP.replace(line, plain.replace("-", ""))) == {"bnmeani": "sign"}


def test_the_tanh_line_of_the_lecture_is_close_and_the_reason_is_given() -> None:
    found = tensors(OP_BY_OP)
    assert found["hpreact"]["status"] == "close"
    assert "fused multiply-add" in found["hpreact"]["why_close"]
    assert (
        found["bngain"]["why_close"] == "Its own line is exact; the last bits come from dhpreact."
    )


def test_a_zero_gradient_that_is_only_rounding_is_explained() -> None:
    assert "true value is zero" in tensors(OP_BY_OP)["b1"]["why_close"]


def test_leaving_out_the_branch_of_the_maximum_is_right_up_to_rounding() -> None:
    line = "dlogits += F.one_hot(logits.max(1).indices, num_classes=logits.shape[1]) * dlogit_maxes"
    assert tensors(OP_BY_OP.replace(line + "\n", ""))["logits"]["status"] == "close"


def test_zero_is_right_where_the_true_value_is_zero_and_said() -> None:
    line = "dlogit_maxes = (-dnorm_logits).sum(1, keepdim=True)"
    zero = "dlogit_maxes = torch.zeros_like(logit_maxes)"
    found = tensors(OP_BY_OP.replace(line, zero))
    assert found["logit_maxes"]["status"] == "close"
    assert "Zero is its true value" in found["logit_maxes"]["why_close"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("= -1.0 / n\n", "= 1.0 / n\n"), ("1.0 / (n - 1)", "1.0 / n")),
        (("(1.0 - h**2)", "(1.0 - hpreact**2)"), ("dC[ix] += ", "dC[ix] = ")),
        (("dhprebn = dbndiff.clone()", "dhprebn = dbndiff"), ("(counts * dprobs)", "(dprobs)")),
    ],
)
def test_two_mistakes_in_one_file_are_both_blamed(
    first: tuple[str, str], second: tuple[str, str]
) -> None:
    alone = [blamed(OP_BY_OP.replace(*change)) for change in (first, second)]
    both = blamed(OP_BY_OP.replace(*first).replace(*second))
    assert both == alone[0] | alone[1]
    assert len(both) == 2


@pytest.mark.parametrize("name", HALF_DONE)
def test_no_state_of_a_half_done_right_file_is_blamed(name: str) -> None:
    lines = HALF_DONE[name].splitlines()
    for end in range(1, len(lines) + 1):
        half = "\n".join(lines[:end])
        with contextlib.suppress(SyntaxError):  # in the middle of a block
            compile(half, "half", "exec")
            statuses = {tensor["status"] for tensor in tensors(half).values()}
            assert statuses <= RIGHT | {"missing"}, half


def test_a_gradient_with_one_of_two_branches_is_unfinished_until_the_other_can_be_added() -> None:
    lines = OP_BY_OP.splitlines()
    start = "\n".join(lines[: lines.index("dcounts = counts_sum_inv * dprobs") + 1])
    counts = tensors(start)["counts"]
    assert counts["status"] == "missing"
    assert "dcounts_sum, not defined yet" in counts["unfinished"]


@pytest.mark.parametrize(
    ("line", "other"),
    [
        ("dC[ix] += demb[k, j]", "dC[ix] = dC[ix] + demb[k, j]"),
        ("(1.0 / probs) * dlogprobs", "dlogprobs / probs"),
        ("(-counts_sum**-2)", "(-1.0 / counts_sum**2)"),
        ("counts * dcounts", "norm_logits.exp() * dcounts"),
        ("(1.0 - h**2) * dh", "dh - h * h * dh"),
        ("(-0.5 * (bnvar + 1e-5)**-1.5)", "(-0.5 * bnvar_inv**3)"),
        ("(-dnorm_logits).sum(1, keepdim=True)", "-(dnorm_logits.sum(1, keepdim=True))"),
        ("dhprebn += 1.0 / n * (torch.ones_like(hprebn) * dbnmeani)", "dhprebn += dbnmeani / n"),
        ("dembcat.view(emb.shape)", "dembcat.reshape(n, block_size, n_embd)"),
        ("db1 = dhprebn.sum(0)", "db1 = torch.ones(n) @ dhprebn"),
    ],
)
def test_the_same_mathematics_written_in_another_way_is_right(line: str, other: str) -> None:
    assert OP_BY_OP.count(line) == 1
    assert blamed(OP_BY_OP.replace(line, other)) == {}


def test_a_gradient_read_before_its_second_branch_was_added_is_wrong_where_it_is_read() -> None:
    late = "dcounts += torch.ones_like(counts) * dcounts_sum\n"
    moved = OP_BY_OP.replace(late, "").replace("dlogits = dnorm", late + "dlogits = dnorm")
    assert blamed(moved) == {"norm_logits": "wrong-input"}


def test_a_changed_forward_tensor_is_blamed_on_the_gradient_that_reads_it() -> None:
    assert blamed("bngain *= 3\n" + OP_BY_OP) == {"bnraw": "wrong-input"}


def test_nonsense_is_unknown_and_never_guessed() -> None:
    source = "dlogits = torch.randn(logits.shape, generator=g)\n"
    assert blamed(source) == {"logits": "unknown"}


def test_a_sum_of_two_mistakes_in_one_line_is_unknown() -> None:
    twice = OP_BY_OP.replace("(2 * bndiff) * dbndiff2", "3 * bnraw * dbndiff2 * bngain")
    assert blamed(twice) == {"bndiff": "unknown"}


def test_nans_are_counted() -> None:
    found = diagnoses("dlogits = torch.log(-F.softmax(logits, 1))\n")["logits"]
    assert "864 of 864 entries are NaN" in found["text"]


def test_bessels_correction_is_called_by_its_name() -> None:
    for source in (
        OP_BY_OP.replace("1.0 / (n - 1)", "1.0 / n"),
        BATCHNORM.replace("n / (n - 1) * ", ""),
    ):
        (found,) = diagnoses(source).values()
        assert found["kind"] == "factor"
        assert "Bessel" in found["text"]


def test_an_alias_names_the_line_that_does_the_harm() -> None:
    found = diagnoses(OP_BY_OP.replace("dhprebn = dbndiff.clone()", "dhprebn = dbndiff"))["bndiff"]
    assert found["text"].startswith("Line 26 (dhprebn += ")
    assert found["line"] == 24


def test_a_diagnosis_comes_with_the_idea_of_the_rule() -> None:
    found = diagnoses(CROSS_ENTROPY.replace("dlogits /= n\n", ""))["logits"]
    assert found["hint"].startswith("Every logit is pulled down") or found["hint"]
    assert {"kind", "text", "hint"} <= set(found)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("dbndiff = bnvar_inv * dbnraw", "dbndiff = bnvar * dbnraw"), 19),
        (("dcounts = counts_sum_inv * dprobs", "dcounts = counts_sum * dprobs"), 5),
        (("dhprebn = dbndiff.clone()", "dhprebn = -dbndiff"), 24),
    ],
)
def test_the_line_of_the_first_of_two_statements_is_named_where_it_is_at_fault(
    change: tuple[str, str], line: int
) -> None:
    (found,) = diagnoses(OP_BY_OP.replace(*change)).values()
    assert found["line"] == line


def test_two_signs_that_cancel_are_both_blamed() -> None:
    twice = OP_BY_OP.replace("= -1.0 / n\n", "= 1.0 / n\n").replace(
        "(-counts_sum**-2)", "(counts_sum**-2)"
    )
    assert blamed(twice) == {"logprobs": "sign", "counts_sum": "sign"}


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (OP_BY_OP.replace("(bnvar + 1e-5)**-1.5", "bnvar**-1.5"), "bnvar"),
        (OP_BY_OP.replace("(bnvar + 1e-5)**-1.5", "(bnvar + 2e-5)**-1.5"), "bnvar"),
        (BATCHNORM.replace("bnvar_inv / n", "bnvar**-0.5 / n"), "hprebn"),
    ],
)
def test_epsilon_forgotten_or_doubled_is_seen_although_float32_cannot_see_it(
    source: str, name: str
) -> None:
    assert blamed(source) == {name: "epsilon"}


def test_exercises_1_and_3_in_one_file_do_not_blame_what_read_the_first_dhprebn() -> None:
    both = OP_BY_OP + BATCHNORM
    assert blamed(both) == {}


def test_a_gradient_of_a_wrong_shape_beside_a_right_reader_is_judged() -> None:
    source = CROSS_ENTROPY + "dlogit_maxes = -dlogits.sum(1)\n"
    assert "logits" not in blamed(source)


@pytest.mark.parametrize(("batch", "n_hidden"), [(33, 64), (32, 200)])
def test_other_sizes_are_judged_alike(batch: int, n_hidden: int) -> None:
    assert blamed(OP_BY_OP, batch, n_hidden) == {}
    for fault in FAULTS[::9]:
        assert blamed(fault.source, batch, n_hidden) == {fault.blamed: fault.kind}


def test_names_that_no_script_can_write_are_never_run_as_code(tmp_path: Path) -> None:
    told = f"h or __import__('pathlib').Path({str(tmp_path / 'run')!r}).touch()"
    odd = f"for name in ('a b', {told!r}):\n    globals()[name] = h.clone()\n"
    wrong = "dlogits = F.softmax(logits, 1)\ndlogits[range(n), Yb] -= 1\n"
    assert blamed(odd + wrong) == {"logits": "factor"}
    assert list(tmp_path.iterdir()) == []
