# ruff: noqa: E501
"""Right solutions of exercise 1 (all 26 gradients), each in a hand of its own."""

from __future__ import annotations

from .case import Base

LECTURE = Base(
    "lecture",
    1,
    """\
# Exercise 1: backprop through the whole thing manually
dlogprobs = torch.zeros_like(logprobs)
dlogprobs[range(n), Yb] = -1.0/n
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
dbnvar = (-0.5*(bnvar + 1e-5)**-1.5) * dbnvar_inv
dbndiff2 = (1.0/(n-1))*torch.ones_like(bndiff2) * dbnvar
dbndiff += (2*bndiff) * dbndiff2
dhprebn = dbndiff.clone()
dbnmeani = (-dbndiff).sum(0)
dhprebn += 1.0/n * (torch.ones_like(hprebn) * dbnmeani)
dembcat = dhprebn @ W1.T
dW1 = embcat.T @ dhprebn
db1 = dhprebn.sum(0)
demb = dembcat.view(emb.shape)
dC = torch.zeros_like(C)
for k in range(Xb.shape[0]):
    for j in range(Xb.shape[1]):
        ix = Xb[k,j]
        dC[ix] += demb[k,j]
""",
)
# (64,) for (1, 64) is the lecture's own slip at dbnmeani; this hand keeps the dimension.
LECTURE = Base(
    "lecture",
    1,
    LECTURE.text.replace(
        "dbnmeani = (-dbndiff).sum(0)\n", "dbnmeani = (-dbndiff).sum(0, keepdim=True)\n"
    ),
)

ACCUMULATE = Base(
    "accumulate",
    1,
    """\
# every gradient begins at zero, every use of a tensor adds to it
dlogprobs = torch.zeros_like(logprobs)
dprobs = torch.zeros_like(probs)
dcounts_sum_inv = torch.zeros_like(counts_sum_inv)
dcounts_sum = torch.zeros_like(counts_sum)
dcounts = torch.zeros_like(counts)
dnorm_logits = torch.zeros_like(norm_logits)
dlogit_maxes = torch.zeros_like(logit_maxes)
dlogits = torch.zeros_like(logits)
dh, dW2, db2 = torch.zeros_like(h), torch.zeros_like(W2), torch.zeros_like(b2)
dhpreact = torch.zeros_like(hpreact)
dbngain, dbnbias = torch.zeros_like(bngain), torch.zeros_like(bnbias)
dbnraw = torch.zeros_like(bnraw)
dbnvar_inv = torch.zeros_like(bnvar_inv)
dbnvar = torch.zeros_like(bnvar)
dbndiff2 = torch.zeros_like(bndiff2)
dbndiff = torch.zeros_like(bndiff)
dbnmeani = torch.zeros_like(bnmeani)
dhprebn = torch.zeros_like(hprebn)
dembcat = torch.zeros_like(embcat)
dW1, db1 = torch.zeros_like(W1), torch.zeros_like(b1)
demb = torch.zeros_like(emb)
dC = torch.zeros_like(C)

# loss
dlogprobs[torch.arange(n), Yb] += -1/n
# logprobs = probs.log()
dprobs += dlogprobs / probs
# probs = counts * counts_sum_inv
dcounts_sum_inv += torch.sum(dprobs * counts, dim=1, keepdim=True)
dcounts += dprobs * counts_sum_inv
# counts_sum_inv = counts_sum**-1
dcounts_sum += -1 * counts_sum**(-2) * dcounts_sum_inv
# counts_sum = counts.sum(1, keepdims=True)
dcounts += dcounts_sum.expand_as(counts)
# counts = norm_logits.exp()
dnorm_logits += norm_logits.exp() * dcounts
# norm_logits = logits - logit_maxes
dlogits += dnorm_logits
dlogit_maxes -= dnorm_logits.sum(dim=1, keepdim=True)
# logit_maxes = logits.max(1, keepdim=True).values
dlogits[torch.arange(n), logits.argmax(dim=1)] += dlogit_maxes.squeeze(1)
# logits = h @ W2 + b2
dh += torch.matmul(dlogits, W2.t())
dW2 += torch.matmul(h.t(), dlogits)
db2 += torch.sum(dlogits, dim=0)
# h = torch.tanh(hpreact)
dhpreact += dh * (1 - h * h)
# hpreact = bngain * bnraw + bnbias
dbngain += torch.sum(dhpreact * bnraw, dim=0, keepdim=True)
dbnraw += dhpreact * bngain
dbnbias += torch.sum(dhpreact, dim=0, keepdim=True)
# bnraw = bndiff * bnvar_inv
dbndiff += dbnraw * bnvar_inv
dbnvar_inv += torch.sum(dbnraw * bndiff, dim=0, keepdim=True)
# bnvar_inv = (bnvar + 1e-5)**-0.5
dbnvar += dbnvar_inv * -0.5 * (bnvar + 1e-5)**(-1.5)
# bnvar = 1/(n-1)*(bndiff2).sum(0, keepdim=True)
dbndiff2 += dbnvar.expand_as(bndiff2) / (n - 1)
# bndiff2 = bndiff**2
dbndiff += dbndiff2 * 2 * bndiff
# bndiff = hprebn - bnmeani
dhprebn += dbndiff
dbnmeani -= dbndiff.sum(dim=0, keepdim=True)
# bnmeani = 1/n*hprebn.sum(0, keepdim=True)
dhprebn += dbnmeani.expand_as(hprebn) / n
# hprebn = embcat @ W1 + b1
dembcat += torch.matmul(dhprebn, W1.t())
dW1 += torch.matmul(embcat.t(), dhprebn)
db1 += torch.sum(dhprebn, dim=0)
# embcat = emb.view(emb.shape[0], -1)
demb += dembcat.reshape(emb.shape)
# emb = C[Xb]
for row in range(n):
    for pos in range(block_size):
        dC[Xb[row, pos]] += demb[row, pos]
""",
)

