/* The whole training step, stage by stage, each stage's forward above its backward, under the
 * lecture's names. The Python stages in makemore_bp/network are the same mathematics with the
 * derivations; this file only says what is done for speed, and why it is right.
 *
 * How it is fast:
 *   - six matrix products are nine tenths of the arithmetic; all go through `product`, which keeps
 *     a small tile of the result in registers while it runs along the depth;
 *   - exp and tanh are short polynomials without branches, so the compiler makes vectors of them;
 *   - rows are padded to whole vectors with zeros (kernel.h), so no loop has a ragged end. What the
 *     padding holds never reaches a real element: no product runs over a padded depth.
 *
 * How it stays the same to the bit: every sum is taken in an order that depends on the sizes and
 * the instruction set, and nothing but the parameters and the step's number survives a step. Cutting a run into chunks
 * changes nothing. Another instruction set rounds differently.
 *
 * This file compiles by itself for the baseline of the platform; kernel_avx2.c and kernel_avx512.c
 * compile it again for those instruction sets. */
#include "kernel.h"

#include <math.h>
#include <string.h>

#ifndef RUN_STEPS
#define RUN_STEPS run_steps_baseline
#define LANES 4
#if defined(__aarch64__)
#define TILE_ROWS 8 /* NEON has 32 registers */
#define TILE_VECTORS 3
#else
#define TILE_ROWS 4 /* SSE2 has 16, and needs one for each multiplication's result */
#define TILE_VECTORS 2
#endif
#endif

/* ------------------------------------------------------------------------------------- vectors
 * `vector` is LANES floats that are added and multiplied at once, `bits` the same as integers. GCC
 * and Clang have such types; for another compiler a vector is one float, and it makes of the loops
 * what it can. */
#if defined(__GNUC__) && !defined(MAKEMORE_BP_PLAIN_C)
typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
typedef uint32_t bits __attribute__((vector_size(LANES * sizeof(float))));
#define ALL_BITS_IF(condition) ((bits)(condition)) /* comparing vectors gives all bits or none */
#define INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define PREFETCH(address) __builtin_prefetch(address)
#else
#undef LANES
#define LANES 1
typedef float vector;
typedef uint32_t bits;
#define ALL_BITS_IF(condition) ((condition) ? 0xFFFFFFFFu : 0u)
#define INLINE static inline
#define UNROLL
#define PREFETCH(address) ((void)(address))
#endif

/* memcpy is how C reads a vector from where floats lie; it becomes one instruction. */
INLINE vector load(const float *from)
{
    vector value;
    memcpy(&value, from, sizeof value);
    return value;
}

INLINE void store(float *to, vector value)
{
    memcpy(to, &value, sizeof value);
}

INLINE vector zero(void)
{
    const vector value = {0};
    return value;
}

INLINE bits as_bits(vector value)
{
    bits same;
    memcpy(&same, &value, sizeof same);
    return same;
}

INLINE vector as_vector(bits value)
{
    vector same;
    memcpy(&same, &value, sizeof same);
    return same;
}

/* a0 b0 a1 b1 ... of the first halves of a and b, and of the last halves. */
#if LANES == 16
#define FIRST 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define LAST 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define FIRST 0, 8, 1, 9, 2, 10, 3, 11
#define LAST 4, 12, 5, 13, 6, 14, 7, 15
#else
#define FIRST 0, 4, 1, 5
#define LAST 2, 6, 3, 7
#endif
#if LANES == 1
#define MIX(a, b, ...) ((void)(b), (a)) /* never called */
#elif defined(__clang__) || __GNUC__ >= 12
#define MIX(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MIX(a, b, ...) __builtin_shuffle(a, b, (bits){__VA_ARGS__})
#endif

INLINE vector interleave_first(vector a, vector b)
{
    return MIX(a, b, FIRST);
}

INLINE vector interleave_last(vector a, vector b)
{
    return MIX(a, b, LAST);
}

INLINE vector select(bits where, vector yes, vector no)
{
    return as_vector((where & as_bits(yes)) | (~where & as_bits(no)));
}

/* The larger of the two in every lane; `b` where a comparison with not-a-number fails. */
INLINE vector larger(vector a, vector b)
{
    return select(ALL_BITS_IF(a > b), a, b);
}

