# ruff: noqa: E501
"""Fifteen networks as people write them on their own: other losses, norms, gates and shared weights."""

from __future__ import annotations

from .network import Network, edit, pairs

MULTILABEL = Network(
    "multi-label",
    """\
import torch

g = torch.Generator().manual_seed(1)
feats = torch.randn(12, 6, generator=g)
tags = (torch.rand(12, 4, generator=g) > 0.5).float()
weights = torch.randn(6, 4, generator=g) * 0.5
offsets = torch.randn(4, generator=g) * 0.1

scores = feats @ weights + offsets
probs = torch.sigmoid(scores)
per_tag = -(tags * torch.log(probs) + (1 - tags) * torch.log(1 - probs))
per_row = per_tag.sum(dim=1)
loss = per_row.mean()
""",
    """
grad_per_row = torch.full_like(per_row, 1 / per_row.numel())
grad_per_tag = grad_per_row[:, None].expand(-1, 4)
grad_probs = grad_per_tag * (-tags / probs + (1 - tags) / (1 - probs))
grad_scores = grad_probs * probs * (1 - probs)
grad_weights = feats.t() @ grad_scores
grad_offsets = grad_scores.sum(dim=0)
""",
    pairs(
        "grad_per_row=per_row grad_per_tag=per_tag grad_probs=probs grad_scores=scores grad_weights=weights grad_offsets=offsets"
    ),
    (
        edit(
            "grad_probs",
            "(-tags / probs + (1 - tags) / (1 - probs))",
            "(-tags / probs - (1 - tags) / (1 - probs))",
            "sign",
            "The second term has the wrong sign.",
        ),
        edit(
            "grad_scores",
            "grad_probs * probs * (1 - probs)",
            "grad_probs * probs * (1 - scores)",
            "wrong-input",
            "The slope of the sigmoid is p (1 - p), of its output.",
        ),
        edit(
            "grad_offsets",
            "grad_scores.sum(dim=0)",
            "grad_scores.mean(dim=0)",
            "reduction factor operation",
            "The mean is taken where the sum belongs.",
        ),
        edit(
            "grad_per_row",
            "1 / per_row.numel()",
            "1 / per_tag.numel()",
            "factor wrong-input",
            "The mean is over the rows only.",
        ),
        edit(
            "grad_weights",
            "feats.t() @ grad_scores",
            "feats.t() @ grad_probs",
            "wrong-input",
            "The gradient of the probabilities stands for that of the scores.",
        ),
    ),
)

POISSON = Network(
    "poisson-regression",
    """\
import torch
torch.manual_seed(2)
X = torch.randn(20, 3)
y = 1.0 * torch.randint(0, 6, (20,))
beta = torch.randn(3) * 0.3
b0 = torch.tensor(0.2)
lam_reg = 0.1

eta = X @ beta + b0
rate = eta.exp()
fit = (rate - y * eta).mean()
penalty = lam_reg * beta.pow(2).sum()
objective = fit + penalty
""",
    """
n = X.shape[0]
drate = torch.ones_like(rate) / n
deta = drate * rate - y / n
dbeta = X.T @ deta + 2 * lam_reg * beta
db0 = deta.sum()
""",
    pairs("drate deta dbeta db0"),
    (
        edit(
            "dbeta",
            "X.T @ deta + 2 * lam_reg * beta",
            "X.T @ deta",
            "missing-term",
            "What the penalty hands back is missing.",
        ),
        edit(
            "dbeta",
            "2 * lam_reg * beta",
            "lam_reg * beta",
            "factor missing-factor",
            "The slope of a square is twice its base.",
        ),
        edit(
            "deta",
            "drate * rate - y / n",
            "drate * rate - y",
            "missing-factor factor",
            "The 1/n of the mean is missing in the second term.",
        ),
        edit(
            "deta",
            "drate * rate - y / n",
            "drate * rate + y / n",
            "sign",
            "The second term has the wrong sign.",
        ),
        edit(
            "db0",
            "deta.sum()",
            "deta.mean()",
            "reduction factor operation",
            "The mean is taken where the sum belongs.",
        ),
    ),
    loss="objective",
)

