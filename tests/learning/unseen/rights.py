# ruff: noqa: E501
"""Right but unusual: none of these may be blamed."""

from __future__ import annotations

from collections.abc import Iterator

from .bases import ACCUMULATE, BRANCHES, HELPERS, LECTURE, LONGHAND, METHODS, TERSE
from .case import Base, Case, edit, on, right
from .fused import SIGNATURE

# (name, base, ((old, new), ...)): other ways to write the same.
REWRITTEN: tuple[tuple[str, Base, tuple[tuple[str, str], ...]], ...] = (
    (
        "addcmul",
        LECTURE,
        (
            ("(1.0 - h**2) * dh", "torch.addcmul(torch.ones_like(h), h, h, value=-1) * dh"),
            ("(1.0 / probs) * dlogprobs", "dlogprobs / probs"),
        ),
    ),
    (
        "cube-of-inverse",
        LECTURE,
        (("(-0.5*(bnvar + 1e-5)**-1.5) * dbnvar_inv", "-(bnvar_inv**3 / 2) * dbnvar_inv"),),
    ),
    (
        "power-over",
        LECTURE,
        (
            (
                "(-0.5*(bnvar + 1e-5)**-1.5) * dbnvar_inv",
                "-0.5 * dbnvar_inv * bnvar_inv / (bnvar + 1e-5)",
            ),
        ),
    ),
    ("sech", LECTURE, (("(1.0 - h**2) * dh", "dh / torch.cosh(hpreact)**2"),)),
    (
        "index-put",
        LECTURE,
        (
            (
                """for k in range(Xb.shape[0]):
    for j in range(Xb.shape[1]):
        ix = Xb[k,j]
        dC[ix] += demb[k,j]
""",
                "dC.index_put_((Xb,), demb, accumulate=True)\n",
            ),
        ),
    ),
    (
        "scatter-add",
        LECTURE,
        (
            (
                """for k in range(Xb.shape[0]):
    for j in range(Xb.shape[1]):
        ix = Xb[k,j]
        dC[ix] += demb[k,j]
""",
                "where = Xb.reshape(-1, 1).expand(-1, n_embd)\ndC = dC.scatter_add(0, where, demb.reshape(-1, n_embd))\n",
            ),
        ),
    ),
    (
        "while-loop",
        LECTURE,
        (
            (
                """for k in range(Xb.shape[0]):
    for j in range(Xb.shape[1]):
        ix = Xb[k,j]
        dC[ix] += demb[k,j]
""",
                """k = n * block_size
while k > 0:
    k -= 1
    row, col = divmod(k, block_size)
    dC[Xb[row, col]] += demb[row, col]
""",
            ),
        ),
    ),
    (
        "reversed-loops",
        LECTURE,
        (
            ("for k in range(Xb.shape[0]):", "for k in reversed(range(Xb.shape[0])):"),
            ("for j in range(Xb.shape[1]):", "for j in [2, 0, 1]:"),
        ),
    ),
    (
        "max-is-zero",
        LECTURE,
        (
            (
                "dlogit_maxes = (-dnorm_logits).sum(1, keepdim=True)",
                "dlogit_maxes = torch.zeros_like(logit_maxes)  # the maximum cancels out",
            ),
        ),
    ),
    (
        "b1-is-zero",
        LECTURE,
        (
            (
                "db1 = dhprebn.sum(0)",
                "db1 = torch.zeros_like(b1)  # the batch norm takes b1 off again",
            ),
        ),
    ),
    (
        "no-branch-through-max",
        LECTURE,
        (
            (
                "dlogits += F.one_hot(logits.max(1).indices, num_classes=logits.shape[1]) * dlogit_maxes\n",
                "",
            ),
        ),
    ),
    (
        "minus-minus",
        ACCUMULATE,
        (
            ("dlogprobs[torch.arange(n), Yb] += -1/n", "dlogprobs[torch.arange(n), Yb] -= 1/n"),
            (
                "dbnmeani -= dbndiff.sum(dim=0, keepdim=True)",
                "dbnmeani += -1 * dbndiff.sum(dim=0, keepdim=True)",
            ),
        ),
    ),
    (
        "halves",
        ACCUMULATE,
        (
            (
                "dbndiff += dbndiff2 * 2 * bndiff",
                "dbndiff += dbndiff2 * bndiff\ndbndiff += bndiff * dbndiff2",
            ),
            (
                "dlogits += dnorm_logits\n",
                "dlogits += 0.5 * dnorm_logits\ndlogits += 0.5 * dnorm_logits\n",
            ),
        ),
    ),
    (
        "mean-times-n",
        ACCUMULATE,
        (
            (
                "torch.sum(dhpreact * bnraw, dim=0, keepdim=True)",
                "n * torch.mean(dhpreact * bnraw, dim=0, keepdim=True)",
            ),
            ("db2 += torch.sum(dlogits, dim=0)", "db2 += dlogits.mean(0) * n"),
        ),
    ),
    (
        "subtract-from-zero",
        ACCUMULATE,
        (
            (
                "dcounts_sum += -1 * counts_sum**(-2) * dcounts_sum_inv",
                "dcounts_sum -= dcounts_sum_inv / (counts_sum * counts_sum)",
            ),
        ),
    ),
    (
        "second-branch-first",
        ACCUMULATE,
        (
            (
                "# bndiff = hprebn - bnmeani\ndhprebn += dbndiff\ndbnmeani -= dbndiff.sum(dim=0, keepdim=True)\n# bnmeani = 1/n*hprebn.sum(0, keepdim=True)\ndhprebn += dbnmeani.expand_as(hprebn) / n\n",
                "dbnmeani -= dbndiff.sum(dim=0, keepdim=True)\ndhprebn += dbnmeani / n\ndhprebn += dbndiff\n",
            ),
        ),
    ),
    (
        "lambda-helper",
        HELPERS,
        (
            (
                "def back_tanh(dout, out):\n    return (1 - out ** 2) * dout\n",
                "back_tanh = lambda dout, out: dout - dout * out * out\n",
            ),
        ),
    ),
    (
        "jacobian-of-tanh",
        LONGHAND,
        (
            (
                "dhpreact = local_hpreact * dh",
                "dhpreact = torch.einsum('nij,nj->ni', torch.diag_embed(local_hpreact), dh)",
            ),
        ),
    ),
    ("walrus", TERSE, (("dhpreact=dh*(1-h*h)", "dhpreact=dh*(one_minus:=1-h*h)"),)),
    (
        "one-minus-one-plus",
        METHODS,
        (("h.pow(2).neg().add(1).mul(dh)", "(1 - h).mul(1 + h).mul(dh)"),),
    ),
    (
        "outer-products",
        METHODS,
        (
            (
                "dW2 = h.transpose(0, 1).mm(dlogits)",
                "dW2 = (h[:, :, None] * dlogits[:, None, :]).sum(0)",
            ),
            (
                "dW1 = embcat.transpose(0, 1).mm(dhprebn)",
                "dW1 = torch.bmm(embcat[:, :, None], dhprebn[:, None, :]).sum(dim=0)",
            ),
        ),
    ),
    ("typed-float32", BRANCHES, (("dC = C * 0", "dC = torch.zeros(27, 10, dtype=torch.float32)"),)),
    (
        "checked-with-assert",
        BRANCHES,
        (
            (
                "# -- tanh\n",
                "assert dh.shape == h.shape and dW2.shape == W2.shape, 'shapes'\nprint(dh.shape)\n# -- tanh\n",
            ),
        ),
    ),
    (
        "try-except",
        LECTURE,
        (
            (
                "demb = dembcat.view(emb.shape)",
                "try:\n    demb = dembcat.view(emb.shape)\nexcept RuntimeError:\n    demb = dembcat.reshape(emb.shape)",
            ),
        ),
    ),
    (
        "recomputed-forward",
        LECTURE,
        (
            (
                "dprobs = (1.0 / probs) * dlogprobs",
                "my_probs = torch.softmax(logits, 1)\ndprobs = dlogprobs / my_probs",
            ),
            (
                "dnorm_logits = counts * dcounts",
                "dnorm_logits = torch.exp(logits - logits.max(1, keepdim=True)[0]) * dcounts",
            ),
        ),
    ),
    (
        "double-and-back",
        LECTURE,
        (
            ("dW2 = h.T @ dlogits", "dW2 = (h.double().T @ dlogits.double()).to(W2.dtype)"),
            (
                "dW1 = embcat.T @ dhprebn",
                "dW1 = (embcat.double().T @ dhprebn.double()).to(W1.dtype)",
            ),
        ),
    ),
    (
        "with-block",
        LECTURE,
        (
            (
                "dh = dlogits @ W2.T\ndW2 = h.T @ dlogits\ndb2 = dlogits.sum(0)\n",
                "with torch.no_grad():\n    dh = dlogits @ W2.T\n    dW2 = h.T @ dlogits\n    db2 = dlogits.sum(0)\n",
            ),
        ),
    ),
    (
        "augmented-late",
        LECTURE,
        (
            ("dbndiff = bnvar_inv * dbnraw\n", "first_branch = bnvar_inv * dbnraw\n"),
            (
                "dbndiff += (2*bndiff) * dbndiff2",
                "dbndiff = first_branch\ndbndiff = dbndiff + (2*bndiff) * dbndiff2",
            ),
        ),
    ),
    (
        "broadcast-only",
        LECTURE,
        (
            ("dcounts += torch.ones_like(counts) * dcounts_sum", "dcounts += dcounts_sum"),
            ("1.0/n * (torch.ones_like(hprebn) * dbnmeani)", "dbnmeani / n"),
        ),
    ),
    (
        "variance-by-std",
        LECTURE,
        (("bnvar + 1e-5)**-1.5", "hprebn.var(0, keepdim=True) + 1e-5)**-1.5"),),
    ),
)

