/* The whole training step, stage by stage, each stage's forward above its backward, under the
 * lecture's names; `step`, near the end, calls them in order. The Python stages in
 * makemore_bp/network are the same mathematics with the derivations. This file only says what is
 * done for speed, and why it is right.
 *
 * How it is fast:
 *   - the matrix products are nine tenths of the arithmetic, and products.h is about them;
 *   - those of the first layer are taken once for each character at each place of the context, not
 *     once for each row of the batch (embedding_forward says how);
 *   - what concerns hidden units is done for a strip of them at a time (hidden_forward);
 *   - little is written, for that is slow beside so much arithmetic: the gradients of W1 and W2 go
 *     into them from the registers, and bndiff is computed again wherever it is needed;
 *   - exp and tanh are short polynomials without branches, so the compiler makes vectors of them
 *     (vectors.h);
 *   - rows are padded to whole vectors with zeros (extent.h), so no loop has a ragged end. What the
 *     padding holds never reaches a real element, or reaches it as an added zero;
 *   - large steps are shared by several threads, each with hidden units of its own (`step`).
 *
 * How it stays the same to the bit: every sum is taken in an order that depends on the minibatch,
 * the sizes and the instruction set, and nothing but the parameters and the step's number survives
 * a step. Cutting a run into chunks changes nothing, nor does the number of threads. Another
 * instruction set rounds differently.
 *
 * This file compiles by itself for the baseline of the platform; step_avx2.c and step_avx512.c
 * compile it again for those instruction sets. */
#include "batch.h"
#include "network.h"
#include "products.h"
#include "team.h"

#include <math.h>
#include <string.h>

#ifndef ADVANCE
#define ADVANCE advance_baseline
#endif

/* ------------------------------------------------------------------------------------ strips */

/* Hidden units do not look at each other. What concerns them is done for a strip of so many vectors
 * of units at a time, for all rows of the batch, stage after stage: enough additions that do not
 * wait for each other, few enough for the registers, and what one stage has written is still in the
 * first-level cache when the next one reads it. */
enum { STRIP = 4 };

/* Calls function(width, net, column) for each strip of some hidden units; `column` is its first unit
 * and `width` its vectors, a constant, so that each width gets a version of its own. The strips are
 * of nearly equal width. */
#define FOR_STRIPS(function, net, units)                                        \
    do {                                                                        \
        const extent vectors = divided_up((units).end - (units).first, LANES);  \
        const extent strips = divided_up(vectors, STRIP);                       \
        extent column = (units).first;                                          \
        for (extent strip = 0; strip < strips; strip++) {                       \
            const extent width = vectors / strips + (strip < vectors % strips); \
            switch (width) {                                                    \
            case 1: function(1, net, column); break;                            \
            case 2: function(2, net, column); break;                            \
            case 3: function(3, net, column); break;                            \
            default: function(STRIP, net, column);                              \
            }                                                                   \
            column += width * LANES;                                            \
        }                                                                       \
    } while (0)

/* ================================================================================ embedding.py */

/* embcat, as what differs in it.
 *
 * Row i of embcat is C[Xb[i, 0]], C[Xb[i, 1]], ... side by side, and characters come again: at each
 * place of the context a batch of 32 names has some 13 different ones. Call a place together with a
 * character that stands there in some row a pair p, and let W1[j] be the rows of W1 that meet place
 * j. Then
 *
 *     hprebn[i] = b1 + sum over the pairs p of row i of C[character of p] @ W1[place of p]
 *     dhprebn_of_pair[p] = sum over the rows i with pair p of dhprebn[i]
 *     dW1[j] = sum over the pairs p of place j of C[character of p].T @ dhprebn_of_pair[p]
 *     dC[c]  = sum over the pairs p of character c of dhprebn_of_pair[p] @ W1[place of p].T
 *
 * These are the heart's embcat @ W1 + b1, embcat.T @ dhprebn and dhprebn @ W1.T, with equal terms
 * taken together: three products with a row for each example have one for each pair. */
static void embedding_forward(Network *net)
{
    number_pairs(net);
    list_rows(net);
    for (extent p = 0; p < net->first_pair[net->sizes.block_size]; p++)
        memcpy(net->C_of_pair + p * net->C_stride,
               net->parameters.C + net->character[p] * net->C_stride,
               (size_t)net->sizes.n_embd * sizeof(float));
}

