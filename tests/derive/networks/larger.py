# ruff: noqa: E501
"""Embeddings, attention, gates, convolution, a contrastive loss, a transformer block; and five that
are written with functions, loops or classes."""

from __future__ import annotations

from .network import Network, edit, pairs, same

POSITION = Network(
    "embedding-with-position",
    """\
import torch

torch.manual_seed(11)
B, T, V, E = 6, 4, 9, 5
idx = torch.randint(0, V, (B, T))
nxt = torch.randint(0, V, (B,))
tok_table = torch.randn(V, E)
pos_table = torch.randn(T, E)
head = torch.randn(E, V) / E**0.5

tok = tok_table[idx]                 # (B, T, E)
x = tok + pos_table                  # (B, T, E)
pooled = x.mean(1)                   # (B, E)
logits = pooled @ head
e = logits.exp()
s = e.sum(1, keepdim=True)
p = e / s
picked = p[torch.arange(B), nxt]
loss = -picked.log().mean()
""",
    """
dpicked = -1 / picked / B
dp = torch.zeros_like(p)
dp[torch.arange(B), nxt] = dpicked
de = dp / s
ds = -(dp * e).sum(1, keepdim=True) / s**2
de = de + ds
dlogits = de * e
dhead = pooled.T @ dlogits
dpooled = dlogits @ head.T
dx = dpooled.unsqueeze(1).repeat(1, T, 1) / T
dpos_table = dx.sum(0)
dtok = dx.clone()
dtok_table = torch.zeros_like(tok_table)
for i in range(B):
    for t in range(T):
        dtok_table[idx[i, t]] += dtok[i, t]
""",
    pairs("dpicked dp de ds dlogits dhead dpooled dx dpos_table dtok dtok_table"),
    (
        edit(
            "dtok_table",
            "dtok_table[idx[i, t]] += dtok[i, t]",
            "dtok_table[idx[i, t]] = dtok[i, t]",
            "overwritten",
            "A token that occurs again loses what it had: = where += belongs.",
        ),
        edit(
            "dpos_table",
            "dx.sum(0)",
            "dx.mean(0)",
            "reduction factor operation",
            "The mean is taken where the sum over the batch belongs.",
        ),
        edit(
            "dx",
            "dpooled.unsqueeze(1).repeat(1, T, 1) / T",
            "dpooled.unsqueeze(1).repeat(1, T, 1)",
            "missing-factor factor",
            "The 1/T of the mean over the positions is missing.",
        ),
        edit(
            "dp",
            "dp[torch.arange(B), nxt] = dpicked",
            "dp[torch.arange(B), nxt - 1] = dpicked",
            "index",
            "The targets are shifted by one.",
        ),
        edit(
            "ds",
            "ds = -(dp * e)",
            "ds = -(dp * p)",
            "wrong-input",
            "p is read where e, the numerator, belongs.",
        ),
    ),
)