NOTEBOOK = Base(
    "whole-notebook",
    1,
    LECTURE.text
    + """
# -----------------
# Exercise 2: cross entropy in one go
loss_fast = F.cross_entropy(logits, Yb)
dlogits = F.softmax(logits, 1)
dlogits[range(n), Yb] -= 1
dlogits /= n
cmp('logits', dlogits, logits)

# Exercise 3: batch norm in one go
hpreact_fast = bngain * (hprebn - hprebn.mean(0, keepdim=True)) / torch.sqrt(hprebn.var(0, keepdim=True, unbiased=True) + 1e-5) + bnbias
dhprebn = bngain*bnvar_inv/n * (n*dhpreact - dhpreact.sum(0) - n/(n-1)*bnraw*(dhpreact*bnraw).sum(0))
cmp('hprebn', dhprebn, hprebn)
""",
)
FUSED_FIRST = Base(
    "fused-inside",
    1,
    LECTURE.text.replace(
        "dlogits = dnorm_logits.clone()\n",
        "dlogits = (probs - F.one_hot(Yb, vocab_size)) / n   # the short way\n",
    ).replace(
        "dlogits += F.one_hot(logits.max(1).indices, num_classes=logits.shape[1]) * dlogit_maxes\n",
        "",
    ),
)
GLOBALS = Base(
    "into-globals",
    1,
    """\
G = {}
def add(name, value):
    G[name] = G[name] + value if name in G else value

add('logprobs', -F.one_hot(Yb, vocab_size).to(logprobs) / n)
add('probs', G['logprobs'] / probs)
add('counts', G['probs'] * counts_sum_inv)
add('counts_sum_inv', (G['probs'] * counts).sum(1, keepdim=True))
add('counts_sum', -G['counts_sum_inv'] * counts_sum**-2)
add('counts', G['counts_sum'].expand_as(counts))
add('norm_logits', G['counts'] * counts)
add('logits', G['norm_logits'])
add('logit_maxes', -G['norm_logits'].sum(1, keepdim=True))
add('logits', F.one_hot(logits.argmax(1), vocab_size) * G['logit_maxes'])
add('h', G['logits'] @ W2.T)
add('W2', h.T @ G['logits'])
add('b2', G['logits'].sum(0))
add('hpreact', G['h'] * (1 - h**2))
add('bngain', (G['hpreact'] * bnraw).sum(0, keepdim=True))
add('bnraw', G['hpreact'] * bngain)
add('bnbias', G['hpreact'].sum(0, keepdim=True))
add('bndiff', G['bnraw'] * bnvar_inv)
add('bnvar_inv', (G['bnraw'] * bndiff).sum(0, keepdim=True))
add('bnvar', -0.5 * (bnvar + 1e-5)**-1.5 * G['bnvar_inv'])
add('bndiff2', (G['bnvar'] / (n - 1)).expand_as(bndiff2))
add('bndiff', 2 * bndiff * G['bndiff2'])
add('hprebn', G['bndiff'])
add('bnmeani', -G['bndiff'].sum(0, keepdim=True))
add('hprebn', (G['bnmeani'] / n).expand_as(hprebn))
add('embcat', G['hprebn'] @ W1.T)
add('W1', embcat.T @ G['hprebn'])
add('b1', G['hprebn'].sum(0))
add('emb', G['embcat'].view(emb.shape))
add('C', torch.zeros_like(C).index_add(0, Xb.flatten(), G['emb'].flatten(0, 1)))
for name, value in G.items():
    globals()['d' + name] = value
""",
)
TAPE = Base(
    "tape",
    1,
    """\
# a small tape: (output, [(input, local rule), ...]), walked from the end
tape = [
    ('logprobs', [('probs', lambda g: g / probs)]),
    ('probs', [('counts', lambda g: g * counts_sum_inv), ('counts_sum_inv', lambda g: (g * counts).sum(1, keepdim=True))]),
    ('counts_sum_inv', [('counts_sum', lambda g: -g / counts_sum**2)]),
    ('counts_sum', [('counts', lambda g: g.expand_as(counts))]),
    ('counts', [('norm_logits', lambda g: g * counts)]),
    ('norm_logits', [('logits', lambda g: g), ('logit_maxes', lambda g: -g.sum(1, keepdim=True))]),
    ('logit_maxes', [('logits', lambda g: F.one_hot(logits.argmax(1), vocab_size) * g)]),
    ('logits', [('h', lambda g: g @ W2.T), ('W2', lambda g: h.T @ g), ('b2', lambda g: g.sum(0))]),
    ('h', [('hpreact', lambda g: g * (1 - h**2))]),
    ('hpreact', [('bngain', lambda g: (g * bnraw).sum(0, keepdim=True)), ('bnraw', lambda g: g * bngain),
                 ('bnbias', lambda g: g.sum(0, keepdim=True))]),
    ('bnraw', [('bndiff', lambda g: g * bnvar_inv), ('bnvar_inv', lambda g: (g * bndiff).sum(0, keepdim=True))]),
    ('bnvar_inv', [('bnvar', lambda g: -0.5 * g * bnvar_inv**3)]),
    ('bnvar', [('bndiff2', lambda g: g.expand_as(bndiff2) / (n - 1))]),
    ('bndiff2', [('bndiff', lambda g: 2 * bndiff * g)]),
    ('bndiff', [('hprebn', lambda g: g), ('bnmeani', lambda g: -g.sum(0, keepdim=True))]),
    ('bnmeani', [('hprebn', lambda g: g.expand_as(hprebn) / n)]),
    ('hprebn', [('embcat', lambda g: g @ W1.T), ('W1', lambda g: embcat.T @ g), ('b1', lambda g: g.sum(0))]),
    ('embcat', [('emb', lambda g: g.view(emb.shape))]),
    ('emb', [('C', lambda g: torch.zeros_like(C).index_add(0, Xb.flatten(), g.flatten(0, 1)))]),
]
found = {'logprobs': -F.one_hot(Yb, vocab_size).to(logprobs) / n}
for output, inputs in tape:
    for name, rule in inputs:
        found[name] = found.get(name, 0) + rule(found[output])
(dlogprobs, dprobs, dcounts_sum_inv, dcounts_sum, dcounts, dnorm_logits, dlogit_maxes, dlogits, dh, dW2, db2,
 dhpreact, dbngain, dbnbias, dbnraw, dbnvar_inv, dbnvar, dbndiff2, dbndiff, dbnmeani, dhprebn, dembcat, dW1, db1,
 demb, dC) = [found[k] for k in '''logprobs probs counts_sum_inv counts_sum counts norm_logits logit_maxes logits h W2 b2
 hpreact bngain bnbias bnraw bnvar_inv bnvar bndiff2 bndiff bnmeani hprebn embcat W1 b1 emb C'''.split()]
""",
)
NUMPY = Base(
    "by-numpy",
    1,
    LECTURE.text.replace(
        """\
dC = torch.zeros_like(C)
for k in range(Xb.shape[0]):
    for j in range(Xb.shape[1]):
        ix = Xb[k,j]
        dC[ix] += demb[k,j]
""",
        """\
import numpy as np
table = np.zeros(tuple(C.shape))
np.add.at(table, Xb.numpy(), demb.detach().numpy())
dC = torch.from_numpy(table).to(C.dtype)
""",
    ),
)
JACOBIAN = Base(
    "ce-jacobian",
    2,
    """\
# the whole Jacobian of the softmax, then the chain rule
dp = torch.zeros_like(probs)
dp[torch.arange(n), Yb] = -1.0 / (n * probs[torch.arange(n), Yb])
J = torch.diag_embed(probs) - probs[:, :, None] * probs[:, None, :]
dlogits = torch.einsum('nij,nj->ni', J, dp)
""",
)
CHUNKS = Base(
    "ce-chunks",
    2,
    """\
parts = []
for rows, targets in zip(logits.split(10), Yb.split(10)):
    p = rows.softmax(dim=1)
    p = p - torch.eye(vocab_size)[targets]
    parts.append(p / n)
dlogits = torch.cat(parts)
""",
)
CENTERED = Base(
    "bn-centering-matrix",
    3,
    """\
dlogits = (probs - F.one_hot(Yb, vocab_size)) / n
dhpreact = (dlogits @ W2.T) * (1 - h**2)
# (I - 1/n - r r^T / (n-1)) for each hidden unit
P = torch.eye(n).to(h) - 1.0 / n
dhprebn = torch.stack([bngain[0, u] * bnvar_inv[0, u] * ((P - torch.outer(bnraw[:, u], bnraw[:, u]) / (n - 1)) @ dhpreact[:, u]) for u in range(n_hidden)], dim=1)
""",
)
NESTED = Base(
    "backward-nested",
    4,
    SIGNATURE
    + """\
    def through_norm(d):
        return bngain * bnvar_inv * (d - d.mean(0) - bnraw * (d * bnraw).sum(0) / (n - 1))
    def table_rows(d):
        out = torch.zeros_like(C)
        for position in range(Xb.shape[1]):
            out.index_add_(0, Xb[:, position], d[:, position])
        return out
    dlogits = F.softmax(logits, 1)
    dlogits[torch.arange(n), Yb] -= 1
    dlogits = dlogits / n
    dW2, db2 = h.T @ dlogits, dlogits.sum(0)
    dhpreact = dlogits @ W2.T * (1 - h**2)
    dbngain, dbnbias = (dhpreact * bnraw).sum(0, keepdim=True), dhpreact.sum(0, keepdim=True)
    dhprebn = through_norm(dhpreact)
    dW1, db1 = embcat.T @ dhprebn, dhprebn.sum(0)
    demb = (dhprebn @ W1.T).view(emb.shape)
    return table_rows(demb), dW1, db1, dW2, db2, dbngain, dbnbias
""",
)
OPBYOP = Base(
    "backward-op-by-op",
    4,
    SIGNATURE
    + """\
    shifted = logits - logits.max(1, keepdim=True).values
    e = shifted.exp()
    s = e.sum(1, keepdim=True)
    p = e / s
    dp = torch.zeros_like(p)
    dp[range(n), Yb] = -1 / (n * p[range(n), Yb])
    de = dp / s - (dp * e).sum(1, keepdim=True) / s**2
    dlogits = de * e
    dh = dlogits @ W2.T
    dhpreact = dh - dh * h**2
    dbnraw = dhpreact * bngain
    bndiff = bnraw / bnvar_inv
    dbnvar_inv = (dbnraw * bndiff).sum(0, keepdim=True)
    dbnvar = -0.5 * bnvar_inv**3 * dbnvar_inv
    dbndiff = dbnraw * bnvar_inv + 2 * bndiff * dbnvar / (n - 1)
    dhprebn = dbndiff - dbndiff.mean(0, keepdim=True)
    dembcat = dhprebn @ W1.T
    demb = dembcat.view(emb.shape)
    dC = torch.zeros_like(C)
    for i in range(n):
        for t in range(Xb.shape[1]):
            dC[Xb[i, t]] += demb[i, t]
    return dC, embcat.T @ dhprebn, dhprebn.sum(0), h.T @ dlogits, dlogits.sum(0), (dhpreact * bnraw).sum(0, keepdim=True), dhpreact.sum(0, keepdim=True)
""",
)


