"""A repair is in the learner's own words, makes the file right, and is never a guess."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from makemore_bp.learning.diagnosis.kinds import TITLES, Kind
from makemore_bp.network.passes import LECTURE_ORDER
from tests.learning.learner_faults import FAULTS, OP_BY_OP, Fault
from tests.learning.learner_helpers import blamed, diagnoses


@pytest.mark.parametrize("fault", FAULTS[::5], ids=str)
def test_the_repaired_line_makes_the_file_right(fault: Fault) -> None:
    (found,) = diagnoses(fault.source).values()
    if "repair" not in found:
        return
    repair, lines = found["repair"], fault.source.splitlines()
    old = lines[repair["line"] - 1]
    assert old[repair["column"] - 1 :].startswith(repair["old"].splitlines()[0])
    indent = old[: len(old) - len(old.lstrip())]
    lines[repair["line"] - 1] = indent + repair["statement"]
    assert blamed("\n".join(lines)) == {}


def test_a_repair_gives_the_line_the_place_and_both_texts() -> None:
    (found,) = diagnoses(OP_BY_OP.replace("h.T @ dlogits", "hpreact.T @ dlogits")).values()
    assert found["repair"] == {
        "line": 13,
        "column": 7,
        "old": "hpreact",
        "new": "h",
        "statement": "dW2 = h.T @ dlogits",
    }


HELPER = """\
def tanh_backward(out, dout):
    slope = 1 + out**2
    return slope * dout
dhpreact = tanh_backward(h, dh)
"""


def test_a_mistake_in_a_helper_function_is_named_at_its_line_there() -> None:
    (found,) = diagnoses(HELPER).values()
    assert (found["kind"], found["line"]) == ("sign", 2)


def test_a_mistake_in_a_function_that_makes_all_gradients_is_named_at_its_line() -> None:
    body = OP_BY_OP.replace("h.T @ dlogits", "hpreact.T @ dlogits")
    lines = ["def backward():", *("    " + line for line in body.splitlines())]
    result = "    return dC, dW1, db1, dW2, db2, dbngain, dbnbias"
    for end in ("", "\ndC, dW1, db1, dW2, db2, dbngain, dbnbias = backward()"):
        found = diagnoses("\n".join([*lines, result]) + end)
        assert {name: d["line"] for name, d in found.items()} == {"W2": 14}


def test_exchanged_results_of_a_function_are_said_to_be_exchanged() -> None:
    source = (
        "def norm_backward(dhpreact):\n"
        "    dbngain = (bnraw * dhpreact).sum(0, keepdim=True)\n"
        "    dbnbias = dhpreact.sum(0, keepdim=True)\n"
        "    return dbnbias, dbngain\n"
        "dbngain, dbnbias = norm_backward(dhpreact)\n"
    )
    assert blamed(source) == {"bngain": "exchanged", "bnbias": "exchanged"}


@pytest.mark.parametrize(
    "names",
    ["d_{}", "dL_d{}", "grad_{}", "{}_grad", "g{}", 'grads["{}"]', "grads.{}"],
)
def test_gradients_are_understood_under_other_names(names: str) -> None:
    before = "grads = {}\n" if "[" in names else ""
    if "." in names:
        before = "import types\ngrads = types.SimpleNamespace()\n"
    place = names.format("W2")
    assert blamed(f"{before}{place} = hpreact.T @ dlogits\n") == {"W2": "wrong-input"}


def test_a_comparison_says_which_gradient_a_name_holds() -> None:
    source = "mine = hpreact.T @ dlogits\ncmp('W2', mine, W2)\n"
    assert blamed(source) == {"W2": "wrong-input"}


@settings(max_examples=10, deadline=None)
@given(name=st.sampled_from(LECTURE_ORDER[:-3]), seed=st.integers(0, 2**31))
def test_noise_is_never_given_a_kind(name: str, seed: int) -> None:
    source = f"torch.manual_seed({seed})\nd{name} = {name}.grad + torch.randn({name}.shape)\n"
    assert set(blamed(source).values()) <= {"unknown"}


def test_every_kind_has_a_title() -> None:
    assert set(TITLES) == set(Kind)