ATTENTION = Network(
    "causal-attention-head",
    """\
import torch

torch.manual_seed(12)
T, C, D = 5, 8, 4
x = torch.randn(T, C, requires_grad=True)
Wq = (torch.randn(C, D) * 0.5).requires_grad_()
Wk = (torch.randn(C, D) * 0.5).requires_grad_()
Wv = (torch.randn(C, D) * 0.5).requires_grad_()
goal = torch.randn(T, D)
tril = torch.tril(torch.ones(T, T))

q = x @ Wq
k = x @ Wk
v = x @ Wv
raw = q @ k.T * D**-0.5
wei = raw.masked_fill(tril == 0, float('-inf'))
att = torch.softmax(wei, dim=-1)
out = att @ v
loss = ((out - goal)**2).sum() / T
""",
    """
dout = 2 * (out - goal) / T
datt = dout @ v.T
dv = att.T @ dout
# softmax, row by row: p * (g - sum(p * g))
dwei = att * (datt - (att * datt).sum(-1, keepdim=True))
draw = dwei.masked_fill(tril == 0, 0.0)
dq = draw @ k * D**-0.5
dk = draw.T @ q * D**-0.5
dWq = x.T @ dq
dWk = x.T @ dk
dWv = x.T @ dv
dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
""",
    pairs("dout datt dv dwei draw dq dk dWq dWk dWv dx"),
    (
        edit(
            "dwei",
            "(att * datt).sum(-1, keepdim=True)",
            "datt.sum(-1, keepdim=True)",
            "missing-factor",
            "The factor att is missing under the sum.",
        ),
        edit(
            "dk",
            "draw.T @ q",
            "draw @ q",
            "transposed",
            "draw must be transposed: its columns belong to the keys.",
        ),
        edit(
            "dq",
            "dq = draw @ k * D**-0.5",
            "dq = draw @ k",
            "missing-factor factor",
            "The scale 1/sqrt(D) is missing.",
        ),
        edit(
            "dx",
            "dq @ Wq.T + dk @ Wk.T + dv @ Wv.T",
            "dq @ Wq.T + dk @ Wk.T",
            "missing-term",
            "The branch through the values is left out.",
        ),
        edit(
            "dv",
            "att.T @ dout",
            "datt.T @ dout",
            "wrong-input",
            "datt is read where the forward att belongs.",
        ),
    ),
    middle="loss.backward()\n",
    tail="""
for name, mine, t in (('Wq', dWq, Wq), ('Wk', dWk, Wk), ('Wv', dWv, Wv), ('x', dx, x)):
    print(name, torch.allclose(mine, t.grad, atol=1e-4))
""",
)

GRU = Network(
    "gru-step",
    """\
import torch

torch.manual_seed(13)
n, d, hdim = 4, 3, 6
xt = torch.randn(n, d)
h_prev = torch.randn(n, hdim)
Wz, Wr, Wh = [torch.randn(d, hdim) * 0.5 for _ in range(3)]
Uz, Ur, Uh = [torch.randn(hdim, hdim) * 0.4 for _ in range(3)]
target = torch.randn(n, hdim)

az = xt @ Wz + h_prev @ Uz
z = torch.sigmoid(az)
ar = xt @ Wr + h_prev @ Ur
r = torch.sigmoid(ar)
rh = r * h_prev
ac = xt @ Wh + rh @ Uh
cand = torch.tanh(ac)
h_new = (1 - z) * h_prev + z * cand
loss = ((h_new - target)**2).mean()
""",
    """
dh_new = 2 * (h_new - target) / h_new.numel()
dz = (dh_new * (cand - h_prev))
dcand = dh_new * z
dh_prev = dh_new * (1 - z)
dac = dcand * (1 - cand**2)
dWh = xt.t() @ dac
drh = dac @ Uh.t()
dUh = rh.t() @ dac
dr = drh * h_prev
dh_prev += drh * r
dar = dr * r * (1 - r)
dWr = xt.t() @ dar
dUr = h_prev.t() @ dar
dh_prev += dar @ Ur.t()
daz = dz * z * (1 - z)
dWz = xt.t() @ daz
dUz = h_prev.t() @ daz
dh_prev += daz @ Uz.t()
dxt = daz @ Wz.t() + dar @ Wr.t() + dac @ Wh.t()
""",
    pairs("dh_new dz dcand dh_prev dac dWh drh dUh dr dar dWr dUr daz dWz dUz dxt"),
    (
        edit(
            "dz",
            "cand - h_prev",
            "cand + h_prev",
            "sign",
            "h_prev is multiplied by 1 - z: its slope in z is negative.",
        ),
        edit(
            "dUh",
            "rh.t() @ dac",
            "h_prev.t() @ dac",
            "wrong-input",
            "h_prev is read where rh, the reset state, belongs.",
        ),
        edit(
            "dh_prev",
            "dh_prev += drh * r\n",
            "",
            "missing-term",
            "The branch through r * h_prev is left out.",
            "dh_prev = dh_new * (1 - z)",
            "dh_prev += dar @ Ur.t()",
            "dh_prev += daz @ Uz.t()",
        ),
        edit(
            "dac",
            "dcand * (1 - cand**2)",
            "dcand * cand * (1 - cand)",
            "operation wrong-input",
            "The sigmoid's slope is used; cand is a tanh.",
        ),
        edit(
            "dar",
            "dr * r * (1 - r)",
            "dr * ar * (1 - ar)",
            "wrong-input",
            "The sigmoid's slope is r * (1 - r) in its output, not in ar.",
        ),
    ),
)