/* dC[character of p] += dC_of_pair[p]; while training it goes into C itself. */
static void embedding_backward(Network *net)
{
    const extent E = net->sizes.n_embd, pairs = net->first_pair[net->sizes.block_size];
    float *to = net->descends ? net->parameters.C : net->gradients.C;
    if (!net->descends)
        memset(to, 0, (size_t)(net->sizes.vocabulary * net->C_stride) * sizeof *to);
    for (extent p = 0; p < pairs; p++)
        add_scaled(to + net->character[p] * net->C_stride, net->descends ? -net->lr : 1,
                   net->dC_of_pair + p * net->C_stride, E);
}

/* ===================================================================================== linear.py
 * The hidden layer; the output layer, from the same file, comes after tanh. */

/* The weight decays: what is left of it after this step. */
INLINE void decay(const Network *net, float *weight, extent rows, extent stride, extent columns)
{
    const float left = 1.0f - net->lr * net->options.weight_decay;
    if (!net->descends || net->options.weight_decay == 0) return;
    for (extent r = 0; r < rows; r++)
        for (extent c = 0; c < columns; c += LANES)
            store(weight + r * stride + c, left * load(weight + r * stride + c));
}

/* The product that is the gradient of a weight, from `offset` on. While training it goes into the
 * weight itself: weight -= lr * gradient. */
INLINE Product gradient(const Network *net, float *weight, float *gradient, extent offset,
                        Product p)
{
    p.out = (net->descends ? weight : gradient) + offset;
    p.adds = net->descends;
    p.by = -net->lr;
    return p;
}

/* hprebn = embcat @ W1 + b1: what a pair contributes, and, a strip at a time, the sums of rows. */
static void linear_hidden_forward_of_pairs(Network *net, Range units)
{
    const extent B = net->sizes.block_size, E = net->sizes.n_embd, stride = net->hidden_stride;
    for (extent j = 0; j < B; j++) {
        const extent first = net->first_pair[j];
        product_plain(&(Product){
            .out = net->hprebn_of_pair + first * stride + units.first, .out_stride = stride,
            .left = net->C_of_pair + first * net->C_stride, .left_stride = net->C_stride,
            .right = net->parameters.W1 + j * E * stride + units.first, .right_stride = stride,
            .rows = net->first_pair[j + 1] - first, .depth = E,
            .columns = units.end - units.first,
        });
    }
}

INLINE void linear_hidden_forward(const int width, Network *net, extent column)
{
    const extent n = net->sizes.batch, B = net->sizes.block_size, stride = net->hidden_stride;
    const float *of_pair = net->hprebn_of_pair + column, *b1 = net->parameters.b1 + column;
    const int32_t *pair = net->pair;
    float *to = net->hprebn + column;
    for (extent i = 0; i < n; i++) {
        vector hprebn[STRIP];
        UNROLL for (int v = 0; v < width; v++) hprebn[v] = load(b1 + v * LANES);
        for (extent j = 0; j < B; j++) {
            const float *from = of_pair + *pair++ * stride;
            UNROLL for (int v = 0; v < width; v++) hprebn[v] += load(from + v * LANES);
        }
        UNROLL for (int v = 0; v < width; v++) store(to + i * stride + v * LANES, hprebn[v]);
    }
}

/* dhprebn_of_pair, and db1 = dhprebn.sum(0), which the pairs of one place add up to.
 *
 * Pairs have one row or many, and where a loop over them ends cannot be predicted. So there is no
 * such loop: every addition takes two more rows into the sum, which starts again where a new pair
 * does. Each leaves it as the pair's sum, until it is complete. */
