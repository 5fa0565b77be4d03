# ruff: noqa: E501
"""Five networks written with functions, loops or classes, as people write them on their own."""

from __future__ import annotations

from .network import Network, edit, pairs, same

EULER = Network(
    "euler-steps",
    """\
import torch
torch.manual_seed(21)
start = torch.randn(6, 3)
end = torch.randn(6, 3)
K = torch.randn(3, 3) * 0.6
bias = torch.randn(3) * 0.1
h = 0.25

state = start
states = [state]
slopes = []
for i in range(4):
    slope = torch.sin(state @ K + bias)
    state = state + h * slope
    slopes.append(slope)
    states.append(state)
gap = states[-1] - end
loss = gap.pow(2).mean()
""",
    """
dgap = 2 * gap / gap.numel()
dstate = dgap
dK = torch.zeros_like(K)
dbias = torch.zeros_like(bias)
for i in reversed(range(4)):
    dslope = h * dstate
    dinner = dslope * torch.cos(states[i] @ K + bias)
    dK = dK + states[i].T @ dinner
    dbias = dbias + dinner.sum(0)
    dstate = dstate + dinner @ K.T
dstart = dstate
""",
    pairs("dgap dK dbias dstart"),
    (
        edit(
            "dK",
            "dK = dK + states[i].T @ dinner",
            "dK = states[i].T @ dinner",
            "overwritten missing-term",
            "Only one step is left.",
        ),
        edit(
            "dK",
            "dK + states[i].T @ dinner",
            "dK + states[i + 1].T @ dinner",
            "index wrong-input",
            "The state before the step is meant.",
        ),
        edit(
            "dbias",
            "dbias + dinner.sum(0)",
            "dbias + dslope.sum(0)",
            "wrong-input missing-factor",
            "The slope of the sine is left out.",
        ),
        edit(
            "dgap",
            "2 * gap / gap.numel()",
            "2 * gap",
            "missing-factor factor",
            "The mean's factor is missing.",
        ),
        edit(
            "dstart",
            "dstart = dstate",
            "dstart = dstate * h",
            "factor",
            "There is no factor h any more.",
        ),
    ),
    loops=True,
)

CACHED = Network(
    "functions-with-cache",
    """\
import torch
torch.manual_seed(22)

def dense(x, w, b):
    return x @ w + b, (x, w)

def dense_back(dout, cache):
    x, w = cache
    dx = dout @ w.T
    dw = x.T @ dout
    db = dout.sum(0)
    return dx, dw, db

def leaky(x, slope=0.1):
    out = torch.where(x > 0, x, slope * x)
    return out, (x, slope)

def leaky_back(dout, cache):
    x, slope = cache
    return torch.where(x > 0, dout, slope * dout)

def soft_loss(scores, y):
    shifted = scores - scores.max(1, keepdim=True).values
    logp = shifted - shifted.exp().sum(1, keepdim=True).log()
    return -logp[range(len(y)), y].mean()

def soft_loss_back(scores, y):
    d = torch.softmax(scores, 1)
    d[range(len(y)), y] -= 1
    return d / len(y)

X = torch.randn(11, 4)
y = torch.randint(0, 3, (11,))
w1, b1 = torch.randn(4, 6) * 0.5, torch.randn(6) * 0.1
w2, b2 = torch.randn(6, 3) * 0.5, torch.randn(3) * 0.1
z1, c1 = dense(X, w1, b1)
a1, ca = leaky(z1)
z2, c2 = dense(a1, w2, b2)
loss = soft_loss(z2, y)
""",
    """
dz2 = soft_loss_back(z2, y)
da1, dw2, db2 = dense_back(dz2, c2)
dz1 = leaky_back(da1, ca)
dX, dw1, db1 = dense_back(dz1, c1)
""",
    pairs("dz2 da1 dw2 db2 dz1 dX dw1 db1"),
    (
        edit(
            "dz1",
            "torch.where(x > 0, dout, slope * dout)",
            "torch.where(x > 0, dout, slope * x)",
            "wrong-input",
            "x stands for the gradient.",
        ),
        edit(
            "dz2",
            "return d / len(y)",
            "return d",
            "missing-factor factor",
            "The mean's 1/n is missing.",
        ),
        edit(
            "dw2",
            "dw = x.T @ dout",
            "dw = x.T @ dout / len(x)",
            "factor",
            "The mean is in the loss already.",
        ),
        *same("dw1", "dw = x.T @ dout / len(x)", "factor", "The mean is in the loss already."),
        edit(
            "db2",
            "db = dout.sum(0)",
            "db = dout[0]",
            "reduction index missing-term",
            "Only the first row is taken.",
        ),
        *same(
            "db1", "db = dout[0]", "reduction index missing-term", "Only the first row is taken."
        ),
        edit(
            "dz1",
            "dz1 = leaky_back(da1, ca)",
            "dz1 = leaky_back(a1, ca)",
            "wrong-input",
            "The activation stands for its gradient.",
        ),
    ),
    loops=True,
)