MARGIN = Network(
    "margin-loss",
    """\
import torch
torch.manual_seed(3)
N, D, C = 10, 5, 4
x = torch.randn(N, D)
t = torch.randint(0, C, (N,))
W = torch.randn(D, C)
reg = 0.05

s = x @ W
right = s[range(N), t].unsqueeze(1)
margins = s - right + 1.0
hinge = torch.relu(margins)
total = hinge.sum() - N
loss = total / N + reg * (W * W).sum()
""",
    """
dtotal = torch.tensor(1.0 / N)
dhinge = dtotal * torch.ones_like(hinge)
dmargins = dhinge * (margins > 0)
dright = -dmargins.sum(1, keepdim=True)
ds = dmargins.clone()
ds[range(N), t] += dright.squeeze(1)
dW = x.T @ ds
dW += 2 * reg * W
""",
    pairs("dtotal dhinge dmargins dright ds dW"),
    (
        edit(
            "ds",
            "ds[range(N), t] += dright.squeeze(1)",
            "ds[range(N), t] = dright.squeeze(1)",
            "overwritten",
            "= loses what came through the margins.",
        ),
        edit(
            "dmargins",
            "dhinge * (margins > 0)",
            "dhinge * (s > 0)",
            "wrong-input",
            "The mask is that of the margins, not of the scores.",
        ),
        edit(
            "dright",
            "-dmargins.sum(1, keepdim=True)",
            "dmargins.sum(1, keepdim=True)",
            "sign",
            "The right score is subtracted.",
        ),
        edit(
            "dW", "dW += 2 * reg * W", "dW = 2 * reg * W", "overwritten", "= loses the data's part."
        ),
        edit(
            "dhinge",
            "dtotal * torch.ones_like(hinge)",
            "dtotal * hinge",
            "wrong-input operation",
            "A sum hands back ones, not its input.",
        ),
    ),
)

SILU = Network(
    "silu-two-layers",
    """\
import torch
import torch.nn.functional as F

torch.manual_seed(4)
inp = torch.randn(9, 7)
target = torch.randn(9, 2)
w_in = torch.randn(7, 8) / 7 ** 0.5
b_in = torch.randn(8) * 0.1
w_out = torch.randn(8, 2) / 8 ** 0.5

pre = inp @ w_in + b_in
gate = torch.sigmoid(pre)
act = pre * gate
out = act @ w_out
err = out - target
loss = (err ** 2).sum() / err.numel()
""",
    """
d_err = 2 * err / err.numel()
d_out = d_err.clone()
d_w_out = act.T @ d_out
d_act = d_out @ w_out.T
d_gate = d_act * pre
d_pre = d_act * gate
d_pre = d_pre + d_gate * gate * (1 - gate)
d_w_in = inp.T @ d_pre
d_b_in = d_pre.sum(0)
""",
    pairs(
        "d_err=err d_out=out d_w_out=w_out d_act=act d_gate=gate d_pre=pre d_w_in=w_in d_b_in=b_in"
    ),
    (
        edit(
            "d_pre",
            "d_pre = d_pre + d_gate * gate * (1 - gate)",
            "d_pre = d_gate * gate * (1 - gate)",
            "overwritten missing-term",
            "What the product hands back is lost.",
        ),
        edit(
            "d_gate",
            "d_act * pre",
            "d_act * act",
            "wrong-input",
            "The product's other factor is pre.",
        ),
        edit(
            "d_err",
            "2 * err / err.numel()",
            "2 * err / err.shape[0]",
            "factor reduction wrong-input",
            "The mean is over all elements.",
        ),
        edit(
            "d_act",
            "d_out @ w_out.T",
            "d_out @ w_in.T[:2] @ torch.eye(7, 8)",
            "wrong-input operation",
            "The gradient comes back through the other layer's weights.",
        ),
        edit(
            "d_b_in",
            "d_pre.sum(0)",
            "d_pre.sum()",
            "reduction shape",
            "Summed over the units as well.",
        ),
    ),
)

