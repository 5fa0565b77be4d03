"""Notebooks in the manner of those that learners keep, made from a few kinds of cells.

Each is a list of cells' texts; ``write`` makes a file of them. The forward pass, the names and the
order are the lecture's; the words are the project's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

IMPORTS = """\
import torch
import torch.nn.functional as F
import matplotlib.pyplot as plt  # for making figures
import random
%matplotlib inline"""
WORDS = """\
# read in all the words
words = open('names.txt', 'r').read().splitlines()[:600]
print(len(words))
words[:8]"""
VOCABULARY = """\
chars = sorted(list(set(''.join(words))))
stoi = {s: i + 1 for i, s in enumerate(chars)}
stoi['.'] = 0
itos = {i: s for s, i in stoi.items()}
vocab_size = len(itos)"""
DATASET = """\
block_size = 3
def build_dataset(words):
  X, Y = [], []
  for w in words:
    context = [0] * block_size
    for ch in w + '.':
      ix = stoi[ch]
      X.append(context)
      Y.append(ix)
      context = context[1:] + [ix]
  return torch.tensor(X), torch.tensor(Y)
random.seed(42)
random.shuffle(words)
n1 = int(0.8 * len(words))
n2 = int(0.9 * len(words))
Xtr,  Ytr  = build_dataset(words[:n1])
Xdev, Ydev = build_dataset(words[n1:n2])
Xte,  Yte  = build_dataset(words[n2:])"""
COMPARE = """\
def cmp(s, dt, t):
  ex = torch.all(dt == t.grad).item()
  app = torch.allclose(dt, t.grad)
  maxdiff = (dt - t.grad).abs().max().item()
  print(f'{s:15s} | exact: {str(ex):5s} | approximate: {str(app):5s} | maxdiff: {maxdiff}')"""
PARAMETERS = """\
n_embd = 10
n_hidden = {hidden}
g = torch.Generator().manual_seed({seed})
C  = torch.randn((vocab_size, n_embd), generator=g)
W1 = torch.randn((n_embd * block_size, n_hidden), generator=g) * (5/3)/((n_embd * block_size)**0.5)
b1 = torch.randn(n_hidden, generator=g) * 0.1
W2 = torch.randn((n_hidden, vocab_size), generator=g) * 0.1
b2 = torch.randn(vocab_size, generator=g) * 0.1
bngain = torch.randn((1, n_hidden)) * 0.1 + 1.0
bnbias = torch.randn((1, n_hidden)) * 0.1
parameters = [C, W1, b1, W2, b2, bngain, bnbias]
for p in parameters:
  p.requires_grad = True"""
BATCH = """\
batch_size = 32
n = batch_size
ix = torch.randint(0, Xtr.shape[0], (batch_size,), generator=g)
Xb, Yb = Xtr[ix], Ytr[ix]"""
FORWARD = """\
emb = C[Xb]
embcat = emb.view(emb.shape[0], -1)
hprebn = embcat @ W1 + b1
bnmeani = 1/n*hprebn.sum(0, keepdim=True)
bndiff = hprebn - bnmeani
bndiff2 = bndiff**2
bnvar = 1/(n-1)*(bndiff2).sum(0, keepdim=True)
bnvar_inv = (bnvar + 1e-5)**-0.5
bnraw = bndiff * bnvar_inv
hpreact = bngain * bnraw + bnbias
h = torch.tanh(hpreact)
logits = h @ W2 + b2
logit_maxes = logits.max(1, keepdim=True).values
norm_logits = logits - logit_maxes
counts = norm_logits.exp()
counts_sum = counts.sum(1, keepdims=True)
counts_sum_inv = counts_sum**-1
probs = counts * counts_sum_inv
logprobs = probs.log()
loss = -logprobs[range(n), Yb].mean()
for p in parameters:
  p.grad = None
for t in [logprobs, probs, counts, counts_sum, counts_sum_inv,
          norm_logits, logit_maxes, logits, h, hpreact, bnraw,
         bnvar_inv, bnvar, bndiff2, bndiff, hprebn, bnmeani,
         embcat, emb]:
  t.retain_grad()
