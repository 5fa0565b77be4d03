"""What a step on a GPU does between its matrix products, as five Triton kernels, and one that
gathers the minibatches.

A step is the heart's, with equal terms taken together. Row i of embcat is a character at each place
of the context, so hprebn has only B x V different summands (B places, V characters):

    P[j, c]  = C[c] @ W1[j]                     W1[j]: the rows of W1 that meet place j
    hprebn   = Z @ P + b1                       Z (n, B x V): row i is 1 at (j, Xb[i, j]), else 0

What is linear in hprebn is then added up over these few rows instead of the batch, each weighted
with M = Z.T @ Z: how often a character stands at a place (the diagonal, ``count``), and each pair
of characters at each pair of places. With R = M @ P:

    bnmean   = sum of count * P / n             without b1, which shifts a whole column: bndiff is
                                                hprebn - bnmean either way, and db1 is 0
    bnvar    = sum of Q * R / (n - 1)           Q[j] = P[j] - its mean, for bndiff = Z @ Q and
                                                bndiff.T @ bndiff = Q.T @ M @ Q. R serves for M @ Q:
                                                it is off by count times a constant, and count * Q
                                                adds up to 0 at each place

On the way back everything follows from S = Z.T @ dhpreact, the sums of dhpreact over the rows that
have character c at place j, with s = bnvar_inv:

    dbnbias  = S summed over the characters of one place
    dbngain  = sum over the batch of bnraw * dhpreact = s * sum of Q * S, for bnraw = s * Z @ Q
    dP       = Z.T @ dhprebn, the linear layer's rule; put batchnorm_fused.dhprebn into it:
             = bngain * s * (S - count * dbnbias / n - dbngain / (n - 1) * s * (R - count * bnmean))
    dW1[j]   = C.T @ dP[j]                      the linear layer's rules again, for P[j] = C @ W1[j]
    dC       = sum over the places j of dP[j] @ W1[j].T

Nothing is sorted or scattered. Every sum has a fixed order: a program adds up its own block, and
the blocks' sums are written down and added in theirs.

C, W1, ... are the heart's tensors, row-major; X (n, B), Y (n). ``s`` is the step of a graph, at
which everything starts that lies there step by step.
"""

# mypy: ignore-errors
# A kernel is compiled from its source, in which types are Triton's.

import triton
import triton.language as tl

STEP = ["s"]  # a kernel is not compiled again for another value of it


@triton.jit
def gather(
    indices, positions, stream, X, Y, Z, total,
    B: tl.constexpr, V: tl.constexpr, VB: tl.constexpr, BN: tl.constexpr,
):  # fmt: skip
    """The contexts X, targets Y and rows of Z of the ``total`` examples at ``indices``."""
    row = (tl.program_id(0) * BN + tl.arange(0, BN)).to(tl.int64)
    rows = row < total
    c = tl.arange(0, VB)
    position = tl.load(positions + tl.load(indices + row, rows, 0), rows, 0).to(tl.int64)
    for j in range(B):
        x = tl.load(stream + position + j, rows, 0).to(tl.int32)
        tl.store(X + row * B + j, x, rows)
        ones = (x[:, None] == c[None, :]).to(Z.dtype.element_ty)
        at = (row * B + j)[:, None] * V + c[None, :]
        tl.store(Z + at, ones, rows[:, None] & (c < V)[None, :])
    tl.store(Y + row, tl.load(stream + position + B, rows, 0).to(tl.int32), rows)


@triton.jit
def _place(table, j, unit, V: tl.constexpr, VB: tl.constexpr, H):
    """The rows (VB, units) that P, R or S has for the characters at place j."""
    c = tl.arange(0, VB)
    at = (j * V + c)[:, None] * H + unit[None, :]
    return tl.load(table + at, (c < V)[:, None] & (unit < H)[None, :], 0.0)


@triton.jit
def _count(M, s, j, B: tl.constexpr, V: tl.constexpr, VB: tl.constexpr):
    """How often each character stands at place j, (VB, 1)."""
    c = tl.arange(0, VB)
    K = B * V
    return tl.load(M + s * K * K + (j * V + c) * (K + 1), c < V, 0.0)[:, None]


@triton.jit
def _statistics(
    P, R, M, s, unit, n, H, EPS: tl.constexpr, B: tl.constexpr, V: tl.constexpr, VB: tl.constexpr
):
    """bnmean and bnvar_inv of some hidden units."""
    zero = (unit * 0).to(P.dtype.element_ty)
    bnmean, squares = zero, zero
    for j in range(B):
        p = _place(P, j, unit, V, VB, H)
        mean = tl.sum(_count(M, s, j, B, V, VB) * p, 0) / n
        squares += tl.sum((p - mean[None, :]) * _place(R, j, unit, V, VB, H), 0)
        bnmean += mean
    squares = tl.where(squares < 0, 0.0, squares)  # by rounding; NaN stays
    return bnmean, 1 / tl.sqrt(squares / (n - 1) + EPS)