CONTRASTIVE = Network(
    "contrastive-cosine",
    """\
import torch

torch.manual_seed(14)
pairs_n, din, dz = 7, 6, 5
left = torch.randn(pairs_n, din)
right = torch.randn(pairs_n, din)
P = torch.randn(din, dz) * 0.6
tau = 0.5

za = left @ P
zb = right @ P
na = (za**2).sum(1, keepdim=True).sqrt()
nb = (zb**2).sum(1, keepdim=True).sqrt()
ua = za / na
ub = zb / nb
sim = ua @ ub.T / tau
lse = torch.logsumexp(sim, dim=1)
pos = sim.diagonal()
cost = (lse - pos).mean()
""",
    """
g_lse = torch.ones(pairs_n) / pairs_n
g_pos = -torch.ones(pairs_n) / pairs_n
g_sim = torch.softmax(sim, 1) * g_lse[:, None] + torch.diag(g_pos)
g_ua = g_sim @ ub / tau
g_ub = g_sim.T @ ua / tau
g_na = -(g_ua * za).sum(1, keepdim=True) / na**2
g_nb = -(g_ub * zb).sum(1, keepdim=True) / nb**2
g_za = g_ua / na + g_na * za / na
g_zb = g_ub / nb + g_nb * zb / nb
g_P = left.T @ g_za + right.T @ g_zb
""",
    pairs("g_lse=lse g_pos=pos g_sim=sim g_ua=ua g_ub=ub g_na=na g_nb=nb g_za=za g_zb=zb g_P=P"),
    (
        edit(
            "g_P",
            "left.T @ g_za + right.T @ g_zb",
            "left.T @ g_za",
            "missing-term",
            "P is used twice; the branch of the right side is left out.",
        ),
        edit(
            "g_ub",
            "g_sim.T @ ua",
            "g_sim @ ua",
            "transposed",
            "g_sim must be transposed: its columns belong to ub.",
        ),
        edit(
            "g_sim",
            "torch.softmax(sim, 1)",
            "torch.softmax(sim, 0)",
            "reduction index operation",
            "The softmax runs down the columns; logsumexp went along the rows.",
        ),
        edit(
            "g_na",
            "/ na**2",
            "/ na",
            "missing-factor factor operation",
            "The slope of 1/na has the square below.",
        ),
        edit(
            "g_za",
            "g_ua / na + g_na * za / na",
            "g_ua / na - g_na * za / na",
            "sign",
            "The minus of the quotient is in g_na already.",
        ),
    ),
    loss="cost",
)