HELPERS = Base(
    "helpers",
    1,
    """\
def fit(grad, like):
    "sum over whatever broadcasting has repeated"
    while grad.dim() > like.dim():
        grad = grad.sum(0)
    for axis in range(like.dim()):
        if like.shape[axis] == 1 and grad.shape[axis] > 1:
            grad = grad.sum(axis, keepdim=True)
    return grad

def back_pick(x, rows, cols):
    out = torch.zeros_like(x)
    out[rows, cols] = -1.0 / len(cols)
    return out

def back_log(dout, x):
    return dout / x

def back_mul(dout, a, b):
    return fit(dout * b, a), fit(dout * a, b)

def back_power(dout, x, exponent):
    return dout * exponent * x ** (exponent - 1)

def back_sum(dout, x, scale=1.0):
    return scale * dout.expand(x.shape)

def back_exp(dout, out):
    return dout * out

def back_minus(dout, a, b):
    return fit(dout, a).clone(), fit(-dout, b)

def back_max(dout, x):
    hot = torch.zeros_like(x).scatter_(1, x.argmax(1, keepdim=True), 1.0)
    return hot * dout

def back_linear(dout, x, w, b):
    return dout @ w.T, x.T @ dout, fit(dout, b)

def back_tanh(dout, out):
    return (1 - out ** 2) * dout

def back_lookup(dout, table, index):
    result = torch.zeros_like(table)
    for where, what in zip(index.reshape(-1), dout.reshape(-1, table.shape[1])):
        result[where] += what
    return result

dlogprobs = back_pick(logprobs, range(n), Yb)
dprobs = back_log(dlogprobs, probs)
dcounts, dcounts_sum_inv = back_mul(dprobs, counts, counts_sum_inv)
dcounts_sum = back_power(dcounts_sum_inv, counts_sum, -1)
dcounts = dcounts + back_sum(dcounts_sum, counts)
dnorm_logits = back_exp(dcounts, counts)
dlogits, dlogit_maxes = back_minus(dnorm_logits, logits, logit_maxes)
dlogits = dlogits + back_max(dlogit_maxes, logits)
dh, dW2, db2 = back_linear(dlogits, h, W2, b2)
dhpreact = back_tanh(dh, h)
dbngain, dbnraw = back_mul(dhpreact, bngain, bnraw)
dbnbias = fit(dhpreact, bnbias)
dbndiff, dbnvar_inv = back_mul(dbnraw, bndiff, bnvar_inv)
dbnvar = back_power(dbnvar_inv, bnvar + 1e-5, -0.5)
dbndiff2 = back_sum(dbnvar, bndiff2, 1 / (n - 1))
dbndiff = dbndiff + back_power(dbndiff2, bndiff, 2)
dhprebn, dbnmeani = back_minus(dbndiff, hprebn, bnmeani)
dhprebn = dhprebn + back_sum(dbnmeani, hprebn, 1 / n)
dembcat, dW1, db1 = back_linear(dhprebn, embcat, W1, b1)
demb = dembcat.reshape(emb.shape)
dC = back_lookup(demb, C, Xb)
""",
)