INLINE float largest_lane(vector value)
{
    float lanes[LANES];
    store(lanes, value);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            lanes[l] = lanes[l] > lanes[l + half] ? lanes[l] : lanes[l + half];
    return lanes[0];
}

INLINE float sum_of_lanes(vector value)
{
    float lanes[LANES];
    store(lanes, value);
    for (int half = LANES / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++) lanes[l] += lanes[l + half];
    return lanes[0];
}

INLINE extent divided_up(extent length, extent part)
{
    return (length + part - 1) / part;
}

/* ------------------------------------------------------------------------------ exp and tanh
 * Both rest on exp(x) - 1, for x <= 0. Write x = k ln 2 + r with k whole and |r| <= ln 2 / 2; then
 *
 *     exp(x) = 2**k * (1 + (exp(r) - 1))      exp(x) - 1 = 2**k * (exp(r) - 1) + (2**k - 1)
 *
 * and exp(r) - 1 = r + r**2 * (a polynomial of degree 4), whose coefficients are fitted for the
 * least greatest relative error, 1.4e-8 (a quarter of a rounding). Near x = 0 k is 0 and
 * exp(x) - 1 keeps its relative accuracy; that is what makes tanh right there. */
#define LN_SMALLEST -87.3365447f /* below, exp(x) is smaller than the smallest normal float: 0 */

/* exp(x) = scale * (1 + rest), for x <= 0; x below LN_SMALLEST counts as LN_SMALLEST. */
INLINE void exp_in_parts(vector x, vector *scale, vector *rest)
{
    const vector lowest = zero() + LN_SMALLEST;
    x = select(ALL_BITS_IF(x < lowest), lowest, x); /* not-a-number stays */
    /* Floats of this size are whole numbers, so adding it rounds; k is left in its low bits. */
    const float round = 12582912.0f; /* 1.5 * 2**23 */
    const vector rounded = x * 1.44269504f + round;
    const vector k = rounded - round;
    /* ln 2 in two parts, the first with few bits: k times it is exact. */
    const vector r = x - k * 0.693359375f - k * -2.12194440e-4f;
    const vector p = 0.49999998f
        + r * (0.16666539f + r * (0.041667221f + r * (0.0083671808f + r * 0.0013882396f)));
    *rest = r + r * r * p;
    *scale = as_vector((as_bits(rounded) + 127) << 23); /* 127 + k is the exponent's field */
}

/* Within 1e-7 of its value; 0 where that is below the smallest normal float. */
INLINE vector exp_of(vector x)
{
    vector scale, rest;
    exp_in_parts(x, &scale, &rest);
    return select(ALL_BITS_IF(x < zero() + LN_SMALLEST), zero(), scale + scale * rest);
}

/* tanh(x) = -t / (2 + t) with t = exp(-2 |x|) - 1, and the sign of x. 1 where it rounds to 1. */
INLINE vector tanh_of(vector x)
{
    const bits sign = as_bits(x) & 0x80000000u;
    vector scale, rest;
    exp_in_parts(-2.0f * as_vector(as_bits(x) ^ sign), &scale, &rest);
    const vector t = scale * rest + (scale - 1.0f);
    return as_vector(as_bits(-t / (2.0f + t)) | sign);
}

/* ------------------------------------------------------------------------------ matrix product */

/* out (rows, columns) = left @ right, plus `start`. `left` is read as it lies, (rows, depth), or
 * transposed, as a (depth, rows) matrix. */
typedef struct {
    float *out;
    extent out_stride;
    const float *start; /* what each row begins with: a bias (stride 0), `out` itself, or NULL */
    extent start_stride;
    const float *left;
    extent left_stride;
    const float *right;
    extent right_stride;
    extent rows, depth, columns;
} Product;

enum {
    MAX_TILE_ROWS = 8,
    MAX_TILE_VECTORS = 3,
    /* Longer sums are cut into parts of this depth, so that the strip of `right` in use stays in
     * the first-level cache while all rows pass over it; it also keeps long sums accurate. */
    DEPTH_PART = 128
};

/* One tile. `rows`, `vectors` and `transposed` are constants wherever this is called, so the loops
 * over them vanish and `sum` lives in registers: each element loaded from `left` meets `vectors`
 * vectors, each vector loaded from `right` meets `rows` rows. */