GROUP_NORM = Network(
    "group-norm",
    """\
import torch
torch.manual_seed(5)
N, G, K = 6, 2, 5
z = torch.randn(N, G * K)
gamma = 1 + 0.1 * torch.randn(G * K)
shift = 0.1 * torch.randn(G * K)
proj = torch.randn(G * K, 3)
goal = torch.randn(N, 3)

grouped = z.view(N, G, K)
mu = grouped.mean(2, keepdim=True)
centred = grouped - mu
var = (centred ** 2).mean(2, keepdim=True)
inv = 1 / torch.sqrt(var + 1e-5)
normed = (centred * inv).view(N, G * K)
y = gamma * normed + shift
pred = y @ proj
loss = ((pred - goal) ** 2).mean()
""",
    """
dpred = 2.0 * (pred - goal) / pred.numel()
dproj = y.T @ dpred
dy = dpred @ proj.T
dgamma = (dy * normed).sum(0)
dshift = dy.sum(0)
dnormed = dy * gamma
back = dnormed.view(N, G, K)
dinv = (back * centred).sum(2, keepdim=True)
dvar = -0.5 * dinv * inv ** 3
dcentred = back * inv + dvar * 2 * centred / K
dmu = -dcentred.sum(2, keepdim=True)
dgrouped = dcentred + dmu / K
dz = dgrouped.view(N, G * K)
""",
    pairs("dpred dproj dy dgamma dshift dnormed dinv dvar dcentred dmu dgrouped dz"),
    (
        edit(
            "dvar",
            "-0.5 * dinv * inv ** 3",
            "-0.5 * dinv * inv ** 2",
            "factor wrong-input operation",
            "The is 3: of the variance to the minus three halves.",
        ),
        edit(
            "dcentred",
            "dvar * 2 * centred / K",
            "dvar * 2 * centred / (G * K)",
            "factor",
            "The mean is over the K of a group.",
        ),
        edit(
            "dgrouped",
            "dcentred + dmu / K",
            "dcentred - dmu / K",
            "sign",
            "The mean's part is added.",
        ),
        edit(
            "dinv",
            "(back * centred).sum(2, keepdim=True)",
            "(back * centred).mean(2, keepdim=True)",
            "reduction factor operation",
            "The mean stands for the sum.",
        ),
        edit(
            "dgamma",
            "(dy * normed).sum(0)",
            "(dy * z).sum(0)",
            "wrong-input",
            "The gain multiplies the normalised values.",
        ),
    ),
)

FACTORS = Network(
    "matrix-factorisation",
    """\
import torch
torch.manual_seed(6)
users = torch.tensor([0, 1, 2, 1, 0, 3, 3, 2])
items = torch.tensor([4, 0, 1, 2, 3, 3, 0, 4])
stars = torch.tensor([5., 3., 1., 4., 2., 5., 1., 3.])
P = torch.randn(4, 3)
Q = torch.randn(5, 3)
bu = torch.randn(4)

pu = P[users]
qi = Q[items]
guess = (pu * qi).sum(1) + bu[users]
diff = guess - stars
mse = diff.square().mean()
""",
    """
ddiff = 2 * diff / len(diff)
dguess = ddiff.clone()
dpu = dguess[:, None] * qi
dqi = dguess[:, None] * pu
dP = torch.zeros_like(P)
dP.index_add_(0, users, dpu)
dQ = torch.zeros_like(Q)
dQ.index_add_(0, items, dqi)
dbu = torch.zeros_like(bu)
dbu.index_add_(0, users, dguess)
""",
    pairs("ddiff dguess dpu dqi dP dQ dbu"),
    (
        edit(
            "dpu",
            "dguess[:, None] * qi",
            "dguess[:, None] * pu",
            "wrong-input",
            "The other factor is qi.",
        ),
        edit(
            "dQ",
            "dQ.index_add_(0, items, dqi)",
            "dQ.index_add_(0, items, dpu)",
            "wrong-input",
            "dpu stands for dqi.",
        ),
        edit(
            "dbu",
            "dbu.index_add_(0, users, dguess)",
            "dbu[users] = dguess",
            "overwritten",
            "A user that occurs again loses what was there.",
        ),
        edit(
            "ddiff",
            "2 * diff / len(diff)",
            "diff / len(diff)",
            "factor missing-factor",
            "The 2 of the square is missing.",
        ),
        edit(
            "dP",
            "dP = torch.zeros_like(P)",
            "dP = torch.ones_like(P)",
            "start operation extra-term",
            "It starts from ones.",
        ),
    ),
    loss="mse",
)