EINSUM = Base(
    "einsum",
    1,
    """\
rows = torch.arange(n)

dlogprobs = torch.zeros_like(logprobs).index_put_((rows, Yb), torch.tensor(-1.0 / n).to(logprobs))
dprobs = dlogprobs * probs.reciprocal()
dcounts_sum_inv = torch.einsum('nv,nv->n', counts, dprobs).unsqueeze(1)
dcounts_sum = -dcounts_sum_inv * counts_sum_inv.square()
dcounts = torch.addcmul(dcounts_sum.expand(-1, vocab_size), dprobs, counts_sum_inv)
dnorm_logits = dcounts * counts
dlogit_maxes = -torch.einsum('nv->n', dnorm_logits).unsqueeze(1)
dlogits = dnorm_logits.scatter_add(1, logits.argmax(1, keepdim=True), dlogit_maxes)

dh = torch.einsum('nv,hv->nh', dlogits, W2)
dW2 = torch.einsum('nh,nv->hv', h, dlogits)
db2 = torch.einsum('nv->v', dlogits)
dhpreact = dh - dh * h.square()

dbngain = torch.einsum('nh,nh->h', dhpreact, bnraw).view(1, -1)
dbnbias = torch.einsum('nh->h', dhpreact).view(1, -1)
dbnraw = torch.einsum('nh,ah->nh', dhpreact, bngain)
dbnvar_inv = torch.einsum('nh,nh->h', dbnraw, bndiff)[None, :]
dbnvar = torch.rsqrt(bnvar + 1e-5).pow(3).mul(-0.5) * dbnvar_inv
dbndiff2 = (dbnvar / (n - 1)).repeat(n, 1)
dbndiff = torch.einsum('nh,ah->nh', dbnraw, bnvar_inv) + 2 * torch.einsum('nh,nh->nh', dbndiff2, bndiff)
dbnmeani = -torch.einsum('nh->h', dbndiff)[None, :]
dhprebn = dbndiff + dbnmeani / n

dembcat = torch.einsum('nh,eh->ne', dhprebn, W1)
dW1 = torch.einsum('ne,nh->eh', embcat, dhprebn)
db1 = torch.einsum('nh->h', dhprebn)
demb = dembcat.unflatten(1, (block_size, n_embd))
dC = torch.zeros_like(C).index_add_(0, Xb.flatten(), demb.flatten(0, 1))
""",
)

TERSE = Base(
    "terse",
    1,
    """\
dlogprobs=-F.one_hot(Yb,vocab_size)/n
dprobs=dlogprobs/probs
dcounts_sum_inv=(dprobs*counts).sum(1,True)
dcounts_sum=-dcounts_sum_inv/counts_sum**2
dcounts=dprobs*counts_sum_inv+dcounts_sum
dnorm_logits=dcounts*counts
dlogit_maxes=-dnorm_logits.sum(1,True)
dlogits=dnorm_logits+(logits==logit_maxes)*dlogit_maxes
dW2=h.T@dlogits; db2=dlogits.sum(0); dh=dlogits@W2.T
dhpreact=dh*(1-h*h)
dbnbias=dhpreact.sum(0,True); dbngain=(dhpreact*bnraw).sum(0,True); dbnraw=dhpreact*bngain
dbnvar_inv=(dbnraw*bndiff).sum(0,True)
dbnvar=-.5*dbnvar_inv*bnvar_inv**3
dbndiff2=dbnvar/(n-1)+0*bndiff2
dbndiff=dbnraw*bnvar_inv+2*bndiff*dbndiff2
dbnmeani=-dbndiff.sum(0,True)
dhprebn=dbndiff+dbnmeani/n
dW1=embcat.T@dhprebn; db1=dhprebn.sum(0); dembcat=dhprebn@W1.T
demb=dembcat.view(n,block_size,-1)
dC=F.one_hot(Xb.view(-1),vocab_size).to(demb).T@demb.view(-1,n_embd)
""",
)

