# ruff: noqa: E501
"""Exercises 2 (dlogits in a few lines), 3 (dhprebn in one line) and 4 (the backward function)."""

from __future__ import annotations

from collections.abc import Iterator

from .case import Base, Case, Edit, edit, on, right

# ------------------------------------------------------------------------------- exercise 2

SOFTMAX = Base(
    "ce-lecture",
    2,
    """\
dlogits = F.softmax(logits, 1)
dlogits[range(n), Yb] -= 1
dlogits /= n
""",
)
ONE_HOT = Base(
    "ce-one-hot",
    2,
    """\
# p - y, averaged over the batch
dlogits = (probs - F.one_hot(Yb, num_classes=vocab_size)) / n
""",
)
SCRATCH = Base(
    "ce-scratch",
    2,
    """\
e = torch.exp(logits - logits.max(1, keepdim=True).values)
p = e / e.sum(1, keepdim=True)
y = torch.zeros_like(p)
y.scatter_(1, Yb.unsqueeze(1), 1.0)
dlogits = (p - y) * (1.0 / n)
""",
)
LOOP = Base(
    "ce-loop",
    2,
    """\
dlogits = torch.zeros_like(logits)
for i in range(n):
    row = torch.softmax(logits[i], dim=0)
    for v in range(vocab_size):
        target = 1.0 if v == Yb[i].item() else 0.0
        dlogits[i, v] = (row[v] - target) / n
""",
)
PROBS = Base(
    "ce-probs",
    2,
    """\
dlogits = probs.clone()
dlogits[torch.arange(n), Yb] -= 1.0
dlogits *= n ** -1
""",
)
LOGSOFTMAX = Base(
    "ce-logsoftmax",
    2,
    """\
log_p = F.log_softmax(logits, dim=1)
# minus one at the right answer, then the mean
dlogits = log_p.exp().index_put_((torch.arange(n), Yb), torch.tensor(-1.0).to(log_p), accumulate=True).div(n)
""",
)
CE_FUNCTION = Base(
    "ce-function",
    2,
    """\
def cross_entropy_backward(scores, targets):
    batch = scores.shape[0]
    grad = torch.softmax(scores, dim=1)
    grad[torch.arange(batch), targets] -= 1
    return grad / batch

dlogits = cross_entropy_backward(logits, Yb)
cmp('logits', dlogits, logits)
""",
)
SCATTER = Base(
    "ce-scatter",
    2,
    """\
dlogits = probs / n
dlogits.scatter_add_(1, Yb[:, None], torch.full_like(logits[:, :1], -1 / n))
""",
)