GLU = Network(
    "gated-linear-unit",
    """\
import torch
torch.manual_seed(7)
xs = torch.randn(8, 5)
labels = torch.randint(0, 3, (8,))
Wv = torch.randn(5, 6) * 0.4
Wg = torch.randn(5, 6) * 0.4
Wo = torch.randn(6, 3) * 0.4

value = xs @ Wv
g = xs @ Wg
sig = torch.sigmoid(g)
mixed = value * sig
logits = mixed @ Wo
logp = torch.log_softmax(logits, dim=-1)
loss = -logp[torch.arange(8), labels].mean()
""",
    """
dlogp = torch.zeros_like(logp)
dlogp[torch.arange(8), labels] = -1 / 8
dlogits = dlogp - logp.exp() * dlogp.sum(-1, keepdim=True)
dWo = mixed.T @ dlogits
dmixed = dlogits @ Wo.T
dvalue = dmixed * sig
dsig = dmixed * value
dg = dsig * sig * (1 - sig)
dWv = xs.T @ dvalue
dWg = xs.T @ dg
""",
    pairs("dlogp dlogits dWo dmixed dvalue dsig dg dWv dWg"),
    (
        edit(
            "dlogits",
            "logp.exp() * dlogp.sum(-1, keepdim=True)",
            "logp.exp() * dlogp",
            "reduction",
            "The sum over the classes is missing.",
        ),
        edit(
            "dvalue",
            "dmixed * sig",
            "dmixed * g",
            "wrong-input",
            "The gate is the sigmoid, not its input.",
        ),
        edit(
            "dg",
            "dsig * sig * (1 - sig)",
            "dsig * (1 - sig ** 2)",
            "operation wrong-input factor",
            "That is the of tanh.",
        ),
        edit("dWg", "xs.T @ dg", "xs.T @ dsig", "wrong-input", "dsig stands for dg."),
        edit("dlogp", "= -1 / 8", "= 1 / 8", "sign", "The loss is minus the mean."),
    ),
)

TIED = Network(
    "tied-autoencoder",
    """\
import torch
torch.manual_seed(8)
v = torch.rand(7, 6)
M = torch.randn(6, 3) * 0.5
c = torch.randn(3) * 0.1
d = torch.randn(6) * 0.1

code = torch.tanh(v @ M + c)
recon = torch.sigmoid(code @ M.T + d)
resid = recon - v
loss = resid.pow(2).sum(1).mean()
""",
    """
dresid = 2 * resid / v.shape[0]
drecon = dresid.clone()
dpre2 = drecon * recon * (1 - recon)
dd = dpre2.sum(0)
dcode = dpre2 @ M
dpre1 = dcode * (1 - code ** 2)
dc = dpre1.sum(0)
dM = v.T @ dpre1 + dpre2.T @ code
""",
    pairs("dresid drecon dd dcode dc dM"),
    (
        edit(
            "dM",
            "v.T @ dpre1 + dpre2.T @ code",
            "v.T @ dpre1",
            "missing-term",
            "The decoder reads M too.",
        ),
        edit(
            "dM",
            "dpre2.T @ code",
            "(code.T @ dpre2).reshape(6, 3)",
            "transposed",
            "Reshaped where it must be transposed.",
        ),
        edit(
            "dcode",
            "dpre2 @ M",
            "drecon @ M",
            "wrong-input missing-factor",
            "The sigmoid's is left out.",
        ),
        edit(
            "dc",
            "dpre1.sum(0)",
            "dcode.sum(0)",
            "wrong-input missing-factor",
            "The tanh's is left out.",
        ),
        edit(
            "dd",
            "dpre2.sum(0)",
            "dpre2.sum(0) / 7",
            "factor",
            "A mean is taken where the sum belongs.",
        ),
    ),
)

