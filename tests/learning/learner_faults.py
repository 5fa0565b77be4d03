"""Learners' files with one mistake each: a line of a right solution, replaced by a wrong one."""

from __future__ import annotations

from dataclasses import dataclass

OP_BY_OP = """\
dlogprobs = torch.zeros_like(logprobs)
dlogprobs[range(n), Yb] = -1.0 / n
dprobs = (1.0 / probs) * dlogprobs
dcounts_sum_inv = (counts * dprobs).sum(1, keepdim=True)
dcounts = counts_sum_inv * dprobs
dcounts_sum = (-counts_sum**-2) * dcounts_sum_inv
dcounts += torch.ones_like(counts) * dcounts_sum
dnorm_logits = counts * dcounts
dlogits = dnorm_logits.clone()
dlogit_maxes = (-dnorm_logits).sum(1, keepdim=True)
dlogits += F.one_hot(logits.max(1).indices, num_classes=logits.shape[1]) * dlogit_maxes
dh = dlogits @ W2.T
dW2 = h.T @ dlogits
db2 = dlogits.sum(0)
dhpreact = (1.0 - h**2) * dh
dbngain = (bnraw * dhpreact).sum(0, keepdim=True)
dbnraw = bngain * dhpreact
dbnbias = dhpreact.sum(0, keepdim=True)
dbndiff = bnvar_inv * dbnraw
dbnvar_inv = (bndiff * dbnraw).sum(0, keepdim=True)
dbnvar = (-0.5 * (bnvar + 1e-5)**-1.5) * dbnvar_inv
dbndiff2 = (1.0 / (n - 1)) * torch.ones_like(bndiff2) * dbnvar
dbndiff += (2 * bndiff) * dbndiff2
dhprebn = dbndiff.clone()
dbnmeani = (-dbndiff).sum(0, keepdim=True)
dhprebn += 1.0 / n * (torch.ones_like(hprebn) * dbnmeani)
dembcat = dhprebn @ W1.T
dW1 = embcat.T @ dhprebn
db1 = dhprebn.sum(0)
demb = dembcat.view(emb.shape)
dC = torch.zeros_like(C)
for k in range(Xb.shape[0]):
    for j in range(Xb.shape[1]):
        ix = Xb[k, j]
        dC[ix] += demb[k, j]
"""

CROSS_ENTROPY = """\
dlogits = F.softmax(logits, 1)
dlogits[range(n), Yb] -= 1
dlogits /= n
"""

BATCHNORM = (
    "dhprebn = bngain * bnvar_inv / n * (n * dhpreact - dhpreact.sum(0)"
    " - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0))\n"
)

ACCUMULATING = """\
dlogprobs = torch.zeros_like(logprobs)
dlogprobs[range(n), Yb] += -1.0 / n
dprobs = torch.zeros_like(probs)
dprobs += dlogprobs / probs
dcounts = torch.zeros_like(counts)
dcounts_sum_inv = torch.zeros_like(counts_sum_inv)
dcounts += dprobs * counts_sum_inv
dcounts_sum_inv += (dprobs * counts).sum(1, keepdim=True)
dcounts_sum = torch.zeros_like(counts_sum)
dcounts_sum += -dcounts_sum_inv / counts_sum**2
dcounts += dcounts_sum
dnorm_logits = torch.zeros_like(norm_logits)
dnorm_logits += dcounts * counts
dlogits = torch.zeros_like(logits)
dlogit_maxes = torch.zeros_like(logit_maxes)
dlogits += dnorm_logits
dlogit_maxes -= dnorm_logits.sum(1, keepdim=True)
dlogits[range(n), logits.max(1).indices] += dlogit_maxes.squeeze(1)
dh = torch.zeros_like(h)
dW2 = torch.zeros_like(W2)
db2 = torch.zeros_like(b2)
dh += dlogits @ W2.T
dW2 += h.T @ dlogits
db2 += dlogits.sum(0)
dhpreact = torch.zeros_like(hpreact)
dhpreact += (1 - h * h) * dh
dbngain = torch.zeros_like(bngain)
dbnraw = torch.zeros_like(bnraw)
dbnbias = torch.zeros_like(bnbias)
dbngain += (dhpreact * bnraw).sum(0, keepdim=True)
dbnraw += dhpreact * bngain
dbnbias += dhpreact.sum(0, keepdim=True)
dbndiff = torch.zeros_like(bndiff)
dbnvar_inv = torch.zeros_like(bnvar_inv)
dbndiff += dbnraw * bnvar_inv
dbnvar_inv += (dbnraw * bndiff).sum(0, keepdim=True)
dbnvar = torch.zeros_like(bnvar)
dbnvar += dbnvar_inv * -0.5 * (bnvar + 1e-5) ** -1.5
dbndiff2 = torch.zeros_like(bndiff2)
dbndiff2 += dbnvar / (n - 1)
dbndiff += dbndiff2 * 2 * bndiff
dhprebn = torch.zeros_like(hprebn)
dbnmeani = torch.zeros_like(bnmeani)
dhprebn += dbndiff
dbnmeani -= dbndiff.sum(0, keepdim=True)
dhprebn += dbnmeani / n
dembcat = torch.zeros_like(embcat)
dW1 = torch.zeros_like(W1)
db1 = torch.zeros_like(b1)
dembcat += dhprebn @ W1.T
dW1 += embcat.T @ dhprebn
db1 += dhprebn.sum(0)
demb = torch.zeros_like(emb)
demb += dembcat.view(emb.shape)
dC = torch.zeros_like(C)
dC.index_add_(0, Xb.view(-1), demb.view(-1, C.shape[1]))
"""

