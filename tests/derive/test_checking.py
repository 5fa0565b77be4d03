"""A file with a forward pass of its own: right passes pass; a mistake is blamed once and named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from makemore_bp.errors import RequestError
from makemore_bp.learning.derive.named_truth import NamedTruth
from makemore_bp.learning.derive.own_network import is_own_network, own_network_check
from makemore_bp.learning.derive.reading import forward_of
from makemore_bp.learning.derive.recorder import record
from tests.derive.derive_helpers import blamed, judged, statuses

MLP = """\
import torch
import torch.nn.functional as F
torch.manual_seed(1)
n = 6
X, y = torch.randn(n, 4), torch.randint(0, 3, (n,))
W1, b1 = torch.randn(4, 5), torch.randn(5)
W2, b2 = torch.randn(5, 3), torch.randn(3)
z = X @ W1 + b1
h = torch.tanh(z)
logits = h @ W2 + b2
loss = F.cross_entropy(logits, y)
dlogits = F.softmax(logits, 1)
dlogits[range(n), y] -= 1
dlogits = dlogits / n
dh = dlogits @ W2.T
dW2 = h.T @ dlogits
db2 = dlogits.sum(0)
dz = (1 - h**2) * dh
dW1 = X.T @ dz
db1 = dz.sum(0)
"""
RNN = """\
import torch
torch.manual_seed(1)
T = 3
xs, W, U = torch.randn(T, 2, 4), torch.randn(4, 5), torch.randn(5, 5) * 0.3
h = torch.zeros(2, 5)
hs = [h]
for t in range(T):
    h = torch.tanh(xs[t] @ W + h @ U)
    hs.append(h)
loss = (h**2).sum()
dW, dU = torch.zeros_like(W), torch.zeros_like(U)
dh = 2 * h
for t in reversed(range(T)):
    draw = (1 - hs[t + 1] ** 2) * dh
    dW += xs[t].T @ draw
    dU += hs[t].T @ draw
    dh = draw @ U.T
"""
LAYERS = """\
import torch
torch.manual_seed(1)
def forward(x, w, b):
    return x @ w + b, (x, w, b)
def backward(dout, cache):
    x, w, b = cache
    dx = dout @ w.T
    dw = x.T @ dout
    db = dout.sum(0)
    return dx, dw, db