VAE = Network(
    "variational",
    """\
import torch
torch.manual_seed(9)
data = torch.randn(10, 4)
A = torch.randn(4, 2) * 0.5
S = torch.randn(4, 2) * 0.2
Dec = torch.randn(2, 4) * 0.5
noise = torch.randn(10, 2)

mean = data @ A
logvar = data @ S
std = torch.exp(0.5 * logvar)
latent = mean + std * noise
back = latent @ Dec
rec = ((back - data) ** 2).sum() / 10
kl = -0.5 * (1 + logvar - mean ** 2 - logvar.exp()).sum() / 10
elbo = rec + kl
""",
    """
dback = 2 * (back - data) / 10
dDec = latent.T @ dback
dlatent = dback @ Dec.T
dstd = dlatent * noise
dmean = dlatent + mean / 10
dlogvar = dstd * std * 0.5 - 0.5 * (1 - logvar.exp()) / 10
dA = data.T @ dmean
dS = data.T @ dlogvar
""",
    pairs("dback dDec dlatent dstd dmean dlogvar dA dS"),
    (
        edit(
            "dmean",
            "dlatent + mean / 10",
            "dlatent",
            "missing-term",
            "What the divergence hands back is missing.",
        ),
        edit(
            "dlogvar",
            "dstd * std * 0.5",
            "dstd * std",
            "factor missing-factor",
            "The factor 0.5 is missing.",
        ),
        edit(
            "dlogvar",
            "- 0.5 * (1 - logvar.exp()) / 10",
            "- 0.5 * (1 + logvar.exp()) / 10",
            "sign",
            "exp has the other sign.",
        ),
        edit("dstd", "dlatent * noise", "dlatent * std", "wrong-input", "The factor is the noise."),
        edit(
            "dDec",
            "latent.T @ dback",
            "mean.T @ dback",
            "wrong-input",
            "The decoder reads latent, not its mean.",
        ),
    ),
    loss="elbo",
)

RBF = Network(
    "radial-basis",
    """\
import torch
torch.manual_seed(10)
pts = torch.randn(9, 2)
want = torch.randn(9)
centres = torch.randn(4, 2)
log_width = torch.zeros(4) + 0.1 * torch.randn(4)
amp = torch.randn(4)

delta = pts[:, None, :] - centres[None, :, :]
dist2 = delta.pow(2).sum(-1)
width = log_width.exp()
scaled = dist2 / width
phi = torch.exp(-scaled)
f = phi @ amp
loss = torch.mean((f - want).abs())
""",
    """
df = torch.sign(f - want) / 9
damp = phi.T @ df
dphi = torch.outer(df, amp)
dscaled = -dphi * phi
ddist2 = dscaled / width
dwidth = (-dscaled * dist2 / width ** 2).sum(0)
dlog_width = dwidth * width
ddelta = ddist2[:, :, None] * 2 * delta
dcentres = -ddelta.sum(0)
""",
    pairs("df damp dphi dscaled ddist2 dwidth dlog_width ddelta dcentres"),
    (
        edit("dcentres", "-ddelta.sum(0)", "ddelta.sum(0)", "sign", "The centres are subtracted."),
        edit(
            "dwidth",
            "dist2 / width ** 2",
            "dist2 / width",
            "factor missing-factor",
            "The slope of 1/w is -1/w**2.",
        ),
        edit("dscaled", "-dphi * phi", "-dphi", "missing-factor", "exp's own value is missing."),
        edit(
            "df",
            "torch.sign(f - want) / 9",
            "torch.sign(want - f) / 9",
            "sign exchanged",
            "The difference is the other way round.",
        ),
        edit(
            "dlog_width",
            "dwidth * width",
            "dwidth / width",
            "operation",
            "Divided where it must be multiplied.",
        ),
    ),
)

