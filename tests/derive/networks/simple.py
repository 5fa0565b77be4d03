# ruff: noqa: E501
"""Networks line by line: regression, perceptrons, norms, losses."""

from __future__ import annotations

from .network import Network, edit, pairs

LOGISTIC = Network(
    "logistic-regression",
    """\
import torch

torch.manual_seed(1)
m, d = 20, 4
X = torch.randn(m, d)
y = (X[:, 0] + 0.5 * X[:, 1] > 0).float().view(m, 1)
w = torch.randn(d, 1) * 0.3
b = torch.zeros(1)

# forward
z = X @ w + b
p = torch.sigmoid(z)
ll = y * torch.log(p) + (1 - y) * torch.log(1 - p)
J = -ll.mean()
""",
    """
# backward, by hand
dll = -torch.ones_like(ll) / m
dp = dll * (y / p - (1 - y) / (1 - p))
dz = dp * p * (1 - p)
dw = X.T @ dz
db = dz.sum(0)
""",
    pairs("dll dp dz dw db"),
    (
        edit(
            "dll",
            "-torch.ones_like(ll) / m",
            "-torch.ones_like(ll)",
            "missing-factor factor",
            "The mean's 1/m is missing.",
        ),
        edit(
            "dp",
            "y / p - (1 - y)",
            "y / p + (1 - y)",
            "sign",
            "The slope of log(1 - p) is negative.",
        ),
        edit(
            "dz",
            "dz = dp * p * (1 - p)",
            "dz = dp * z * (1 - z)",
            "wrong-input",
            "The sigmoid's slope is p * (1 - p) in its output p, not in z.",
        ),
        edit(
            "dw",
            "X.T @ dz",
            "X.T @ dp",
            "wrong-input",
            "dp, behind the sigmoid, is read where dz belongs.",
        ),
        edit(
            "db",
            "dz.sum(0)",
            "dz.mean(0)",
            "reduction factor operation",
            "The mean is taken where the sum over the examples belongs.",
        ),
    ),
    loss="J",
)

RELU = Network(
    "relu-mlp",
    """\
import torch

torch.manual_seed(2)
N, D_in, H, D_out = 16, 6, 12, 3
x = torch.randn(N, D_in)
target = torch.randn(N, D_out)
w1 = torch.randn(D_in, H, requires_grad=True)
b1 = torch.zeros(H, requires_grad=True)
w2 = torch.randn(H, D_out, requires_grad=True)
b2 = torch.zeros(D_out, requires_grad=True)

a1 = x.mm(w1) + b1
h1 = a1.clamp(min=0)
pred = h1.mm(w2) + b2
err = pred - target
loss = (err ** 2).sum() / N
""",
    """
grad_err = 2.0 * err / N
grad_pred = grad_err.clone()
grad_w2 = h1.t().mm(grad_pred)
grad_b2 = grad_pred.sum(dim=0)
grad_h1 = grad_pred.mm(w2.t())
grad_a1 = grad_h1.clone()
grad_a1[a1 < 0] = 0
grad_w1 = x.t().mm(grad_a1)
grad_b1 = grad_a1.sum(dim=0)
""",
    pairs(
        "grad_err=err grad_pred=pred grad_w2=w2 grad_b2=b2 grad_h1=h1 grad_a1=a1 grad_w1=w1 grad_b1=b1"
    ),
    (
        edit(
            "grad_err",
            "2.0 * err / N",
            "err / N",
            "missing-factor factor",
            "The 2 of the square's slope is missing.",
        ),
        edit(
            "grad_a1",
            "grad_a1[a1 < 0] = 0",
            "grad_a1[a1 > 0] = 0",
            "sign operation index",
            "The gradient is stopped where the ReLU lets it through.",
        ),
        edit(
            "grad_w2",
            "h1.t().mm(grad_pred)",
            "a1.t().mm(grad_pred)",
            "wrong-input",
            "a1, before the ReLU, is read where h1 belongs.",
        ),
        edit(
            "grad_h1",
            "grad_pred.mm(w2.t())",
            "grad_pred.mm(w2.reshape(D_out, H))",
            "transposed operation shape",
            "reshape only renames the shape; it does not transpose w2.",
        ),
        edit(
            "grad_b1",
            "grad_a1.sum(dim=0)",
            "grad_h1.sum(dim=0)",
            "wrong-input",
            "grad_h1, without the ReLU's mask, is summed.",
        ),
    ),
    middle="loss.backward()\n",
    tail="""
for mine, p in [(grad_w1, w1), (grad_b1, b1), (grad_w2, w2), (grad_b2, b2)]:
    print(tuple(p.shape), torch.allclose(mine, p.grad, atol=1e-5))
""",
)

