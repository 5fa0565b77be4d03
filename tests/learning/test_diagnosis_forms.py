"""The diagnosis rests on the heart's own rules and names nothing that does not give the numbers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from makemore_bp.learning.diagnosis import diagnose
from makemore_bp.learning.diagnosis.changes import changes
from makemore_bp.learning.diagnosis.compare import agrees
from makemore_bp.learning.diagnosis.forms import evaluate, forms
from makemore_bp.network.passes import Network
from tests.learning.learner_helpers import record

NAMES = tuple(rule.__name__ for rule in Network().rules)


def gradients() -> dict[str, torch.Tensor]:
    return Network().backward(record())


@pytest.mark.parametrize("name", NAMES)
def test_every_form_of_a_rule_gives_what_the_rule_gives(name: str) -> None:
    names = {**record(), **gradients()}
    for tree in forms(name):
        value = evaluate(tree, names)
        assert value is not None
        assert agrees(value, gradients()[name])


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_can_be_changed_into_something_that_still_computes(name: str) -> None:
    names = {**record(), **gradients()}
    values = [evaluate(change.tree, names) for change in changes(forms(name)[0], ("h", "probs"))]
    # Of the reshaping rule only the input can be mixed up, and neither of the two has its shape.
    assert name == "demb" or any(value is not None for value in values)


@settings(max_examples=25, deadline=None)
@given(name=st.sampled_from(NAMES), seed=st.integers(0, 2**31), size=st.sampled_from([1e-3, 1.0]))
def test_a_gradient_with_noise_in_it_is_never_given_a_kind(
    name: str, seed: int, size: float
) -> None:
    g = torch.Generator().manual_seed(seed)
    truth = gradients()[name]
    noise = torch.randn(truth.shape, generator=g) * truth.abs().max() * size
    found = diagnose(name, {**gradients(), name: truth + noise}, record())
    assert found.kind == "unknown"


@settings(max_examples=15, deadline=None)
@given(name=st.sampled_from(NAMES), factor=st.floats(1.05, 50))
def test_any_factor_is_a_factor(name: str, factor: float) -> None:
    wrong = gradients() | {name: gradients()[name] * factor}
    found = diagnose(name, wrong, record())
    assert found.kind in ("factor", "reduction")  # a mean is a sum with a factor