HEADS = Network(
    "two-heads",
    """\
import torch
torch.manual_seed(12)
B, T, H, d = 2, 4, 2, 3
x = torch.randn(B, T, H * d)
Wq = torch.randn(H * d, H * d) * 0.4
Wk = torch.randn(H * d, H * d) * 0.4
Wv = torch.randn(H * d, H * d) * 0.4
y = torch.randn(B, T, H * d)

q = (x @ Wq).view(B, T, H, d).transpose(1, 2)
k = (x @ Wk).view(B, T, H, d).transpose(1, 2)
v = (x @ Wv).view(B, T, H, d).transpose(1, 2)
att = q @ k.transpose(-2, -1) * d ** -0.5
w = torch.softmax(att, dim=-1)
o = w @ v
merged = o.transpose(1, 2).reshape(B, T, H * d)
loss = ((merged - y) ** 2).mean()
""",
    """
dmerged = 2 * (merged - y) / merged.numel()
do = dmerged.view(B, T, H, d).transpose(1, 2)
dw = do @ v.transpose(-2, -1)
dv = w.transpose(-2, -1) @ do
datt = w * (dw - (dw * w).sum(-1, keepdim=True))
dq = datt @ k * d ** -0.5
dk = datt.transpose(-2, -1) @ q * d ** -0.5
flat = x.reshape(B * T, H * d)
dWq = flat.T @ dq.transpose(1, 2).reshape(B * T, H * d)
dWk = flat.T @ dk.transpose(1, 2).reshape(B * T, H * d)
dWv = flat.T @ dv.transpose(1, 2).reshape(B * T, H * d)
""",
    pairs("dmerged do dw dv datt dq dk dWq dWk dWv"),
    (
        edit(
            "dv",
            "w.transpose(-2, -1) @ do",
            "w @ do",
            "transposed",
            "The weights must be transposed.",
        ),
        edit(
            "datt",
            "(dw * w).sum(-1, keepdim=True)",
            "(dw * w).sum(-2, keepdim=True)",
            "reduction",
            "Summed over the wrong axis.",
        ),
        edit("dk", "@ q * d ** -0.5", "@ q", "missing-factor factor", "The scale is missing."),
        edit("dWk", "flat.T @ dk", "flat.T @ dq", "wrong-input", "dq stands for dk."),
        edit(
            "dWq",
            "dq.transpose(1, 2).reshape(B * T, H * d)",
            "dq.reshape(B * T, H * d)",
            "transposed",
            "The heads are not turned back.",
        ),
    ),
)