INLINE void tile(const int rows, const int vectors, const int transposed, const Product *p)
{
    vector sum[MAX_TILE_ROWS][MAX_TILE_VECTORS];
    const float *left = p->left, *right = p->right;
    const extent left_stride = p->left_stride, right_stride = p->right_stride;

    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++)
            sum[r][v] = p->start ? load(p->start + r * p->start_stride + v * LANES)
                                 : zero();

    for (extent d = 0; d < p->depth; d++) {
        vector across[MAX_TILE_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) across[v] = load(right + v * LANES);
        UNROLL for (int r = 0; r < rows; r++) {
            const float element = transposed ? left[r] : left[r * left_stride];
            UNROLL for (int v = 0; v < vectors; v++) sum[r][v] += element * across[v];
        }
        left += transposed ? left_stride : 1;
        right += right_stride;
    }

    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++)
            store(p->out + r * p->out_stride + v * LANES, sum[r][v]);
}

/* Picks the tile compiled for this shape. */
INLINE void tile_of_shape(const int vectors, const int transposed, const Product *p)
{
    switch (p->rows) {
    case 1: tile(1, vectors, transposed, p); break;
    case 2: tile(2, vectors, transposed, p); break;
    case 3: tile(3, vectors, transposed, p); break;
    case 4: tile(4, vectors, transposed, p); break;
#if TILE_ROWS > 4
    case 5: tile(5, vectors, transposed, p); break;
    case 6: tile(6, vectors, transposed, p); break;
#endif
#if TILE_ROWS > 6
    case 7: tile(7, vectors, transposed, p); break;
    case 8: tile(8, vectors, transposed, p); break;
#endif
    }
}

/* Tiles of nearly equal size cover the result: a thin last tile would waste the registers. */
INLINE void product(const int transposed, Product whole)
{
    const extent vectors = divided_up(whole.columns, LANES);
    const extent row_tiles = divided_up(whole.rows, TILE_ROWS);
    const extent vector_tiles = divided_up(vectors, TILE_VECTORS);
    const extent depth_parts = divided_up(whole.depth, DEPTH_PART);

    for (extent part = 0; part < depth_parts; part++) {
        const extent depth = whole.depth * part / depth_parts;
        Product p = whole;
        p.depth = whole.depth * (part + 1) / depth_parts - depth;
        if (part > 0) {
            whole.start = whole.out;
            whole.start_stride = whole.out_stride;
        }
        for (extent j = 0; j < vector_tiles; j++) {
            const extent first = vectors * j / vector_tiles;
            const extent width = vectors * (j + 1) / vector_tiles - first;
            const extent column = first * LANES;
            p.right = whole.right + depth * whole.right_stride + column;
            for (extent i = 0; i < row_tiles; i++) {
                const extent row = whole.rows * i / row_tiles;
                p.rows = whole.rows * (i + 1) / row_tiles - row;
                p.left = whole.left + (transposed ? depth * whole.left_stride + row
                                                  : row * whole.left_stride + depth);
                p.out = whole.out + row * whole.out_stride + column;
                p.start_stride = whole.start_stride;
                p.start = whole.start ? whole.start + row * whole.start_stride + column : NULL;
                switch (width) {
                case 1: tile_of_shape(1, transposed, &p); break;
                case 2: tile_of_shape(2, transposed, &p); break;
#if TILE_VECTORS > 2
                case 3: tile_of_shape(3, transposed, &p); break;
#endif
                }
            }
        }
    }
}

static void product_plain(Product p)
{
    product(0, p);
}

static void product_transposed(Product p)
{
    product(1, p);
}

/* ------------------------------------------------------------------------------ small helpers */

/* Transposes a block of LANES rows in registers: interleaving the upper half of the rows with the
 * lower half, often enough, turns the numbers' row into their column. */
INLINE void transpose_block(vector block[LANES])
{
    UNROLL for (int done = 1; done < LANES; done *= 2) {
        vector mixed[LANES];
        UNROLL for (int l = 0; l < LANES / 2; l++) {
            mixed[2 * l] = interleave_first(block[l], block[l + LANES / 2]);
            mixed[2 * l + 1] = interleave_last(block[l], block[l + LANES / 2]);
        }
        UNROLL for (int l = 0; l < LANES; l++) block[l] = mixed[l];
    }
}