BLOCK = Network(
    "transformer-block",
    """\
import torch
import torch.nn.functional as F

torch.manual_seed(15)
S, M, Hd, K = 6, 8, 8, 7
tokens_in = torch.randn(S, M)
answers = torch.randint(0, K, (S,))
g1, g2 = torch.rand(M) + 0.5, torch.rand(M) + 0.5
Wq, Wk, Wv, Wo = (torch.randn(M, M) * 0.35 for _ in range(4))
Wup, Wdown = torch.randn(M, 4 * M) * 0.3, torch.randn(4 * M, M) * 0.2
Wun = torch.randn(M, K) * 0.3
future = torch.triu(torch.ones(S, S), diagonal=1).bool()

# norm, attention, residual
c1 = tokens_in - tokens_in.mean(1, keepdim=True)
r1 = (c1.pow(2).mean(1, keepdim=True) + 1e-5).rsqrt()
n1 = c1 * r1
y1 = n1 * g1
q, k, v = y1 @ Wq, y1 @ Wk, y1 @ Wv
sc = (q @ k.T / M**0.5).masked_fill(future, -1e9)
a = F.softmax(sc, dim=1)
mixed = a @ v
attn_out = mixed @ Wo
x1 = tokens_in + attn_out
# norm, two layers, residual
c2 = x1 - x1.mean(1, keepdim=True)
r2 = (c2.pow(2).mean(1, keepdim=True) + 1e-5).rsqrt()
n2 = c2 * r2
y2 = n2 * g2
up = y2 @ Wup
act = F.relu(up)
x2 = x1 + act @ Wdown
final = x2 @ Wun
loss = F.cross_entropy(final, answers)
""",
    """
dfinal = (F.softmax(final, dim=1) - F.one_hot(answers, K)) / S
dWun = x2.T @ dfinal
dx2 = dfinal @ Wun.T
# the two layers
dWdown = act.T @ dx2
dact = dx2 @ Wdown.T
dup = dact * (up > 0)
dWup = y2.T @ dup
dy2 = dup @ Wup.T
dg2 = (dy2 * n2).sum(0)
dn2 = dy2 * g2
# the norm in one line
dx1 = r2 * (dn2 - dn2.mean(1, keepdim=True) - n2 * (dn2 * n2).mean(1, keepdim=True))
dx1 = dx1 + dx2
# attention
dattn_out = dx1
dWo = mixed.T @ dattn_out
dmixed = dattn_out @ Wo.T
da = dmixed @ v.T
dv = a.T @ dmixed
dsc = a * (da - (da * a).sum(1, keepdim=True))
dq = dsc @ k / M**0.5
dk = dsc.T @ q / M**0.5
dWq, dWk, dWv = y1.T @ dq, y1.T @ dk, y1.T @ dv
dy1 = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
dg1 = (dy1 * n1).sum(0)
dn1 = dy1 * g1
dtokens_in = r1 * (dn1 - dn1.mean(1, keepdim=True) - n1 * (dn1 * n1).mean(1, keepdim=True))
dtokens_in = dtokens_in + dx1
""",
    pairs(
        "dfinal dWun dx2 dWdown dact dup dWup dy2 dg2 dn2 dx1 dattn_out dWo dmixed da dv dsc dq dk dWq dWk dWv dy1 dg1 dn1 dtokens_in"
    ),
    (
        edit(
            "dx1",
            "dx1 = dx1 + dx2\n",
            "",
            "missing-term",
            "The branch past the two layers, straight from x2, is left out.",
            "dx1 = r2 * (dn2 - dn2.mean(1, keepdim=True) - n2 * (dn2 * n2).mean(1, keepdim=True))",
        ),
        edit(
            "dsc",
            "(da * a).sum(1, keepdim=True)",
            "(da * a).sum(0, keepdim=True)",
            "reduction",
            "Summed down the columns; the softmax went along the rows.",
        ),
        edit(
            "dg1",
            "(dy1 * n1).sum(0)",
            "(dy1 * y1).sum(0)",
            "wrong-input",
            "y1, after the scale, is read where n1 belongs.",
        ),
        edit(
            "dk",
            "dsc.T @ q / M**0.5",
            "dsc.T @ q * M**0.5",
            "operation factor",
            "Multiplied by the scale's root where it must be divided.",
        ),
        edit(
            "dWdown",
            "dWdown = act.T @ dx2",
            "dWdown = up.T @ dx2",
            "wrong-input",
            "up, before the ReLU, is read where act belongs.",
        ),
    ),
)