EDITS2: tuple[tuple[Base, tuple[Edit, ...]], ...] = (
    (
        SOFTMAX,
        (
            edit(
                "dlogits",
                "F.softmax(logits, 1)",
                "F.softmax(logits, 0)",
                "reduction index operation",
                "The softmax runs down the columns; each row is one example.",
            ),
            edit(
                "dlogits", "-= 1", "+= 1", "sign", "1 must be taken off at the target, not added."
            ),
            edit(
                "dlogits",
                "dlogits /= n",
                "dlogits /= vocab_size",
                "factor wrong-input",
                "The mean is over the n examples, not over the vocabulary.",
            ),
            edit(
                "dlogits",
                "dlogits /= n\n",
                "",
                "missing-factor factor",
                "The mean's 1/n is missing.",
                "dlogits = F.softmax(logits, 1)",
                "dlogits[range(n), Yb] -= 1",
            ),
            edit(
                "dlogits",
                "dlogits[range(n), Yb] -= 1",
                "dlogits[:, Yb] -= 1",
                "index",
                "The colon takes 1 off in whole columns; only (i, Yb[i]) is meant.",
            ),
            edit(
                "dlogits",
                "dlogits[range(n), Yb] -= 1",
                "dlogits[range(n), Yb] = -1",
                "overwritten missing-term operation",
                "The probability at the target is thrown away: -= 1 belongs here.",
            ),
            edit(
                "dlogits",
                "F.softmax(logits, 1)",
                "F.log_softmax(logits, 1)",
                "operation wrong-input",
                "The logarithm of the softmax is used where the softmax belongs.",
            ),
            edit(
                "dlogits",
                "dlogits[range(n), Yb] -= 1\ndlogits /= n\n",
                "dlogits /= n\ndlogits[range(n), Yb] -= 1\n",
                "missing-factor operation factor parentheses",
                "The 1 is taken off after the division; it must be divided too.",
                "dlogits[range(n), Yb] -= 1",
                "dlogits /= n",
            ),
        ),
    ),
    (
        ONE_HOT,
        (
            edit(
                "dlogits",
                "(probs - F.one_hot(Yb, num_classes=vocab_size)) / n",
                "probs - F.one_hot(Yb, num_classes=vocab_size) / n",
                "parentheses",
                "Without the parentheses only the one-hot is divided by n.",
            ),
            edit(
                "dlogits",
                "(probs - F.one_hot(Yb, num_classes=vocab_size)) / n",
                "(F.one_hot(Yb, num_classes=vocab_size) - probs) / n",
                "sign exchanged",
                "The two are exchanged: it is p minus y.",
            ),
            edit(
                "dlogits",
                "(probs - F",
                "(counts - F",
                "wrong-input",
                "counts are not divided by their sum yet; probs belongs here.",
            ),
            edit(
                "dlogits",
                "(probs - F",
                "(logprobs - F",
                "wrong-input operation",
                "logprobs is used where probs belongs.",
            ),
            edit(
                "dlogits",
                "one_hot(Yb, num",
                "one_hot(Xb[:, 0], num",
                "index wrong-input",
                "A letter of the context is used as target.",
            ),
        ),
    ),
    (
        SCRATCH,
        (
            edit(
                "dlogits",
                "p = e / e.sum(1, keepdim=True)",
                "p = e / e.sum(0, keepdim=True)",
                "reduction index",
                "Divided by the sums of the columns; each row is one example.",
                None,
                "dlogits = (p - y) * (1.0 / n)",
            ),
            edit(
                "dlogits",
                "p = e / e.sum(1, keepdim=True)",
                "p = e / e.sum()",
                "reduction",
                "Divided by the sum of everything; each row has a sum of its own.",
                None,
                "dlogits = (p - y) * (1.0 / n)",
            ),
            edit(
                "dlogits",
                "Yb.unsqueeze(1), 1.0)",
                "Yb.unsqueeze(1), -1.0)",
                "sign",
                "The -1 is taken off once more below: the target gets plus 1.",
                None,
                "dlogits = (p - y) * (1.0 / n)",
            ),
            edit(
                "dlogits",
                "(p - y) * (1.0 / n)",
                "(p - y) * (1.0 / n - 1)",
                "parentheses factor",
                "1.0/n - 1 is nearly -1; the mean is over n: 1.0/n.",
            ),
        ),
    ),
    (
        LOOP,
        (
            edit(
                "dlogits",
                "(row[v] - target) / n",
                "(row[v] - target) / (n - 1)",
                "factor",
                "The mean is over n, not n-1.",
            ),
            edit(
                "dlogits",
                "if v == Yb[i].item()",
                "if v == Yb[0].item()",
                "index",
                "The first target is used in every row.",
                None,
                "dlogits[i, v] = (row[v] - target) / n",
            ),
            edit(
                "dlogits",
                "torch.softmax(logits[i], dim=0)",
                "torch.softmax(logits[0], dim=0)",
                "index",
                "The first row's probabilities are used in every row.",
                None,
                "dlogits[i, v] = (row[v] - target) / n",
            ),
            edit(
                "dlogits",
                "for i in range(n):",
                "for i in range(n - 1):",
                "index missing-term",
                "The last row is never reached.",
            ),
            edit(
                "dlogits",
                "(row[v] - target) / n",
                "row[v] - target / n",
                "parentheses",
                "Without the parentheses only the target is divided by n.",
            ),
        ),
    ),
    (
        PROBS,
        (
            edit(
                "dlogits",
                "dlogits *= n ** -1",
                "dlogits *= n",
                "operation factor",
                "Multiplied by n where it must be divided.",
            ),
            edit(
                "dlogits",
                "dlogits = probs.clone()",
                "dlogits = norm_logits.clone()",
                "wrong-input operation",
                "norm_logits is used where the probabilities belong.",
            ),
            edit(
                "dlogits",
                "dlogits[torch.arange(n), Yb] -= 1.0",
                "dlogits[torch.arange(n), Yb - 1] -= 1.0",
                "index",
                "The targets are shifted by one.",
            ),
        ),
    ),
    (
        LOGSOFTMAX,
        (
            edit(
                "dlogits",
                "torch.tensor(-1.0)",
                "torch.tensor(1.0)",
                "sign",
                "1 must be taken off at the target, not added.",
            ),
            edit(
                "dlogits",
                ", accumulate=True)",
                ")",
                "overwritten missing-term operation",
                "Without accumulate the probability at the target is replaced by -1.",
            ),
            edit(
                "dlogits",
                "log_p.exp()",
                "log_p",
                "operation wrong-input missing-factor",
                "The exp of the log-probabilities is missing.",
            ),
        ),
    ),
    (
        CE_FUNCTION,
        (
            edit(
                "dlogits",
                "return grad / batch",
                "return grad",
                "missing-factor factor",
                "The mean's 1/n is missing.",
            ),
            edit(
                "dlogits",
                "return grad / batch",
                "return -grad / batch",
                "sign",
                "It is p minus y, without a minus before it.",
            ),
            edit(
                "dlogits",
                "grad[torch.arange(batch), targets] -= 1",
                "grad[targets, targets] -= 1",
                "index",
                "The rows must be counted through; the target is used as row.",
            ),
            edit(
                "dlogits",
                "grad = torch.softmax(scores, dim=1)",
                "grad = torch.sigmoid(scores)",
                "operation",
                "A sigmoid is taken where the softmax belongs.",
            ),
        ),
    ),
    (
        SCATTER,
        (
            edit(
                "dlogits",
                "torch.full_like(logits[:, :1], -1 / n)",
                "torch.full_like(logits[:, :1], -1)",
                "missing-factor factor",
                "The -1 must be divided by n too.",
            ),
            edit(
                "dlogits",
                "dlogits = probs / n",
                "dlogits = probs",
                "missing-factor factor aliased",
                "The probabilities must be divided by n too.",
            ),
        ),
    ),
)

# ------------------------------------------------------------------------------- exercise 3