LAYER_NORM = Network(
    "layer-norm",
    """\
import torch
import torch.nn.functional as F

torch.manual_seed(3)
B, D, K = 8, 10, 5
x = torch.randn(B, D)
labels = torch.randint(0, K, (B,))
gamma = torch.ones(D) + 0.1 * torch.randn(D)
beta = 0.1 * torch.randn(D)
W = torch.randn(D, K) / D**0.5
eps = 1e-5

mu = x.mean(1, keepdim=True)
xc = x - mu
var = (xc**2).mean(1, keepdim=True)
rstd = (var + eps)**-0.5
xhat = xc * rstd
out = xhat * gamma + beta
scores = out @ W
loss = F.cross_entropy(scores, labels)
""",
    """
# backward pass
dscores = torch.softmax(scores, 1)
dscores[torch.arange(B), labels] -= 1
dscores /= B
dW = out.T @ dscores
dout = dscores @ W.T
dgamma = (dout * xhat).sum(0)
dbeta = dout.sum(0)
dxhat = dout * gamma
drstd = (dxhat * xc).sum(1, keepdim=True)
dxc = dxhat * rstd
dvar = drstd * -0.5 * (var + eps)**-1.5
dxc += 2 * xc * dvar / D
dmu = -dxc.sum(1, keepdim=True)
dx = dxc + dmu / D
""",
    pairs("dscores dW dout dgamma dbeta dxhat drstd dxc dvar dmu dx"),
    (
        edit(
            "dgamma",
            "(dout * xhat).sum(0)",
            "(dout * x).sum(0)",
            "wrong-input",
            "x is read where the normalised xhat belongs.",
        ),
        edit(
            "dvar",
            "(var + eps)**-1.5",
            "(var + eps)**-0.5",
            "factor operation missing-factor",
            "The exponent must go down by one, to -1.5.",
        ),
        edit(
            "dxc",
            "dxc += 2 * xc * dvar / D",
            "dxc += 2 * xc * dvar / (D - 1)",
            "factor",
            "The forward variance divides by D, not D - 1.",
        ),
        edit(
            "dscores",
            "dscores /= B\n",
            "",
            "missing-factor factor",
            "The mean over the batch is missing.",
            "dscores = torch.softmax(scores, 1)",
            "dscores[torch.arange(B), labels] -= 1",
        ),
        edit(
            "dx",
            "dx = dxc + dmu / D",
            "dx = dxc - dmu / D",
            "sign",
            "The sign is in dmu already; it must be added.",
        ),
    ),
)

RMS_NORM = Network(
    "rms-norm",
    """\
import torch

torch.manual_seed(4)
tokens, width = 12, 8
u = torch.randn(tokens, width)
g = (torch.rand(width) + 0.5).requires_grad_(True)
proj = torch.randn(width, 4, requires_grad=True)
goal = torch.randn(tokens, 4)

sq = u.pow(2)
ms = sq.mean(-1, keepdim=True)
inv = torch.rsqrt(ms + 1e-6)
normed = u * inv
scaled = normed * g
y_hat = scaled @ proj
diff = y_hat - goal
L = diff.pow(2).mean()
""",
    """
# d loss / d everything, last line first
d_diff = 2 * diff / diff.numel()
d_y_hat = d_diff
d_scaled = d_y_hat @ proj.T
d_proj = scaled.T @ d_y_hat
d_g = (d_scaled * normed).sum(0)
d_normed = d_scaled * g
d_inv = (d_normed * u).sum(-1, keepdim=True)
d_ms = -0.5 * d_inv * inv ** 3
d_sq = (d_ms / width).expand(tokens, width)
d_u = d_normed * inv + d_sq * 2 * u
""",
    pairs(
        "d_diff=diff d_y_hat=y_hat d_scaled=scaled d_proj=proj d_g=g d_normed=normed d_inv=inv d_ms=ms d_sq=sq d_u=u"
    ),
    (
        edit(
            "d_diff",
            "2 * diff / diff.numel()",
            "2 * diff / tokens",
            "factor wrong-input",
            "The mean is over all elements, not over the tokens only.",
        ),
        edit(
            "d_g",
            "(d_scaled * normed).sum(0)",
            "(d_scaled * normed).sum(-1)[:width]",
            "reduction",
            "Summed over the width; the sum over the tokens belongs here.",
        ),
        edit(
            "d_ms",
            "inv ** 3",
            "inv ** 2",
            "operation factor missing-factor",
            "The third power of inv belongs here.",
        ),
        edit(
            "d_u",
            "d_normed * inv + d_sq * 2 * u",
            "d_normed * inv",
            "missing-term",
            "The branch through the mean square is left out.",
        ),
        edit(
            "d_inv",
            "(d_normed * u).sum(-1, keepdim=True)",
            "(d_normed * normed).sum(-1, keepdim=True)",
            "wrong-input",
            "normed is read where u, the other factor, belongs.",
        ),
    ),
    loss="L",
)