BLOCKS = Network(
    "residual-blocks-in-a-dict",
    """\
import torch
gen = torch.Generator().manual_seed(23)
depth = 3
p = {}
for k in range(depth):
    p[f"W{k}"] = torch.randn(5, 5, generator=gen) * 0.3
    p[f"g{k}"] = 1 + 0.1 * torch.randn(5, generator=gen)
p["out"] = torch.randn(5, 2, generator=gen)
x0 = torch.randn(7, 5, generator=gen)
want = torch.randn(7, 2, generator=gen)

acts = {"x0": x0}
for k in range(depth):
    x = acts[f"x{k}"]
    acts[f"u{k}"] = torch.relu(x @ p[f"W{k}"])
    acts[f"x{k + 1}"] = x + p[f"g{k}"] * acts[f"u{k}"]
pred = acts[f"x{depth}"] @ p["out"]
loss = ((pred - want) ** 2).sum() / 7
""",
    """
dp, dacts = {}, {}
dpred = 2 * (pred - want) / 7
dp["out"] = acts["x3"].T @ dpred
dacts["x3"] = dpred @ p["out"].T
for k in reversed(range(depth)):
    dnext = dacts[f"x{k + 1}"]
    dp[f"g{k}"] = (dnext * acts[f"u{k}"]).sum(0)
    dacts[f"u{k}"] = dnext * p[f"g{k}"]
    dpre = dacts[f"u{k}"] * (acts[f"u{k}"] > 0)
    dp[f"W{k}"] = acts[f"x{k}"].T @ dpre
    dacts[f"x{k}"] = dnext + dpre @ p[f"W{k}"].T
""",
    pairs(
        "dpred=pred dp['out']=p['out'] "
        + " ".join(f"dp['{n}{k}']=p['{n}{k}']" for k in range(3) for n in ("W", "g"))
        + " "
        + " ".join(f"dacts['{n}']=acts['{n}']" for n in ("x0", "x1", "x2", "x3", "u0", "u1", "u2"))
    ),
    (
        edit(
            "dp['out']",
            'acts["x3"].T @ dpred',
            'acts["x2"].T @ dpred',
            "wrong-input index",
            "The last state is x3.",
        ),
        edit(
            "dpred",
            "2 * (pred - want) / 7",
            "2 * (want - pred) / 7",
            "sign exchanged",
            "The difference is the other way round.",
        ),
        edit(
            "dacts['x2']",
            'dnext + dpre @ p[f"W{k}"].T',
            'dpre @ p[f"W{k}"].T',
            "missing-term",
            "What goes past the block is lost.",
        ),
        *same(
            "dacts['x1'] dacts['x0']",
            'dacts[f"x{k}"] = dpre @ p[f"W{k}"].T',
            "missing-term",
            "What goes past the block is lost.",
        ),
        edit(
            "dp['g2']",
            '(dnext * acts[f"u{k}"]).sum(0)',
            '(dnext * acts[f"x{k}"]).sum(0)',
            "wrong-input",
            "The gain multiplies u, not x.",
        ),
        *same(
            "dp['g1'] dp['g0']",
            'dp[f"g{k}"] = (dnext * acts[f"x{k}"]).sum(0)',
            "wrong-input",
            "The gain multiplies u, not x.",
        ),
        edit(
            "dacts['u2']", 'dnext * p[f"g{k}"]', "dnext", "missing-factor", "The gain is missing."
        ),
        *same(
            "dacts['u1'] dacts['u0']",
            'dacts[f"u{k}"] = dnext',
            "missing-factor",
            "The gain is missing.",
        ),
    ),
    loops=True,
)