LONGHAND = Base(
    "longhand",
    1,
    """\
# ---------------------------------------------------------------
# loss = -logprobs[range(n), Yb].mean()
# loss = -(a + b + c) / 3 => d loss / d a = -1/3
# ---------------------------------------------------------------
dlogprobs = torch.zeros((n, vocab_size), dtype=logprobs.dtype)
for i in range(n):
    dlogprobs[i, Yb[i]] = -1.0 / n

# logprobs = probs.log():  d log(x) / dx = 1/x
local_probs = 1.0 / probs
dprobs = local_probs * dlogprobs

# probs = counts * counts_sum_inv
# shapes: (n, V) * (n, 1), so counts_sum_inv is broadcast over the columns
local_counts_sum_inv = counts
dcounts_sum_inv = (local_counts_sum_inv * dprobs).sum(1, keepdim=True)
local_counts = counts_sum_inv
dcounts_through_probs = local_counts * dprobs

# counts_sum_inv = counts_sum**-1
local_counts_sum = -1.0 * counts_sum**-2
dcounts_sum = local_counts_sum * dcounts_sum_inv

# counts_sum = counts.sum(1, keepdims=True): every element gets the same
dcounts_through_sum = torch.ones_like(counts) * dcounts_sum
dcounts = dcounts_through_probs + dcounts_through_sum

# counts = norm_logits.exp()
local_norm_logits = counts
dnorm_logits = local_norm_logits * dcounts

# norm_logits = logits - logit_maxes
dlogits_through_norm = 1.0 * dnorm_logits
dlogit_maxes = (-1.0 * dnorm_logits).sum(1, keepdim=True)

# logit_maxes = logits.max(1, keepdim=True).values
local_max = torch.zeros_like(logits)
local_max[range(n), logits.max(1).indices] = 1.0
dlogits_through_max = local_max * dlogit_maxes
dlogits = dlogits_through_norm + dlogits_through_max

# logits = h @ W2 + b2
# (n, V) = (n, H) @ (H, V) + (V)
dh = dlogits @ W2.T            # (n, V) @ (V, H) = (n, H)
dW2 = h.T @ dlogits            # (H, n) @ (n, V) = (H, V)
db2 = dlogits.sum(0)           # (V)

# h = torch.tanh(hpreact)
local_hpreact = 1.0 - h**2
dhpreact = local_hpreact * dh

# hpreact = bngain * bnraw + bnbias
local_bngain = bnraw
dbngain = (local_bngain * dhpreact).sum(0, keepdim=True)
local_bnraw = bngain
dbnraw = local_bnraw * dhpreact
dbnbias = (1.0 * dhpreact).sum(0, keepdim=True)

# bnraw = bndiff * bnvar_inv
local_bnvar_inv = bndiff
dbnvar_inv = (local_bnvar_inv * dbnraw).sum(0, keepdim=True)
dbndiff_through_raw = bnvar_inv * dbnraw

# bnvar_inv = (bnvar + 1e-5)**-0.5
local_bnvar = -0.5 * (bnvar + 1e-5)**-1.5
dbnvar = local_bnvar * dbnvar_inv

# bnvar = 1/(n-1)*(bndiff2).sum(0, keepdim=True)
local_bndiff2 = torch.ones_like(bndiff2) / (n - 1)
dbndiff2 = local_bndiff2 * dbnvar

# bndiff2 = bndiff**2
local_square = 2.0 * bndiff
dbndiff_through_square = local_square * dbndiff2
dbndiff = dbndiff_through_raw + dbndiff_through_square

# bndiff = hprebn - bnmeani
dhprebn_through_diff = 1.0 * dbndiff
dbnmeani = (-1.0 * dbndiff).sum(0, keepdim=True)

# bnmeani = 1/n*hprebn.sum(0, keepdim=True)
dhprebn_through_mean = torch.ones_like(hprebn) / n * dbnmeani
dhprebn = dhprebn_through_diff + dhprebn_through_mean

# hprebn = embcat @ W1 + b1
dembcat = dhprebn @ W1.T
dW1 = embcat.T @ dhprebn
db1 = dhprebn.sum(0)

# embcat = emb.view(emb.shape[0], -1)
demb = dembcat.view(emb.shape)

# emb = C[Xb]
dC = torch.zeros_like(C)
for sample in range(Xb.shape[0]):
    for position in range(Xb.shape[1]):
        letter = Xb[sample, position]
        dC[letter] = dC[letter] + demb[sample, position]
""",
)

METHODS = Base(
    "methods",
    1,
    """\
# I like chained methods
dlogprobs = F.one_hot(Yb, num_classes=vocab_size).to(logprobs.dtype).neg().div(n)
dprobs = dlogprobs.div(probs)
dcounts_sum_inv = dprobs.mul(counts).sum(dim=1, keepdim=True)
dcounts_sum = counts_sum.pow(-2).neg().mul(dcounts_sum_inv)
dcounts = dprobs.mul(counts_sum_inv).add(dcounts_sum)
dnorm_logits = dcounts.mul(norm_logits.exp())
dlogit_maxes = dnorm_logits.neg().sum(dim=1, keepdim=True)
dlogits = dnorm_logits.clone()
dlogits.scatter_add_(1, logits.max(dim=1, keepdim=True).indices, dlogit_maxes)

dh = dlogits.mm(W2.transpose(0, 1))
dW2 = h.transpose(0, 1).mm(dlogits)
db2 = dlogits.sum(dim=0)
dhpreact = h.pow(2).neg().add(1).mul(dh)

dbnbias = dhpreact.sum(dim=0, keepdim=True)
dbngain = dhpreact.mul(bnraw).sum(dim=0, keepdim=True)
dbnraw = dhpreact.mul(bngain)
dbndiff = dbnraw.mul(bnvar_inv)
dbnvar_inv = dbnraw.mul(bndiff).sum(dim=0, keepdim=True)
dbnvar = bnvar.add(1e-5).pow(-1.5).mul(-0.5).mul(dbnvar_inv)
dbndiff2 = dbnvar.div(n - 1).expand(n, -1)
dbndiff.add_(bndiff.mul(2).mul(dbndiff2))
dbnmeani = dbndiff.sum(dim=0, keepdim=True).neg()
dhprebn = dbndiff.add(dbnmeani.div(n))

dembcat = dhprebn.mm(W1.transpose(0, 1))
dW1 = embcat.transpose(0, 1).mm(dhprebn)
db1 = dhprebn.sum(dim=0)
demb = dembcat.view_as(emb)
dC = torch.zeros_like(C)
dC.index_add_(0, Xb.view(-1), demb.view(-1, C.size(1)))
""",
)