INLINE void linear_hidden_backward_to_pairs(const int width, Network *net, extent column)
{
    const extent stride = net->hidden_stride, additions = net->additions;
    const int32_t *row = net->row, *pair_of_addition = net->pair_of_addition;
    const float *dhprebn = net->d.hprebn + column;
    float *of_pair = net->dhprebn_of_pair + column, *to = net->gradients.b1 + column;
    vector sum[STRIP], db1[STRIP];

    UNROLL for (int v = 0; v < width; v++) sum[v] = zero();
    for (extent a = 0, before = -1; a < additions; a++) {
        const extent p = pair_of_addition[a];
        const bits goes_on = (bits)zero() - (uint32_t)(p == before);
        const float *one = dhprebn + row[2 * a] * stride;
        const float *other = dhprebn + row[2 * a + 1] * stride;
        UNROLL for (int v = 0; v < width; v++) {
            const vector two = load(one + v * LANES) + load(other + v * LANES);
            sum[v] = as_vector(as_bits(sum[v]) & goes_on) + two;
            store(of_pair + p * stride + v * LANES, sum[v]);
        }
        before = p;
    }
    UNROLL for (int v = 0; v < width; v++) db1[v] = zero();
    for (extent p = 0; p < net->first_pair[1]; p++)
        UNROLL for (int v = 0; v < width; v++) db1[v] += load(of_pair + p * stride + v * LANES);
    UNROLL for (int v = 0; v < width; v++) store(to + v * LANES, db1[v]);
}

/* dembcat = dhprebn @ W1.T, by pairs: a member's share of those of each place. */
static void linear_hidden_backward_input(Network *net, const Member *me)
{
    const extent B = net->sizes.block_size, E = net->sizes.n_embd, stride = net->hidden_stride;
    for (extent j = 0; j < B; j++) {
        const extent pairs = net->first_pair[j + 1] - net->first_pair[j];
        const extent first = pairs * me->number / me->size;
        const extent end = pairs * (me->number + 1) / me->size, p = net->first_pair[j] + first;
        product_of_rows(&(Product){
            .out = net->dC_of_pair + p * net->C_stride, .out_stride = net->C_stride,
            .left = net->dhprebn_of_pair + p * stride, .left_stride = stride,
            .right = net->parameters.W1 + j * E * stride, .right_stride = stride,
            .rows = end - first, .depth = net->sizes.n_hidden, .columns = E,
        });
    }
}

/* dW1 = embcat.T @ dhprebn, by pairs */
static void linear_hidden_backward_weight(Network *net, Range units)
{
    const extent B = net->sizes.block_size, E = net->sizes.n_embd, stride = net->hidden_stride;
    for (extent j = 0; j < B; j++) {
        const extent first = net->first_pair[j], offset = j * E * stride + units.first;
        decay(net, net->parameters.W1 + offset, E, stride, units.end - units.first);
        const Product dW1 = gradient(net, net->parameters.W1, net->gradients.W1, offset,
            (Product){
                .out_stride = stride,
                .left = net->C_of_pair + first * net->C_stride, .left_stride = net->C_stride,
                .right = net->dhprebn_of_pair + first * stride + units.first,
                .right_stride = stride,
                .rows = E, .depth = net->first_pair[j + 1] - first,
                .columns = units.end - units.first,
            });
        product_transposed(&dW1);
    }
}

/* ========================================================= batchnorm_fused.py, tanh.py or ReLU
 * In one pass over the rows: a number goes from one stage to the other in its register. Which
 * activation it is, is asked once for a strip, and a constant in the loops. */

INLINE vector activation_forward(const int activation, vector hpreact)
{
    return activation == RELU ? larger(zero(), hpreact) : tanh_of(hpreact);
}

/* dhpreact. h tells enough of hpreact: it is positive where hpreact is. */
INLINE vector activation_backward(const int activation, vector h, vector dh)
{
    if (activation == RELU) return blend(ALL_BITS_IF(h > zero()), dh, zero());
    return (1.0f - h * h) * dh;
}

/* bndiff = hprebn - bnmeani    bnraw = bndiff * bnvar_inv
 * hpreact = bngain * bnraw + bnbias    h = tanh(hpreact) or max(hpreact, 0)
 *
 * bndiff costs one subtraction wherever it is needed, less than to write it and read it again. So
 * bnraw is never made: what bndiff is multiplied with has bnvar_inv in it already. */