MODULES = Network(
    "little-modules",
    """\
import torch
torch.manual_seed(24)

class Linear:
    def __init__(self, a, b):
        self.weight = torch.randn(a, b) / a**0.5
        self.bias = torch.randn(b) * 0.1
    def forward(self, x):
        self.x = x
        self.y = x @ self.weight + self.bias
        return self.y
    def backward(self, dy):
        self.dweight = self.x.T @ dy
        self.dbias = dy.sum(0)
        return dy @ self.weight.T

class Sigmoid:
    def forward(self, x):
        self.y = 1 / (1 + torch.exp(-x))
        return self.y
    def backward(self, dy):
        return dy * self.y * (1 - self.y)

class Chain:
    def __init__(self, *parts):
        self.parts = parts
    def forward(self, x):
        for part in self.parts:
            x = part.forward(x)
        return x
    def backward(self, d):
        for part in reversed(self.parts):
            d = part.backward(d)
        return d

batch = torch.randn(8, 3)
hoped = torch.rand(8, 2)
first, last = Linear(3, 5), Linear(5, 2)
net = Chain(first, Sigmoid(), last, Sigmoid())
guess = net.forward(batch)
off = guess - hoped
loss = (off * off).mean()
""",
    """
dguess = 2 * off / off.numel()
dbatch = net.backward(dguess)
""",
    pairs(
        "dguess dbatch first.dweight=first.weight first.dbias=first.bias last.dweight=last.weight last.dbias=last.bias"
    ),
    (
        edit(
            "dguess",
            "2 * off / off.numel()",
            "off / off.numel()",
            "factor missing-factor",
            "The 2 of the square is missing.",
        ),
        edit(
            "last.dbias",
            "dy.sum(0)",
            "dy.sum(0) / len(dy)",
            "factor",
            "The mean is in the loss already.",
        ),
        *same(
            "first.dbias",
            "self.dbias = dy.sum(0) / len(dy)",
            "factor",
            "The mean is in the loss already.",
        ),
        edit(
            "last.dweight",
            "self.x.T @ dy",
            "self.y.T[:1].expand(len(self.weight), -1) @ dy",
            "wrong-input operation",
            "The layer's output stands for its input.",
        ),
        *same(
            "first.dweight",
            "self.dweight = self.y.T[:1].expand(len(self.weight), -1) @ dy",
            "wrong-input operation",
            "The layer's output stands for its input.",
        ),
        edit(
            "dbatch",
            "dbatch = net.backward(dguess)",
            "dbatch = -net.backward(dguess)",
            "sign",
            "The sign is wrong.",
        ),
        edit(
            "dguess",
            "2 * off / off.numel()",
            "2 * off * off / off.numel()",
            "factor",
            "off once too often.",
        ),
    ),
    loops=True,
)

SCAN = Network(
    "running-sum-with-decay",
    """\
import torch
torch.manual_seed(25)
T, n, d = 5, 4, 3
seq = torch.randn(T, n, d)
goal = torch.randn(n)
proj = torch.randn(d, 2) * 0.7
decay = torch.tensor(0.8)
read = torch.randn(2)

feed = seq @ proj
mem = torch.zeros(n, 2)
kept = []
for t in range(T):
    kept.append(mem)
    mem = decay * mem + feed[t]
squashed = torch.tanh(mem)
score = squashed @ read
loss = torch.nn.functional.softplus(-score * goal.sign()).mean()
""",
    """
s = goal.sign()
dscore = -s * torch.sigmoid(-score * s) / n
dread = squashed.T @ dscore
dsquashed = dscore[:, None] * read[None, :]
dmem = dsquashed * (1 - squashed ** 2)
dfeed = torch.zeros_like(feed)
ddecay = torch.tensor(0.0)
for t in range(T - 1, -1, -1):
    dfeed[t] = dmem
    ddecay += (dmem * kept[t]).sum()
    dmem = dmem * decay
dproj = torch.einsum("tnd,tnk->dk", seq, dfeed)
""",
    pairs("dscore dread dsquashed dfeed ddecay dproj"),
    (
        edit(
            "ddecay",
            "ddecay += (dmem * kept[t]).sum()",
            "ddecay = (dmem * kept[t]).sum()",
            "overwritten",
            "Only one step is left.",
        ),
        edit(
            "dscore",
            "torch.sigmoid(-score * s)",
            "torch.sigmoid(score * s)",
            "sign",
            "The slope of softplus is the sigmoid of its own input.",
        ),
        edit(
            "dproj",
            '"tnd,tnk->dk", seq, dfeed',
            '"tnd,tnk->dk", seq, feed',
            "wrong-input",
            "feed stands for its gradient.",
        ),
        edit(
            "dread",
            "squashed.T @ dscore",
            "mem.T @ dscore",
            "wrong-input",
            "The head reads the squashed memory.",
        ),
        edit(
            "dfeed",
            "for t in range(T - 1, -1, -1):",
            "for t in range(T - 1, 0, -1):",
            "index missing-term",
            "The first step is left out.",
        ),
    ),
    loops=True,
)

NETWORKS = (EULER, CACHED, BLOCKS, MODULES, SCAN)