DROPOUT = Network(
    "dropout",
    """\
import torch
import torch.nn.functional as F

torch.manual_seed(5)
n_rows, n_in, n_mid, n_out = 10, 7, 9, 4
keep = 0.8
inputs = torch.randn(n_rows, n_in)
answers = torch.randint(0, n_out, (n_rows,))
mask = (torch.rand(n_rows, n_mid) < keep).float()
A = torch.randn(n_in, n_mid) * 0.5
c = torch.randn(n_mid) * 0.1
V = torch.randn(n_mid, n_out) * 0.5

pre = inputs @ A + c
act = torch.tanh(pre)
dropped = act * mask / keep
out = dropped @ V
logp = F.log_softmax(out, dim=1)
loss = -logp[torch.arange(n_rows), answers].mean()
""",
    """
dlogp = torch.zeros_like(logp)
dlogp[torch.arange(n_rows), answers] = -1.0 / n_rows
dout = dlogp - torch.exp(logp) * dlogp.sum(1, keepdim=True)
dV = dropped.T @ dout
ddropped = dout @ V.T
dact = ddropped * mask / keep
dpre = dact * (1 - act**2)
dA = inputs.T @ dpre
dc = dpre.sum(0)
dinputs = dpre @ A.T
""",
    pairs("dlogp dout dV ddropped dact dpre dA dc dinputs"),
    (
        edit(
            "dact",
            "ddropped * mask / keep",
            "ddropped / keep",
            "missing-factor",
            "The mask is missing: what was dropped gets a gradient.",
        ),
        edit(
            "dact",
            "ddropped * mask / keep",
            "ddropped * mask * keep",
            "operation factor",
            "Multiplied by keep where the forward pass divides.",
        ),
        edit(
            "dout",
            "dlogp - torch.exp(logp) * dlogp.sum(1, keepdim=True)",
            "dlogp - logp * dlogp.sum(1, keepdim=True)",
            "wrong-input operation missing-factor",
            "The log-probabilities are used where the probabilities belong.",
        ),
        edit(
            "dV",
            "dropped.T @ dout",
            "act.T @ dout",
            "wrong-input",
            "act, before the mask, is read where dropped belongs.",
        ),
        edit(
            "dpre",
            "dact * (1 - act**2)",
            "dact * (1 - pre**2)",
            "wrong-input",
            "tanh's slope is 1 - act**2 in its output, not in pre.",
        ),
    ),
)

SMOOTHING = Network(
    "label-smoothing",
    """\
import torch

torch.manual_seed(6)
rows, feats, classes = 9, 5, 6
alpha = 0.1
feat = torch.randn(rows, feats)
gold = torch.randint(0, classes, (rows,))
Wc = torch.randn(feats, classes)
bc = torch.zeros(classes)

score = feat @ Wc + bc
top = score.max(1, keepdim=True).values
ex = (score - top.detach()).exp()
Z = ex.sum(1, keepdim=True)
q = ex / Z
soft = torch.full((rows, classes), alpha / classes)
soft[torch.arange(rows), gold] += 1 - alpha
logq = q.log()
loss = -(soft * logq).sum(1).mean()
""",
    """
dlogq = -soft / rows
dq = dlogq / q
dZ = (-dq * ex / Z**2).sum(1, keepdim=True)
dex = dq / Z + dZ
dscore = dex * ex
dWc = feat.T @ dscore
dbc = dscore.sum(0)
""",
    pairs("dlogq dq dZ dex dscore dWc dbc"),
    (
        edit(
            "dlogq",
            "-soft / rows",
            "-soft / classes",
            "factor wrong-input",
            "The mean is over the rows, not the classes.",
        ),
        edit(
            "dZ",
            "(-dq * ex / Z**2)",
            "(-dq * ex / Z)",
            "missing-factor factor operation",
            "The slope of 1/Z has the square below.",
        ),
        edit(
            "dex",
            "dq / Z + dZ",
            "dq / Z",
            "missing-term",
            "The branch through the sum Z is left out.",
        ),
        edit(
            "dq",
            "dlogq / q",
            "dlogq * q",
            "operation wrong-input factor",
            "Multiplied by q; log's slope divides by it.",
        ),
        edit(
            "dscore",
            "dscore = dex * ex",
            "dscore = dex * q",
            "wrong-input",
            "q is read where ex, exp's own result, belongs.",
        ),
    ),
)

