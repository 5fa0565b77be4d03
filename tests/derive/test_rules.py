"""Every rule, on the ways in which people write its operation, against autograd."""

from __future__ import annotations

import inspect

import pytest

from makemore_bp.learning.derive.rules import RULES
from tests.derive.derive_helpers import printed_and_checked

GIVEN = """\
import math
import torch
import torch.nn.functional as F
from torch import exp
torch.manual_seed(3)
x = torch.randn(4, 6, requires_grad=True)
p = (torch.rand(4, 6) + 0.5).requires_grad_()
b = torch.randn(6, requires_grad=True)
c = torch.randn(4, 1, requires_grad=True)
k = torch.randn(1, requires_grad=True)
W = torch.randn(6, 5, requires_grad=True)
u = torch.randn(6, requires_grad=True)
t = torch.randn(2, 3, 4, requires_grad=True)
r = torch.randn(2, 4, 5, requires_grad=True)
i = torch.tensor([0, 2, 2, 5])
y = torch.tensor([1, 0, 5, 2])
m = torch.rand(4, 6) > 0.5
weights = torch.linspace(0.5, 1.5, 100)
"""

EXPRESSIONS = """
x + b | x + c | b + x + 1 | x - c | 3 - x | c - b | x * b | c * x | k * x | 2 * x * b | -x
x / p | c / p | 1 / p | b / c | x / 3 | torch.div(x, p) | x.sub(b) | torch.add(x, c)
x**2 | p**-0.5 | p**3 | 2**x | p**b.abs() | p.pow(1.5) | torch.square(x) | (p + 1) ** -1
exp(x) | x.exp() | p.log() | torch.log1p(p) | p.sqrt() | p.rsqrt() | p.reciprocal()
torch.tanh(x) | torch.tanh(x @ W) | x.sigmoid() | torch.sigmoid(x + b) * x | F.relu(x) | x.relu()
torch.clamp(x, min=0) | x.clip(-0.5, 0.5) | x.clamp_min(0.1) | F.leaky_relu(x, 0.1) | F.elu(x)
F.gelu(x) | F.gelu(x, approximate="tanh") | F.silu(x) | F.softplus(x) | F.logsigmoid(x)
torch.sin(x) | x.cos() | torch.erf(x) | x.abs() | abs(x)
torch.maximum(x, b) | torch.minimum(x, p) | torch.where(m, x, p) | x.masked_fill(m, 0.0)
torch.where(x > 0, x, 0.1 * x) | x.clone() | x.detach() * p
x.sum() | x.sum(0) | x.sum(1, keepdim=True) | torch.sum(x, dim=1) | t.sum((0, 2)) | x.sum(axis=-1)
x.mean() | x.mean(0, keepdims=True) | t.mean(-1) | torch.mean(x * p, 1) | x.var() | x.var(0)
x.var(1, keepdim=True, unbiased=False) | x.var(1, correction=0) | x.std(0) | x.std(1, keepdim=True)
x.max() | x.max(1).values | x.max(1, keepdim=True)[0] | x.min(0).values | x.amax(1) | x.amin(0)
x.logsumexp(1, keepdim=True) | x.norm() | x.norm(dim=1) | x.cumsum(1) | sum([x, p, x])
x @ W | x.matmul(W) | torch.mm(x, W) | x @ u | u @ W | x @ x.T | x.T @ x | t @ r | t @ W[:4]
torch.bmm(t, r) | t.transpose(1, 2) @ t | t @ t.transpose(-2, -1) | u.dot(b) | u @ b
torch.outer(u, b)
torch.mv(x, u) | F.linear(x, W.T) | F.linear(x, W.T, u[:5]) | F.linear(t, W[:4].T)
torch.einsum("ij,jk->ik", x, W) | torch.einsum("bij,bjk->bik", t, r) | torch.einsum("ij,j->i", x, u)
x.view(2, 12) | x.reshape(-1) | x.flatten() | t.flatten(1) | x.T | x.t() | t.mT | x[None] + 0
x.unsqueeze(1) | c.squeeze(1) | t.transpose(0, 2) | t.permute(2, 0, 1) | torch.permute(t, (1, 2, 0))
c.expand(4, 6) | b.expand_as(x) | b.repeat(4, 2) | torch.cat([x, p], 1) | torch.cat((x, b[None]))
torch.stack([x, p]) | torch.stack([b, u], dim=1) | x.chunk(2, 1)[1] | x.split(4, 1)[0] | x.flip(0)
x.unbind(0)[2] | x.roll(1, 0) | x.tril() | torch.triu(x, 1) | F.pad(x, (1, 2)) | x.unfold(1, 3, 1)
x.unfold(1, 2, 2) | x[0] | x[:, 1:3] | x[..., ::2] | x[m] | x[range(4), y] | x[i[:3]]
x[i[:2], y[:2]] | x[torch.arange(4), y]
x.gather(1, y[:, None]) | x.index_select(1, i) | F.embedding(y[:2], x)
torch.softmax(x, 1) | F.softmax(x, dim=-1) | x.log_softmax(0) | F.log_softmax(x, dim=1)
F.cross_entropy(x, y) | F.cross_entropy(x, y, reduction="sum") | F.cross_entropy(x, p.detach())
F.cross_entropy(x, y, label_smoothing=0.1) | F.nll_loss(x, y) | F.mse_loss(x, p)
F.binary_cross_entropy_with_logits(x, m.float()) | F.binary_cross_entropy(x.sigmoid(), m.float())
F.layer_norm(x, (6,)) | F.layer_norm(x, (6,), b, u) | F.dropout(x, 0.4)
F.gelu(x @ W + u[:5]).sum(1) | ((x - x.mean(1, keepdim=True)) ** 2).mean(1) | x * torch.ones_like(x)
"""


def expressions() -> list[str]:
    """The expressions above, one by one."""
    return [
        each.strip() for line in EXPRESSIONS.split("\n") for each in line.split("|") if each.strip()
    ]


@pytest.mark.parametrize("expression", expressions())
def test_the_derived_gradient_is_autograds(expression: str) -> None:
    source = f"{GIVEN}z = {expression}\nloss = (z * weights[: z.numel()].reshape(z.shape)).sum()\n"
    derivation, check = printed_and_checked(source)
    assert derivation.notes == []
    assert check.passed, [f.as_json() for f in check.findings]


def test_an_operation_without_a_rule_is_left_to_autograd_and_said() -> None:
    source = f"{GIVEN}z = torch.special.entr(p) * b\nloss = z.sum()\n"
    derivation, check = printed_and_checked(source)
    assert check.passed
    assert len(derivation.notes) == 1
    assert "line 19" in derivation.notes[0]
    assert "left to autograd" in derivation.notes[0]


def test_every_rule_has_an_idea_and_a_derivation() -> None:
    for name, known in RULES.items():
        paragraphs = (inspect.getdoc(known.rule) or "").split("\n\n")
        assert len(paragraphs) >= 2, name
        assert known.idea.endswith("."), name