/* to (columns, rows) = from (rows, columns) transposed, block by block. */
static void transpose(float *to, extent to_stride, const float *from, extent from_stride,
                      extent rows, extent columns)
{
    for (extent r = 0; r < rows; r += LANES)
        for (extent c = 0; c < columns; c += LANES) {
            vector block[LANES];
            UNROLL for (int l = 0; l < LANES; l++)
                block[l] = r + l < rows ? load(from + (r + l) * from_stride + c) : zero();
            transpose_block(block);
            UNROLL for (int l = 0; l < LANES; l++)
                if (c + l < columns) store(to + (c + l) * to_stride + r, block[l]);
        }
}

/* Passes over the rows of a matrix go down strips of so many vectors of columns: enough additions
 * that do not wait for each other, and few enough for the registers. */
enum { STRIP = 4 };

/* Calls function(width, ...) for each strip of the columns; `column` is the strip's first. The
 * widths are constants, so each gets a version of its own. */
#define FOR_STRIPS(columns, function, ...)                                                  \
    for (extent column = 0; column < (columns); column += STRIP * LANES)                    \
        switch (divided_up((columns) - column, LANES)) {                                    \
        case 1: function(1, __VA_ARGS__); break;                                            \
        case 2: function(2, __VA_ARGS__); break;                                            \
        case 3: function(3, __VA_ARGS__); break;                                            \
        default: function(STRIP, __VA_ARGS__);                                              \
        }

/* sums[c] = the sum of column c */
INLINE void column_sums_of_strip(const int width, float *sums, const float *matrix, extent stride,
                                 extent rows)
{
    vector sum[STRIP];
    UNROLL for (int v = 0; v < width; v++) sum[v] = zero();
    for (extent r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < width; v++) sum[v] += load(matrix + r * stride + v * LANES);
    UNROLL for (int v = 0; v < width; v++) store(sums + v * LANES, sum[v]);
}

static void column_sums(float *sums, const float *matrix, extent stride, extent rows,
                        extent columns)
{
    FOR_STRIPS(columns, column_sums_of_strip, sums + column, matrix + column, stride, rows);
}

/* ================================================================================ embedding.py */

/* Xb and Yb of the examples at `indices`. The binding has checked all of it once; the memory is the
 * caller's, though, and is checked again where it is read. Returns 0 if any is out of range. */
static int take_batch(Network *net, const Examples *examples, const int64_t *indices)
{
    const extent n = net->sizes.batch, B = net->sizes.block_size;
    const int64_t last_start = examples->stream_length - B - 1;
    uint64_t wrong = 0;
    for (extent i = 0; i < n; i++) {
        const int64_t example = indices[i];
        if (example < 0 || example >= examples->examples) return 0;
        const int64_t position = position_at(examples, example);
        if (position < 0 || position > last_start) return 0;
        for (extent j = 0; j <= B; j++) {
            const int64_t id = id_at(examples, position + j);
            wrong |= (uint64_t)id >= (uint64_t)net->sizes.vocabulary;
            *(j < B ? &net->Xb[i * B + j] : &net->Yb[i]) = (int32_t)id;
        }
    }
    return !wrong;
}

/* Asks the memory for the positions of a later batch: they lie anywhere, and arrive meanwhile. */
static void fetch_early(const Network *net, const Examples *examples, const int64_t *indices)
{
    const char *positions = examples->positions;
    for (extent i = 0; i < net->sizes.batch; i++)
        if (indices[i] >= 0 && indices[i] < examples->examples)
            PREFETCH(positions + indices[i] * examples->positions_width);
}

/* embcat = C[Xb].view(n, -1). Whole vectors are written: what runs over the end of a character's
 * place is overwritten by the next one. */
static void embedding_forward(Network *net)
{
    const extent n = net->sizes.batch, B = net->sizes.block_size, E = net->sizes.n_embd;
    for (extent i = 0; i < n; i++)
        for (extent j = 0; j < B; j++) {
            const float *from = net->parameters.C + net->Xb[i * B + j] * net->C_stride;
            float *to = net->embcat + i * net->embcat_stride + j * E;
            for (extent e = 0; e < E; e += LANES) store(to + e, load(from + e));
        }
}