WITH_HELPERS = """\
def linear_backward(dout, x, w):
    dx = dout @ w.T
    dw = x.T @ dout
    db = dout.sum(0)
    return dx, dw, db
def tanh_backward(dout, out):
    slope = 1 - out**2
    return slope * dout
def sum_rows(t):
    return t.sum(0, keepdim=True)
dlogprobs = torch.zeros_like(logprobs)
dlogprobs[torch.arange(n), Yb] = -1 / n
dprobs = dlogprobs / probs
dcounts_sum_inv = (counts * dprobs).sum(1, keepdim=True)
dcounts_sum = -dcounts_sum_inv * counts_sum_inv**2
dcounts = counts_sum_inv * dprobs + dcounts_sum
dnorm_logits = counts * dcounts
dlogit_maxes = -dnorm_logits.sum(1, keepdim=True)
dlogits = dnorm_logits + F.one_hot(logits.argmax(1), logits.shape[1]) * dlogit_maxes
dh, dW2, db2 = linear_backward(dlogits, h, W2)
dhpreact = tanh_backward(dh, h)
dbngain = sum_rows(bnraw * dhpreact)
dbnbias = sum_rows(dhpreact)
dbnraw = bngain * dhpreact
dbnvar_inv = sum_rows(bndiff * dbnraw)
dbnvar = -0.5 * bnvar_inv**3 * dbnvar_inv
dbndiff2 = dbnvar.expand_as(bndiff2) / (n - 1)
dbndiff = bnvar_inv * dbnraw + 2 * bndiff * dbndiff2
dbnmeani = -sum_rows(dbndiff)
dhprebn = dbndiff + dbnmeani / n
dembcat, dW1, db1 = linear_backward(dhprebn, embcat, W1)
demb = dembcat.reshape(emb.shape)
dC = torch.zeros_like(C)
for i in range(n):
    for j in range(block_size):
        dC[Xb[i, j]] += demb[i, j]
"""

# Right files that are written from top to bottom, in three styles.
HALF_DONE = {"op-by-op": OP_BY_OP, "accumulating": ACCUMULATING, "helpers": WITH_HELPERS}
SOLUTIONS = {"op-by-op": OP_BY_OP, "cross-entropy": CROSS_ENTROPY, "batchnorm": BATCHNORM}


@dataclass(frozen=True)
class Fault:
    """``old`` in the solution becomes ``new``; ``blamed`` is the tensor at fault, and ``kind`` the
    kind of the mistake, or several where the numbers alone do not decide."""

    old: str
    new: str
    blamed: str
    kind: str
    solution: str = "op-by-op"

    @property
    def source(self) -> str:
        text = SOLUTIONS[self.solution]
        assert text.count(self.old) == 1, self.old
        return text.replace(self.old, self.new)

    def __str__(self) -> str:
        return f"{self.blamed}-{self.kind}-{self.new.strip()[:40]}"


def _ce(old: str, new: str, kind: str) -> Fault:
    return Fault(old, new, "logits", kind, "cross-entropy")


def _bn(old: str, new: str, kind: str) -> Fault:
    return Fault(old, new, "hprebn", kind, "batchnorm")