loss.backward()
loss"""
BACKWARD = """\
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
    dC[ix] += demb[k,j]"""
COMPARISONS = """\
cmp('logits', dlogits, logits)
cmp('hprebn', dhprebn, hprebn)
cmp('C', dC, C)"""
EXERCISE_2 = """\
loss_fast = F.cross_entropy(logits, Yb)
print(loss_fast.item(), 'diff:', (loss_fast - loss).item())
dlogits = F.softmax(logits, 1)
dlogits[range(n), Yb] -= 1
dlogits /= n"""
EXERCISE_3 = """\
hpreact_fast = bngain * (hprebn - hprebn.mean(0, keepdim=True)) / torch.sqrt(hprebn.var(0, keepdim=True, unbiased=True) + 1e-5) + bnbias
print('max diff:', (hpreact_fast - hpreact).abs().max())
dhprebn = bngain*bnvar_inv/n * (n*dhpreact - dhpreact.sum(0) - n/(n-1)*bnraw*(dhpreact*bnraw).sum(0))"""  # noqa: E501
TRAINING = """\
lossi = []
with torch.no_grad():
  for i in range({steps}):
    ix = torch.randint(0, Xtr.shape[0], (batch_size,), generator=g)
    Xb, Yb = Xtr[ix], Ytr[ix]
    emb = C[Xb]
    embcat = emb.view(emb.shape[0], -1)
    hprebn = embcat @ W1 + b1
    bnmean = hprebn.mean(0, keepdim=True)
    bnvar = hprebn.var(0, keepdim=True, unbiased=True)
    bnvar_inv = (bnvar + 1e-5)**-0.5
    bnraw = (hprebn - bnmean) * bnvar_inv
    hpreact = bngain * bnraw + bnbias
    h = torch.tanh(hpreact)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, Yb)
    dlogits = F.softmax(logits, 1)
    dlogits[range(n), Yb] -= 1
    dlogits /= n
    dh = dlogits @ W2.T
    dW2 = h.T @ dlogits
    db2 = dlogits.sum(0)
    dhpreact = (1.0 - h**2) * dh
    dbngain = (bnraw * dhpreact).sum(0, keepdim=True)
    dbnbias = dhpreact.sum(0, keepdim=True)
    dhprebn = bngain*bnvar_inv/n * (n*dhpreact - dhpreact.sum(0) - n/(n-1)*bnraw*(dhpreact*bnraw).sum(0))
    dembcat = dhprebn @ W1.T
    dW1 = embcat.T @ dhprebn
    db1 = dhprebn.sum(0)
    demb = dembcat.view(emb.shape)
    dC = torch.zeros_like(C)
    for k in range(Xb.shape[0]):
      for j in range(Xb.shape[1]):
        ix = Xb[k,j]
        dC[ix] += demb[k,j]
    for p, grad in zip(parameters, [dC, dW1, db1, dW2, db2, dbngain, dbnbias]):
      p.data += -0.1 * grad
    lossi.append(loss.log10().item())"""  # noqa: E501
PLOT = """\
plt.figure(figsize=(4, 4))
plt.imshow(dlogits.detach(), cmap='gray')
plt.show()"""
MORE_PLOTS = """\
fig, axes = plt.subplots(1, 2, figsize=(8, 3))
axes[0].hist(h.view(-1).tolist(), 50);
axes[1].imshow(dlogits.detach().abs() > 0.01, cmap='gray', interpolation='nearest')
plt.rcParams['figure.dpi'] = 100
plt.tight_layout(); plt.show()
display(fig)"""
FUNCTIONS = """\
def output_layer(dlogits):
  return dlogits @ W2.T, h.T @ dlogits, dlogits.sum(0)

def tanh_backward(dh):
  return (1.0 - h**2) * dh

def scatter(demb):
  dC = torch.zeros_like(C)
  for k in range(Xb.shape[0]):
    for j in range(Xb.shape[1]):
      dC[Xb[k,j]] += demb[k,j]
  return dC"""
CALLS = BACKWARD.split("dh = ")[0] + """\
dh, dW2, db2 = output_layer(dlogits)
dhpreact = tanh_backward(dh)
dbngain""" + BACKWARD.split("dbngain", 1)[1].split("dC = ")[0] + "dC = scatter(demb)"  # fmt: skip
COLAB = """\
from google.colab import drive"""
COLAB_MAGICS = """\
!wget -q https://raw.githubusercontent.com/karpathy/makemore/master/names.txt
%config InlineBackend.figure_format = 'retina'
%load_ext autoreload
%autoreload 2"""

HEAD = (IMPORTS, WORDS, VOCABULARY, DATASET, COMPARE)
LECTURE = PARAMETERS.format(hidden=64, seed=2147483647)
WHOLE = (*HEAD, LECTURE, BATCH, FORWARD, BACKWARD, COMPARISONS)
WRONG = BACKWARD.replace("(-0.5*(bnvar", "(0.5*(bnvar")

NOTEBOOKS: Mapping[str, Sequence[str]] = {
    "whole": (*WHOLE, EXERCISE_2, EXERCISE_3),
    "half done": (
        *HEAD, LECTURE, BATCH, FORWARD, BACKWARD.split("dhpreact")[0], "# dhpreact = ???",
    ),
    "other sizes": (
        *HEAD, PARAMETERS.format(hidden=20, seed=7), BATCH.replace("32", "48"), FORWARD, BACKWARD,
    ),
    "plots": (*WHOLE, PLOT, MORE_PLOTS),
    "training": (*WHOLE, TRAINING.format(steps=200_000)),
    "colab": (COLAB_MAGICS, *WHOLE, "%%time\nprint(dC.shape)", "!nvidia-smi", "dC?"),
    "all exercises": (*WHOLE, EXERCISE_2, EXERCISE_3, TRAINING.format(steps=3), PLOT),
    "one mistake": (*HEAD, LECTURE, BATCH, FORWARD, WRONG),
    "out of order": (*HEAD, LECTURE, BACKWARD, BATCH, FORWARD),
    "functions": (*HEAD, FUNCTIONS, LECTURE, BATCH, FORWARD, CALLS),
}  # fmt: skip


def write(path: Path, cells: Sequence[str]) -> Path:
    """A notebook of these code cells, each with a heading above it and an output saved below."""
    output = {"output_type": "stream", "name": "stdout", "text": ["saved earlier\n"]}
    written: list[dict[str, object]] = []
    for number, text in enumerate(cells, 1):
        written.append({"cell_type": "markdown", "metadata": {}, "source": [f"## Part {number}"]})
        written.append(
            {
                "cell_type": "code", "execution_count": number, "metadata": {},
                "outputs": [output], "source": text.splitlines(keepends=True),
            }
        )  # fmt: skip
    metadata = {"kernelspec": {"name": "python3", "language": "python", "display_name": "Python 3"}}
    document = {"cells": written, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path
