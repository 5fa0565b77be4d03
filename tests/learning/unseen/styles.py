"""More hands: methods instead of operators, a walrus, scatter, comprehensions, gradients in a
dictionary that nested functions fill, and layers that are classes."""

from __future__ import annotations

from collections.abc import Iterator

from .case import GRADIENTS, Base, Case, edit, on, right

FLUENT = Base(
    "fluent",
    1,
    """\
targets = F.one_hot(Yb, num_classes=vocab_size).to(logprobs.dtype)
dlogprobs = targets.div(n).neg()
dprobs = dlogprobs.div(probs)
dcounts_sum_inv = torch.mul(dprobs, counts).sum(dim=1, keepdim=True)
dcounts = torch.mul(dprobs, counts_sum_inv)
dcounts_sum = dcounts_sum_inv.mul(counts_sum.pow(-2)).neg()
dcounts.add_(dcounts_sum.expand(n, vocab_size))
dnorm_logits = dcounts.mul(counts)
dlogits = dnorm_logits.clone()
dlogit_maxes = dnorm_logits.sum(1, keepdim=True).neg()
dlogits.scatter_add_(1, logits.argmax(1, keepdim=True), dlogit_maxes)
dh = torch.mm(dlogits, W2.t())
dW2 = torch.mm(h.t(), dlogits)
db2 = torch.sum(dlogits, dim=0)
dhpreact = dh.mul(h.square().neg().add(1))
dbngain = torch.mul(bnraw, dhpreact).sum(dim=0, keepdim=True)
dbnbias = torch.sum(dhpreact, 0, keepdim=True)
dbnraw = torch.mul(dhpreact, bngain)
dbnvar_inv = torch.sum(dbnraw.mul(bndiff), dim=0, keepdim=True)
dbndiff = dbnraw.mul(bnvar_inv)
dbnvar = bnvar.add(1e-5).pow(-1.5).mul(dbnvar_inv).mul(-0.5)
dbndiff2 = dbnvar.div(n - 1).expand_as(bndiff2)
dbndiff.addcmul_(bndiff, dbndiff2, value=2)
dhprebn = dbndiff.clone()
dbnmeani = dbndiff.sum(0, keepdim=True).neg()
dhprebn.add_(dbnmeani.expand_as(hprebn), alpha=1 / n)
dembcat = torch.mm(dhprebn, W1.t())
dW1 = torch.mm(embcat.t(), dhprebn)
db1 = dhprebn.sum(dim=0)
demb = dembcat.reshape(*emb.shape)
dC = torch.zeros_like(C).index_add_(0, Xb.flatten(), demb.flatten(0, 1))
""",
)

NESTED = Base(
    "nested",
    1,
    """\
def output_layer(g):
    def loss():
        g["logprobs"] = torch.zeros_like(logprobs)
        g["logprobs"][torch.arange(n), Yb] = -1 / n
    def softmax():
        g["probs"] = g["logprobs"] / probs
        g["counts_sum_inv"] = (g["probs"] * counts).sum(1, keepdim=True)
        g["counts_sum"] = -g["counts_sum_inv"] / counts_sum**2
        g["counts"] = g["probs"] * counts_sum_inv + g["counts_sum"]
        g["norm_logits"] = g["counts"] * counts
        g["logit_maxes"] = -g["norm_logits"].sum(1, keepdim=True)
        g["logits"] = g["norm_logits"] + g["logit_maxes"] * F.one_hot(logits.argmax(1), vocab_size)
    loss()
    softmax()
    g["h"] = g["logits"] @ W2.T
    g["W2"] = h.T @ g["logits"]
    g["b2"] = g["logits"].sum(0)

grads = {}
output_layer(grads)
grads["hpreact"] = grads["h"] * (1 - h * h)
grads["bngain"] = sum(a * b for a, b in zip(bnraw, grads["hpreact"]))[None]
grads["bnbias"] = torch.stack([row for row in grads["hpreact"]]).sum(0)[None, :]
grads["bnraw"] = grads["hpreact"] * bngain
grads["bnvar_inv"] = (grads["bnraw"] * bndiff).sum(0, keepdim=True)
grads["bnvar"] = grads["bnvar_inv"] * -0.5 * (bnvar + 1e-5) ** -1.5
grads["bndiff2"] = (grads["bnvar"] / (n - 1)).repeat(n, 1)
grads["bndiff"] = grads["bnraw"] * bnvar_inv + grads["bndiff2"] * 2 * bndiff
grads["bnmeani"] = -grads["bndiff"].sum(0, keepdim=True)
grads["hprebn"] = grads["bndiff"] + grads["bnmeani"] / n
grads["embcat"] = grads["hprebn"] @ W1.T
grads["W1"] = torch.einsum("ni,nj->ij", embcat, grads["hprebn"])
grads["b1"] = torch.einsum("nj->j", grads["hprebn"])
grads["emb"] = grads["embcat"].view(*emb.shape)
grads["C"] = F.one_hot(Xb.view(-1), vocab_size).to(C.dtype).T @ grads["emb"].view(-1, C.shape[1])
""",
    {name: f'grads["{name[1:]}"]' for name in GRADIENTS},
)