HEAD = """\
dlogits = F.softmax(logits, 1)
dlogits[range(n), Yb] -= 1
dlogits /= n
dh = dlogits @ W2.T
dhpreact = (1.0 - h**2) * dh
"""
BN_LECTURE = Base(
    "bn-lecture",
    3,
    HEAD
    + """\
# exercise 3: through the batch norm in one go
dhprebn = bngain*bnvar_inv/n * (n*dhpreact - dhpreact.sum(0) - n/(n-1)*bnraw*(dhpreact*bnraw).sum(0))
""",
)
BN_MEAN = Base(
    "bn-mean",
    3,
    """\
dlogits = (probs - F.one_hot(Yb, vocab_size)) / n
dhpreact = (dlogits @ W2.T) * (1 - h * h)
dhprebn = bngain * bnvar_inv * (dhpreact - dhpreact.mean(0, keepdim=True) - bnraw * (dhpreact * bnraw).sum(0, keepdim=True) / (n - 1))
""",
)
BN_XHAT = Base(
    "bn-xhat",
    3,
    HEAD
    + """\
mu = hprebn.mean(0, keepdim=True)
var = hprebn.var(0, keepdim=True, unbiased=True)
std = torch.sqrt(var + 1e-5)
xhat = (hprebn - mu) / std
dxhat = dhpreact * bngain
dhprebn = (dxhat - dxhat.mean(0) - xhat * (dxhat * xhat).sum(0) / (n - 1)) / std
""",
)
BN_PAPER = Base(
    "bn-paper",
    3,
    HEAD
    + """\
# as in the batch norm paper, but with n - 1 under the variance
g_hat = bngain * dhpreact
g_var = torch.sum(g_hat * bndiff * -0.5 * bnvar_inv**3, dim=0, keepdim=True)
g_mean = torch.sum(-g_hat * bnvar_inv, dim=0, keepdim=True)
dhprebn = g_hat * bnvar_inv + g_var * 2 * bndiff / (n - 1) + g_mean / n
""",
)
BN_REUSE = Base(
    "bn-reuse",
    3,
    HEAD
    + """\
dbngain = (dhpreact * bnraw).sum(0, keepdim=True)
dbnbias = dhpreact.sum(0, keepdim=True)
dhprebn = bngain * bnvar_inv * (dhpreact - dbnbias / n - bnraw * dbngain / (n - 1))
""",
)
BN_FUNCTION = Base(
    "bn-function",
    3,
    HEAD
    + """\
def batchnorm_backward(dout, x_hat, inv_std, gamma):
    N = dout.shape[0]
    s0 = dout.sum(dim=0, keepdim=True)
    s1 = (dout * x_hat).sum(dim=0, keepdim=True)
    return gamma * inv_std / N * (N * dout - s0 - N / (N - 1) * x_hat * s1)

dhprebn = batchnorm_backward(dhpreact, bnraw, bnvar_inv, bngain)
cmp('hprebn', dhprebn, hprebn)
""",
)