CONV = Network(
    "conv-by-unfold",
    """\
import torch

torch.manual_seed(16)
N, Cin, L, width, filters, kinds = 5, 3, 12, 4, 6, 3
signal = torch.randn(N, Cin, L)
kind = torch.randint(0, kinds, (N,))
kernel = torch.randn(filters, Cin * width) * 0.4
bias = torch.zeros(filters)
fc = torch.randn(filters, kinds)
L_out = L - width + 1

windows = signal.unfold(2, width, 1)                              # (N, Cin, L_out, width)
cols = windows.permute(0, 2, 1, 3).reshape(N, L_out, Cin * width)
conv = cols @ kernel.T + bias                                     # (N, L_out, filters)
act = torch.relu(conv)
pooled = act.mean(1)
scores = pooled @ fc
logp = torch.log_softmax(scores, 1)
loss = -logp[range(N), kind].mean()
""",
    """
dscores = logp.exp()
dscores[range(N), kind] -= 1
dscores = dscores / N
dfc = pooled.T @ dscores
dpooled = dscores @ fc.T
dact = (dpooled / L_out).unsqueeze(1).expand(-1, L_out, -1)
dconv = dact * (conv > 0)
dbias = dconv.sum((0, 1))
dkernel = torch.zeros_like(kernel)
for i in range(N):
    dkernel += dconv[i].T @ cols[i]
dcols = dconv @ kernel
dwindows = dcols.view(N, L_out, Cin, width).permute(0, 2, 1, 3)
# every sample stands in several windows
dsignal = torch.zeros_like(signal)
for j in range(width):
    dsignal[:, :, j:j + L_out] += dwindows[:, :, :, j]
""",
    pairs("dscores dfc dpooled dact dconv dbias dkernel dcols dwindows dsignal"),
    (
        edit(
            "dsignal",
            "dsignal[:, :, j:j + L_out] += dwindows[:, :, :, j]",
            "dsignal[:, :, j:j + L_out] = dwindows[:, :, :, j]",
            "overwritten",
            "The windows overlap: = where += belongs.",
        ),
        edit(
            "dwindows",
            "dcols.view(N, L_out, Cin, width).permute(0, 2, 1, 3)",
            "dcols.view(N, L_out, width, Cin).permute(0, 3, 1, 2)",
            "transposed index operation shape",
            "Channels and places in the window are exchanged in the view.",
        ),
        edit(
            "dkernel",
            "dkernel += dconv[i].T @ cols[i]",
            "dkernel += dconv[i].T @ cols[0]",
            "index",
            "The first example's columns are used for every example.",
        ),
        edit(
            "dact",
            "(dpooled / L_out)",
            "(dpooled / L)",
            "factor wrong-input",
            "The mean is over the L_out places, not over L.",
        ),
        edit(
            "dsignal",
            "for j in range(width):",
            "for j in range(width - 1):",
            "index missing-term",
            "The last place of the window is left out.",
        ),
    ),
    loops=True,
)

LSTM = Network(
    "lstm-two-steps",
    """\
import torch

def lstm_step(x, h, c, W, U, b):
    H = h.shape[1]
    gates = x @ W + h @ U + b
    i, f, o = gates[:, :H].sigmoid(), gates[:, H:2*H].sigmoid(), gates[:, 2*H:3*H].sigmoid()
    g = gates[:, 3*H:].tanh()
    c_new = f * c + i * g
    h_new = o * c_new.tanh()
    return h_new, c_new, (x, h, c, i, f, o, g, c_new, W, U)

torch.manual_seed(17)
n, H = 4, 5
x1, x2 = torch.randn(n, H), torch.randn(n, H)
h0, c0 = torch.randn(n, H), torch.randn(n, H)
W, U = torch.randn(H, 4*H) * 0.4, torch.randn(H, 4*H) * 0.4
b = torch.zeros(4*H)
v = torch.randn(H)
target = torch.randn(n)

h1, c1, cache1 = lstm_step(x1, h0, c0, W, U, b)
h2, c2, cache2 = lstm_step(x2, h1, c1, W, U, b)
out = h2 @ v
loss = ((out - target)**2).mean()
""",
    """
def lstm_step_backward(dh, carry, cache):
    x, h, c, i, f, o, g, c_new, W, U = cache
    t = c_new.tanh()
    total = carry + dh * o * (1 - t**2)
    gates = torch.cat([total * g * i * (1 - i),
                       total * c * f * (1 - f),
                       dh * t * o * (1 - o),
                       total * i * (1 - g**2)], dim=1)
    return gates @ W.T, gates @ U.T, total * f, x.T @ gates, h.T @ gates, gates.sum(0)

dout = 2 * (out - target) / n
dv = h2.T @ dout
dh2 = torch.outer(dout, v)
dx2, dh1, carry, W_part2, U_part2, b_part2 = lstm_step_backward(dh2, torch.zeros(n, H), cache2)
dx1, dh0, carry, W_part1, U_part1, b_part1 = lstm_step_backward(dh1, carry, cache1)
dW = W_part1 + W_part2
dU = U_part1 + U_part2
db = b_part1 + b_part2
dc0 = carry
""",
    pairs("dout dv dh2 dx2 dh1 dx1 dh0 dW dU db dc0"),
    (
        edit(
            "dW",
            "dW = W_part1 + W_part2",
            "dW = W_part2",
            "missing-term",
            "W is used in both steps; the first step's part is left out.",
        ),
        edit(
            "dU",
            "x.T @ gates, h.T @ gates",
            "x.T @ gates, x.T @ gates",
            "wrong-input",
            "x is read where the state h, which U multiplies, belongs.",
            "return gates @ W.T, gates @ U.T, total * f, x.T @ gates, x.T @ gates, gates.sum(0)",
        ),
        edit(
            "db",
            "gates.sum(0)\n",
            "gates.mean(0)\n",
            "reduction factor operation",
            "The mean is taken where the sum over the batch belongs.",
            "return gates @ W.T, gates @ U.T, total * f, x.T @ gates, h.T @ gates, gates.mean(0)",
        ),
        edit(
            "dx1",
            "return gates @ W.T, gates @ U.T,",
            "return gates @ U.T, gates @ U.T,",
            "wrong-input",
            "U is used where W, which multiplies x, belongs.",
            "return gates @ U.T, gates @ U.T, total * f, x.T @ gates, h.T @ gates, gates.sum(0)",
        ),
        *same(
            "dx2",
            "return gates @ W.T, gates @ U.T,",
            "wrong-input",
            "U is used where W, which multiplies x, belongs.",
        ),
        edit(
            "dh2",
            "torch.outer(dout, v)",
            "torch.outer(out, v)",
            "wrong-input",
            "The forward out is read where its gradient belongs.",
        ),
    ),
    loops=True,
)