ROWS = Base(
    "rows",
    1,
    """\
# row by row, so that nothing is broadcast behind my back
ones_row = torch.ones(1, n, dtype=h.dtype)
with torch.no_grad():
    dlogprobs = torch.zeros_like(logprobs)
    dprobs = torch.zeros_like(probs)
    dcounts = torch.zeros_like(counts)
    dcounts_sum = torch.zeros_like(counts_sum)
    dcounts_sum_inv = torch.zeros_like(counts_sum_inv)
    dnorm_logits = torch.zeros_like(norm_logits)
    dlogits = torch.zeros_like(logits)
    dlogit_maxes = torch.zeros_like(logit_maxes)
    for r in range(n):
        dlogprobs[r, Yb[r]] = -1.0 / n
        dprobs[r] = dlogprobs[r] / probs[r]
        dcounts_sum_inv[r] = torch.dot(dprobs[r], counts[r])
        dcounts_sum[r] = -dcounts_sum_inv[r] / counts_sum[r] ** 2
        dcounts[r] = dprobs[r] * counts_sum_inv[r] + dcounts_sum[r]
        dnorm_logits[r] = dcounts[r] * counts[r]
        dlogit_maxes[r] = -dnorm_logits[r].sum()
        dlogits[r] = dnorm_logits[r]
        dlogits[r, logits[r].argmax()] += dlogit_maxes[r, 0]

with torch.no_grad():
    dh = torch.zeros_like(h)
    dW2 = torch.zeros_like(W2)
    db2 = torch.zeros_like(b2)
    for r in range(n):
        dh[r] = W2 @ dlogits[r]
        dW2 += torch.outer(h[r], dlogits[r])
        db2 += dlogits[r]

with torch.no_grad():
    dhpreact = dh * (1 - h) * (1 + h)
    dbngain = ones_row @ (dhpreact * bnraw)
    dbnbias = ones_row @ dhpreact
    dbnraw = dhpreact * bngain
    dbnvar_inv = ones_row @ (dbnraw * bndiff)
    dbnvar = -dbnvar_inv / (2 * (bnvar + 1e-5) * torch.sqrt(bnvar + 1e-5))
    dbndiff2 = ones_row.T @ dbnvar / (n - 1)
    dbndiff = bnvar_inv * dbnraw + dbndiff2 * bndiff + dbndiff2 * bndiff
    dbnmeani = -(ones_row @ dbndiff)
    dhprebn = dbndiff + ones_row.T @ dbnmeani / n

with torch.no_grad():
    dembcat = torch.zeros_like(embcat)
    dW1 = torch.zeros_like(W1)
    db1 = torch.zeros_like(b1)
    for r in range(n):
        dembcat[r] = W1 @ dhprebn[r]
        dW1 += torch.outer(embcat[r], dhprebn[r])
        db1 += dhprebn[r]
    demb = dembcat.reshape(n, block_size, n_embd)
    dC = torch.zeros_like(C)
    for r in range(n):
        for c in range(block_size):
            dC[Xb[r, c].item()] += demb[r, c]
""",
)

FUNCTION = Base(
    "one-function",
    1,
    """\
def all_gradients():
    # from the loss down to the logits
    dlogprobs = torch.zeros_like(logprobs)
    dlogprobs[range(n), Yb] = -1 / n
    dprobs = dlogprobs / probs
    dcounts_sum_inv = (counts * dprobs).sum(1, keepdim=True)
    dcounts_sum = -dcounts_sum_inv * counts_sum ** -2
    dcounts = counts_sum_inv * dprobs + dcounts_sum
    dnorm_logits = counts * dcounts
    dlogit_maxes = -dnorm_logits.sum(1, keepdim=True)
    hot = F.one_hot(logits.argmax(1), num_classes=vocab_size)
    dlogits = dnorm_logits + hot * dlogit_maxes
    # second layer
    dh = dlogits @ W2.T
    dW2 = h.T @ dlogits
    db2 = dlogits.sum(0)
    dhpreact = dh * (1 - h ** 2)
    # batch norm
    dbngain = (dhpreact * bnraw).sum(0, keepdim=True)
    dbnbias = dhpreact.sum(0, keepdim=True)
    dbnraw = dhpreact * bngain
    dbnvar_inv = (dbnraw * bndiff).sum(0, keepdim=True)
    dbnvar = dbnvar_inv * -0.5 * (bnvar + 1e-5) ** -1.5
    dbndiff2 = torch.ones_like(bndiff2) * dbnvar / (n - 1)
    dbndiff = dbnraw * bnvar_inv + dbndiff2 * 2 * bndiff
    dbnmeani = -dbndiff.sum(0, keepdim=True)
    dhprebn = dbndiff + torch.ones_like(hprebn) * dbnmeani / n
    # first layer
    dembcat = dhprebn @ W1.T
    dW1 = embcat.T @ dhprebn
    db1 = dhprebn.sum(0)
    demb = dembcat.view(n, block_size, n_embd)
    dC = torch.zeros_like(C)
    for i, context in enumerate(Xb):
        for j, token in enumerate(context):
            dC[token] += demb[i, j]
    return (dlogprobs, dprobs, dcounts_sum_inv, dcounts_sum, dcounts, dnorm_logits, dlogit_maxes,
            dlogits, dh, dW2, db2, dhpreact, dbngain, dbnbias, dbnraw, dbnvar_inv, dbnvar,
            dbndiff2, dbndiff, dbnmeani, dhprebn, dembcat, dW1, db1, demb, dC)

(dlogprobs, dprobs, dcounts_sum_inv, dcounts_sum, dcounts, dnorm_logits, dlogit_maxes,
 dlogits, dh, dW2, db2, dhpreact, dbngain, dbnbias, dbnraw, dbnvar_inv, dbnvar,
 dbndiff2, dbndiff, dbnmeani, dhprebn, dembcat, dW1, db1, demb, dC) = all_gradients()
""",
)