/* dC[Xb[i, j]] += demb[i, j], place by place; demb is dembcat as it lies. */
static void embedding_backward(Network *net)
{
    const extent n = net->sizes.batch, B = net->sizes.block_size, E = net->sizes.n_embd;
    memset(net->gradients.C, 0,
           (size_t)(net->sizes.vocabulary * net->C_stride) * sizeof *net->gradients.C);
    for (extent i = 0; i < n; i++)
        for (extent j = 0; j < B; j++) {
            const float *demb = net->d.embcat + i * net->embcat_stride + j * E;
            float *dC = net->gradients.C + net->Xb[i * B + j] * net->C_stride;
            for (extent e = 0; e < E; e += LANES) store(dC + e, load(dC + e) + load(demb + e));
        }
}

/* ===================================================================================== linear.py
 * The hidden layer; the output layer, from the same file, comes after tanh. */

/* hprebn = embcat @ W1 + b1 */
static void linear_hidden_forward(Network *net)
{
    product_plain((Product){
        .out = net->hprebn, .out_stride = net->hidden_stride,
        .start = net->parameters.b1, .start_stride = 0,
        .left = net->embcat, .left_stride = net->embcat_stride,
        .right = net->parameters.W1, .right_stride = net->hidden_stride,
        .rows = net->sizes.batch, .depth = net->sizes.block_size * net->sizes.n_embd,
        .columns = net->sizes.n_hidden,
    });
}

/* dembcat = dhprebn @ W1.T    dW1 = embcat.T @ dhprebn    db1 = dhprebn.sum(0) */
static void linear_hidden_backward(Network *net)
{
    const extent n = net->sizes.batch, H = net->sizes.n_hidden;
    const extent BE = net->sizes.block_size * net->sizes.n_embd;

    transpose(net->W1T, net->embcat_stride, net->parameters.W1, net->hidden_stride, BE, H);
    product_plain((Product){
        .out = net->d.embcat, .out_stride = net->embcat_stride,
        .left = net->d.hprebn, .left_stride = net->hidden_stride,
        .right = net->W1T, .right_stride = net->embcat_stride,
        .rows = n, .depth = H, .columns = BE,
    });
    product_transposed((Product){
        .out = net->gradients.W1, .out_stride = net->hidden_stride,
        .left = net->embcat, .left_stride = net->embcat_stride,
        .right = net->d.hprebn, .right_stride = net->hidden_stride,
        .rows = BE, .depth = n, .columns = H,
    });
    column_sums(net->gradients.b1, net->d.hprebn, net->hidden_stride, n, H);
}

/* ============================================================================ batchnorm_fused.py
 * A strip of columns at a time, so that what one pass over the rows has read is still in the cache
 * for the next. */

INLINE void batchnorm_forward_of_strip(const int width, Network *net, extent column)
{
    const float EPS = 1e-5f;
    const extent n = net->sizes.batch, stride = net->hidden_stride;
    const float *hprebn = net->hprebn + column;
    float sums[STRIP * LANES];
    vector bnmeani[STRIP], bnvar[STRIP], bnvar_inv[STRIP];

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
            bnvar[v] += bndiff * bndiff;
        }
    UNROLL for (int v = 0; v < width; v++)
        store(sums + v * LANES, bnvar[v] / (float)(n - 1) + EPS);
    for (int c = 0; c < width * LANES; c++) net->bnvar_inv[column + c] = 1.0f / sqrtf(sums[c]);

    UNROLL for (int v = 0; v < width; v++) bnvar_inv[v] = load(net->bnvar_inv + column + v * LANES);
    for (extent i = 0; i < n; i++)
        UNROLL for (int v = 0; v < width; v++) {
            const extent at = i * stride + column + v * LANES;
            const vector bnraw = (load(net->hprebn + at) - bnmeani[v]) * bnvar_inv[v];
            store(net->bnraw + at, bnraw);
            store(net->hpreact + at, load(net->parameters.bngain + column + v * LANES) * bnraw
                                         + load(net->parameters.bnbias + column + v * LANES));
        }
}

static void batchnorm_forward(Network *net)
{
    FOR_STRIPS(net->sizes.n_hidden, batchnorm_forward_of_strip, net, column);
}

/* dbngain = (bnraw * dhpreact).sum(0)    dbnbias = dhpreact.sum(0)
 * dhprebn = bngain * bnvar_inv * (dhpreact - dbnbias / n - bnraw * dbngain / (n - 1)) */