EDITS3: tuple[tuple[Base, tuple[Edit, ...]], ...] = (
    (
        BN_LECTURE,
        (
            edit(
                "dhprebn",
                "- dhpreact.sum(0) -",
                "+ dhpreact.sum(0) -",
                "sign",
                "The sum of dhpreact must be taken off.",
            ),
            edit(
                "dhprebn",
                "n/(n-1)*bnraw",
                "bnraw",
                "factor missing-factor",
                "Bessel's n/(n-1) is missing.",
            ),
            edit(
                "dhprebn",
                "n/(n-1)*bnraw",
                "n/n-1*bnraw",
                "parentheses factor",
                "n-1 needs parentheses: n/n - 1*bnraw is something else.",
            ),
            edit(
                "dhprebn",
                "(dhpreact*bnraw).sum(0))",
                "dhpreact*bnraw)",
                "reduction",
                "The sum over the batch is missing in the last term.",
            ),
            edit(
                "dhprebn",
                "(n*dhpreact - dhpreact.sum(0)",
                "(dhpreact - dhpreact.sum(0)",
                "missing-factor factor",
                "The n before dhpreact is missing.",
            ),
            edit(
                "dhprebn",
                "bngain*bnvar_inv/n *",
                "bngain*bnvar/n *",
                "wrong-input",
                "bnvar is used where bnvar_inv belongs.",
            ),
            edit(
                "dhprebn",
                "bngain*bnvar_inv/n *",
                "bnvar_inv/n *",
                "missing-factor",
                "The factor bngain is missing.",
            ),
            edit(
                "dhprebn",
                "bngain*bnvar_inv/n *",
                "bngain*bnvar_inv *",
                "missing-factor factor",
                "The 1/n before the parentheses is missing.",
            ),
            edit(
                "dhprebn",
                "(n*dhpreact - dhpreact.sum(0) - n/",
                "(n*hpreact - hpreact.sum(0) - n/",
                "wrong-input",
                "The forward hpreact is used where its gradient belongs.",
            ),
            edit(
                "dhprebn",
                "bngain*bnvar_inv/n *",
                "bngain*torch.sqrt(bnvar)**-1/n *",
                "eps",
                "The 1e-5 of the forward pass is left out.",
            ),
            edit(
                "dhpreact",
                "(1.0 - h**2) * dh",
                "(1.0 - hpreact**2) * dh",
                "wrong-input",
                "tanh's slope is 1 - h**2 in its output h.",
            ),
            edit(
                "dhprebn",
                "bnraw*(dhpreact*bnraw).sum(0))",
                "bndiff*(dhpreact*bndiff).sum(0))",
                "wrong-input missing-factor factor",
                "bndiff is used where the standardised bnraw belongs, twice.",
            ),
        ),
    ),
    (
        BN_MEAN,
        (
            edit(
                "dhprebn",
                "dhpreact.mean(0, keepdim=True)",
                "dhpreact.sum(0, keepdim=True)",
                "reduction factor missing-factor operation",
                "The sum is taken off where the mean belongs.",
            ),
            edit(
                "dhprebn",
                " - bnraw * (dhpreact * bnraw).sum(0, keepdim=True) / (n - 1)",
                "",
                "missing-term",
                "The term through the variance is left out.",
                "dhprebn = bngain * bnvar_inv * (dhpreact - dhpreact.mean(0, keepdim=True))",
            ),
            edit(
                "dhprebn",
                "/ (n - 1))",
                "/ n)",
                "factor",
                "Divided by n; with Bessel's correction it is n-1.",
            ),
            edit(
                "dhprebn",
                " - dhpreact.mean(0, keepdim=True)",
                "",
                "missing-term",
                "The term through the mean is left out.",
                "dhprebn = bngain * bnvar_inv * (dhpreact - bnraw * (dhpreact * bnraw).sum(0, keepdim=True) / (n - 1))",
            ),
            edit(
                "dhprebn",
                "(dhpreact * bnraw).sum(0, keepdim=True)",
                "(dhpreact * bnraw).sum(1, keepdim=True)",
                "reduction",
                "Summed over the hidden units; the sum over the batch belongs here.",
            ),
            edit(
                "dlogits",
                "(probs - F.one_hot(Yb, vocab_size)) / n",
                "probs - F.one_hot(Yb, vocab_size)",
                "missing-factor factor parentheses",
                "The mean's 1/n is missing.",
            ),
        ),
    ),
    (
        BN_XHAT,
        (
            edit(
                "dhprebn",
                "torch.sqrt(var + 1e-5)",
                "torch.sqrt(var)",
                "eps",
                "The 1e-5 of the forward pass is left out.",
                None,
                "dhprebn = (dxhat - dxhat.mean(0) - xhat * (dxhat * xhat).sum(0) / (n - 1)) / std",
            ),
            edit(
                "dhprebn",
                "unbiased=True)",
                "unbiased=False)",
                "factor wrong-input",
                "The forward pass has the unbiased variance.",
                None,
                "dhprebn = (dxhat - dxhat.mean(0) - xhat * (dxhat * xhat).sum(0) / (n - 1)) / std",
            ),
            edit(
                "dhprebn",
                "dxhat = dhpreact * bngain",
                "dxhat = dhpreact + bngain",
                "operation",
                "Plus stands where times belongs.",
                None,
                "dhprebn = (dxhat - dxhat.mean(0) - xhat * (dxhat * xhat).sum(0) / (n - 1)) / std",
            ),
            edit(
                "dhprebn",
                "- dxhat.mean(0) -",
                "- dxhat.mean() -",
                "reduction",
                "The mean of everything is taken off; each hidden unit has its own.",
            ),
            edit(
                "dhprebn",
                "/ (n - 1)) / std",
                "/ (n - 1)) * std",
                "operation factor",
                "Multiplied by the standard deviation where it must be divided.",
            ),
            edit(
                "dhprebn",
                "/ (n - 1)) / std",
                "/ (n - 1) / std)",
                "parentheses",
                "The parenthesis closes too late: only the last term is divided by std.",
            ),
        ),
    ),
    (
        BN_PAPER,
        (
            edit(
                "dhprebn",
                "* -0.5 * bnvar_inv**3",
                "* 0.5 * bnvar_inv**3",
                "sign",
                "The slope of x**-0.5 is negative.",
                None,
                "dhprebn = g_hat * bnvar_inv + g_var * 2 * bndiff / (n - 1) + g_mean / n",
            ),
            edit(
                "dhprebn",
                "bndiff / (n - 1) + g_mean / n",
                "bndiff / n + g_mean / n",
                "factor",
                "The variance is divided by n-1, not n.",
            ),
            edit(
                "dhprebn",
                " + g_mean / n",
                "",
                "missing-term",
                "The term through the mean is left out.",
                "dhprebn = g_hat * bnvar_inv + g_var * 2 * bndiff / (n - 1)",
            ),
            edit(
                "dhprebn",
                "bnvar_inv**3",
                "bnvar_inv**2",
                "operation factor missing-factor",
                "The third power of bnvar_inv belongs here.",
                None,
                "dhprebn = g_hat * bnvar_inv + g_var * 2 * bndiff / (n - 1) + g_mean / n",
            ),
            edit(
                "dhprebn",
                "g_var * 2 * bndiff",
                "g_var * bndiff",
                "missing-factor factor",
                "The 2 of the square's slope is missing.",
            ),
            edit(
                "dhprebn",
                "dhprebn = g_hat * bnvar_inv",
                "dhprebn = g_hat * bnvar_inv + g_hat * bnvar_inv",
                "extra-term factor",
                "The direct term is counted twice.",
            ),
        ),
    ),
    (
        BN_REUSE,
        (
            edit(
                "dhprebn",
                "- dbnbias / n",
                "- bnbias / n",
                "wrong-input",
                "The forward bnbias is used where its gradient belongs.",
            ),
            edit(
                "dhprebn",
                "bnraw * dbngain / (n - 1)",
                "dbngain / (n - 1)",
                "missing-factor",
                "The factor bnraw is missing in the last term.",
            ),
            edit(
                "dhprebn",
                "- bnraw * dbngain",
                "+ bnraw * dbngain",
                "sign",
                "The term through the variance must be taken off.",
            ),
            edit(
                "dhprebn",
                "dbnbias / n - bnraw * dbngain / (n - 1)",
                "dbngain / n - bnraw * dbnbias / (n - 1)",
                "exchanged wrong-input",
                "dbngain and dbnbias are exchanged.",
            ),
            edit(
                "dbngain",
                "(dhpreact * bnraw).sum(0, keepdim=True)",
                "(dhpreact * bnraw).mean(0, keepdim=True)",
                "reduction factor operation",
                "The mean is taken where the sum belongs; dhprebn, which reads it, inherits.",
            ),
        ),
    ),
    (
        BN_FUNCTION,
        (
            edit(
                "dhprebn",
                "(N * dout - s0 - N /",
                "(N * dout - N * s0 - N /",
                "factor",
                "The sum s0 is multiplied by N without reason.",
            ),
            edit(
                "dhprebn",
                "N / (N - 1) * x_hat * s1",
                "N / (N + 1) * x_hat * s1",
                "factor sign",
                "Bessel's correction is N/(N-1), not N/(N+1).",
            ),
            edit(
                "dhprebn",
                "s1 = (dout * x_hat).sum(dim=0, keepdim=True)",
                "s1 = dout.sum(dim=0, keepdim=True)",
                "missing-factor",
                "The factor x_hat is missing under the sum.",
                None,
                "return gamma * inv_std / N * (N * dout - s0 - N / (N - 1) * x_hat * s1)",
            ),
            edit(
                "dhprebn",
                "batchnorm_backward(dhpreact, bnraw, bnvar_inv, bngain)",
                "batchnorm_backward(dhpreact, bnvar_inv, bnraw, bngain)",
                "exchanged wrong-input",
                "The arguments bnraw and bnvar_inv are exchanged.",
            ),
            edit(
                "dhprebn",
                "batchnorm_backward(dhpreact, bnraw, bnvar_inv, bngain)",
                "batchnorm_backward(dh, bnraw, bnvar_inv, bngain)",
                "wrong-input missing-factor",
                "dh is handed over where dhpreact belongs.",
            ),
        ),
    ),
)