SKIPGRAM = Network(
    "negative-sampling",
    """\
import torch
import torch.nn.functional as F
torch.manual_seed(13)
V, E = 11, 4
ctr = torch.randint(0, V, (7,))
pos = torch.randint(0, V, (7,))
neg = torch.randint(0, V, (7, 3))
inn = torch.randn(V, E) * 0.7
outt = torch.randn(V, E) * 0.7

u = inn[ctr]
vp = outt[pos]
vn = outt[neg]
sp = (u * vp).sum(1)
sn = (vn * u.unsqueeze(1)).sum(2)
lp = F.logsigmoid(sp)
ln = F.logsigmoid(-sn)
cost = -(lp.sum() + ln.sum()) / 7
""",
    """
dsp = -(1 - torch.sigmoid(sp)) / 7
dsn = torch.sigmoid(sn) / 7
du = dsp[:, None] * vp
du += (dsn[:, :, None] * vn).sum(1)
dvp = dsp[:, None] * u
dvn = dsn[:, :, None] * u[:, None, :]
dinn = torch.zeros(V, E)
for i in range(7):
    dinn[ctr[i]] += du[i]
doutt = torch.zeros(V, E)
for i in range(7):
    doutt[pos[i]] += dvp[i]
    for j in range(3):
        doutt[neg[i, j]] += dvn[i, j]
""",
    pairs("dsp dsn du dvp dvn dinn doutt"),
    (
        edit(
            "dsn",
            "torch.sigmoid(sn) / 7",
            "torch.sigmoid(-sn) / 7",
            "sign",
            "The is that of the other sign.",
        ),
        edit("du", "du += (dsn", "du = (dsn", "overwritten", "The positive pair's part is lost."),
        edit(
            "doutt",
            "doutt[neg[i, j]] += dvn[i, j]",
            "doutt[neg[i, j]] = dvn[i, j]",
            "overwritten",
            "= loses what was there.",
        ),
        edit(
            "doutt",
            "for j in range(3):",
            "for j in range(2):",
            "index missing-term",
            "The last negative is left out.",
        ),
        edit(
            "dvn",
            "dsn[:, :, None] * u[:, None, :]",
            "dsn[:, :, None] * vn",
            "wrong-input",
            "The other factor is u.",
        ),
    ),
    loss="cost",
)

POOLED = Network(
    "pooled-images",
    """\
import torch
torch.manual_seed(14)
imgs = torch.randn(5, 2, 4, 4)
kinds = torch.randint(0, 3, (5,))
mix = torch.randn(3, 2) * 0.6
cls = torch.randn(12, 3) * 0.5

maps = torch.einsum("oc,bchw->bohw", mix, imgs)
pos = maps.clamp(min=0)
blocks = pos.view(5, 3, 2, 2, 2, 2)
pool = blocks.mean(dim=(3, 5))
vec = pool.flatten(1)
logits = vec @ cls
top = logits.max(1, keepdim=True).values
shifted = logits - top
lse = shifted.exp().sum(1).log()
hit = shifted[torch.arange(5), kinds]
loss = (lse - hit).mean()
""",
    """
soft = torch.softmax(logits, 1)
dlogits = soft.clone()
dlogits[torch.arange(5), kinds] -= 1
dlogits /= 5
dcls = vec.T @ dlogits
dvec = dlogits @ cls.T
dpool = dvec.view(5, 3, 2, 2)
dblocks = dpool[:, :, :, None, :, None].expand(5, 3, 2, 2, 2, 2) / 4
dpos = dblocks.reshape(5, 3, 4, 4)
dmaps = dpos * (maps > 0)
dmix = torch.einsum("bohw,bchw->oc", dmaps, imgs)
""",
    pairs("dlogits dcls dvec dpool dblocks dpos dmaps dmix"),
    (
        edit("dblocks", "/ 4", "/ 2", "factor", "A mean over four."),
        edit(
            "dmaps",
            "dpos * (maps > 0)",
            "dpos * (maps < 0)",
            "operation sign wrong-input",
            "The mask is the other way round.",
        ),
        edit(
            "dlogits", "kinds] -= 1", "kinds] += 1", "sign", "One is subtracted at the right class."
        ),
        edit(
            "dlogits",
            "dlogits /= 5",
            "dlogits /= 3",
            "factor wrong-input",
            "The mean is over the five images.",
        ),
        edit(
            "dmix",
            'torch.einsum("bohw,bchw->oc", dmaps, imgs)',
            'torch.einsum("bohw,bchw->oc", dpos, imgs)',
            "wrong-input missing-factor",
            "The mask is left out.",
        ),
    ),
)