INLINE void batchnorm_backward_of_strip(const int width, Network *net, extent column)
{
    const extent n = net->sizes.batch, stride = net->hidden_stride;
    vector dbngain[STRIP], dbnbias[STRIP], scale[STRIP];

    UNROLL for (int v = 0; v < width; v++) dbngain[v] = dbnbias[v] = zero();
    for (extent i = 0; i < n; i++)
        UNROLL for (int v = 0; v < width; v++) {
            const extent at = i * stride + column + v * LANES;
            const vector dhpreact = load(net->d.hpreact + at);
            dbngain[v] += load(net->bnraw + at) * dhpreact;
            dbnbias[v] += dhpreact;
        }
    UNROLL for (int v = 0; v < width; v++) {
        const extent at = column + v * LANES;
        store(net->gradients.bngain + at, dbngain[v]);
        store(net->gradients.bnbias + at, dbnbias[v]);
        scale[v] = load(net->parameters.bngain + at) * load(net->bnvar_inv + at);
        dbnbias[v] /= (float)n;
        dbngain[v] /= (float)(n - 1);
    }
    for (extent i = 0; i < n; i++)
        UNROLL for (int v = 0; v < width; v++) {
            const extent at = i * stride + column + v * LANES;
            store(net->d.hprebn + at, scale[v] * (load(net->d.hpreact + at) - dbnbias[v]
                                                  - load(net->bnraw + at) * dbngain[v]));
        }
}

static void batchnorm_backward(Network *net)
{
    FOR_STRIPS(net->sizes.n_hidden, batchnorm_backward_of_strip, net, column);
}

/* ===================================================================================== tanh.py */

/* h = tanh(hpreact) */
static void tanh_forward(Network *net)
{
    const extent length = net->sizes.batch * net->hidden_stride;
    for (extent at = 0; at < length; at += LANES)
        store(net->h + at, tanh_of(load(net->hpreact + at)));
}

/* dhpreact = (1 - h**2) * dh */
static void tanh_backward(Network *net)
{
    const extent length = net->sizes.batch * net->hidden_stride;
    for (extent at = 0; at < length; at += LANES) {
        const vector h = load(net->h + at);
        store(net->d.hpreact + at, (1.0f - h * h) * load(net->d.h + at));
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
static void dropout_forward(Network *net)
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
        for (extent c = 0; c < H; c += LANES) {
            const extent at = i * net->hidden_stride + c;
            bits x = lanes + (row + (uint32_t)c);
            x = ((x ^ x >> 16) * 0x7FEB352Du) ^ k1;
            x = (x ^ x >> 15) * 0x846CA68Bu;
            x = x ^ x >> 16;
            const vector mask = select(ALL_BITS_IF(x >= threshold), on, zero());
            store(net->mask + at, mask);
            store(net->hdrop + at, load(net->h + at) * mask);
        }
    }
}

/* dh = dhdrop * mask, where dhdrop lies */
static void dropout_backward(Network *net)
{
    const extent length = net->sizes.batch * net->hidden_stride;
    for (extent at = 0; at < length; at += LANES)
        store(net->d.h + at, load(net->d.h + at) * load(net->mask + at));
}

/* ===================================================================================== linear.py
 * The output layer. */

/* logits = hdrop @ W2 + b2, where hdrop is h unless there is dropout. The padding of b2 is minus infinity, and so is that of the logits. */
static void linear_output_forward(Network *net)
{
    product_plain((Product){
        .out = net->logits, .out_stride = net->logits_stride,
        .start = net->parameters.b2, .start_stride = 0,
        .left = net->hdrop, .left_stride = net->hidden_stride,
        .right = net->parameters.W2, .right_stride = net->logits_stride,
        .rows = net->sizes.batch, .depth = net->sizes.n_hidden, .columns = net->sizes.vocabulary,
    });
}

/* dhdrop = dlogits @ W2.T    dW2 = hdrop.T @ dlogits    db2 = dlogits.sum(0) */
static void linear_output_backward(Network *net)
{
    const extent n = net->sizes.batch, H = net->sizes.n_hidden, V = net->sizes.vocabulary;

    transpose(net->W2T, net->hidden_stride, net->parameters.W2, net->logits_stride, H, V);
    product_plain((Product){
        .out = net->d.h, .out_stride = net->hidden_stride,
        .left = net->d.logits, .left_stride = net->logits_stride,
        .right = net->W2T, .right_stride = net->hidden_stride,
        .rows = n, .depth = V, .columns = H,
    });
    product_transposed((Product){
        .out = net->gradients.W2, .out_stride = net->logits_stride,
        .left = net->hdrop, .left_stride = net->hidden_stride,
        .right = net->d.logits, .right_stride = net->logits_stride,
        .rows = H, .depth = n, .columns = V,
    });
    column_sums(net->gradients.b2, net->d.logits, net->logits_stride, n, V);
}