@triton.jit
def _mask(keys, s, row, unit, H, THRESHOLD: tl.constexpr):
    """Where dropout leaves a unit on, as ``engines.masks`` has it."""
    k0 = tl.load(keys + 2 * s).to(tl.uint32)
    k1 = tl.load(keys + 2 * s + 1).to(tl.uint32)
    x = k0 + (row[:, None] * H + unit[None, :]).to(tl.uint32)
    x = ((x ^ (x >> 16)) * 0x7FEB352D) ^ k1
    x = (x ^ (x >> 15)) * 0x846CA68B
    return (x ^ (x >> 16)) >= THRESHOLD


@triton.jit
def _product(a, b):
    """a @ b in the numbers' own precision: no TF32."""
    return tl.dot(a, b, input_precision="ieee", out_dtype=a.dtype)


@triton.jit(do_not_specialize=STEP)
def hidden(
    X, P, R, M, bngain, bnbias, keys, h, s, n, H,
    EPS: tl.constexpr, RELU: tl.constexpr, DROPOUT: tl.constexpr, THRESHOLD: tl.constexpr,
    B: tl.constexpr, V: tl.constexpr, VB: tl.constexpr, BN: tl.constexpr, BH: tl.constexpr,
):  # fmt: skip
    """h, with dropout's mask on it: batchnorm and activation of the sums of rows of P."""
    row = (tl.program_id(0) * BN + tl.arange(0, BN)).to(tl.int64)
    unit = tl.program_id(1) * BH + tl.arange(0, BH)
    rows, units = row < n, unit < H
    both = rows[:, None] & units[None, :]
    bnmean, bnvar_inv = _statistics(P, R, M, s, unit, n, H, EPS, B, V, VB)
    scale = tl.load(bngain + unit, units, 0.0) * bnvar_inv
    hprebn = tl.zeros([BN, BH], P.dtype.element_ty)
    for j in range(B):
        x = tl.load(X + (s * n + row) * B + j, rows, 0)
        hprebn += tl.load(P + (j * V + x)[:, None] * H + unit[None, :], both, 0.0)
    bias = tl.load(bnbias + unit, units, 0.0)
    hpreact = scale[None, :] * (hprebn - bnmean[None, :]) + bias[None, :]
    if RELU:
        out = tl.where(hpreact < 0, 0.0, hpreact)
    else:
        small = tl.exp(-2 * tl.abs(hpreact))
        out = (1 - small) / (1 + small)
        out = tl.where(hpreact < 0, -out, out)
    if DROPOUT > 0:
        on = _mask(keys, s, row, unit, H, THRESHOLD)
        out = tl.where(on, out * (1 / (1 - DROPOUT)), 0.0)
    tl.store(h + row[:, None] * H + unit[None, :], out, both)


@triton.jit(do_not_specialize=STEP)
def loss(
    logits, b2, Y, sums, s, n, V: tl.constexpr, VB: tl.constexpr, BN: tl.constexpr
):  # fmt: skip
    """Puts dlogits in the place of ``logits``, which come without b2; and for each block of rows
    the sums (V + 1) over them: db2's, and the loss."""
    row = (tl.program_id(0) * BN + tl.arange(0, BN)).to(tl.int64)
    c = tl.arange(0, VB)
    rows, columns = row < n, c < V
    both = rows[:, None] & columns[None, :]
    at = row[:, None] * V + c[None, :]
    z = tl.load(logits + at, both, 0.0) + tl.load(b2 + c, columns, float("-inf"))[None, :]
    largest = tl.max(z, 1)
    counts = tl.exp(z - largest[:, None])
    total = tl.sum(counts, 1)
    target = c[None, :] == tl.load(Y + s * n + row, rows, 0)[:, None]
    losses = tl.log(total) + largest - tl.sum(tl.where(target, z, 0.0), 1)
    dlogits = (counts / total[:, None] - target.to(z.dtype)) / n
    tl.store(logits + at, dlogits, both)
    to = sums + tl.program_id(0) * (V + 1)
    tl.store(to + c, tl.sum(tl.where(both, dlogits, 0.0), 0), columns)
    tl.store(to + V, tl.sum(tl.where(rows, losses, 0.0), 0) / n)


@triton.jit(do_not_specialize=STEP)
def before_activation(
    dlogits, W2, h, keys, dhpreact, s, n, H,
    RELU: tl.constexpr, DROPOUT: tl.constexpr, THRESHOLD: tl.constexpr,
    V: tl.constexpr, VB: tl.constexpr, BN: tl.constexpr, BH: tl.constexpr,
):  # fmt: skip
    """dhpreact, with dh = dlogits @ W2.T on the way."""
    row = (tl.program_id(0) * BN + tl.arange(0, BN)).to(tl.int64)
    unit = tl.program_id(1) * BH + tl.arange(0, BH)
    rows, units = row < n, unit < H
    both = rows[:, None] & units[None, :]
    at = row[:, None] * H + unit[None, :]
    c = tl.arange(0, VB)
    columns = c < V
    of_logits = rows[:, None] & columns[None, :]
    d = tl.load(dlogits + row[:, None] * V + c[None, :], of_logits, 0.0)
    of_W2 = columns[:, None] & units[None, :]
    dh = _product(d, tl.load(W2 + unit[None, :] * V + c[:, None], of_W2, 0.0))
    out = tl.load(h + at, both, 0.0)
    if DROPOUT > 0:
        on = _mask(keys, s, row, unit, H, THRESHOLD)
        dh = tl.where(on, dh * (1 / (1 - DROPOUT)), 0.0)
        out = out * (1 - DROPOUT)
    slope = tl.where(out > 0, 1.0, 0.0) if RELU else 1 - out * out
    tl.store(dhpreact + at, slope * dh, both)


