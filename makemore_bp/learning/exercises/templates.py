"""The files of ``exercise new``: comments to work through, with room for the learner's lines."""

from __future__ import annotations

OP_BY_OP = """\
# Exercise 1: the whole backward pass, one operation at a time.
#
# Check it with
#
#     {check}
#
# as often as you like, from the first line on. Every tensor of the forward pass is in scope by the
# name used below, and so are n, Xb, Yb, torch and F. Write, under each line of the forward pass,
# the gradient of the loss with respect to what that line reads: dx always has the shape of x.
# cmp("probs", dprobs, probs) prints how one of yours compares with autograd's, wherever you put it.

# Softmax and cross-entropy, from the loss upwards. logits, counts, probs, ... are (n, vocab_size);
# logit_maxes, counts_sum and counts_sum_inv are (n, 1).

# loss = -logprobs[range(n), Yb].mean()
# dlogprobs =

# logprobs = probs.log()
# dprobs =

# probs = counts * counts_sum_inv          counts_sum_inv serves a whole row
# dcounts_sum_inv =
# dcounts =                                the first of two branches; the second comes with +=

# counts_sum_inv = counts_sum**-1
# dcounts_sum =

# counts_sum = counts.sum(1, keepdim=True)
# dcounts +=

# counts = norm_logits.exp()
# dnorm_logits =

# norm_logits = logits - logit_maxes
# dlogits =                                again the first of two branches; mind .clone()
# dlogit_maxes =

# logit_maxes = logits.max(1, keepdim=True).values
# dlogits +=

# The output layer: h (n, n_hidden), W2 (n_hidden, vocab_size), b2 (vocab_size).

# logits = h @ W2 + b2
# dh =
# dW2 =
# db2 =

# h = torch.tanh(hpreact)
# dhpreact =

# Batch normalisation: bngain, bnbias, bnmeani, bnvar, bnvar_inv are (1, n_hidden).

# hpreact = bngain * bnraw + bnbias
# dbngain =
# dbnraw =
# dbnbias =

# bnraw = bndiff * bnvar_inv
# dbndiff =                                the first of two branches
# dbnvar_inv =

# bnvar_inv = (bnvar + {eps})**-0.5
# dbnvar =

# bnvar = 1/(n-1) * bndiff2.sum(0, keepdim=True)
# dbndiff2 =

# bndiff2 = bndiff**2
# dbndiff +=

# bndiff = hprebn - bnmeani
# dhprebn =                                the first of two branches; mind .clone()
# dbnmeani =

# bnmeani = 1/n * hprebn.sum(0, keepdim=True)
# dhprebn +=

# The hidden layer and the embedding: embcat (n, block_size * n_embd), emb (n, block_size, n_embd),
# C (vocab_size, n_embd).

# hprebn = embcat @ W1 + b1
# dembcat =
# dW1 =
# db1 =

# embcat = emb.view(n, -1)
# demb =

# emb = C[Xb]                              a character may stand in many places
# dC =
"""

CROSS_ENTROPY = """\
# Exercise 2: softmax and cross-entropy in one step.
#
# Check it with
#
#     {check}
#
# The eight lines of exercise 1 between the loss and the logits are one function of mathematics:
#
#     loss = F.cross_entropy(logits, Yb)
#
# Take a single row with target y. Write its loss as a function of the row's logits, differentiate
# it with respect to logits[j], once for j = y and once for j != y, and simplify. Then think of the
# mean over the n rows. The result takes three short lines. Shapes: logits, dlogits (n, vocab_size).

# dlogits =
"""

BATCHNORM = """\
# Exercise 3: batch normalisation in one line.
#
# Check it with
#
#     {check}
#
# From hprebn to hpreact, in one formula for one column:
#
#     hpreact = bngain * (hprebn - mean) / sqrt(var + {eps}) + bnbias
#
# with the column's mean, and its variance with n - 1 below the line. Work out on paper how the loss
# depends on one entry of hprebn through all three: directly, through the mean, through the
# variance. Put the parts together and simplify; one line of Python is left. In scope are dhpreact
# (true; you have it from exercise 1), bngain, bnvar_inv, bnraw and n. Shapes: hprebn, dhprebn,
# dhpreact, bnraw (n, n_hidden); bngain, bnvar_inv (1, n_hidden).

# dhprebn =
"""

TRAIN = """\
# Exercise 4: train the network with your own backward pass.
#
# Check it with
#
#     {check}
#
# which trains for a while with the gradients that your function returns, and holds them against
# ours every so often. Put the exercises together: dlogits from exercise 2, dhprebn from exercise 3,
# and the rest from exercise 1. The names in brackets are what your function is given for each
# minibatch; add any tensor of the forward pass, or take some away. No autograd is running.


def backward(n, Xb, Yb, C, W1, W2, bngain, emb, embcat, bnraw, bnvar_inv, hpreact, h, logits):
    dC = dW1 = db1 = dW2 = db2 = dbngain = dbnbias = None

    # dlogits =
    # ...

    return dC, dW1, db1, dW2, db2, dbngain, dbnbias
"""

README = """\
# Backpropagation by hand: four exercises

They are those of the lecture "Becoming a backprop ninja". Each file is a plain Python script. The
forward pass of one batch has been run when it starts, and all its tensors are in scope by name; you
add the gradients. Run the checks as often as you like, from the first line on.

| | file | what you write | check |
|---|---|---|---|
{rows}

All at once: `{check_all}`

A check says for each gradient whether it is exact, close (right, but rounded differently), wrong,
or right in itself and fed with something wrong. For a wrong one it says what kind of mistake it
found. `makemore-bp gradcheck --explain dbnvar` derives a gradient, with shapes;
`makemore-bp gradcheck --solution dbnvar` gives the line.

The scripts are your own code and run with your rights, in a process of their own.
"""

FILES = {
    1: ("1_op_by_op.py", OP_BY_OP, "all 26 gradients, one operation at a time"),
    2: ("2_cross_entropy.py", CROSS_ENTROPY, "dlogits in one step"),
    3: ("3_batchnorm.py", BATCHNORM, "dhprebn in one line"),
    4: ("4_train.py", TRAIN, "a function that trains the network"),
}