/* ======================================================================== cross_entropy_fused.py
 * Forward and backward in one go, for they share the exponentials:
 *
 *     loss = mean of log(counts_sum) - norm_logits[Yb]       dlogits = (probs - one_hot(Yb)) / n */

/* Returns the loss and leaves dlogits. */
static float cross_entropy_forward_and_backward(Network *net)
{
    const extent n = net->sizes.batch, stride = net->logits_stride;
    const extent padded_V = divided_up(net->sizes.vocabulary, LANES) * LANES;
    double loss = 0;

    for (extent i = 0; i < n; i++) {
        const float *logits = net->logits + i * stride;
        float *dlogits = net->d.logits + i * stride;
        const extent Y = net->Yb[i];

        vector maxes = load(logits);
        for (extent c = LANES; c < padded_V; c += LANES) maxes = larger(maxes, load(logits + c));
        const float logit_max = largest_lane(maxes);

        vector sums = zero();
        for (extent c = 0; c < padded_V; c += LANES) {
            const vector counts = exp_of(load(logits + c) - logit_max);
            sums += counts;
            store(dlogits + c, counts);
        }
        const float counts_sum = sum_of_lanes(sums);
        loss += logf(counts_sum) - (logits[Y] - logit_max);

        const float per_count = 1.0f / (counts_sum * (float)n);
        for (extent c = 0; c < padded_V; c += LANES)
            store(dlogits + c, load(dlogits + c) * per_count);
        dlogits[Y] -= 1.0f / (float)n;
    }
    return (float)(loss / (double)n);
}

/* ================================================================================== the update */

/* The parameter -= lr * its gradient. The padding's gradients are zero. */
INLINE void descend(float *parameter, const float *gradient, extent length, float lr)
{
    for (extent at = 0; at < length; at += LANES)
        store(parameter + at, load(parameter + at) - lr * load(gradient + at));
}

/* The parameter -= lr * (its gradient + decay * the parameter). */
INLINE void descend_and_decay(float *parameter, const float *gradient, extent length, float lr,
                              float decay)
{
    for (extent at = 0; at < length; at += LANES) {
        const vector now = load(parameter + at);
        store(parameter + at, now - lr * (load(gradient + at) + decay * now));
    }
}

static void update(Network *net, float lr)
{
    const float decay = net->options.weight_decay;
    for (int t = 0; t < TENSORS; t++) {
        const extent length = net->parameter_layouts[t].rows * net->parameter_layouts[t].stride;
        float *parameter = net->parameters.each[t];
        const float *gradient = net->gradients.each[t];
        const int decays = parameter == net->parameters.W1 || parameter == net->parameters.W2;
        if (decays && decay > 0)
            descend_and_decay(parameter, gradient, length, lr, decay);
        else
            descend(parameter, gradient, length, lr);
    }
}

/* =================================================================================== passes.py */

static float forward_and_backward(Network *net)
{
    embedding_forward(net);
    linear_hidden_forward(net);
    batchnorm_forward(net);
    const int dropout = net->options.dropout > 0;
    tanh_forward(net);
    if (dropout) dropout_forward(net);
    linear_output_forward(net);
    const float loss = cross_entropy_forward_and_backward(net);
    linear_output_backward(net);
    if (dropout) dropout_backward(net);
    tanh_backward(net);
    batchnorm_backward(net);
    linear_hidden_backward(net);
    embedding_backward(net);
    return loss;
}

int64_t RUN_STEPS(Network *net, const Examples *examples, const int64_t *indices, const float *lrs,
                  int64_t steps, float *losses)
{
    for (int64_t step = 0; step < steps; step++) {
        const int64_t *batch = indices + step * net->sizes.batch;
        if (!take_batch(net, examples, batch)) return step;
        if (step + 1 < steps) fetch_early(net, examples, batch + net->sizes.batch);
        losses[step] = forward_and_backward(net);
        if (lrs == NULL) continue;
        update(net, lrs[step]);
        net->step++;
    }
    return steps;
}