# ------------------------------------------------------------------------------- exercise 4

SIGNATURE = "def backward(n, Xb, Yb, C, W1, W2, bngain, emb, embcat, bnraw, bnvar_inv, hpreact, h, logits):\n"
BACK_LECTURE = Base(
    "backward-lecture",
    4,
    SIGNATURE
    + """\
    dlogits = F.softmax(logits, 1)
    dlogits[range(n), Yb] -= 1
    dlogits /= n
    # 2nd layer backprop
    dh = dlogits @ W2.T
    dW2 = h.T @ dlogits
    db2 = dlogits.sum(0)
    # tanh
    dhpreact = (1.0 - h**2) * dh
    # batchnorm backprop
    dbngain = (bnraw * dhpreact).sum(0, keepdim=True)
    dbnbias = dhpreact.sum(0, keepdim=True)
    dhprebn = bngain*bnvar_inv/n * (n*dhpreact - dhpreact.sum(0) - n/(n-1)*bnraw*(dhpreact*bnraw).sum(0))
    # 1st layer
    dembcat = dhprebn @ W1.T
    dW1 = embcat.T @ dhprebn
    db1 = dhprebn.sum(0)
    # embedding
    demb = dembcat.view(emb.shape)
    dC = torch.zeros_like(C)
    for k in range(Xb.shape[0]):
        for j in range(Xb.shape[1]):
            ix = Xb[k,j]
            dC[ix] += demb[k,j]
    return dC, dW1, db1, dW2, db2, dbngain, dbnbias
""",
)
BACK_SHORT = Base(
    "backward-short",
    4,
    SIGNATURE
    + """\
    y = F.one_hot(Yb, logits.shape[1])
    dlogits = (torch.softmax(logits, dim=1) - y) / n
    dhpreact = (dlogits @ W2.T) * (1 - h*h)
    dbnraw = dhpreact * bngain
    dhprebn = bnvar_inv * (dbnraw - dbnraw.mean(0) - bnraw * (dbnraw * bnraw).sum(0) / (n - 1))
    demb = (dhprebn @ W1.T).reshape(Xb.shape[0], Xb.shape[1], -1)
    dC = torch.zeros_like(C).index_add_(0, Xb.reshape(-1), demb.reshape(-1, C.shape[1]))
    return (dC,
            embcat.T @ dhprebn, dhprebn.sum(0),
            h.T @ dlogits, dlogits.sum(0),
            (dhpreact * bnraw).sum(0, keepdim=True), dhpreact.sum(0, keepdim=True))
""",
)
BACK_HELPERS = Base(
    "backward-helpers",
    4,
    """\
def softmax_minus_target(scores, target):
    p = scores.softmax(1)
    p[torch.arange(len(target)), target] -= 1.0
    return p / len(target)

def linear_grads(dout, x, w):
    return dout @ w.T, x.T @ dout, dout.sum(0)

def norm_grads(dout, xhat, inv, gain):
    m = len(dout)
    dgain = (dout * xhat).sum(0, keepdim=True)
    dbias = dout.sum(0, keepdim=True)
    dx = gain * inv * (dout - dbias / m - xhat * dgain / (m - 1))
    return dx, dgain, dbias

def scatter_rows(table, index, rows):
    out = torch.zeros_like(table)
    for i, row in zip(index.flatten(), rows.flatten(0, -2)):
        out[i] += row
    return out

"""
    + SIGNATURE
    + """\
    dlogits = softmax_minus_target(logits, Yb)
    dh, dW2, db2 = linear_grads(dlogits, h, W2)
    dhpreact = dh * (1 - torch.tanh(hpreact) ** 2)
    dhprebn, dbngain, dbnbias = norm_grads(dhpreact, bnraw, bnvar_inv, bngain)
    dembcat, dW1, db1 = linear_grads(dhprebn, embcat, W1)
    demb = dembcat.view_as(emb)
    dC = scatter_rows(C, Xb, demb)
    return dC, dW1, db1, dW2, db2, dbngain, dbnbias
""",
)
BACK_ROWS = Base(
    "backward-rows",
    4,
    SIGNATURE
    + """\
    # one example after another; everything is added up
    with torch.no_grad():
        dC, dW1, dW2 = torch.zeros_like(C), torch.zeros_like(W1), torch.zeros_like(W2)
        db1 = torch.zeros(W1.shape[1], dtype=W1.dtype)
        db2 = torch.zeros(W2.shape[1], dtype=W2.dtype)
        dbngain = torch.zeros_like(bngain)
        dbnbias = torch.zeros_like(bngain)
        dhpreact = torch.zeros_like(hpreact)
        for r in range(n):
            p = torch.softmax(logits[r], 0)
            p[Yb[r]] -= 1
            p /= n
            dW2 += torch.outer(h[r], p)
            db2 += p
            dhpreact[r] = (W2 @ p) * (1 - h[r]**2)
            dbngain += dhpreact[r] * bnraw[r]
            dbnbias += dhpreact[r]
        dhprebn = torch.zeros_like(hpreact)
        for r in range(n):
            dhprebn[r] = bngain[0] * bnvar_inv[0] * (dhpreact[r] - dbnbias[0]/n - bnraw[r] * dbngain[0]/(n-1))
            dW1 += torch.outer(embcat[r], dhprebn[r])
            db1 += dhprebn[r]
            demb_r = (W1 @ dhprebn[r]).view(emb.shape[1:])
            for c in range(Xb.shape[1]):
                dC[Xb[r, c]] += demb_r[c]
    return dC, dW1, db1, dW2, db2, dbngain, dbnbias
""",
)
BACK_DICT = Base(
    "backward-dict",
    4,
    SIGNATURE
    + """\
    g = {}
    delta2 = F.softmax(logits, dim=1).clone()
    delta2[range(n), Yb] -= 1
    delta2 = delta2 / n
    g['W2'], g['b2'] = h.t() @ delta2, delta2.sum(dim=0)
    delta1 = delta2 @ W2.t() * (1 - h.pow(2))
    g['bngain'] = torch.einsum('ij,ij->j', delta1, bnraw).unsqueeze(0)
    g['bnbias'] = delta1.sum(dim=0, keepdim=True)
    delta0 = bngain * bnvar_inv * (delta1 - g['bnbias'] / n - bnraw * g['bngain'] / (n - 1))
    g['W1'], g['b1'] = embcat.t() @ delta0, delta0.sum(dim=0)
    delta_e = (delta0 @ W1.t()).view(emb.shape)
    g['C'] = torch.zeros_like(C)
    g['C'].index_put_((Xb,), delta_e, accumulate=True)
    return [g[k] for k in ('C', 'W1', 'b1', 'W2', 'b2', 'bngain', 'bnbias')]
""",
)