def cases() -> Iterator[Case]:
    for name, base, changes in REWRITTEN:
        text = base.text
        for old, new in changes:
            if text.count(old) != 1:
                raise ValueError(f"{name}: {old!r}")
            text = text.replace(old, new)
        yield right(Base(f"{base.name}-{name}", base.exercise, text), float32="float32" in text)
    for base in (
        NOTEBOOK,
        FUSED_FIRST,
        GLOBALS,
        TAPE,
        NUMPY,
        JACOBIAN,
        CHUNKS,
        CENTERED,
        NESTED,
        OPBYOP,
    ):
        yield right(base)
    # A mistake that shows in nothing but rounding, because the true gradient is zero.
    yield on(
        "rounding",
        LECTURE,
        edit(
            "dlogit_maxes",
            "(-dnorm_logits).sum(1, keepdim=True)",
            "dnorm_logits.sum(1, keepdim=True)",
            "sign",
            "The minus is missing; it cannot be seen, because the true gradient is zero.",
        ),
        either="dlogit_maxes",
        because="The true dlogit_maxes is zero.",
        plainly_off="",
    )
    yield on(
        "rounding",
        LECTURE,
        edit(
            "db1",
            "dhprebn.sum(0)",
            "dhprebn.mean(0)",
            "reduction factor operation",
            "The mean stands for the sum; it cannot be seen, because the true gradient is zero.",
        ),
        either="db1",
        because="The true db1 is zero.",
        plainly_off="",
    )
    yield on(
        "rounding",
        ACCUMULATE,
        edit(
            "db1",
            "db1 += torch.sum(dhprebn, dim=0)",
            "db1 -= torch.sum(dhprebn, dim=0)",
            "sign",
            "It is subtracted; it cannot be seen, because the true gradient is zero.",
        ),
        either="db1",
        because="The true db1 is zero.",
        plainly_off="",
    )
    # Mistakes in the unusual ones.
    yield on(
        "single",
        GLOBALS,
        edit(
            "dbnmeani",
            "add('bnmeani', -G['bndiff'].sum(0, keepdim=True))",
            "add('bnmeani', G['bndiff'].sum(0, keepdim=True))",
            "sign",
            "The mean is subtracted in the forward pass; the minus is missing.",
        ),
    )
    yield on(
        "single",
        GLOBALS,
        edit(
            "dcounts",
            "add('counts', G['counts_sum'].expand_as(counts))",
            "G['counts'] = G['counts_sum'].expand_as(counts)",
            "overwritten missing-term",
            "The branch through probs is thrown away.",
        ),
    )
    yield on(
        "single",
        TAPE,
        edit(
            "dhpreact",
            "('hpreact', lambda g: g * (1 - h**2))",
            "('hpreact', lambda g: g * (1 - hpreact**2))",
            "wrong-input",
            "tanh's slope is 1 - h**2 in its output h.",
            None,
        ),
    )
    yield on(
        "single",
        TAPE,
        edit(
            "dbnvar",
            "-0.5 * g * bnvar_inv**3",
            "-0.5 * g * bnvar_inv**2",
            "factor operation missing-factor",
            "The third power of bnvar_inv belongs here.",
            None,
        ),
    )
    yield on(
        "single",
        NESTED,
        edit(
            "dhprebn",
            "d.mean(0) - bnraw",
            "d.mean() - bnraw",
            "reduction",
            "The mean of everything is taken off; each hidden unit has its own.",
        ),
    )
    yield on(
        "single",
        OPBYOP,
        edit(
            "dlogits",
            "dlogits = de * e\n",
            "dlogits = de * p\n",
            "wrong-input missing-factor factor",
            "p is used where e, exp's own result, belongs.",
            "dlogits = de * p",
        ),
    )
    yield on(
        "single",
        JACOBIAN,
        edit(
            "dlogits",
            "J = torch.diag_embed(probs) - probs",
            "J = torch.diag_embed(probs) + probs",
            "sign",
            "The outer product must be taken off the diagonal.",
            None,
            "dlogits = torch.einsum('nij,nj->ni', J, dp)",
        ),
    )
    yield on(
        "single",
        NOTEBOOK,
        edit(
            "dlogits",
            "dlogits = F.softmax(logits, 1)\ndlogits[range(n), Yb] -= 1\n",
            "dlogits = F.softmax(logits, 1)\ndlogits[range(n), Yb] -= 1.0 / n\n",
            "factor",
            "1 must be taken off before the division by n, not 1/n.",
            "dlogits[range(n), Yb] -= 1.0 / n",
            "dlogits /= n",
        ),
        because="dh, dW2 and db2 were computed from the op-by-op dlogits, which was right and is replaced further down.",
        plainly_off="dlogits dh dW2 db2",
    )
    yield on(
        "single",
        NOTEBOOK,
        edit(
            "dhprebn",
            "n/(n-1)*bnraw*",
            "bnraw*",
            "factor missing-factor",
            "Bessel's n/(n-1) is missing.",
            "dhprebn = bngain*bnvar_inv/n * (n*dhpreact - dhpreact.sum(0) - bnraw*(dhpreact*bnraw).sum(0))",
        ),
        because="dembcat, dW1 and db1 were computed from the op-by-op dhprebn, which was right and is replaced further down.",
        plainly_off="dhprebn dembcat dW1",
    )