FAULTS = [
    # sign
    Fault("= -1.0 / n\n", "= 1.0 / n\n", "logprobs", "sign"),
    Fault("(-counts_sum**-2)", "(counts_sum**-2)", "counts_sum", "sign"),
    Fault("(1.0 - h**2)", "(1.0 + h**2)", "hpreact", "sign"),
    Fault("(-0.5 *", "(0.5 *", "bnvar", "sign"),
    Fault("(-dbndiff).sum", "(dbndiff).sum", "bnmeani", "sign"),
    Fault("(-dnorm_logits).sum", "(dnorm_logits).sum", "logit_maxes", "sign"),
    Fault("dhprebn += 1.0", "dhprebn -= 1.0", "hprebn", "sign"),
    Fault("dC[ix] += ", "dC[ix] -= ", "C", "sign"),
    Fault("dcounts += ", "dcounts -= ", "counts", "sign"),
    # factor
    Fault("= -1.0 / n\n", "= -1.0\n", "logprobs", "factor"),
    Fault("= -1.0 / n\n", "= -1.0 / (n - 1)\n", "logprobs", "factor"),
    Fault("1.0 / (n - 1)", "1.0 / n", "bndiff2", "factor"),
    Fault("(1.0 / (n - 1)) * ", "", "bndiff2", "factor"),
    Fault("(2 * bndiff)", "bndiff", "bndiff", "factor"),
    Fault("dhprebn += 1.0 / n * ", "dhprebn += ", "hprebn", "factor"),
    Fault("dhprebn += 1.0 / n", "dhprebn += 1.0 / (n - 1)", "hprebn", "factor"),
    Fault("(-0.5 * (", "(-1.0 * (", "bnvar", "factor"),
    Fault("embcat.T @ dhprebn", "embcat.T @ dhprebn / n", "W1", "factor"),
    Fault("dlogits.sum(0)", "dlogits.sum(0) * 2", "b2", "factor"),
    # missing-term
    Fault("dcounts += torch.ones_like(counts) * dcounts_sum\n", "", "counts", "missing-term"),
    Fault("dbndiff += (2 * bndiff) * dbndiff2\n", "", "bndiff", "missing-term"),
    Fault("dhprebn += 1.0 / n * (torch.ones_like(hprebn) * dbnmeani)\n", "", "hprebn",
          "missing-term"),
    Fault("range(Xb.shape[1])", "range(Xb.shape[1] - 1)", "C", "missing-term"),
    Fault("range(Xb.shape[0])", "range(1, Xb.shape[0])", "C", "missing-term"),
    Fault("dbndiff = bnvar_inv * dbnraw\n", "dbndiff = torch.zeros_like(bndiff)\n", "bndiff",
          "missing-term"),
    # overwritten
    Fault("dcounts += ", "dcounts = ", "counts", "overwritten"),
    Fault("dbndiff += ", "dbndiff = ", "bndiff", "overwritten"),
    Fault("dhprebn += ", "dhprebn = ", "hprebn", "overwritten"),
    Fault("dC[ix] += ", "dC[ix] = ", "C", "overwritten"),
    # missing-factor
    Fault("(1.0 / probs) * dlogprobs", "dlogprobs", "probs", "missing-factor"),
    Fault("counts_sum_inv * dprobs\n", "dprobs.clone()\n", "counts", "missing-factor"),
    Fault("(counts * dprobs).sum(1", "dprobs.sum(1", "counts_sum_inv", "missing-factor"),
    Fault("counts * dcounts\n", "dcounts.clone()\n", "norm_logits", "missing-factor"),
    Fault("(1.0 - h**2) * dh", "dh.clone()", "hpreact", "missing-factor"),
    Fault("bngain * dhpreact", "dhpreact.clone()", "bnraw", "missing-factor"),
    Fault("(bnraw * dhpreact).sum", "dhpreact.sum", "bngain", "missing-factor"),
    Fault("(2 * bndiff) * dbndiff2", "2 * dbndiff2", "bndiff", "missing-factor"),
    Fault("(bndiff * dbnraw).sum", "dbnraw.sum", "bnvar_inv", "missing-factor"),
    Fault("1e-5)**-1.5) * dbnvar_inv", "1e-5)**-1.5)", "bnvar", "missing-factor"),
    Fault("**-1.5", "**-0.5", "bnvar", "missing-factor"),
    # wrong-input
    Fault("(1.0 - h**2)", "(1.0 - hpreact**2)", "hpreact", "wrong-input"),
    Fault("counts * dcounts\n", "norm_logits * dcounts\n", "norm_logits", "wrong-input"),
    Fault("(bnraw * dhpreact)", "(bndiff * dhpreact)", "bngain", "wrong-input"),
    Fault("(counts * dprobs)", "(probs * dprobs)", "counts_sum_inv", "wrong-input"),
    Fault("bngain * dhpreact", "bnbias * dhpreact", "bnraw", "wrong-input"),
    Fault("(-counts_sum**-2)", "(-counts_sum_inv**-2)", "counts_sum", "wrong-input"),
    Fault("h.T @ dlogits", "hpreact.T @ dlogits", "W2", "wrong-input"),
    Fault("embcat.T @ dhprebn", "embcat.T @ dbndiff", "W1", "wrong-input"),
    Fault("(2 * bndiff)", "(2 * bnraw)", "bndiff", "wrong-input"),
    Fault("dbnbias = dhpreact", "dbnbias = dh", "bnbias", "wrong-input"),
    # reduction
    Fault("(counts * dprobs).sum(1, keepdim=True)", "counts * dprobs", "counts_sum_inv",
          "reduction"),
    Fault("(bnraw * dhpreact).sum(0, keepdim=True)", "bnraw * dhpreact", "bngain", "reduction"),
    Fault("dbnbias = dhpreact.sum(0", "dbnbias = dhpreact.mean(0", "bnbias", "factor"),
    Fault("dlogits.sum(0)", "dlogits.sum(1)", "b2", "reduction"),
    Fault("dlogits.sum(0)", "dlogits.sum(0, keepdim=True)", "b2", "reduction"),
    Fault("(bndiff * dbnraw).sum(0, keepdim=True)", "(bndiff * dbnraw).sum(1, keepdim=True)",
          "bnvar_inv", "reduction"),
    Fault("torch.ones_like(bndiff2) * dbnvar", "dbnvar", "bndiff2", "reduction"),
    Fault("db1 = dhprebn.sum(0)", "db1 = dhprebn.mean(0)", "b1", "factor"),
    Fault("(-dbndiff).sum(0, keepdim=True)", "(-dbndiff).mean(0, keepdim=True)", "bnmeani",
          "factor"),
    # transposed
    Fault("h.T @ dlogits", "dlogits.T @ h", "W2", "transposed"),
    Fault("embcat.T @ dhprebn", "dhprebn.T @ embcat", "W1", "transposed"),
    Fault("dembcat.view(emb.shape)", "dembcat.view(n, n_embd, block_size).transpose(1, 2)", "emb",
          "transposed"),
    # aliased
    Fault("dhprebn = dbndiff.clone()", "dhprebn = dbndiff", "bndiff", "aliased"),
    Fault("dlogits = dnorm_logits.clone()", "dlogits = dnorm_logits", "norm_logits", "aliased"),
    Fault("dbnraw = bngain * dhpreact", "dbnraw = dhpreact.mul_(bngain)", "hpreact", "aliased"),
    # fused cross-entropy
    _ce("dlogits[range(n), Yb] -= 1\n", "", "missing-term"),
    _ce("dlogits /= n\n", "", "factor"),
    _ce("dlogits /= n\n", "dlogits /= n - 1\n", "factor"),
    _ce("-= 1", "+= 1", "sign"),
    _ce("F.softmax(logits, 1)", "F.softmax(logits, 0)", "reduction"),
    _ce("F.softmax(logits, 1)", "counts.clone()", "wrong-input"),
    _ce("[range(n), Yb]", "[:, Yb]", "index"),
    _ce("dlogits /= n", "dlogits /= -n", "sign"),
    # fused batchnorm
    _bn("n / (n - 1) * ", "", "factor"),
    _bn(" - dhpreact.sum(0)", "", "missing-term"),
    _bn(" - n / (n - 1) * bnraw * (dhpreact * bnraw).sum(0)", "", "missing-term"),
    _bn("bngain * bnvar_inv / n", "bnvar_inv / n", "missing-factor"),
    _bn("bngain * bnvar_inv / n", "bngain / n", "missing-factor"),
    _bn("bnvar_inv / n *", "bnvar_inv *", "factor"),
    _bn("* bnraw * (dhpreact", "* (dhpreact", "missing-factor"),
    _bn(" - n / (n - 1)", " + n / (n - 1)", "sign"),
    _bn("(dhpreact * bnraw).sum(0)", "(dhpreact * bnraw)", "reduction"),
    _bn("bngain * bnvar_inv", "bngain * bnvar", "wrong-input"),
    _bn("(n * dhpreact", "(dhpreact", "factor"),
]  # fmt: skip