COMPREHENSION = Base(
    "comprehension",
    1,
    """\
dlogprobs = torch.stack([torch.stack([logprobs.new_tensor(-1 / n if v == y else 0.0) for v in range(vocab_size)]) for y in Yb.tolist()])
dprobs = torch.stack([d / p for d, p in zip(dlogprobs, probs)])
dcounts_sum_inv = torch.stack([(d * c).sum(0, keepdim=True) for d, c in zip(dprobs, counts)])
dcounts_sum = torch.stack([-d * s for d, s in zip(dcounts_sum_inv, counts_sum_inv**2)])
dcounts = torch.stack([d * s + e for d, s, e in zip(dprobs, counts_sum_inv, dcounts_sum)])
dnorm_logits = torch.stack([d * c for d, c in zip(dcounts, counts)])
dlogit_maxes = torch.stack([-sum(d).view(1) for d in dnorm_logits])
dlogits = dnorm_logits + torch.stack([(torch.arange(vocab_size) == row.argmax()) * m for row, m in zip(logits, dlogit_maxes)])
dh = torch.stack([W2.mv(d) for d in dlogits])
dW2 = sum(torch.outer(a, d) for a, d in zip(h, dlogits))
db2 = sum(dlogits)
dhpreact = torch.stack([(1 - a**2) * d for a, d in zip(h, dh)])
dbngain = sum(d * r for d, r in zip(dhpreact, bnraw))[None]
dbnbias = sum(d for d in dhpreact)[None]
dbnraw = torch.cat([d[None] * bngain for d in dhpreact])
dbnvar_inv = sum(d * x for d, x in zip(dbnraw, bndiff))[None]
dbnvar = -0.5 * bnvar_inv**3 * dbnvar_inv
dbndiff2 = torch.cat([dbnvar / (n - 1) for _ in range(n)])
dbndiff = torch.stack([d * bnvar_inv[0] + 2 * x * q for d, x, q in zip(dbnraw, bndiff, dbndiff2)])
dbnmeani = -sum(dbndiff)[None]
dhprebn = torch.stack([d + dbnmeani[0] / n for d in dbndiff])
dembcat = torch.stack([W1.mv(d) for d in dhprebn])
dW1 = sum(torch.outer(x, d) for x, d in zip(embcat, dhprebn))
db1 = sum(dhprebn)
demb = torch.stack([d.view(block_size, n_embd) for d in dembcat])
dC = torch.stack([demb[Xb == token].sum(0) for token in range(vocab_size)])
""",
)

PRODUCTS = Base(
    "products",
    1,
    """\
# everything that sums is a product with ones, everything that picks is a product with a one-hot
N, V, H = n, vocab_size, n_hidden
ones_n = torch.ones(N, 1).to(h.dtype)
ones_v = torch.ones(V, 1).to(h.dtype)
Y = torch.eye(V).to(h.dtype)[Yb]
A = torch.eye(V).to(h.dtype)[logits.argmax(1)]
X = torch.eye(V).to(h.dtype)[Xb]

# -- softmax and cross entropy
dlogprobs = Y * (-1 / N)
dprobs = dlogprobs * probs ** -1
dcounts_sum_inv = (counts * dprobs) @ ones_v
dcounts_sum = (counts_sum ** -2) * dcounts_sum_inv * (-1)
dcounts = (counts_sum_inv @ ones_v.T) * dprobs + dcounts_sum @ ones_v.T
dnorm_logits = torch.exp(norm_logits) * dcounts
dlogit_maxes = -(dnorm_logits @ ones_v)
dlogits = dnorm_logits + A * (dlogit_maxes @ ones_v.T)

# -- the output layer; (h W2)^T = W2^T h^T
dW2 = (dlogits.T @ h).T
dh = (W2 @ dlogits.T).T
db2 = (ones_n.T @ dlogits).squeeze(0)

# -- tanh, then scale and shift
dhpreact = torch.mul(torch.sub(torch.ones_like(h), torch.square(h)), dh)
dbnbias = ones_n.T @ dhpreact
dbngain = ones_n.T @ torch.mul(bnraw, dhpreact)
dbnraw = (ones_n @ bngain) * dhpreact

# -- standardising
dbnvar_inv = ones_n.T @ torch.mul(bndiff, dbnraw)
dbnvar = torch.mul(torch.pow(torch.add(bnvar, 1e-5), -1.5), dbnvar_inv) * -0.5
dbndiff2 = torch.mul(ones_n @ dbnvar, 1 / (N - 1))
dbndiff = torch.add((ones_n @ bnvar_inv) * dbnraw, torch.mul(torch.mul(bndiff, 2), dbndiff2))
dbnmeani = torch.neg(ones_n.T @ dbndiff)
dhprebn = torch.add(dbndiff, torch.div(ones_n @ dbnmeani, N))

# -- the first layer and the table
dW1 = (dhprebn.T @ embcat).T
dembcat = (W1 @ dhprebn.T).T
db1 = (ones_n.T @ dhprebn).view(H)
demb = dembcat.reshape(N, block_size, n_embd)
dC = torch.tensordot(X, demb, dims=([0, 1], [0, 1]))
""",
)