LAYERS = Base(
    "layers",
    1,
    """\
class Linear:
    def __init__(self, weight, x):
        self.weight, self.x = weight, x

    def backward(self, dout):
        self.dweight = self.x.T @ dout
        self.dbias = dout.sum(0)
        return dout @ self.weight.T


class Tanh:
    def __init__(self, out):
        self.out = out

    def backward(self, dout):
        return dout * (1 - self.out**2)


class BatchNorm:
    def backward_scale(self, dout):
        return (bnraw * dout).sum(0, keepdim=True), dout.sum(0, keepdim=True), bngain * dout

    def backward_var(self, dout):
        return -0.5 * (bnvar + 1e-5) ** -1.5 * dout


dlogprobs = -F.one_hot(Yb, vocab_size) / n
dprobs = dlogprobs / probs
dcounts_sum_inv = (dprobs * counts).sum(1, keepdim=True)
dcounts_sum = -dcounts_sum_inv * counts_sum_inv**2
dcounts = dprobs * counts_sum_inv + dcounts_sum
dnorm_logits = dcounts * norm_logits.exp()
dlogit_maxes = -dnorm_logits.sum(1, keepdim=True)
dlogits = dnorm_logits + F.one_hot(logits.argmax(1), vocab_size) * dlogit_maxes
second = Linear(W2, h)
dh = second.backward(dlogits)
dW2, db2 = second.dweight, second.dbias
tanh = Tanh(h)
dhpreact = tanh.backward(dh)
bn = BatchNorm()
dbngain, dbnbias, dbnraw = bn.backward_scale(dhpreact)
dbnvar_inv = (dbnraw * bndiff).sum(0, keepdim=True)
dbnvar = bn.backward_var(dbnvar_inv)
dbndiff2 = torch.ones_like(bndiff2) * (dbnvar / (n - 1))
dbndiff = dbnraw * bnvar_inv + 2 * bndiff * dbndiff2
dbnmeani = -dbndiff.sum(0, keepdim=True)
dhprebn = dbndiff + dbnmeani / n
first = Linear(W1, embcat)
dembcat = first.backward(dhprebn)
dW1, db1 = first.dweight, first.dbias
demb = dembcat.view(n, 3, -1)
dC = torch.zeros_like(C)
dC.index_put_((Xb,), demb, accumulate=True)
""",
)