COURSE = Network(
    "course-layers",
    """\
import torch

def affine_forward(x, w, b):
    out = x.reshape(x.shape[0], -1) @ w + b
    return out, (x, w, b)

def batchnorm_forward(x, gamma, beta, eps=1e-5):
    mean = x.mean(0)
    var = ((x - mean)**2).mean(0)
    std = torch.sqrt(var + eps)
    xhat = (x - mean) / std
    return gamma * xhat + beta, (xhat, gamma, std)

def relu_forward(x):
    return torch.relu(x), x

def softmax_loss_forward(scores, y):
    shifted = scores - scores.max(dim=1, keepdim=True).values
    logp = shifted - torch.log(torch.exp(shifted).sum(dim=1, keepdim=True))
    return -logp[torch.arange(len(y)), y].mean(), (logp, y)

torch.manual_seed(18)
X = torch.randn(10, 2, 4)
y = torch.randint(0, 3, (10,))
W1, b1 = torch.randn(8, 7) * 0.5, torch.zeros(7)
gamma, beta = torch.ones(7), torch.zeros(7)
W2, b2 = torch.randn(7, 3) * 0.5, torch.zeros(3)

a1, fc_cache = affine_forward(X, W1, b1)
n1, bn_cache = batchnorm_forward(a1, gamma, beta)
r1, relu_cache = relu_forward(n1)
scores, fc2_cache = affine_forward(r1, W2, b2)
loss, loss_cache = softmax_loss_forward(scores, y)
""",
    """
def affine_backward(dout, cache):
    x, w, b = cache
    dx = (dout @ w.T).reshape(x.shape)
    dw = x.reshape(x.shape[0], -1).T @ dout
    db = dout.sum(0)
    return dx, dw, db

def batchnorm_backward(dout, cache):
    xhat, gamma, std = cache
    N = dout.shape[0]
    dgamma = (dout * xhat).sum(0)
    dbeta = dout.sum(0)
    dxhat = dout * gamma
    dx = (N * dxhat - dxhat.sum(0) - xhat * (dxhat * xhat).sum(0)) / (N * std)
    return dx, dgamma, dbeta

def relu_backward(dout, cache):
    return dout * (cache > 0)

def softmax_loss_backward(cache):
    logp, y = cache
    dscores = torch.exp(logp)
    dscores[torch.arange(len(y)), y] -= 1
    return dscores / len(y)

dscores = softmax_loss_backward(loss_cache)
dr1, dW2, db2 = affine_backward(dscores, fc2_cache)
dn1 = relu_backward(dr1, relu_cache)
da1, dgamma, dbeta = batchnorm_backward(dn1, bn_cache)
dX, dW1, db1 = affine_backward(da1, fc_cache)
""",
    pairs("dscores dr1 dW2 db2 dn1 da1 dgamma dbeta dX dW1"),
    (
        edit(
            "da1",
            "xhat * (dxhat * xhat).sum(0)) / (N * std)",
            "xhat * (dxhat * xhat).sum(0)) / (N - 1) * std",
            "parentheses factor operation",
            "Divided by N - 1 and multiplied by std; it must be divided by N * std.",
        ),
        edit(
            "dgamma",
            "dgamma = (dout * xhat).sum(0)",
            "dgamma = (dout * gamma).sum(0)",
            "wrong-input",
            "gamma itself is read where xhat, the other factor, belongs.",
        ),
        edit(
            "dn1",
            "return dout * (cache > 0)",
            "return dout * cache",
            "wrong-input operation",
            "The input is multiplied; the ReLU's slope is one or zero.",
        ),
        edit(
            "db2",
            "db = dout.sum(0)\n",
            "db = dout.sum(1)[:w.shape[1]]\n",
            "reduction",
            "Summed over the columns; b was broadcast over the rows.",
            "db = dout.sum(1)[:w.shape[1]]",
        ),
        edit(
            "dbeta",
            "return dx, dgamma, dbeta",
            "return dx, dbeta, dgamma",
            "exchanged",
            "dgamma and dbeta are exchanged in the return.",
        ),
        *same(
            "dgamma",
            "return dx, dgamma, dbeta",
            "exchanged",
            "dgamma and dbeta are exchanged in the return.",
        ),
    ),
    loops=True,
    note="db1 is zero in truth (the batch norm takes b1 off again) and is not among the pairs.",
)