BRANCHES = Base(
    "branches",
    1,
    """\
# -- loss
_g = torch.zeros_like(logprobs)
_g[range(n), Yb] = 1
dlogprobs = -_g / n
dprobs = dlogprobs * (1 / probs)
# -- probs = counts * counts_sum_inv has two inputs
dcounts_sum_inv = (dprobs * counts).sum(-1, keepdim=True)
dcounts_a = dprobs * counts_sum_inv
dcounts_sum = dcounts_sum_inv * (-1 / counts_sum**2)
dcounts_b = dcounts_sum.repeat(1, vocab_size)
dcounts = dcounts_a + dcounts_b
dnorm_logits = dcounts * counts
# -- norm_logits = logits - logit_maxes has two inputs
dlogits_a = dnorm_logits
dlogit_maxes = dnorm_logits.sum(-1, keepdim=True) * -1
dlogits_b = torch.where(logits == logit_maxes, dlogit_maxes, torch.zeros_like(logits))
dlogits = dlogits_a + dlogits_b
# -- linear
db2 = dlogits.sum(0)
dW2 = torch.mm(h.T, dlogits)
dh = torch.mm(dlogits, W2.T)
# -- tanh
dhpreact = dh * (1 - torch.tanh(hpreact)**2)
# -- affine
dbnbias = dhpreact.sum(0).unsqueeze(0)
dbngain = (dhpreact * bnraw).sum(0).unsqueeze(0)
dbnraw = dhpreact * bngain
# -- bnraw = bndiff * bnvar_inv has two inputs
dbndiff_a = dbnraw * bnvar_inv
dbnvar_inv = (dbnraw * bndiff).sum(0).unsqueeze(0)
dbnvar = -0.5 * dbnvar_inv / (bnvar + 1e-5)**1.5
dbndiff2 = dbnvar.repeat(n, 1) / (n - 1)
dbndiff_b = 2 * dbndiff2 * bndiff
dbndiff = dbndiff_a + dbndiff_b
# -- bndiff = hprebn - bnmeani has two inputs
dhprebn_a = dbndiff
dbnmeani = -dbndiff.sum(0).unsqueeze(0)
dhprebn_b = (dbnmeani / n).repeat(n, 1)
dhprebn = dhprebn_a + dhprebn_b
# -- linear
db1 = dhprebn.sum(0)
dW1 = torch.mm(embcat.T, dhprebn)
dembcat = torch.mm(dhprebn, W1.T)
demb = dembcat.view(emb.size())
# -- table
dC = C * 0
for a in range(n):
    for b in range(block_size):
        dC[int(Xb[a][b])] += demb[a][b]
""",
)

INPLACE = Base(
    "in-place",
    1,
    """\
dlogprobs = logprobs.clone().zero_()
dlogprobs[range(0, n), Yb] -= 1.0
dlogprobs /= n
dprobs = dlogprobs.clone()
dprobs /= probs
dcounts = dprobs.clone()
dcounts *= counts_sum_inv
tmp = dprobs.clone()
tmp *= counts
dcounts_sum_inv = tmp.sum(1, keepdim=True)
dcounts_sum = dcounts_sum_inv.clone()
dcounts_sum /= counts_sum
dcounts_sum /= counts_sum
dcounts_sum *= -1
dcounts += dcounts_sum
dnorm_logits = dcounts.clone()
dnorm_logits *= counts
dlogit_maxes = dnorm_logits.sum(1, keepdim=True)
dlogit_maxes *= -1
dlogits = dnorm_logits.clone()
for i, m in enumerate(logits.argmax(dim=1).tolist()):
    dlogits[i, m] += dlogit_maxes[i].item()
dh = dlogits @ W2.T
dW2 = h.T @ dlogits
db2 = dlogits.sum(axis=0)
dhpreact = h.clone()
dhpreact *= h
dhpreact *= -1
dhpreact += 1
dhpreact *= dh
dbnbias = dhpreact.sum(axis=0, keepdims=True)
tmp = dhpreact.clone()
tmp *= bnraw
dbngain = tmp.sum(axis=0, keepdims=True)
dbnraw = dhpreact.clone()
dbnraw *= bngain
dbndiff = dbnraw.clone()
dbndiff *= bnvar_inv
tmp = dbnraw.clone()
tmp *= bndiff
dbnvar_inv = tmp.sum(axis=0, keepdims=True)
dbnvar = dbnvar_inv.clone()
dbnvar *= (bnvar + 1e-5)**-1.5
dbnvar /= -2
dbndiff2 = torch.empty_like(bndiff2)
dbndiff2[:] = dbnvar
dbndiff2 /= n - 1
dbndiff += 2 * bndiff * dbndiff2
dbnmeani = dbndiff.sum(axis=0, keepdims=True)
dbnmeani *= -1
dhprebn = dbndiff.clone()
dhprebn += dbnmeani / n
dembcat = dhprebn @ W1.T
dW1 = embcat.T @ dhprebn
db1 = dhprebn.sum(axis=0)
demb = torch.empty_like(emb)
for t in range(block_size):
    demb[:, t, :] = dembcat[:, t*n_embd:(t+1)*n_embd]
dC = torch.zeros_like(C)
for t in range(block_size):
    for b in range(n):
        dC[Xb[b, t]] += demb[b, t, :]
""",
)