EXPERTS = Network(
    "soft-experts",
    """\
import torch
torch.manual_seed(15)
a = torch.randn(8, 3)
goal = torch.randn(8, 2)
Wg = torch.randn(3, 4)
We = torch.randn(4, 3, 2) * 0.5

raw = a @ Wg
g = raw.softmax(dim=1)
each = torch.einsum("ni,kio->nko", a, We)
blend = (g.unsqueeze(-1) * each).sum(1)
miss = blend - goal
loss = 0.5 * (miss * miss).sum(1).mean()
""",
    """
dmiss = miss / 8
dblend = dmiss.clone()
dg = (dblend[:, None, :] * each).sum(-1)
deach = dblend[:, None, :] * g[:, :, None]
dWe = torch.einsum("ni,nko->kio", a, deach)
draw = g * (dg - (g * dg).sum(1, keepdim=True))
dWg = a.T @ draw
""",
    pairs("dmiss dblend dg deach dWe draw dWg"),
    (
        edit(
            "dg",
            "(dblend[:, None, :] * each).sum(-1)",
            "(dblend[:, None, :] * each).mean(-1)",
            "reduction factor operation",
            "The mean stands for the sum.",
        ),
        edit(
            "draw",
            "g * (dg - (g * dg).sum(1, keepdim=True))",
            "g * dg - (g * dg).sum(1, keepdim=True)",
            "parentheses missing-factor",
            "g must multiply the difference.",
        ),
        edit(
            "draw",
            "g * (dg - (g * dg).sum(1, keepdim=True))",
            "dg * (1 - g)",
            "missing-term operation wrong-input",
            "That is the sigmoid's without its own value.",
        ),
        edit("dmiss", "miss / 8", "2 * miss / 8", "factor", "The half cancels the two."),
        edit("dWg", "a.T @ draw", "a.T @ dg", "wrong-input", "dg stands for draw."),
    ),
)

WEIGHTED = Network(
    "weighted-temperature",
    """\
import torch
torch.manual_seed(16)
n, c = 9, 4
h = torch.randn(n, 5)
lab = torch.randint(0, c, (n,))
cw = torch.tensor([1.0, 2.0, 0.5, 1.5])
U = torch.randn(5, c)
temp = torch.tensor(1.7)

logit = h @ U
z = logit / temp
p = torch.softmax(z, 1)
pl = p[torch.arange(n), lab]
wl = cw[lab]
nll = -(wl * pl.log()).sum() / wl.sum()
""",
    """
total = wl.sum()
dpl = -wl / pl / total
dp = torch.zeros_like(p)
dp[torch.arange(n), lab] = dpl
dz = p * (dp - (dp * p).sum(1, keepdim=True))
dlogit = dz / temp
dtemp = -(dz * logit).sum() / temp ** 2
dU = h.T @ dlogit
""",
    pairs("dpl dp dz dlogit dtemp dU"),
    (
        edit(
            "dpl",
            "/ pl / total",
            "/ pl / n",
            "factor wrong-input",
            "The weights' sum divides, not n.",
        ),
        edit(
            "dtemp",
            "-(dz * logit).sum() / temp ** 2",
            "(dz * logit).sum() / temp ** 2",
            "sign",
            "The slope of 1/t is negative.",
        ),
        edit("dlogit", "dz / temp", "dz * temp", "operation", "Divided, not multiplied."),
        edit(
            "dz",
            "(dp * p).sum(1, keepdim=True)",
            "dp.sum(1, keepdim=True)",
            "missing-factor",
            "The probabilities are missing in the sum.",
        ),
        edit("dp", "lab] = dpl", "lab] = pl", "wrong-input", "The value stands for its gradient."),
    ),
    loss="nll",
)

NETWORKS = (
    MULTILABEL, POISSON, MARGIN, SILU, GROUP_NORM, FACTORS, GLU, TIED, VAE, RBF, HEADS, SKIPGRAM,
    POOLED, EXPERTS, WEIGHTED,
)  # fmt: skip