LAST = "return dC, dW1, db1, dW2, db2, dbngain, dbnbias\n"
EDITS4: tuple[tuple[Base, tuple[Edit, ...]], ...] = (
    (
        BACK_LECTURE,
        (
            edit(
                "dlogits",
                "dlogits[range(n), Yb] -= 1",
                "dlogits[range(n), Yb] += 1",
                "sign",
                "1 must be taken off at the target.",
            ),
            edit(
                "dlogits",
                "    dlogits /= n\n",
                "",
                "missing-factor factor",
                "The mean's 1/n is missing.",
                "dlogits = F.softmax(logits, 1)",
                "dlogits[range(n), Yb] -= 1",
            ),
            edit(
                "dh",
                "dlogits @ W2.T",
                "logits @ W2.T",
                "wrong-input",
                "The forward logits are used where dlogits belongs.",
            ),
            edit(
                "dW2",
                "h.T @ dlogits",
                "hpreact.T @ dlogits",
                "wrong-input",
                "hpreact is used where h, what the layer read, belongs.",
            ),
            edit(
                "dhpreact",
                "(1.0 - h**2) * dh",
                "(1.0 - h)**2 * dh",
                "parentheses operation",
                "The square is taken of 1 - h, not of h.",
            ),
            edit(
                "dbngain",
                "(bnraw * dhpreact).sum(0",
                "(hpreact * dhpreact).sum(0",
                "wrong-input",
                "hpreact is used where bnraw belongs.",
            ),
            edit(
                "dbnbias",
                "dbnbias = dhpreact.sum(0, keepdim=True)",
                "dbnbias = (bnraw * dhpreact).sum(0, keepdim=True)",
                "factor wrong-input",
                "The factor bnraw belongs to dbngain only: bnbias is only added.",
            ),
            edit(
                "dhprebn",
                "n/(n-1)*bnraw*(dhpreact*bnraw).sum(0))",
                "n/(n-1)*bnraw*(dhpreact*bnraw).sum(1, keepdim=True))",
                "reduction",
                "Summed over the hidden units; the sum over the batch belongs here.",
            ),
            edit(
                "dhprebn",
                "n*dhpreact - dhpreact.sum(0) -",
                "n*dhpreact -",
                "missing-term",
                "The term through the mean is left out.",
            ),
            edit(
                "dembcat",
                "dhprebn @ W1.T",
                "dhpreact @ W1.T",
                "wrong-input",
                "dhpreact is used where dhprebn belongs.",
            ),
            edit(
                "dW1",
                "embcat.T @ dhprebn",
                "embcat.T @ dhpreact",
                "wrong-input",
                "dhpreact is used where dhprebn belongs.",
            ),
            edit(
                "db1",
                "dhprebn.sum(0)",
                "dhpreact.sum(0)",
                "wrong-input",
                "dhpreact is used where dhprebn belongs.",
            ),
            edit(
                "demb",
                "dembcat.view(emb.shape)",
                "dembcat.view(emb.shape[1], emb.shape[0], emb.shape[2]).transpose(0, 1)",
                "transposed index operation shape",
                "The rows are dealt out by position first; the forward view went example by example.",
            ),
            edit(
                "dC",
                "dC[ix] += demb[k,j]",
                "dC[ix] = demb[k,j]",
                "overwritten",
                "= where += belongs: a letter that occurs again loses what it had.",
            ),
            edit(
                "dC",
                "ix = Xb[k,j]",
                "ix = Xb[k,0]",
                "index",
                "The first letter of the context is used for every position.",
                None,
                "dC[ix] += demb[k,j]",
            ),
            edit(
                "dC",
                "ix = Xb[k,j]",
                "ix = Yb[k]",
                "index wrong-input",
                "The target is used where the letter of the context belongs.",
                None,
                "dC[ix] += demb[k,j]",
            ),
        ),
    ),
    (
        BACK_SHORT,
        (
            edit(
                "dlogits",
                "torch.softmax(logits, dim=1) - y) / n",
                "torch.softmax(logits, dim=1) - y) * n",
                "operation factor",
                "Multiplied by n where it must be divided.",
            ),
            edit(
                "dhpreact",
                "* (1 - h*h)",
                "* (1 - hpreact*hpreact)",
                "wrong-input",
                "tanh's slope is 1 - h*h in its output h.",
            ),
            edit(
                "dbnraw",
                "dbnraw = dhpreact * bngain",
                "dbnraw = dhpreact / bngain",
                "operation",
                "Divided by bngain where it must be multiplied.",
            ),
            edit("dhprebn", "/ (n - 1))", "/ n)", "factor", "With Bessel's correction it is n-1."),
            edit(
                "dhprebn",
                "- dbnraw.mean(0) -",
                "- dbnraw.mean(1, keepdim=True) -",
                "reduction",
                "The mean over the hidden units is taken; over the batch is meant.",
            ),
            edit(
                "dC",
                "torch.zeros_like(C).index_add_",
                "torch.ones_like(C).index_add_",
                "start extra-term",
                "The sum must begin at zero.",
            ),
            edit(
                "db2",
                "dlogits.sum(0)",
                "dlogits.mean(0)",
                "reduction factor operation",
                "The mean is taken where the sum belongs.",
                "return (dC,\n            embcat.T @ dhprebn, dhprebn.sum(0),\n            h.T @ dlogits, dlogits.mean(0),\n            (dhpreact * bnraw).sum(0, keepdim=True), dhpreact.sum(0, keepdim=True))",
            ),
            edit(
                "dW1",
                "embcat.T @ dhprebn",
                "embcat.T @ dhprebn / n",
                "factor",
                "Divided by n once more.",
                "return (dC,\n            embcat.T @ dhprebn / n, dhprebn.sum(0),\n            h.T @ dlogits, dlogits.sum(0),\n            (dhpreact * bnraw).sum(0, keepdim=True), dhpreact.sum(0, keepdim=True))",
            ),
        ),
    ),
    (
        BACK_HELPERS,
        (
            edit(
                "dlogits",
                "return p / len(target)",
                "return p / scores.shape[1]",
                "factor wrong-input",
                "Divided by the vocabulary; the mean is over the batch.",
            ),
            edit(
                "dlogits",
                "p = scores.softmax(1)",
                "p = scores.softmax(0)",
                "reduction index operation",
                "The softmax runs down the columns; each row is one example.",
            ),
            edit(
                "dhpreact",
                "torch.tanh(hpreact) ** 2",
                "torch.tanh(hpreact)",
                "operation missing-factor",
                "The square of the tanh is missing.",
            ),
            edit(
                "dbngain",
                "dgain = (dout * xhat).sum(0, keepdim=True)",
                "dgain = (dout * xhat * gain).sum(0, keepdim=True)",
                "factor",
                "There is no factor gain in its own gradient; dhprebn, which reads it, inherits.",
            ),
            edit(
                "dhprebn",
                "xhat * dgain / (m - 1)",
                "xhat * dgain / m - 1",
                "parentheses factor extra-term",
                "m - 1 needs parentheses.",
            ),
            edit(
                "dhprebn",
                "dx = gain * inv * (",
                "dx = inv * (",
                "missing-factor",
                "The factor gain is missing.",
            ),
            edit(
                "dC",
                "out[i] += row",
                "out[i] = out[i] * row",
                "operation overwritten",
                "Multiplied where it must be added.",
            ),
            edit(
                "demb",
                "demb = dembcat.view_as(emb)",
                "demb = emb.view_as(emb)",
                "wrong-input",
                "The forward emb is used where dembcat belongs.",
            ),
            edit(
                "dhpreact",
                "dh * (1 - torch.tanh(hpreact) ** 2)",
                "torch.tanh(dh) * (1 - torch.tanh(hpreact) ** 2)",
                "operation",
                "A tanh is taken of the gradient.",
            ),
        ),
    ),
    (
        BACK_ROWS,
        (
            edit(
                "dW2",
                "dW2 += torch.outer(h[r], p)",
                "dW2 = torch.outer(h[r], p)",
                "overwritten",
                "= where += belongs: only the last example is left.",
            ),
            edit(
                "db2",
                "db2 += p\n",
                "db2 -= p\n",
                "sign",
                "Subtracted where it must be added.",
                "db2 -= p",
            ),
            edit(
                "dhpreact",
                "(1 - h[r]**2)",
                "(1 - h[0]**2)",
                "index",
                "The first row of h is used for every example.",
            ),
            edit(
                "dbngain",
                "dbngain += dhpreact[r] * bnraw[r]",
                "dbngain += dhpreact[r] * bnraw[r] / n",
                "factor",
                "Divided by n without reason; dhprebn, which reads it, inherits.",
            ),
            edit(
                "dhprebn",
                "- bnraw[r] * dbngain[0]/(n-1))",
                "- bnraw[0] * dbngain[0]/(n-1))",
                "index",
                "The first row of bnraw is used for every example.",
            ),
            edit(
                "dW1",
                "dW1 += torch.outer(embcat[r], dhprebn[r])",
                "dW1 += torch.outer(embcat[r], dhpreact[r])",
                "wrong-input",
                "dhpreact is used where dhprebn belongs.",
            ),
            edit(
                "dC",
                "dC[Xb[r, c]] += demb_r[c]",
                "dC[Xb[r, c]] += demb_r[0]",
                "index",
                "The first position's gradient is used for every position.",
            ),
            edit(
                "dC",
                "for c in range(Xb.shape[1]):",
                "for c in range(Xb.shape[1] - 1):",
                "index missing-term",
                "The last position is never reached.",
            ),
        ),
    ),
    (
        BACK_DICT,
        (
            edit(
                "dW2",
                "g['W2'], g['b2'] = h.t() @ delta2, delta2.sum(dim=0)",
                "g['W2'], g['b2'] = hpreact.t() @ delta2, delta2.sum(dim=0)",
                "wrong-input",
                "hpreact is used where h, what the layer read, belongs.",
            ),
            edit(
                "dbngain",
                "'ij,ij->j', delta1, bnraw)",
                "'ij,ij->j', delta1, delta1)",
                "wrong-input",
                "The gradient is squared; bnraw is the other factor. What reads it inherits.",
            ),
            edit(
                "dC",
                ", accumulate=True)",
                ")",
                "overwritten",
                "Without accumulate a letter that occurs again loses what it had.",
            ),
            edit(
                "dW1",
                "g['W1'], g['b1'] = embcat.t() @ delta0, delta0.sum(dim=0)",
                "g['W1'], g['b1'] = embcat.t() @ delta1, delta0.sum(dim=0)",
                "wrong-input",
                "delta1, before the batch norm's backward pass, is used where delta0 belongs.",
            ),
        ),
    ),
)