CHECKED = Base(
    "checked",
    1,
    """\
# cell 1
dlogprobs = torch.full_like(logprobs, 0.0)
dlogprobs[torch.arange(0, n), Yb] = -(1.0 / n)
cmp('logprobs', dlogprobs, logprobs)
dprobs = 1 / probs * dlogprobs
cmp('probs', dprobs, probs)
dcounts_sum_inv = (dprobs * counts).sum(dim=1).view(-1, 1)
cmp('counts_sum_inv', dcounts_sum_inv, counts_sum_inv)
dcounts_sum = -(1 / (counts_sum ** 2)) * dcounts_sum_inv
cmp('counts_sum', dcounts_sum, counts_sum)
dcounts = dprobs * counts_sum_inv   # 1st use
dcounts = dcounts + dcounts_sum     # 2nd use, broadcast
cmp('counts', dcounts, counts)
dnorm_logits = torch.exp(norm_logits) * dcounts
cmp('norm_logits', dnorm_logits, norm_logits)
dlogit_maxes = torch.sum(-dnorm_logits, 1, keepdim=True)
cmp('logit_maxes', dlogit_maxes, logit_maxes)
max_mask = torch.zeros_like(logits)
max_mask[torch.arange(n), torch.argmax(logits, 1)] = 1
dlogits = dnorm_logits + max_mask * dlogit_maxes
cmp('logits', dlogits, logits)

# cell 2
dh = dlogits.matmul(W2.T)
cmp('h', dh, h)
dW2 = h.T.matmul(dlogits)
cmp('W2', dW2, W2)
db2 = torch.ones(n, dtype=h.dtype) @ dlogits
cmp('b2', db2, b2)
dhpreact = dh * (torch.ones_like(h) - h ** 2)
cmp('hpreact', dhpreact, hpreact)

# cell 3
dbngain = torch.sum(bnraw * dhpreact, 0, keepdim=True)
cmp('bngain', dbngain, bngain)
dbnbias = torch.sum(dhpreact, 0, keepdim=True)
cmp('bnbias', dbnbias, bnbias)
dbnraw = dhpreact * bngain.expand(n, n_hidden)
cmp('bnraw', dbnraw, bnraw)
dbnvar_inv = torch.sum(bndiff * dbnraw, 0, keepdim=True)
cmp('bnvar_inv', dbnvar_inv, bnvar_inv)
dbnvar = -(1/2) * torch.pow(bnvar + 1e-5, -3/2) * dbnvar_inv
cmp('bnvar', dbnvar, bnvar)
dbndiff2 = torch.ones_like(bndiff2) * (1/(n-1)) * dbnvar
cmp('bndiff2', dbndiff2, bndiff2)
dbndiff = bnvar_inv * dbnraw
dbndiff = dbndiff + bndiff * 2 * dbndiff2
cmp('bndiff', dbndiff, bndiff)
dbnmeani = torch.sum(dbndiff * -1, 0, keepdim=True)
cmp('bnmeani', dbnmeani, bnmeani)
dhprebn = dbndiff * 1
dhprebn = dhprebn + dbnmeani * (1/n)
cmp('hprebn', dhprebn, hprebn)

# cell 4
dembcat = dhprebn.matmul(W1.T)
cmp('embcat', dembcat, embcat)
dW1 = embcat.T.matmul(dhprebn)
cmp('W1', dW1, W1)
db1 = torch.ones(n, dtype=h.dtype) @ dhprebn
cmp('b1', db1, b1)
demb = torch.stack(dembcat.split(n_embd, dim=1), dim=1)
cmp('emb', demb, emb)
dC = torch.zeros(C.shape, dtype=C.dtype)
flat_index, flat_grad = Xb.reshape(-1), demb.reshape(-1, n_embd)
for i in range(flat_index.shape[0]):
    dC[flat_index[i]] += flat_grad[i]
cmp('C', dC, C)
""",
)

EXERCISE1 = (
    LECTURE,
    ACCUMULATE,
    HELPERS,
    EINSUM,
    TERSE,
    LONGHAND,
    METHODS,
    ROWS,
    FUNCTION,
    COMPREHENSION,
    PRODUCTS,
    BRANCHES,
    INPLACE,
    CHECKED,
)