@triton.jit(do_not_specialize=STEP)
def first_layer(
    C, W1, P, R, S, M, bngain, dW1, dbngain, dbnbias, sums, s, n, H,
    EPS: tl.constexpr, B: tl.constexpr, V: tl.constexpr, E: tl.constexpr,
    VB: tl.constexpr, EB: tl.constexpr, BH: tl.constexpr,
):  # fmt: skip
    """dW1 of a place and a block of units, and what they bring to dC, a row (V, E) of ``sums``; the
    first place writes dbngain and dbnbias as well."""
    block, place = tl.program_id(0), tl.program_id(1)
    unit = block * BH + tl.arange(0, BH)
    c = tl.arange(0, VB)
    units = unit < H
    bnmean, bnvar_inv = _statistics(P, R, M, s, unit, n, H, EPS, B, V, VB)
    bias = tl.sum(_place(S, 0, unit, V, VB, H), 0)
    gain = bias * 0
    for j in range(B):
        p = _place(P, j, unit, V, VB, H)
        mean = tl.sum(_count(M, s, j, B, V, VB) * p, 0) / n
        gain += tl.sum((p - mean[None, :]) * _place(S, j, unit, V, VB, H), 0)
    gain = bnvar_inv * gain
    if place == 0:
        tl.store(dbnbias + unit, bias, units)
        tl.store(dbngain + unit, gain, units)

    count = _count(M, s, place, B, V, VB)
    bnraw = bnvar_inv[None, :] * (_place(R, place, unit, V, VB, H) - count * bnmean[None, :])
    scale = tl.load(bngain + unit, units, 0.0) * bnvar_inv
    shifted = _place(S, place, unit, V, VB, H) - count * (bias / n)[None, :]
    dP = scale[None, :] * (shifted - (gain / (n - 1))[None, :] * bnraw)
    e = tl.arange(0, EB)
    of_W1, of_C = (e < E)[:, None] & units[None, :], (c < V)[:, None] & (e < E)[None, :]
    at = (place * E + e)[:, None] * H + unit[None, :]
    at_C = c[:, None] * E + e[None, :]
    table, w = tl.load(C + at_C, of_C, 0.0), tl.load(W1 + at, of_W1, 0.0)
    tl.store(dW1 + at, _product(tl.trans(table), dP), of_W1)
    to = sums + (block * B + place) * V * E
    tl.store(to + at_C, _product(dP, tl.trans(w)), of_C)


@triton.jit
def _added(sums, count, width, i, there, ROWS: tl.constexpr):
    """Columns ``i`` of ``sums`` (count, width), added up."""
    total = (i * 0).to(sums.dtype.element_ty)
    for first in range(0, count, ROWS):
        k = first + tl.arange(0, ROWS)
        both = (k < count)[:, None] & there[None, :]
        total += tl.sum(tl.load(sums + k[:, None] * width + i[None, :], both, 0.0), 0)
    return total


@triton.jit(do_not_specialize=STEP)
def update(
    parameters, gradients, C_sums, C_count, b2_sums, b2_count, rates, losses, s, size, b2_at,
    weights_at, DECAY: tl.constexpr, VE: tl.constexpr, V: tl.constexpr,
    BLOCK: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Adds up dC, db2 and the loss, and takes rate * (gradient + decay * weight) off everything.

    The parameters lie in one row, as do the gradients: C first, b2 with the loss behind it at
    ``b2_at``, and W1 and W2 last, from ``weights_at`` on."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    there, first = i < size, tl.program_id(0) * BLOCK
    of_C, of_b2 = i < VE, (i >= b2_at) & (i <= b2_at + V)
    gradient = tl.load(gradients + i, there, 0.0)
    if first < VE:
        gradient = tl.where(of_C, _added(C_sums, C_count, VE, i, of_C, ROWS), gradient)
    if (first <= b2_at + V) & (first + BLOCK > b2_at):
        added = _added(b2_sums, b2_count, V + 1, i - b2_at, of_b2, ROWS)
        gradient = tl.where(of_b2, added, gradient)
    tl.store(gradients + i, gradient, of_C | of_b2)
    tl.store(losses + s + i * 0, gradient, i == b2_at + V)
    p = tl.load(parameters + i, there, 0.0)
    decayed = tl.where(i >= weights_at, DECAY * p, 0.0)
    new = p - tl.load(rates + s) * (gradient + decayed)
    tl.store(parameters + i, new, there & (i != b2_at + V))