RESIDUAL = Network(
    "residual-block",
    """\
import torch

torch.manual_seed(7)
s_in = torch.randn(6, 8)
K1 = torch.randn(8, 16) * 0.3
K2 = torch.randn(16, 8) * 0.3
readout = torch.randn(8)
want = torch.randn(6)

up = s_in @ K1
gate = torch.relu(up)
down = gate @ K2
s_out = s_in + down
guess = s_out @ readout
miss = guess - want
loss = 0.5 * (miss * miss).mean()
""",
    """
dmiss = miss / 6
dguess = dmiss
ds_out = torch.outer(dguess, readout)
dreadout = s_out.T @ dguess
ddown = ds_out
dgate = ddown @ K2.T
dK2 = gate.T @ ddown
dup = dgate * (up > 0)
dK1 = s_in.T @ dup
ds_in = ds_out + dup @ K1.T
""",
    pairs("dmiss dguess ds_out dreadout ddown dgate dK2 dup dK1 ds_in"),
    (
        edit(
            "ds_in",
            "ds_out + dup @ K1.T",
            "dup @ K1.T",
            "missing-term",
            "The branch past the block, straight from s_out, is left out.",
        ),
        edit(
            "dup",
            "dgate * (up > 0)",
            "dgate * up",
            "wrong-input operation",
            "up itself is multiplied; the ReLU's slope is one or zero.",
        ),
        edit(
            "dK1",
            "s_in.T @ dup",
            "s_out.T @ dup",
            "wrong-input",
            "s_out is read where s_in belongs.",
        ),
        edit(
            "dmiss",
            "miss / 6",
            "2 * miss / 6",
            "factor",
            "The 0.5 takes the square's 2 away; it is counted here all the same.",
        ),
        edit(
            "ds_out",
            "torch.outer(dguess, readout)",
            "torch.outer(dguess, s_out.mean(0))",
            "wrong-input",
            "The mean of s_out is used where readout belongs.",
        ),
    ),
)

GELU = Network(
    "gelu-mlp",
    """\
import math
import torch

torch.manual_seed(8)
batch = 11
xs = torch.randn(batch, 5)
ys = torch.randn(batch, 2)
Wa = torch.randn(5, 20) * 0.4
ba = torch.zeros(20)
Wb = torch.randn(20, 2) * 0.4
bb = torch.zeros(2)

t = xs @ Wa + ba
phi = 0.5 * (1 + torch.erf(t / math.sqrt(2)))
act = t * phi
yp = act @ Wb + bb
loss = ((yp - ys)**2).mean()
""",
    """
dyp = 2 * (yp - ys) / (batch * 2)
dWb = act.T @ dyp
dbb = dyp.sum(0)
dact = dyp @ Wb.T
dphi = dact * t
pdf = torch.exp(-t**2 / 2) / math.sqrt(2 * math.pi)
dt = dact * phi + dphi * pdf
dWa = xs.T @ dt
dba = dt.sum(0)
""",
    pairs("dyp dWb dbb dact dphi dt dWa dba"),
    (
        edit(
            "dt",
            "dact * phi + dphi * pdf",
            "dphi * pdf",
            "missing-term",
            "The branch t * phi -> t, with the factor phi, is left out.",
        ),
        edit(
            "dt",
            "pdf = torch.exp(-t**2 / 2)",
            "pdf = torch.exp(-t**2)",
            "factor missing-factor operation",
            "The exponent must be halved.",
            None,
            "dt = dact * phi + dphi * pdf",
        ),
        edit(
            "dphi",
            "dphi = dact * t",
            "dphi = dact * phi",
            "wrong-input",
            "phi itself is used where t, the other factor, belongs.",
        ),
        edit(
            "dyp",
            "2 * (yp - ys) / (batch * 2)",
            "2 * (ys - yp) / (batch * 2)",
            "sign exchanged",
            "The difference is turned round: it is yp - ys.",
        ),
        edit(
            "dba",
            "dt.sum(0)",
            "dt.sum()",
            "reduction shape",
            "Summed over everything; each unit has a sum of its own.",
        ),
    ),
)