RNN = Network(
    "rnn-over-time",
    """\
import torch

torch.manual_seed(19)
steps, n, d, H, K = 4, 6, 3, 5, 2
xs = torch.randn(steps, n, d)
wanted = torch.randn(steps, n, K)
Wx = torch.randn(d, H) * 0.5
Wh = torch.randn(H, H) * 0.5
bh = torch.zeros(H)
Wy = torch.randn(H, K) * 0.5
h0 = torch.randn(n, H)

hs, pres, ys = [h0], [], []
for t in range(steps):
    pres.append(xs[t] @ Wx + hs[-1] @ Wh + bh)
    hs.append(torch.tanh(pres[-1]))
    ys.append(hs[-1] @ Wy)
loss = sum(((y - w)**2).mean() for y, w in zip(ys, wanted)) / steps
""",
    """
# back through time
dys = [2 * (y - w) / (y.numel() * steps) for y, w in zip(ys, wanted)]
dhs = [torch.zeros_like(h) for h in hs]
dpres = [None] * steps
dWx, dWh, dbh, dWy = torch.zeros_like(Wx), torch.zeros_like(Wh), torch.zeros_like(bh), torch.zeros_like(Wy)
for t in reversed(range(steps)):
    dWy += hs[t + 1].T @ dys[t]
    dhs[t + 1] += dys[t] @ Wy.T
    dpres[t] = dhs[t + 1] * (1 - hs[t + 1]**2)
    dWx += xs[t].T @ dpres[t]
    dWh += hs[t].T @ dpres[t]
    dbh += dpres[t].sum(0)
    dhs[t] += dpres[t] @ Wh.T
""",
    pairs("dys=ys dhs=hs dpres=pres dWx dWh dbh dWy"),
    (
        edit(
            "dWh",
            "dWh += hs[t].T @ dpres[t]",
            "dWh += hs[t + 1].T @ dpres[t]",
            "index wrong-input",
            "The state after the step is used; Wh multiplies the one before it.",
        ),
        edit(
            "dWy",
            "dWy += hs[t + 1].T @ dys[t]",
            "dWy = hs[t + 1].T @ dys[t]",
            "overwritten",
            "= where += belongs: only one step is left.",
        ),
        edit(
            "dpres",
            "(1 - hs[t + 1]**2)",
            "(1 - hs[t]**2)",
            "index wrong-input",
            "The state before the step is used; the tanh's output is hs[t + 1].",
        ),
        edit(
            "dhs",
            "dhs[t] += dpres[t] @ Wh.T",
            "dhs[t] += dpres[t] @ Wh",
            "transposed",
            "Wh must be transposed.",
        ),
        edit(
            "dys",
            "2 * (y - w) / (y.numel() * steps)",
            "2 * (y - w) / y.numel()",
            "missing-factor factor",
            "The 1/steps of the loss is missing.",
        ),
    ),
    loops=True,
)

