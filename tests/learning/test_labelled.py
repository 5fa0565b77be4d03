"""The labelled files of ``unseen``: a few of each hand here, all of them where it is asked for."""

from __future__ import annotations

import os
import sys

import pytest

from makemore_bp.learning.check import check_text
from makemore_bp.learning.job import example_truth
from makemore_bp.learning.lecture import LectureTruth
from makemore_bp.learning.limits import Limits

from .unseen import Case, everything
from .unseen.evaluate import judged

ALL = "MAKEMORE_BP_LABELLED" in os.environ  # six minutes
HERE = frozenset(
    """
    layers-right layers-dhpreact-missing-factor layers-dW2-sign-dW1-sign
    nested-right nested-dprobs-wrong-input nested-dh-wrong-input backward-nested-right
    fluent-right fluent-dbndiff-factor fluent-dbnvar-eps
    helpers-dW2-wrong-input helpers-dnorm_logits-operation helpers-dlogits-extra-term
    lecture-named-attribute-dhpreact-operation lecture-named-namespace-dW2-wrong-input
    accumulate-dW2-wrong-input accumulate-dW1-extra-term rows-dW1-index
    backward-lecture-dW1-exchanged-dW2-exchanged bn-reuse-dhprebn-exchanged terse-demb-shape
    """.split()  # noqa: SIM905
)
CASES = [case for case in everything() if ALL or case.name in HERE]


@pytest.fixture(scope="module")
def truth() -> LectureTruth:
    return example_truth()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_file_is_blamed_for_what_is_wrong_in_it_and_for_nothing_else(
    case: Case, truth: LectureTruth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "__stdout__", None)  # what the file prints
    answer = check_text(case.script, "mine.py", truth, Limits(60.0))
    counted = list(judged(case, answer))
    blame = [miss for count, miss in counted if count.endswith("blame")]
    assert not any(blame)
    if not ALL:  # these are named as well, each at its own line
        assert not [(count, miss) for count, miss in counted if miss and count != "told"]


def test_the_files_that_are_checked_here_are_there() -> None:
    assert {case.name for case in CASES} >= HERE