INLINE void batchnorm_and_activation_forward(const int activation, const int width, Network *net,
                                             extent column)
{
    const extent n = net->sizes.batch, stride = net->hidden_stride;
    const float *hprebn = net->hprebn + column;
    float *h = net->h + column;
    ALIGNED float sums[STRIP * LANES];
    vector bnmeani[STRIP], bnvar[STRIP], scale[STRIP], bnbias[STRIP];

    /* The mean is counted from the first row: then rows that are all alike differ from it by 0, and
     * not by a rounding that bnvar_inv would blow up. */
    UNROLL for (int v = 0; v < width; v++) bnmeani[v] = bnvar[v] = zero();
    for (extent i = 1; i < n; i++)
        UNROLL for (int v = 0; v < width; v++)
            bnmeani[v] += load(hprebn + i * stride + v * LANES) - load(hprebn + v * LANES);
    UNROLL for (int v = 0; v < width; v++)
        bnmeani[v] = load(hprebn + v * LANES) + bnmeani[v] / (float)n;

    for (extent i = 0; i < n; i++)
        UNROLL for (int v = 0; v < width; v++) {
            const vector bndiff = load(hprebn + i * stride + v * LANES) - bnmeani[v];
            bnvar[v] = multiply_add(bndiff, bndiff, bnvar[v]);
        }
    UNROLL for (int v = 0; v < width; v++)
        store(sums + v * LANES, bnvar[v] / (float)(n - 1) + net->options.eps);
    for (int c = 0; c < width * LANES; c++) net->bnvar_inv[column + c] = 1.0f / sqrtf(sums[c]);

    UNROLL for (int v = 0; v < width; v++) {
        const extent unit = column + v * LANES;
        store(net->bnmeani + unit, bnmeani[v]);
        scale[v] = load(net->parameters.bngain + unit) * load(net->bnvar_inv + unit);
        bnbias[v] = load(net->parameters.bnbias + unit);
    }
    for (extent i = 0; i < n; i++)
        UNROLL for (int v = 0; v < width; v++) {
            const extent at = i * stride + v * LANES;
            const vector bndiff = load(hprebn + at) - bnmeani[v];
            store(h + at, activation_forward(activation, scale[v] * bndiff + bnbias[v]));
        }
}

/* dhpreact = (1 - h**2) * dh, or dh where h > 0
 * dbngain = (bnraw * dhpreact).sum(0)    dbnbias = dhpreact.sum(0)
 * dhprebn = bngain * bnvar_inv * (dhpreact - dbnbias / n - bnraw * dbngain / (n - 1))
 *
 * With bndiff: dbngain = bnvar_inv * (bndiff * dhpreact).sum(0), and the last term is bndiff * slope
 * with slope = bnvar_inv * dbngain / (n - 1). */
INLINE void batchnorm_and_activation_backward(const int activation, const int width, Network *net,
                                              extent column)
{
    const extent n = net->sizes.batch, stride = net->hidden_stride;
    const float *h = net->h + column, *hprebn = net->hprebn + column, *dh = net->d.h + column;
    float *dhpreact = net->d.hpreact + column, *dhprebn = net->d.hprebn + column;
    vector bnmeani[STRIP], dbngain[STRIP], dbnbias[STRIP], scale[STRIP], mean[STRIP], slope[STRIP];

    UNROLL for (int v = 0; v < width; v++) {
        bnmeani[v] = load(net->bnmeani + column + v * LANES);
        dbngain[v] = dbnbias[v] = zero();
    }
    for (extent i = 0; i < n; i++)
        UNROLL for (int v = 0; v < width; v++) {
            const extent at = i * stride + v * LANES;
            const vector bndiff = load(hprebn + at) - bnmeani[v];
            const vector d = activation_backward(activation, load(h + at), load(dh + at));
            dbngain[v] = multiply_add(bndiff, d, dbngain[v]);
            dbnbias[v] += d;
            store(dhpreact + at, d);
        }
    UNROLL for (int v = 0; v < width; v++) {
        const extent unit = column + v * LANES;
        const vector bnvar_inv = load(net->bnvar_inv + unit);
        dbngain[v] *= bnvar_inv;
        store(net->gradients.bngain + unit, dbngain[v]);
        store(net->gradients.bnbias + unit, dbnbias[v]);
        scale[v] = load(net->parameters.bngain + unit) * bnvar_inv;
        mean[v] = dbnbias[v] / (float)n;
        slope[v] = bnvar_inv * dbngain[v] / (float)(n - 1);
    }
    for (extent i = 0; i < n; i++)
        UNROLL for (int v = 0; v < width; v++) {
            const extent at = i * stride + v * LANES;
            const vector bndiff = load(hprebn + at) - bnmeani[v];
            store(dhprebn + at,
                  scale[v] * (load(dhpreact + at) - mean[v] - bndiff * slope[v]));
        }
}