SOFTPLUS = Network(
    "softplus-regression",
    """\
import torch

torch.manual_seed(9)
obs = 30
cov = torch.randn(obs, 3)
count = torch.randint(0, 6, (obs,)).float()
coef = torch.randn(3) * 0.5
shift = torch.zeros(())

eta = cov @ coef + shift
rate = torch.log(1 + torch.exp(eta))      # softplus
nll = rate - count * torch.log(rate)      # Poisson, without the constant
objective = nll.mean() + 0.01 * (coef**2).sum()
""",
    """
dnll = torch.full((obs,), 1 / obs)
drate = dnll * (1 - count / rate)
deta = drate * torch.sigmoid(eta)
dcoef = cov.T @ deta + 0.02 * coef
dshift = deta.sum()
dcov = torch.outer(deta, coef)
""",
    pairs("dnll drate deta dcoef dshift dcov"),
    (
        edit(
            "drate",
            "1 - count / rate",
            "1 + count / rate",
            "sign",
            "count * log(rate) is subtracted in the forward pass.",
        ),
        edit(
            "deta",
            "torch.sigmoid(eta)",
            "torch.sigmoid(rate)",
            "wrong-input",
            "softplus's slope is sigmoid of its input eta, not of its output.",
        ),
        edit(
            "dcoef",
            "cov.T @ deta + 0.02 * coef",
            "cov.T @ deta",
            "missing-term",
            "The term of the penalty is left out.",
        ),
        edit(
            "dcoef",
            "0.02 * coef",
            "0.01 * coef",
            "factor missing-factor",
            "The 2 of the square's slope is missing.",
        ),
        edit(
            "dshift",
            "deta.sum()",
            "deta.mean()",
            "reduction factor operation",
            "The mean is taken where the sum belongs.",
        ),
    ),
    loss="objective",
)

FOCAL = Network(
    "focal-loss",
    """\
import torch

torch.manual_seed(10)
k, dim = 14, 3
pts = torch.randn(k, dim)
lab = (torch.rand(k) > 0.7).float()
vec = torch.randn(dim)
off = torch.tensor(-0.3)
gam = 2.0

s = pts @ vec + off
prob = 1 / (1 + torch.exp(-s))
pt = lab * prob + (1 - lab) * (1 - prob)
weight = (1 - pt)**gam
logpt = torch.log(pt)
per_point = -weight * logpt
loss = per_point.sum() / k
""",
    """
# --- backward
dper_point = torch.ones(k) / k
dweight = -logpt * dper_point
dlogpt = -weight * dper_point
dpt = dlogpt / pt
dpt += dweight * -gam * (1 - pt)**(gam - 1)
dprob = dpt * (2 * lab - 1)
ds = dprob * prob * (1 - prob)
dvec = pts.T @ ds
dpts = ds[:, None] * vec
""",
    pairs("dper_point dweight dlogpt dpt dprob ds dvec dpts"),
    (
        edit(
            "dpt",
            "dweight * -gam * (1",
            "dweight * gam * (1",
            "sign",
            "The inner slope of 1 - pt is -1; the minus is missing.",
        ),
        edit(
            "dpt",
            "dpt += dweight",
            "dpt = dweight",
            "overwritten missing-term",
            "The branch through the logarithm is thrown away.",
            None,
            "dpt = dlogpt / pt",
        ),
        edit(
            "dprob",
            "dpt * (2 * lab - 1)",
            "dpt * lab",
            "missing-term",
            "The points of class 0 have a slope of -1; they are left out.",
        ),
        edit(
            "dlogpt",
            "-weight * dper_point",
            "weight * dper_point",
            "sign",
            "The minus of -weight * logpt is missing.",
        ),
        edit(
            "dpt",
            "(1 - pt)**(gam - 1)",
            "(1 - pt)**gam",
            "operation factor",
            "The exponent must go down by one, to gam - 1.",
        ),
    ),
)

NETWORKS = (
    LOGISTIC,
    RELU,
    LAYER_NORM,
    RMS_NORM,
    DROPOUT,
    SMOOTHING,
    RESIDUAL,
    GELU,
    SOFTPLUS,
    FOCAL,
)
