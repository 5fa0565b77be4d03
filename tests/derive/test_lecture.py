"""The lecture's network, derived from its forward pass, against the heart's hand-written rules."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from makemore_bp.gradcheck.equations import equations
from makemore_bp.learning.derive.explaining import explain
from makemore_bp.learning.derive.recorder import record
from makemore_bp.learning.derive.writing import whole_file
from makemore_bp.network.batchnorm import EPS
from makemore_bp.network.passes import LECTURE_ORDER, Network
from tests.derive.derive_helpers import derived, judged

PARAMETERS = f"""\
import torch
g = torch.Generator().manual_seed(2147483647)
n, EPS = SIZE, {EPS}
C = torch.randn((27, 10), generator=g)
W1 = torch.randn((30, 64), generator=g) * 0.3
b1 = torch.randn(64, generator=g) * 0.1
W2 = torch.randn((64, 27), generator=g) * 0.1
b2 = torch.randn(27, generator=g) * 0.1
bngain = torch.randn((1, 64), generator=g) * 0.1 + 1.0
bnbias = torch.randn((1, 64), generator=g) * 0.1
Xb = torch.randint(0, 27, (n, 3), generator=g)
Yb = torch.randint(0, 27, (n,), generator=g)
"""


def forward(n: int = 32) -> str:
    """The lecture's forward pass as a file, from the heart's own source."""
    lines = [f"{e.name} = {e.source}" for e in equations(Network())]
    return PARAMETERS.replace("SIZE", str(n)) + "\n".join(lines) + "\n"


@pytest.mark.parametrize("n", [32, 33])
def test_all_26_gradients_have_the_bits_of_the_hand_written_rules(n: int) -> None:
    names = record(whole_file(derived(forward(n)))).names
    tensors = {name: t for name, t in names.items() if isinstance(t, Tensor)}
    parameters = {k: tensors[k] for k in ("C", "W1", "b1", "W2", "b2", "bngain", "bnbias")}
    network = Network()
    by_hand = network.backward(network.forward(parameters, tensors["Xb"], tensors["Yb"]))
    assert [x for x in LECTURE_ORDER if not torch.equal(by_hand["d" + x], tensors["d" + x])] == []


def test_the_printed_file_passes_the_check() -> None:
    check = judged(whole_file(derived(forward())))
    assert check.passed
    assert {report.name for report in check.reports} == set(LECTURE_ORDER)


def test_the_code_reads_as_the_lecture_writes_it() -> None:
    lines = whole_file(derived(forward())).splitlines()
    assert "dprobs = dlogprobs / probs  # (32, 27)" in lines
    assert "dlogits = dnorm_logits.clone()  # (32, 27)" in lines
    assert "dhprebn += 1 / n * dbnmeani" in lines


def test_a_gradient_is_explained_with_its_branches_and_shapes() -> None:
    told = explain(derived(forward()), "bndiff")
    assert "bndiff is read by 2 lines" in told
    assert "    dbndiff = bnvar_inv * dbnraw" in told
    assert "    dbndiff += 2 * bndiff * dbndiff2" in told
    assert "The exponent comes down" in told or "the exponent comes down" in told
    assert told.rstrip().endswith("-> (32, 64).")