/* ================================================================================== dropout.py
 * The masks are those of engines/masks.py, bit by bit: a function of seed, step and place. */

static uint64_t splitmix64(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* hdrop = h * mask, with the mask of this step. The padding of h is 0, and so is that of hdrop. */
INLINE void dropout_forward(const int width, Network *net, extent column)
{
    const extent n = net->sizes.batch, H = net->sizes.n_hidden;
    const uint64_t key = splitmix64(splitmix64(net->options.seed) + net->step);
    const bits k1 = (bits){0} + (uint32_t)(key >> 32);
    const bits threshold = (bits){0} + (uint32_t)(net->options.dropout * 0x1p32);
    const vector on = zero() + (float)(1.0 / (1.0 - net->options.dropout));
    bits lanes;
    uint32_t counted[LANES];
    for (uint32_t l = 0; l < LANES; l++) counted[l] = l;
    memcpy(&lanes, counted, sizeof lanes);

    for (extent i = 0; i < n; i++) {
        const uint32_t row = (uint32_t)key + (uint32_t)i * (uint32_t)H;
        for (int v = 0; v < width; v++) {
            const extent c = column + v * LANES, at = i * net->hidden_stride + c;
            bits x = lanes + (row + (uint32_t)c);
            x = ((x ^ x >> 16) * 0x7FEB352Du) ^ k1;
            x = (x ^ x >> 15) * 0x846CA68Bu;
            x = x ^ x >> 16;
            const vector mask = blend(ALL_BITS_IF(x >= threshold), on, zero());
            store(net->mask + at, mask);
            store(net->hdrop + at, load(net->h + at) * mask);
        }
    }
}

/* dh = dhdrop * mask, where dhdrop lies */
INLINE void dropout_backward(const int width, Network *net, extent column)
{
    for (extent i = 0; i < net->sizes.batch; i++)
        UNROLL for (int v = 0; v < width; v++) {
            const extent at = i * net->hidden_stride + column + v * LANES;
            store(net->d.h + at, load(net->d.h + at) * load(net->mask + at));
        }
}

/* ===================================================================================== linear.py
 * The output layer. A vocabulary fills vectors badly (27 characters are 1.7 vectors of 16 lanes), so
 * hidden units or rows of the batch lie along the lanes instead: W2 lies as W2T (V, H), the logits
 * as logitsT (V, n), and h is turned over, strip by strip, to hdropT (H, n). */

/* hdropT = hdrop.T, where hdrop is h unless there is dropout. */
INLINE void turn_over(const int width, Network *net, extent column)
{
    const extent n = net->sizes.batch, hidden_stride = net->hidden_stride;
    const extent batch_stride = net->batch_stride;
    const float *hdrop = net->hdrop + column;
    float *hdropT = net->hdropT + column * batch_stride;
    const extent whole = n - n % SQUARE;
    for (extent i = 0; i < whole; i += SQUARE)
        for (extent c = 0; c < width * LANES; c += SQUARE)
            transpose_square(hdrop + i * hidden_stride + c, hidden_stride,
                             hdropT + c * batch_stride + i, batch_stride);
    for (extent c = 0; c < width * LANES; c++)
        for (extent i = whole; i < n; i++)
            hdropT[c * batch_stride + i] = hdrop[i * hidden_stride + c];
}

/* logits.T = W2.T @ hdrop.T + b2, a column */
static void linear_output_forward(Network *net, Range rows)
{
    const extent V = net->sizes.vocabulary, stride = net->batch_stride;
    for (extent v = 0; v < V; v++)
        for (extent i = rows.first; i < rows.end; i += LANES)
            store(net->logitsT + v * stride + i, zero() + net->parameters.b2[v]);
    product_plain(&(Product){
        .out = net->logitsT + rows.first, .out_stride = stride,
        .left = net->parameters.W2T, .left_stride = net->hidden_stride,
        .right = net->hdropT + rows.first, .right_stride = stride,
        .rows = V, .depth = net->sizes.n_hidden, .columns = rows.end - rows.first,
        .adds = 1, .by = 1,
    });
}

/* dhdrop = dlogits @ W2.T    dW2.T = dlogits.T @ hdrop */
static void linear_output_backward(Network *net, Range units)
{
    const extent n = net->sizes.batch, V = net->sizes.vocabulary, stride = net->hidden_stride;
    const extent columns = units.end - units.first;
    product_transposed(&(Product){
        .out = net->d.h + units.first, .out_stride = stride,
        .left = net->d.logitsT, .left_stride = net->batch_stride,
        .right = net->parameters.W2T + units.first, .right_stride = stride,
        .rows = n, .depth = V, .columns = columns,
    });
    decay(net, net->parameters.W2T + units.first, V, stride, columns);
    const Product dW2T = gradient(net, net->parameters.W2T, net->gradients.W2T, units.first,
        (Product){
            .out_stride = stride,
            .left = net->d.logitsT, .left_stride = net->batch_stride,
            .right = net->hdrop + units.first, .right_stride = stride,
            .rows = V, .depth = n, .columns = columns,
        });
    product_plain(&dW2T);
}

/* db2 = dlogits.sum(0), LANES characters at a time */
static void linear_output_backward_bias(Network *net, Range characters)
{
    const extent n = net->sizes.batch;
    for (extent v = characters.first; v < characters.end; v += LANES) {
        vector sums[LANES];
        for (extent l = 0; l < LANES; l++) {
            sums[l] = zero();
            if (v + l < characters.end)
                for (extent i = 0; i < n; i += LANES)
                    sums[l] += load(net->d.logitsT + (v + l) * net->batch_stride + i);
        }
        store(net->gradients.b2 + v, sums_of_lanes(sums));
    }
}

/* ======================================================================== cross_entropy_fused.py
 * Forward and backward in one go, for they share the exponentials:
 *
 *     loss = mean of log(counts_sum) - norm_logits[Yb]       dlogits = (probs - one_hot(Yb)) / n
 *
 * A lane is a row of the batch. */

/* The sum of log(counts_sum) - norm_logits[Yb] over the LANES rows from `first` on; leaves their
 * dlogits, and zeros for rows that do not exist. */
INLINE double cross_entropy_of_rows(Network *net, extent first)
{
    const extent n = net->sizes.batch, V = net->sizes.vocabulary, stride = net->batch_stride;
    const float *logits = net->logitsT + first;
    float *dlogits = net->d.logitsT + first;
    ALIGNED float maxes[LANES], sums[LANES];

    vector logit_maxes = load(logits);
    for (extent v = 1; v < V; v++) logit_maxes = larger(logit_maxes, load(logits + v * stride));
    vector counts_sum = zero();
    for (extent v = 0; v < V; v++) {
        const vector counts = exp_of(load(logits + v * stride) - logit_maxes);
        counts_sum += counts;
        store(dlogits + v * stride, counts);
    }
    const vector per_count = load(net->weight_of_row + first) / counts_sum;
    for (extent v = 0; v < V; v++)
        store(dlogits + v * stride, load(dlogits + v * stride) * per_count);

    /* One logarithm for all: a sum is between 1 and V < 2**31, and a product of 16 such numbers
     * stays far below a double's largest. */
    store(maxes, logit_maxes);
    store(sums, counts_sum);
    double product_of_sums = 1, norm_logits = 0;
    for (extent l = 0; l < LANES && first + l < n; l++) {
        const extent at = net->Yb[first + l] * stride + l;
        dlogits[at] -= 1.0f / (float)n;
        norm_logits += (double)(logits[at] - maxes[l]);
        product_of_sums *= (double)sums[l];
    }
    return log(product_of_sums) - norm_logits;
}

/* Leaves dlogits, and of each PAD rows the sum that their part of the loss is. */
static void cross_entropy_forward_and_backward(Network *net, Range rows)
{
    for (extent part = rows.first; part < rows.end; part += PAD) {
        double sum = 0;
        for (extent i = part; i < part + PAD && i < rows.end; i += LANES)
            sum += cross_entropy_of_rows(net, i);
        net->loss_of_part[part / PAD] = sum;
    }
}

static float loss_of_batch(const Network *net)
{
    double loss = 0;
    for (extent part = 0; part < divided_up(net->sizes.batch, PAD); part++)
        loss += net->loss_of_part[part];
    return (float)(loss / (double)net->sizes.batch);
}

/* =================================================================================== passes.py */

/* What concerns a strip of hidden units, from their inputs to what the output layer reads. */
INLINE void hidden_forward(const int width, Network *net, extent column)
{
    linear_hidden_forward(width, net, column);
    if (net->options.activation == RELU)
        batchnorm_and_activation_forward(RELU, width, net, column);
    else
        batchnorm_and_activation_forward(TANH, width, net, column);
    if (net->options.dropout > 0) dropout_forward(width, net, column);
    turn_over(width, net, column);
}

/* The same backward, from dhdrop to dhprebn_of_pair. */
INLINE void hidden_backward(const int width, Network *net, extent column)
{
    if (net->options.dropout > 0) dropout_backward(width, net, column);
    if (net->options.activation == RELU)
        batchnorm_and_activation_backward(RELU, width, net, column);
    else
        batchnorm_and_activation_backward(TANH, width, net, column);
    linear_hidden_backward_to_pairs(width, net, column);
}

/* The parameters of one row -= lr * their gradients; the others have been updated on the way. */
static void update(Network *net, Range units, Range characters)
{
    const extent at = units.first, length = units.end - units.first, v = characters.first;
    if (!net->descends) return;
    add_scaled(net->parameters.b1 + at, -net->lr, net->gradients.b1 + at, length);
    add_scaled(net->parameters.bngain + at, -net->lr, net->gradients.bngain + at, length);
    add_scaled(net->parameters.bnbias + at, -net->lr, net->gradients.bnbias + at, length);
    add_scaled(net->parameters.b2 + v, -net->lr, net->gradients.b2 + v, characters.end - v);
}

/* A step, or a member's share of it. A member has hidden units, rows of the batch, characters and
 * pairs of its own, and waits where it goes on with what others have made. Every sum is taken by one
 * of them, in the order that it has in a team of one: how many they are changes no bit.
 *
 * Returns 0 if the step's examples are out of range, and has then done nothing. */
static int step(Network *net, const Member *me)
{
    const Range units = share(net->sizes.n_hidden, me), rows = share(net->sizes.batch, me);
    const Range characters = share(net->sizes.vocabulary, me);

    if (me->number == 0 && !net->stopped) embedding_forward(net);
    meet(me); /* all need the pairs */
    if (net->stopped) return 0;
    linear_hidden_forward_of_pairs(net, units);
    FOR_STRIPS(hidden_forward, net, units);
    meet(me); /* logits need all of hdropT */
    linear_output_forward(net, rows);
    cross_entropy_forward_and_backward(net, rows);
    meet(me); /* dhdrop, dW2 and db2 need all of dlogits */
    linear_output_backward(net, units);
    linear_output_backward_bias(net, characters);
    FOR_STRIPS(hidden_backward, net, units);
    meet(me); /* dC needs dhprebn_of_pair of all units, */
    linear_hidden_backward_input(net, me);
    meet(me); /* and all of W1, which may change only now */
    linear_hidden_backward_weight(net, units);
    update(net, units, characters);
    meet(me); /* pairs and lr are read no more: the next step may begin */
    if (me->number == 0) embedding_backward(net);
    return 1;
}

/* What one member does for all, before a step: its examples and its learning rate. */
static void begin_step(Network *net, const Steps *asked, int64_t number)
{
    const extent n = net->sizes.batch;
    const int64_t *indices = asked->indices + number * n;
    net->stopped = !take_batch(net, asked->examples, indices);
    net->lr = asked->lrs != NULL ? asked->lrs[number] : 0;
    if (number + 1 < asked->steps) fetch_early(asked->examples, indices + n, n);
}

static void end_step(Network *net, float *loss)
{
    if (net->descends) net->step++;
    *loss = loss_of_batch(net);
}

int64_t ADVANCE(Network *net, const Steps *asked, const Member *me)
{
    for (int64_t number = 0; number < asked->steps; number++) {
        if (me->number == 0) begin_step(net, asked, number);
        if (!step(net, me)) return number;
        if (me->number == 0) end_step(net, &asked->losses[number]);
    }
    return asked->steps;
}