def exchanged() -> Iterator[Case]:
    """The right numbers in the wrong places of the return."""
    for new, pair in (
        ("return dC, dW1, db1, dW2, db2, dbnbias, dbngain\n", ("dbngain", "dbnbias")),
        ("return dC, dW2, db1, dW1, db2, dbngain, dbnbias\n", ("dW1", "dW2")),
        ("return dC, dW1, db2, dW2, db1, dbngain, dbnbias\n", ("db1", "db2")),
    ):
        a, b = pair
        yield on(
            "exchanged",
            BACK_LECTURE,
            edit(
                a, LAST, new, "exchanged", f"{a} and {b} are exchanged in the return.", new.strip()
            ),
            Edit(
                b,
                LAST,
                LAST,
                ("exchanged",),
                f"{a} and {b} are exchanged in the return.",
                new.strip(),
            ),
        )
    new = "return dC, dW1, db1, dW2, db2, dbnbias, dbngain\n"
    for base in (BACK_HELPERS, BACK_ROWS):
        yield on(
            "exchanged",
            base,
            edit(
                "dbngain",
                LAST,
                new,
                "exchanged",
                "dbngain and dbnbias are exchanged in the return.",
                new.strip(),
            ),
            Edit(
                "dbnbias",
                LAST,
                LAST,
                ("exchanged",),
                "dbngain and dbnbias are exchanged in the return.",
                new.strip(),
            ),
        )
    new = "return [g[k] for k in ('C', 'W1', 'b1', 'W2', 'b2', 'bnbias', 'bngain')]\n"
    old = "return [g[k] for k in ('C', 'W1', 'b1', 'W2', 'b2', 'bngain', 'bnbias')]\n"
    yield on(
        "exchanged",
        BACK_DICT,
        edit(
            "dbngain",
            old,
            new,
            "exchanged",
            "dbngain and dbnbias are exchanged in the return.",
            new.strip(),
        ),
        Edit(
            "dbnbias",
            old,
            old,
            ("exchanged",),
            "dbngain and dbnbias are exchanged in the return.",
            new.strip(),
        ),
    )
    yield on(
        "exchanged",
        BACK_HELPERS,
        edit(
            "dbngain",
            "return dx, dgain, dbias",
            "return dx, dbias, dgain",
            "exchanged",
            "dgain and dbias are exchanged in the helper's return.",
            "return dx, dbias, dgain",
            "dhprebn, dbngain, dbnbias = norm_grads(dhpreact, bnraw, bnvar_inv, bngain)",
        ),
        Edit(
            "dbnbias",
            "return dx, dgain, dbias",
            "return dx, dgain, dbias",
            ("exchanged",),
            "dgain and dbias are exchanged in the helper's return.",
            "return dx, dbias, dgain",
            ("dhprebn, dbngain, dbnbias = norm_grads(dhpreact, bnraw, bnvar_inv, bngain)",),
        ),
        because="The helper computed dx from the right ones before it exchanged them.",
        plainly_off="dbngain dbnbias",
    )