def _fluent() -> Iterator[Case]:
    for one in (
        edit(
            "dlogprobs",
            "targets.div(n).neg()",
            "targets.div(n)",
            "sign",
            "The minus of the mean negative log-likelihood is missing.",
        ),
        edit(
            "dlogprobs",
            "targets.div(n).neg()",
            "targets.neg()",
            "factor missing-factor",
            "The mean divides by n.",
        ),
        edit(
            "dprobs",
            "dlogprobs.div(probs)",
            "dlogprobs.mul(probs)",
            "operation factor",
            "log's slope is 1/x: divide.",
        ),
        edit(
            "dcounts_sum_inv",
            "torch.mul(dprobs, counts).sum(dim=1",
            "torch.mul(dprobs, counts).sum(dim=0",
            "reduction shape",
            "The other axis.",
        ),
        edit(
            "dcounts",
            "torch.mul(dprobs, counts_sum_inv)",
            "torch.mul(dprobs, counts_sum)",
            "wrong-input operation",
            "The forward pass multiplies by counts_sum_inv.",
        ),
        edit(
            "dcounts_sum",
            "counts_sum.pow(-2)",
            "counts_sum.pow(-1)",
            "missing-factor operation factor wrong-input",
            "The exponent.",
        ),
        edit(
            "dcounts_sum",
            "mul(counts_sum.pow(-2)).neg()",
            "mul(counts_sum.pow(-2))",
            "sign",
            "The minus of 1/x.",
        ),
        edit(
            "dnorm_logits",
            "dcounts.mul(counts)",
            "dcounts.mul(norm_logits)",
            "wrong-input",
            "exp's slope is its result.",
        ),
        edit(
            "dW2",
            "torch.mm(h.t(), dlogits)",
            "torch.mm(hpreact.t(), dlogits)",
            "wrong-input",
            "hpreact for h.",
        ),
        edit(
            "db2",
            "torch.sum(dlogits, dim=0)",
            "torch.sum(dlogits, dim=1)",
            "reduction shape",
            "The other axis.",
        ),
        edit(
            "dhpreact",
            "h.square().neg().add(1)",
            "h.neg().add(1)",
            "missing-factor operation",
            "The square.",
        ),
        edit(
            "dhpreact",
            "h.square().neg().add(1)",
            "h.square().add(1)",
            "sign operation",
            "tanh has the slope 1 - h**2, not 1 + h**2.",
        ),
        edit(
            "dhpreact",
            "h.square().neg().add(1)",
            "hpreact.square().neg().add(1)",
            "wrong-input",
            "hpreact for h.",
        ),
        edit(
            "dbngain",
            "torch.mul(bnraw, dhpreact).sum",
            "torch.mul(bndiff, dhpreact).sum",
            "wrong-input",
            "bndiff for bnraw.",
        ),
        edit(
            "dbnbias",
            "torch.sum(dhpreact, 0, keepdim=True)",
            "torch.mean(dhpreact, 0, keepdim=True)",
            "factor reduction operation",
            "mean for sum.",
        ),
        edit(
            "dbnraw",
            "torch.mul(dhpreact, bngain)",
            "torch.add(dhpreact, bngain)",
            "operation",
            "add for mul.",
        ),
        edit(
            "dbndiff",
            "dbnraw.mul(bnvar_inv)",
            "dbnraw.mul(bnvar)",
            "wrong-input",
            "bnvar for its inverse root.",
        ),
        edit(
            "dbnvar", "bnvar.add(1e-5).pow(-1.5)", "bnvar.pow(-1.5)", "eps", "epsilon is left out."
        ),
        edit(
            "dbnvar", ".mul(-0.5)", ".mul(0.5)", "sign", "The sign of the exponent that comes down."
        ),
        edit("dbndiff2", "div(n - 1)", "div(n)", "factor", "Bessel's correction."),
        edit("dbndiff", "value=2)", "value=1)", "factor missing-factor", "The 2 of the square."),
        edit("dhprebn", "alpha=1 / n)", "alpha=n)", "factor operation", "times n for 1/n."),
        edit(
            "dbnmeani",
            "dbndiff.sum(0, keepdim=True).neg()",
            "dhprebn.sum(0, keepdim=True)",
            "sign wrong-input",
            "The minus is missing (dhprebn is dbndiff here).",
        ),
        edit(
            "dC",
            "index_add_(0, Xb.flatten()",
            "index_copy_(0, Xb.flatten()",
            "overwritten",
            "Only the last place of each letter counts.",
        ),
    ):
        yield on("fluent", FLUENT, one)


