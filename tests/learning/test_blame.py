"""One mistake in a learner's file is found where it is, and called what it is."""

from __future__ import annotations

import pytest

from makemore_bp.learning.diagnosis import KINDS
from tests.learning.learner_faults import (
    BATCHNORM,
    CROSS_ENTROPY,
    FAULTS,
    OP_BY_OP,
    SOLUTIONS,
    Fault,
)
from tests.learning.learner_helpers import blamed, findings

RIGHT = {"exact", "close"}


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_mistake_is_blamed_at_its_tensor_and_at_no_other_and_called_by_its_kind(
    fault: Fault,
) -> None:
    assert blamed(fault.source) == {fault.blamed: fault.kind}


def test_the_faults_cover_every_kind_but_unknown() -> None:
    assert {fault.kind for fault in FAULTS} == set(KINDS) - {"unknown"}


@pytest.mark.parametrize("solution", SOLUTIONS)
def test_a_right_solution_is_right_throughout(solution: str) -> None:
    assert {finding.status for finding in findings(SOLUTIONS[solution]).values()} - {
        "missing"
    } <= RIGHT


def test_a_sum_without_keepdim_is_judged_by_its_numbers() -> None:
    line, plain = "dbnmeani = (-dbndiff).sum(0, keepdim=True)", "dbnmeani = (-dbndiff).sum(0)"
    right = findings(OP_BY_OP.replace(line, plain))
    assert {finding.status for finding in right.values()} <= RIGHT
    assert blamed(OP_BY_OP.replace(line, plain.replace("-", ""))) == {"bnmeani": "sign"}


def test_the_tanh_line_of_the_lecture_is_close_and_the_reason_is_given() -> None:
    found = findings(OP_BY_OP)
    assert found["hpreact"].status == "close"
    assert "fused multiply-add" in str(found["hpreact"].why_close)
    assert found["bngain"].why_close == "Its own line is exact; the last bits come from dhpreact."


def test_a_zero_gradient_that_is_only_rounding_is_explained() -> None:
    assert "true value is zero" in str(findings(OP_BY_OP)["b1"].why_close)


def test_leaving_out_the_branch_of_the_maximum_is_right_up_to_rounding_and_said() -> None:
    line = "dlogits += F.one_hot(logits.max(1).indices, num_classes=logits.shape[1]) * dlogit_maxes"
    found = findings(OP_BY_OP.replace(line + "\n", ""))["logits"]
    assert found.status == "close"
    assert "branch through logit_maxes is left out" in str(found.why_close)


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


# After these lines of the solution the next one completes a gradient that could be complete.
INCOMPLETE = {1, 6, 22, 25, 31}


@pytest.mark.parametrize("lines", sorted(set(range(32)) - INCOMPLETE))
def test_a_file_that_stops_half_way_gets_credit_for_what_is_right(lines: int) -> None:
    half = findings("\n".join(OP_BY_OP.splitlines()[:lines]))
    unfinished = {name for name, finding in half.items() if finding.unfinished}
    assert {f.status for name, f in half.items() if name not in unfinished} - {"missing"} <= RIGHT
    assert unfinished <= {"logprobs", "counts", "bndiff", "hprebn"}


def test_a_gradient_with_one_of_two_branches_is_unfinished_until_the_other_can_be_added() -> None:
    lines = OP_BY_OP.splitlines()
    start = "\n".join(lines[: lines.index("dcounts = counts_sum_inv * dprobs") + 1])
    counts = findings(start)["counts"]
    assert counts.status == "missing"
    assert "dcounts_sum, not defined yet" in str(counts.unfinished)


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
    found = findings("dlogits = torch.log(-F.softmax(logits, 1))\n")["logits"]
    assert found.diagnosis is not None
    assert "864 of 864 entries are NaN" in found.diagnosis.text


def test_bessels_correction_is_called_by_its_name() -> None:
    for source in (
        OP_BY_OP.replace("1.0 / (n - 1)", "1.0 / n"),
        BATCHNORM.replace("n / (n - 1) * ", ""),
    ):
        (found,) = (f.diagnosis for f in findings(source).values() if f.diagnosis)
        assert found.kind == "factor"
        assert "Bessel" in found.text


def test_an_alias_names_the_line_that_does_the_harm() -> None:
    found = findings(OP_BY_OP.replace("dhprebn = dbndiff.clone()", "dhprebn = dbndiff"))["bndiff"]
    assert found.diagnosis is not None
    assert found.diagnosis.text.startswith("Line 26 (dhprebn += ")


def test_a_diagnosis_comes_with_the_idea_of_the_rule() -> None:
    found = findings(CROSS_ENTROPY.replace("dlogits /= n\n", ""))["logits"]
    assert found.diagnosis is not None
    assert found.diagnosis.hint.startswith("Every logit is pulled down by the probability")
    assert set(found.diagnosis.as_json()) == {"kind", "text", "hint"}
