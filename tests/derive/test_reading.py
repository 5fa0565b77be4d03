"""Forward passes as people write them: loops, functions, classes, changes in place."""

from __future__ import annotations

import pytest

from makemore_bp.errors import RequestError
from makemore_bp.learning.derive.recorder import record
from makemore_bp.learning.derive.writing import whole_file
from tests.derive.derive_helpers import derived, judged, printed_and_checked

HEAD = "import torch\nimport torch.nn.functional as F\ntorch.manual_seed(1)\n"
LOOP = """\
W = torch.randn(3, 3)
xs = torch.randn(4, 2, 3)
h = torch.zeros(2, 3)
for x in xs:
    h = torch.tanh(x + h @ W)
loss = h.pow(2).mean()
"""
LAYERS = """\
class Linear:
    def __init__(self, n, m):
        self.weight = torch.randn(n, m)

    def __call__(self, x):
        return x @ self.weight

layers = [Linear(3, 4), Linear(4, 2)]
h = torch.randn(5, 3)
for layer in layers:
    h = torch.sigmoid(layer(h))
loss = h.sum()
"""
FUNCTIONS = """\
def norm(x, gain, eps=1e-5):
    mean = x.mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(x.var(-1, keepdim=True) + eps) * gain

x, gain = torch.randn(4, 6), torch.ones(6)
y = norm(norm(x, gain) * 2, gain)
loss = (y * torch.linspace(0, 1, 6)).sum()
"""
IN_PLACE = """\
x, v = torch.randn(4, 3), torch.randn(4)
y = x * 2
y[:, 0] = v
y += 1
y.mul_(v[:, None])
loss = (y ** 2).mean()
"""
ROWS = """\
Ws = [torch.randn(3, 2) for _ in range(3)]
x = torch.randn(5, 3)
parts = [x @ W for W in Ws]
p = {"a": torch.randn(6)}
loss = (torch.cat(parts, dim=1) * p["a"]).sum() + sum((W**2).sum() for W in Ws)
"""


@pytest.mark.parametrize("forward", [LOOP, LAYERS, FUNCTIONS, IN_PLACE, ROWS])
def test_what_runs_is_followed_and_its_printed_backward_pass_is_right(forward: str) -> None:
    derivation, check = printed_and_checked(HEAD + forward)
    assert derivation.notes == []
    assert check.passed, [finding.as_json() for finding in check.findings]


def test_a_tensor_that_is_bound_again_has_a_name_for_each_state() -> None:
    derivation = derived(HEAD + LOOP)
    assert [step.result.name for step in derivation.forward if step.result.hint == "h"][:2] == [
        "h_2",
        "h_3",
    ]


def test_what_cannot_be_followed_is_said_with_its_line() -> None:
    source = (
        HEAD + "a = torch.randn(3)\nb = torch.zeros(3)\ntorch.add(a, 1, out=b)\nloss = b.sum()\n"
    )
    notes = derived(source).notes
    assert any("line 7" in note and "b was changed in place" in note for note in notes)


def test_a_file_without_a_loss_is_answered_in_a_sentence() -> None:
    with pytest.raises(RequestError, match="computes no loss"):
        derived("import torch\nx = torch.randn(3)\ny = x * 2\n")


def test_a_loss_can_be_named() -> None:
    source = HEAD + "x = torch.randn(3)\nfirst = x.sum()\nsecond = (x**2).sum()\n"
    assert derived(source, "first").loss.name == "first"
    with pytest.raises(RequestError, match="no number with the name third"):
        derived(source, "third")


def test_a_long_training_loop_is_ended_and_said() -> None:
    source = HEAD + "w = torch.ones(2)\nwhile True:\n    loss = (w**2).sum()\n    dw = 2 * w\n"
    program = record(source)
    assert program.notes == ["line 6: the run was ended here"] or "line" in program.notes[0]
    assert judged(source).passed


ONCE = """\
import random
calls = []

def scale(n):
    calls.append(n)
    return n ** -0.5

masks = iter([torch.rand(3, 3), torch.rand(3, 3)])
W = torch.randn(3, 3)
y = W * scale(W.shape[0])
y = y * {call}
loss = (y ** 2).sum()
"""


@pytest.mark.parametrize(
    "call", ["scale(4)", "random.random()", "next(masks)", "calls.pop()", "(lambda: 3.0)()"]
)
def test_what_a_call_came_to_stands_for_it(call: str) -> None:
    derivation = derived(HEAD + ONCE.format(call=call))
    (dW,) = [part for part in derivation.parts if part.step.source.startswith("y = W")]
    assert not dW.left
    assert len(derivation.program.names["calls"]) == {"scale(4)": 2, "calls.pop()": 0}.get(call, 1)
    assert call not in "\n".join(line for part in derivation.parts for line in part.step.lines())


def test_a_file_with_its_own_helpers_prints_a_backward_pass_that_is_right() -> None:
    _, check = printed_and_checked(HEAD + ONCE.format(call="scale(4)"))
    assert check.passed


def test_a_line_that_cannot_run_again_is_named() -> None:
    source = "exec('def once(x, left=[2.0]): return x * left.pop()')\n"
    source += "W = torch.randn(3)\ny = once(W)\nloss = y.sum()\n"
    with pytest.raises(RequestError, match=r"line 6: 'y = once\(W\)' cannot be run a second time"):
        derived(HEAD + source)


def test_a_tensor_without_a_name_in_the_file_is_said() -> None:
    text = whole_file(derived(HEAD + ONCE.format(call="next(masks)")))
    assert "the file keeps this tensor under no name; give it one." in text