LAYERS = Network(
    "list-of-layers",
    """\
import torch

class Layer:
    def __init__(self, n_in, n_out):
        self.W = torch.randn(n_in, n_out) / n_in**0.5
        self.b = torch.zeros(n_out)

    def __call__(self, x):
        self.x = x
        self.z = x @ self.W + self.b
        self.out = torch.tanh(self.z)
        return self.out

    def backward(self, dout):
        self.dout = dout
        self.dz = dout * (1 - self.out**2)
        self.dW = self.x.T @ self.dz
        self.db = self.dz.sum(0)
        self.dx = self.dz @ self.W.T
        return self.dx

torch.manual_seed(20)
data = torch.randn(9, 4)
truth = torch.randn(9, 2)
layers = [Layer(4, 6), Layer(6, 6), Layer(6, 2)]
value = data
for layer in layers:
    value = layer(value)
error = value - truth
loss = (error**2).mean()
""",
    """
derror = 2 * error / error.numel()
dvalue = derror
for layer in reversed(layers):
    dvalue = layer.backward(dvalue)
ddata = dvalue
""",
    pairs(
        "derror ddata "
        + " ".join(
            f"layers[{i}].d{name}=layers[{i}].{name}"
            for i in range(3)
            for name in ("out", "z", "W", "b")
        )
    ),
    (
        edit(
            "layers[0].dz",
            "self.dz = dout * (1 - self.out**2)",
            "self.dz = dout * (1 - self.z**2)",
            "wrong-input",
            "tanh's slope is 1 - out**2 in its output, not in z.",
        ),
        *same(
            "layers[1].dz layers[2].dz",
            "self.dz = dout * (1 - self.out**2)",
            "wrong-input",
            "tanh's slope is 1 - out**2 in its output, not in z.",
        ),
        edit(
            "layers[0].dW",
            "self.dW = self.x.T @ self.dz",
            "self.dW = self.x.T @ dout",
            "wrong-input",
            "dout, behind the tanh, is read where dz belongs.",
        ),
        *same(
            "layers[1].dW layers[2].dW",
            "self.dW = self.x.T @ self.dz",
            "wrong-input",
            "dout, behind the tanh, is read where dz belongs.",
        ),
        edit(
            "layers[0].db",
            "self.db = self.dz.sum(0)",
            "self.db = self.dz.mean(0)",
            "reduction factor operation",
            "The mean is taken where the sum over the examples belongs.",
        ),
        *same(
            "layers[1].db layers[2].db",
            "self.db = self.dz.sum(0)",
            "reduction factor operation",
            "The mean is taken where the sum over the examples belongs.",
        ),
        edit(
            "derror",
            "2 * error / error.numel()",
            "2 * error / len(error)",
            "factor",
            "The mean is over all elements, not over the rows only.",
        ),
        edit(
            "ddata",
            "ddata = dvalue",
            "ddata = dvalue * data",
            "factor",
            "There is no factor data in its own gradient.",
        ),
    ),
    loops=True,
)

NETWORKS = (POSITION, ATTENTION, GRU, CONTRASTIVE, BLOCK, CONV, LSTM, COURSE, RNN, LAYERS)