p = {"W1": torch.randn(3, 4), "b1": torch.zeros(4), "W2": torch.randn(4, 2), "b2": torch.zeros(2)}
x = torch.randn(5, 3)
a, cache1 = forward(x, p["W1"], p["b1"])
out, cache2 = forward(a, p["W2"], p["b2"])
loss = (out**2).mean()
grads = {}
dout = 2 * out / out.numel()
da, grads["W2"], grads["b2"] = backward(dout, cache2)
dx, grads["W1"], grads["b1"] = backward(da, cache1)
"""


@pytest.mark.parametrize("source", [MLP, RNN, LAYERS])
def test_a_right_pass_passes(source: str) -> None:
    check = judged(source)
    assert check.passed, statuses(check)


MISTAKES = [
    (MLP, "dlogits / n", "dlogits / 2", "dlogits", "factor"),
    (MLP, "dlogits @ W2.T", "dlogits @ (-W2.T)", "dh", "sign"),
    (MLP, "db2 = dlogits.sum(0)", "db2 = dlogits.mean(0)", "db2", "factor"),
    (MLP, "(1 - h**2) * dh", "(1 - h) * dh", "dz", "missing-factor"),
    (MLP, "(1 - h**2) * dh", "dh.clone()", "dz", "missing-factor"),
    (MLP, "dW1 = X.T @ dz", "dW1 = X.T @ dh", "dW1", "wrong-input"),
    (RNN, "hs[t].T @ draw", "hs[t + 1].T @ draw", "dU", "index"),
    (LAYERS, "db = dout.sum(0)", "db = dout.mean(0)", "grads['b2']", "factor"),
]


@pytest.mark.parametrize(("source", "right", "wrong", "name", "kind"), MISTAKES)
def test_one_mistake_is_blamed_alone_and_named(
    source: str, right: str, wrong: str, name: str, kind: str
) -> None:
    assert right in source
    check = judged(source.replace(right, wrong))
    assert blamed(check) == [name]
    (finding,) = (f for f in check.findings if f.status in ("wrong", "shape"))
    assert finding.diagnosis is not None
    assert finding.diagnosis.kind == kind
    line = next(
        k for k, text in enumerate(source.replace(right, wrong).splitlines(), 1) if wrong in text
    )
    assert finding.diagnosis.line == line


def test_a_gradient_that_is_changed_under_another_name_is_aliased() -> None:
    source = MLP.replace("dz = (1 - h**2) * dh", "dz = dh\ndz *= 1 - h**2")
    check = judged(source)
    assert blamed(check) == ["dh"]
    assert check.findings[1].diagnosis is not None
    assert "clone" in check.findings[1].diagnosis.text


def test_a_later_fused_gradient_does_not_make_an_earlier_one_wrong() -> None:
    again = "dlogits = (F.softmax(logits, 1) - F.one_hot(y, 3)) / n\n"
    check = judged(MLP + again)
    assert check.passed
    assert [f.gradient.shown for f in check.findings].count("dlogits") == 2


def test_which_gradient_belongs_to_which_tensor_can_be_said() -> None:
    source = MLP.replace("dz", "delta_hidden")
    assert "delta_hidden" not in statuses(judged(source))
    assert statuses(judged(source, said={"delta_hidden": "z"}))["delta_hidden"] == "close"


@pytest.mark.parametrize(
    "line", ["torch.allclose(delta_hidden, z.grad)", 'cmp("z", delta_hidden, z)']
)
def test_a_comparison_says_which_gradient_belongs_to_which_tensor(line: str) -> None:
    source = MLP.replace("dz", "delta_hidden") + f"def compared(): {line}\n"
    assert statuses(judged(source))["delta_hidden"] == "close"


def test_a_diagnosis_has_its_line_as_a_number_and_the_repair() -> None:
    check = judged(MLP.replace("(1 - h**2) * dh", "(1 + h**2) * dh"))
    (told,) = (f.as_json()["diagnosis"] for f in check.findings if f.status == "wrong")
    line = MLP[: MLP.index("dz =")].count("\n") + 1
    assert told["line"] == line
    assert told["repair"] == {
        "line": line,
        "column": 7,
        "old": "1 + h**2",
        "new": "1 - h ** 2",
        "statement": "dz = (1 - h ** 2) * dh",
    }


def test_a_file_without_gradients_is_answered_in_a_sentence() -> None:
    with pytest.raises(RequestError, match="No gradient was found"):
        judged(MLP.split("dlogits")[0])


def test_a_file_is_judged_in_a_process_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(MLP + "print('hello')\nraise ValueError('later')\n")
    verdict = own_network_check(path)
    plain = verdict.as_answer()
    assert not verdict.passed
    assert plain["error"]["text"] == "line 22: ValueError: later"
    assert plain["output"] == "hello\n"
    assert all(tensor["status"] in ("exact", "close") for tensor in plain["tensors"])


def test_a_file_with_a_loss_has_a_forward_pass_of_its_own() -> None:
    assert is_own_network(MLP)
    assert not is_own_network("dlogits = probs.clone()\n")


def test_a_truth_by_names_adds_up() -> None:
    forward = forward_of(record(MLP.split("dlogits")[0]), None, Path("mine.py"))
    truth = NamedTruth(forward)
    for name, gradient in truth.gradients.items():
        handed = torch.stack(list(truth.terms(name).values())).sum(0)
        assert torch.allclose(handed, gradient, 1e-4, 1e-6), name
        assert torch.allclose(truth.local(name, {}), gradient, 1e-4, 1e-6), name
        assert truth.noise(name) < 1e-12
    assert truth.forms("z") == ("torch.addcmul(torch.ones_like(h), h, h, value=-1) * dh",)
    assert truth.idea("b2").startswith("The gradient comes back") or "sum" in truth.idea("b2")


def test_names_that_no_script_can_write_are_never_run_as_code(tmp_path: Path) -> None:
    """globals() and setattr take any text, and a key may be of a class with a text of its own."""
    told = f"W1 or __import__('pathlib').Path({str(tmp_path / 'run')!r}).touch()"
    odd = f"""\
import enum
class Key(enum.IntEnum):
    first = 1
class Holder: pass
holder, parts = Holder(), {{Key.first: torch.randn(4, 5)}}
for name in ("a b", {told!r}):
    globals()[name] = torch.randn(4, 5)
    setattr(holder, name, torch.randn(4, 5))
"""
    source = MLP.replace("z = X", odd + "z = X").replace("X.T @ dz", "X.T @ dh")
    assert blamed(judged(source)) == ["dW1"]
    assert list(tmp_path.iterdir()) == []