def _nested() -> Iterator[Case]:
    for one in (
        edit("dlogprobs", "= -1 / n\n", "= 1 / n\n", "sign", "The minus."),
        edit(
            "dprobs",
            'g["logprobs"] / probs',
            'g["logprobs"] / counts',
            "wrong-input",
            "counts for probs.",
        ),
        edit(
            "dcounts_sum",
            '-g["counts_sum_inv"] / counts_sum**2',
            '-g["counts_sum_inv"] / counts_sum',
            "missing-factor operation",
            "The exponent 2.",
        ),
        edit(
            "dcounts",
            '* counts_sum_inv + g["counts_sum"]',
            "* counts_sum_inv",
            "missing-term",
            "The branch through counts_sum.",
        ),
        edit(
            "dh",
            'g["logits"] @ W2.T',
            'g["probs"] @ W2.T',
            "wrong-input",
            "Another gradient arrives.",
        ),
        edit("dhpreact", "(1 - h * h)", "(1 - h)", "missing-factor operation", "The square."),
        edit("dbngain", "zip(bnraw,", "zip(bndiff,", "wrong-input", "bndiff for bnraw."),
        edit(
            "dbnvar",
            "-0.5 * (bnvar + 1e-5) ** -1.5",
            "-0.5 * (bnvar + 1e-5) ** -0.5",
            "missing-factor factor operation",
            "The exponent is lowered by one.",
        ),
        edit(
            "dbndiff",
            '+ grads["bndiff2"] * 2 * bndiff',
            '+ grads["bndiff2"] * bndiff',
            "factor missing-factor",
            "The 2 of the square.",
        ),
        edit(
            "dhprebn",
            'grads["bndiff"] + grads["bnmeani"] / n',
            'grads["bndiff"] - grads["bnmeani"] / n',
            "sign",
            "A minus too many.",
        ),
        edit(
            "db1",
            '"nj->j", grads["hprebn"]',
            '"nj->j", grads["hpreact"]',
            "wrong-input",
            "Another gradient.",
        ),
        edit(
            "dC",
            "F.one_hot(Xb.view(-1), vocab_size)",
            "F.one_hot(Xb.T.reshape(-1), vocab_size)",
            "index transposed operation",
            "The places are taken column by column.",
        ),
    ):
        yield on("nested", NESTED, one)


def _layers() -> Iterator[Case]:
    for one in (
        edit(
            "dhpreact",
            "(1 - self.out**2)",
            "(1 - self.out)",
            "missing-factor operation",
            "The square.",
        ),
        edit(
            "dbnvar",
            "** -1.5 * dout",
            "** -0.5 * dout",
            "missing-factor factor operation",
            "The exponent is lowered by one.",
        ),
        edit(
            "dbnvar",
            "-0.5 * (bnvar + 1e-5)",
            "0.5 * (bnvar + 1e-5)",
            "sign",
            "The exponent that comes down is negative.",
        ),
        edit(
            "dbngain",
            "(bnraw * dout).sum",
            "(bndiff * dout).sum",
            "wrong-input",
            "bndiff for bnraw.",
        ),
        edit(
            "dcounts_sum",
            "-dcounts_sum_inv * counts_sum_inv**2",
            "-dcounts_sum_inv * counts_sum_inv",
            "missing-factor operation",
            "The exponent.",
        ),
        edit("dbndiff2", "(dbnvar / (n - 1))", "(dbnvar / n)", "factor", "Bessel's correction."),
        edit(
            "dW2",
            "dW2, db2 = second.dweight",
            "dW2, db2 = -second.dweight",
            "sign",
            "A minus too many.",
        ),
        edit(
            "dC",
            "accumulate=True",
            "accumulate=False",
            "overwritten",
            "Only the last place of each letter counts.",
        ),
    ):
        yield on("layers", LAYERS, one)
    yield on(
        "layers",
        LAYERS,
        edit(
            "dW2",
            "self.x.T @ dout",
            "-self.x.T @ dout",
            "sign",
            "A minus too many, in both layers.",
        ),
        edit(
            "dW1",
            "self.dbias = dout",
            "self.dbias = dout",
            "sign",
            "A minus too many, in both layers.",
            "self.dweight = -self.x.T @ dout",
        ),
    )


def cases() -> Iterator[Case]:
    for base in (FLUENT, NESTED, LAYERS):
        yield right(base)
    yield from _fluent()
    yield from _nested()
    yield from _layers()