def reused(group: str, base: Base, one: Edit) -> Case:
    """Where dhprebn is computed from dbngain, a wrong dbngain makes it wrong without its own fault."""
    if "inherits" not in one.means:
        return on(group, base, one)
    heirs = "dC dW1" if base is BACK_DICT else "dhprebn"
    return on(
        group,
        base,
        one,
        plainly_off=f"dbngain {heirs}",
        because="dbngain is read once more, in place of a sum of its own: what reads it inherits.",
    )


def several() -> Iterator[Case]:
    for base, picks in (
        (BACK_LECTURE, (0, 5)),
        (BACK_LECTURE, (3, 13)),
        (BACK_LECTURE, (4, 9, 14)),
        (BACK_LECTURE, (0, 4, 6, 10)),
        (BACK_HELPERS, (2, 6)),
        (BACK_HELPERS, (0, 5)),
        (BACK_ROWS, (0, 6)),
        (BACK_ROWS, (2, 4, 5)),
        (BACK_SHORT, (1, 3)),
        (BACK_SHORT, (0, 5)),
        (BN_LECTURE, (0, 10)),
        (BN_MEAN, (3, 5)),
        (BACK_DICT, (0, 2)),
    ):
        table = dict((b.name, e) for b, e in (*EDITS3, *EDITS4))
        yield on(f"several-{len(picks)}", base, *(table[base.name][i] for i in picks))


def cases() -> Iterator[Case]:
    for base, edits in EDITS2:
        yield right(base)
        for one in edits:
            yield on("exercise-2", base, one)
    for base, edits in EDITS3:
        yield right(base)
        for one in edits:
            yield reused("exercise-3", base, one)
    for base, edits in EDITS4:
        yield right(base)
        for one in edits:
            yield reused("exercise-4", base, one)
    yield from exchanged()
    yield from several()
