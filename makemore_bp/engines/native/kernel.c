/* The whole training step, stage by stage, each stage's forward above its backward, under the
 * lecture's names. The Python stages in makemore_bp/network are the same mathematics with the
 * derivations; this file only says what is done for speed, and why it is right.
 *
 * How it is fast:
 *   - the matrix products are nine tenths of the arithmetic; they keep a small tile of the result
 *     in registers while they run along the depth;
 *   - those of the first layer are taken once for each character at each place of the context, not
 *     once for each row of the batch (embedding_forward says how);
 *   - what concerns hidden units is done for a strip of them at a time (hidden_forward);
 *   - little is written, for that is slow beside so much arithmetic: the gradients of W1 and W2 go
 *     into them from the registers, and bndiff is taken anew wherever it is needed;
 *   - exp and tanh are short polynomials without branches, so the compiler makes vectors of them;
 *   - rows are padded to whole vectors with zeros (kernel.h), so no loop has a ragged end. What the
 *     padding holds never reaches a real element, or reaches it as an added zero;
 *   - large steps are shared by several threads, each with hidden units of its own
 *     (forward_and_backward).
 *
 * How it stays the same to the bit: every sum is taken in an order that depends on the minibatch,
 * the sizes and the instruction set, and nothing but the parameters and the step's number survives
 * a step. Cutting a run into chunks changes nothing, nor does the number of threads. Another
 * instruction set rounds differently.
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
#define ROW_DOTS 4
#else
#define TILE_ROWS 4 /* SSE2 has 16, and needs one for each multiplication's result */
#define TILE_VECTORS 2
#define ROW_DOTS 2
#endif
#define COLUMN_DOTS 4
#if defined(__GNUC__) && defined(__SSE__)
#include <xmmintrin.h>
#define LARGER(a, b) _mm_max_ps((__m128)(a), (__m128)(b))
#elif defined(__GNUC__) && defined(__aarch64__)
#include <arm_neon.h>
#define MULTIPLY_ADD(a, b, c) vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b))
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
#define NOINLINE static __attribute__((noinline)) /* what needs all registers for itself */
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#define PREFETCH(address) __builtin_prefetch(address)
#else
#undef LANES
#undef LARGER
#undef MULTIPLY_ADD
#define LANES 1
#if defined(_MSC_VER)
#pragma fp_contract(off) /* else loops of different lengths might round differently */
#endif
typedef float vector;
typedef uint32_t bits;
#define ALL_BITS_IF(condition) ((condition) ? 0xFFFFFFFFu : 0u)
#define INLINE static inline
#define NOINLINE static
#define UNROLL
#define PREFETCH(address) ((void)(address))
#endif

/* Of arrays on the stack that vectors are written to: across two cache lines that would be slow. */
#define ALIGNED _Alignas(PAD * sizeof(float))

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
#define MIX(mask, a, b, ...) ((void)(b), (a)) /* never called */
#elif defined(__clang__) || __GNUC__ >= 12
#define MIX(mask, a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define MIX(mask, a, b, ...) __builtin_shuffle(a, b, (mask){__VA_ARGS__})
#endif

INLINE vector interleave_first(vector a, vector b)
{
    return MIX(bits, a, b, FIRST);
}

INLINE vector interleave_last(vector a, vector b)
{
    return MIX(bits, a, b, LAST);
}

INLINE vector blend(bits where, vector yes, vector no)
{
    return as_vector((where & as_bits(yes)) | (~where & as_bits(no)));
}

/* The larger of the two in every lane; `b` where one is not a number. Processors have an
 * instruction for just this, which compilers do not find by themselves. */
INLINE vector larger(vector a, vector b)
{
#ifdef LARGER
    return (vector)LARGER(a, b);
#else
    return blend(ALL_BITS_IF(a > b), a, b);
#endif
}

/* a * b + c, for sums that run through a loop. Left to itself GCC, from some version on, rounds such
 * a sum once in each step where several are taken side by side, and twice where there is only one:
 * then how units are dealt out would show in their last bits. */
INLINE vector multiply_add(vector a, vector b, vector c)
{
#ifdef MULTIPLY_ADD
    return (vector)MULTIPLY_ADD(a, b, c);
#else
    return a * b + c;
#endif
}

INLINE void add_halves(vector block[LANES], const int half)
{
    UNROLL for (int l = 0; l < half; l++)
        block[l] = interleave_first(block[l], block[l + half])
                   + interleave_last(block[l], block[l + half]);
}

/* Adds up the lanes of each of LANES vectors: lane l of the result is the sum of block[l]'s lanes.
 * Interleaving the upper half of the vectors with the lower half, and adding the two halves of what
 * that gives, leaves half as many vectors, and at last one. (Not as a loop: then compilers leave
 * the block in memory.) */
INLINE vector sums_of_lanes(vector block[LANES])
{
    if (LANES > 8) add_halves(block, 8);
    if (LANES > 4) add_halves(block, 4);
    if (LANES > 2) add_halves(block, 2);
    if (LANES > 1) add_halves(block, 1);
    return block[0];
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

/* exp(x) = scale * (1 + rest), for x <= 0; x below LN_SMALLEST counts as LN_SMALLEST. `near_zero`
 * says that only x near 0 matters, where k is small and one float is enough of ln 2. */
INLINE void exp_in_parts(vector x, const int near_zero, vector *scale, vector *rest)
{
    x = larger(zero() + LN_SMALLEST, x); /* not-a-number stays */
    /* Floats of this size are whole numbers, so adding it rounds; the low bits are 127 + k, and so
     * is the exponent of 2**k written. */
    const float round = 12582912.0f + 127; /* 1.5 * 2**23 + 127 */
    const vector rounded = x * 1.44269504f + round;
    const vector k = rounded - round;
    /* ln 2 in two parts, the first with few bits: k times it is exact. */
    const vector r = near_zero ? x - k * 0.693147182f
                               : x - k * 0.693359375f - k * -2.12194440e-4f;
    const vector r2 = r * r; /* in powers of it, for fewer operations that wait for each other */
    const vector p = (0.49999998f + r * 0.16666539f)
                     + r2 * ((0.041667221f + r * 0.0083671808f) + r2 * 0.0013882396f);
    *rest = r + r2 * p;
    *scale = as_vector(as_bits(rounded) << 23);
}

/* Within 1e-7 of its value; 0 where that is below the smallest normal float. */
INLINE vector exp_of(vector x)
{
    vector scale, rest;
    exp_in_parts(x, 0, &scale, &rest);
    return blend(ALL_BITS_IF(x < zero() + LN_SMALLEST), zero(), scale + scale * rest);
}

/* tanh(x) = -t / (2 + t) with t = exp(-2 |x|) - 1, and the sign of x. 1 where it rounds to 1: what
 * is wrong with t where it is close to -1 does not show. */
INLINE vector tanh_of(vector x)
{
    const bits sign = as_bits(x) & 0x80000000u;
    vector scale, rest;
    const vector below = as_vector(as_bits(x) | 0x80000000u); /* -|x| */
    exp_in_parts(below + below, 1, &scale, &rest);
    const vector t = scale * rest + (scale - 1.0f);
    return as_vector(as_bits(-t / (2.0f + t)) | sign);
}

/* ----------------------------------------------------------------------------- matrix products */

/* out (rows, columns) = left @ right, or, with `adds`, out += by * (left @ right): so a bias is
 * added, and so a gradient goes straight into its parameter. */
typedef struct {
    float *out;
    extent out_stride;
    const float *left;
    extent left_stride;
    const float *right;
    extent right_stride;
    extent rows, depth, columns;
    int adds;
    float by;
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
    const extent out_stride = p->out_stride, depth = p->depth;
    float *out = p->out;

    UNROLL for (int r = 0; r < rows; r++)
        UNROLL for (int v = 0; v < vectors; v++) sum[r][v] = zero();

    for (extent d = 0; d < depth; d++) {
        vector across[MAX_TILE_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) across[v] = load(right + v * LANES);
        UNROLL for (int r = 0; r < rows; r++) {
            const float element = transposed ? left[r] : left[r * left_stride];
            const vector along = element - zero(); /* the same in all lanes; -0 stays -0 */
            UNROLL for (int v = 0; v < vectors; v++)
                sum[r][v] = multiply_add(along, across[v], sum[r][v]);
        }
        left += transposed ? left_stride : 1;
        right += right_stride;
    }

    const float by = p->by;
    if (p->adds)
        UNROLL for (int r = 0; r < rows; r++, out += out_stride)
            UNROLL for (int v = 0; v < vectors; v++)
                store(out + v * LANES, load(out + v * LANES) + by * sum[r][v]);
    else
        UNROLL for (int r = 0; r < rows; r++, out += out_stride)
            UNROLL for (int v = 0; v < vectors; v++) store(out + v * LANES, sum[r][v]);
}

/* A function for each shape of a tile: in one of its own each gets all the registers. */
#define TILE(transposed, vectors, rows)                                    \
    NOINLINE void tile_##transposed##_##vectors##_##rows(const Product *p) \
    {                                                                      \
        tile(rows, vectors, transposed, p);                                \
    }
#define LOW_TILES(transposed, vectors)                                                     \
    TILE(transposed, vectors, 1) TILE(transposed, vectors, 2) TILE(transposed, vectors, 3) \
    TILE(transposed, vectors, 4)
#define LOW_TILE_NAMES(transposed, vectors)                                   \
    tile_##transposed##_##vectors##_1, tile_##transposed##_##vectors##_2,     \
        tile_##transposed##_##vectors##_3, tile_##transposed##_##vectors##_4
#if TILE_ROWS > 4
#define TILES(transposed, vectors)                                                         \
    LOW_TILES(transposed, vectors)                                                         \
    TILE(transposed, vectors, 5) TILE(transposed, vectors, 6) TILE(transposed, vectors, 7) \
    TILE(transposed, vectors, 8)
#define TILE_NAMES(transposed, vectors)                                             \
    {LOW_TILE_NAMES(transposed, vectors), tile_##transposed##_##vectors##_5,        \
     tile_##transposed##_##vectors##_6, tile_##transposed##_##vectors##_7,          \
     tile_##transposed##_##vectors##_8}
#else
#define TILES LOW_TILES
#define TILE_NAMES(transposed, vectors) {LOW_TILE_NAMES(transposed, vectors)}
#endif

TILES(0, 1) TILES(0, 2) TILES(0, 3) TILES(1, 1) TILES(1, 2) TILES(1, 3)

static void (*const TILE_OF_SHAPE[2][MAX_TILE_VECTORS][MAX_TILE_ROWS])(const Product *) = {
    {TILE_NAMES(0, 1), TILE_NAMES(0, 2), TILE_NAMES(0, 3)},
    {TILE_NAMES(1, 1), TILE_NAMES(1, 2), TILE_NAMES(1, 3)},
};

/* The product over one part of its depth. Tiles of nearly equal size cover the result: a thin last
 * tile would waste the registers. */
INLINE void product_of_part(const int transposed, Product p)
{
    const extent vectors = divided_up(p.columns, LANES);
    const extent across = divided_up(vectors, TILE_VECTORS), down = divided_up(p.rows, TILE_ROWS);
    const extent width = vectors / across, wider = vectors % across; /* so many by one more */
    const extent height = p.rows / down, higher = p.rows % down;
    const float *left = p.left;
    float *top = p.out;

    for (extent j = 0; j < across; j++) {
        const extent tile_vectors = width + (j < wider);
        p.left = left;
        p.out = top;
        for (extent i = 0; i < down; i++) {
            const extent tile_rows = height + (i < higher);
            TILE_OF_SHAPE[transposed][tile_vectors - 1][tile_rows - 1](&p);
            p.left += transposed ? tile_rows : tile_rows * p.left_stride;
            p.out += tile_rows * p.out_stride;
        }
        p.right += tile_vectors * LANES;
        top += tile_vectors * LANES;
    }
}

/* `left` is read as it lies, (rows, depth), or transposed, as a (depth, rows) matrix. */
INLINE void product(const int transposed, const Product *whole)
{
    const extent parts = divided_up(whole->depth, DEPTH_PART);
    if (whole->rows == 0 || whole->columns == 0) return;
    for (extent part = 0; part < parts; part++) {
        const extent first = whole->depth * part / parts;
        Product p = *whole;
        p.depth = whole->depth * (part + 1) / parts - first;
        p.left += transposed ? first * p.left_stride : first;
        p.right += first * p.right_stride;
        if (part > 0 && !whole->adds) { /* goes on from what the parts before have left */
            p.adds = 1;
            p.by = 1;
        }
        product_of_part(transposed, p);
    }
}

NOINLINE void product_plain(const Product *whole)
{
    product(0, whole);
}

NOINLINE void product_transposed(const Product *whole)
{
    product(1, whole);
}

/* out (rows, columns) = left @ right.T, where `right` lies as (columns, depth): both are read along
 * their rows, LANES of the depth at once, and the lanes are added up at the end. For deep products
 * of few columns. The depth is read in whole vectors: the padding of both must be zero. */
enum { DOTS = ROW_DOTS * COLUMN_DOTS };

/* One tile of ROW_DOTS rows, of which p->rows count; in place of the others the last is read. */
INLINE void dot_tile(const int columns, const Product *p)
{
    vector sum[DOTS];
    const float *left[ROW_DOTS], *right[COLUMN_DOTS];
    UNROLL for (int k = 0; k < DOTS; k++) sum[k] = zero();
    UNROLL for (int r = 0; r < ROW_DOTS; r++)
        left[r] = p->left + (r < p->rows ? r : p->rows - 1) * p->left_stride;
    UNROLL for (int c = 0; c < columns; c++) right[c] = p->right + c * p->right_stride;

    for (extent d = 0; d < p->depth; d += LANES) {
        vector across[COLUMN_DOTS];
        UNROLL for (int c = 0; c < columns; c++) across[c] = load(right[c] + d);
        UNROLL for (int r = 0; r < ROW_DOTS; r++) {
            const vector along = load(left[r] + d);
            UNROLL for (int c = 0; c < columns; c++)
                sum[r * COLUMN_DOTS + c] += along * across[c];
        }
    }

    ALIGNED float dots[DOTS];
    UNROLL for (int k = 0; k < DOTS; k += LANES) store(dots + k, sums_of_lanes(sum + k));
    for (extent r = 0; r < p->rows; r++)
        memcpy(p->out + r * p->out_stride, dots + r * COLUMN_DOTS, (size_t)columns * sizeof(float));
}

NOINLINE void dot_tile_1(const Product *p) { dot_tile(1, p); }
NOINLINE void dot_tile_2(const Product *p) { dot_tile(2, p); }
NOINLINE void dot_tile_3(const Product *p) { dot_tile(3, p); }
NOINLINE void dot_tile_4(const Product *p) { dot_tile(4, p); }

NOINLINE void product_of_rows(const Product *whole)
{
    Product p = *whole;
    for (extent row = 0; row < whole->rows; row += ROW_DOTS) {
        p.rows = whole->rows - row < ROW_DOTS ? whole->rows - row : ROW_DOTS;
        p.left = whole->left + row * p.left_stride;
        for (extent column = 0; column < whole->columns; column += COLUMN_DOTS) {
            p.right = whole->right + column * p.right_stride;
            p.out = whole->out + row * p.out_stride + column;
            switch (whole->columns - column) {
            case 1: dot_tile_1(&p); break;
            case 2: dot_tile_2(&p); break;
            case 3: dot_tile_3(&p); break;
            default: dot_tile_4(&p);
            }
        }
    }
}

/* ------------------------------------------------------------------------------ small helpers */

/* Transposes blocks of SQUARE x SQUARE floats. Processors are quickest at mixing numbers within
 * quads of lanes, so a quad of columns is turned at a time, and for eight lanes the quads of rows r
 * and r + 4 lie side by side. */
#if LANES >= 8
#define SQUARE 8
#define FIRST_IN_QUADS 0, 8, 1, 9, 4, 12, 5, 13
#define LAST_IN_QUADS 2, 10, 3, 11, 6, 14, 7, 15
#define LEFT_QUADS 0, 1, 2, 3, 8, 9, 10, 11
#define RIGHT_QUADS 4, 5, 6, 7, 12, 13, 14, 15
#elif LANES == 4
#define SQUARE 4
#define FIRST_IN_QUADS 0, 4, 1, 5
#define LAST_IN_QUADS 2, 6, 3, 7
#else
#define SQUARE 1
#endif

#if SQUARE == 1
INLINE void transpose_square(const float *from, extent from_stride, float *to, extent to_stride)
{
    (void)from_stride, (void)to_stride;
    *to = *from;
}
#else
typedef float square_row __attribute__((vector_size(SQUARE * sizeof(float))));
typedef uint32_t square_bits __attribute__((vector_size(SQUARE * sizeof(float))));

INLINE void transpose_square(const float *from, extent from_stride, float *to, extent to_stride)
{
    square_row row[SQUARE];
    UNROLL for (int r = 0; r < SQUARE; r++) memcpy(&row[r], from + r * from_stride, sizeof *row);
    UNROLL for (int c = 0; c < SQUARE; c += 4) {
        square_row a[4], b[4], column[4];
        UNROLL for (int r = 0; r < 4; r++) {
#if SQUARE == 8
            a[r] = c == 0 ? MIX(square_bits, row[r], row[r + 4], LEFT_QUADS)
                          : MIX(square_bits, row[r], row[r + 4], RIGHT_QUADS);
#else
            a[r] = row[r];
#endif
        }
        UNROLL for (int r = 0; r < 2; r++) {
            b[r] = MIX(square_bits, a[r], a[r + 2], FIRST_IN_QUADS);
            b[r + 2] = MIX(square_bits, a[r], a[r + 2], LAST_IN_QUADS);
        }
        UNROLL for (int r = 0; r < 4; r += 2) {
            column[r] = MIX(square_bits, b[r], b[r + 1], FIRST_IN_QUADS);
            column[r + 1] = MIX(square_bits, b[r], b[r + 1], LAST_IN_QUADS);
        }
        UNROLL for (int r = 0; r < 4; r++)
            memcpy(to + (c + r) * to_stride, &column[r], sizeof *column);
    }
}
#endif

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

/* A member's share of hidden units, or of whatever else lies along a row: whole cache lines. */
typedef struct {
    extent first, end;
} Range;

INLINE extent share_begins(extent length, extent number, extent size)
{
    const extent at = divided_up(length, PAD) * number / size * PAD;
    return at < length ? at : length;
}

INLINE Range share(extent length, const Member *me)
{
    return (Range){share_begins(length, me->number, me->size),
                   share_begins(length, me->number + 1, me->size)};
}

/* to += by * from */
INLINE void add_scaled(float *to, float by, const float *from, extent length)
{
    for (extent at = 0; at < length; at += LANES)
        store(to + at, load(to + at) + by * load(from + at));
}

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

/* ================================================================================ embedding.py */

static int is_example(const Examples *examples, int64_t index)
{
    return index >= 0 && index < examples->examples;
}

/* Xb and Yb of the examples at `indices`; returns 0 if any is out of range. The binding has checked
 * all of it once; the memory is the caller's, though, and is checked again where it is read. The
 * widths are constants where it is called for common data, so that nothing is asked in the loop. */
INLINE int take_batch_of(const int stream_width, const int positions_width, Network *net,
                         const Examples *examples, const int64_t *indices)
{
    const extent n = net->sizes.batch, B = net->sizes.block_size;
    const uint64_t V = (uint64_t)net->sizes.vocabulary;
    const int64_t last_start = examples->stream_length - B - 1;
    int32_t *Xb = net->Xb;
    uint64_t wrong = 0;
    for (extent i = 0; i < n; i++) {
        const int64_t example = indices[i];
        if (!is_example(examples, example)) return 0;
        const int64_t position = number_at(examples->positions, positions_width, example);
        if (position < 0 || position > last_start) return 0;
        for (extent j = 0; j < B; j++) {
            const int64_t id = number_at(examples->stream, stream_width, position + j);
            wrong |= (uint64_t)id >= V;
            *Xb++ = (int32_t)id;
        }
        const int64_t id = number_at(examples->stream, stream_width, position + B);
        wrong |= (uint64_t)id >= V;
        net->Yb[i] = (int32_t)id;
    }
    return !wrong;
}

static int take_batch(Network *net, const Examples *examples, const int64_t *indices)
{
    if (examples->positions_width == 4)
        switch (examples->stream_width) {
        case 1: return take_batch_of(1, 4, net, examples, indices);
        case 2: return take_batch_of(2, 4, net, examples, indices);
        default: return take_batch_of(4, 4, net, examples, indices);
        }
    return take_batch_of(examples->stream_width, 8, net, examples, indices);
}

/* Asks the memory for what the next batches need: it lies anywhere, and arrives meanwhile. */
static void fetch_early(const Examples *examples, const int64_t *indices, extent length)
{
    const char *positions = examples->positions;
    for (extent i = 0; i < length; i++)
        if (is_example(examples, indices[i]))
            PREFETCH(positions + indices[i] * examples->positions_width);
}

/* Lists the rows of every pair for linear_hidden_backward_to_pairs, two to an addition; where
 * their number is odd, row n stands in the last place, which is zero. */
static void list_rows(Network *net)
{
    const extent n = net->sizes.batch, B = net->sizes.block_size, pairs = net->first_pair[B];
    const int32_t *pair = net->pair;
    int32_t *rows_of_pair = net->rows_of_pair, *row = net->row;
    int32_t *pair_of_addition = net->pair_of_addition;
    extent *next = net->next, additions = 0;

    memset(rows_of_pair, 0, (size_t)pairs * sizeof *rows_of_pair);
    for (extent at = 0; at < n * B; at++) rows_of_pair[pair[at]]++;

    for (extent p = 0; p < pairs; p++) {
        next[p] = 2 * additions;
        additions += (rows_of_pair[p] + 1) / 2;
    }
    net->additions = additions;
    for (extent at = 0; at < 2 * additions; at++) row[at] = (int32_t)n;
    for (extent i = 0; i < n; i++)
        for (extent j = 0; j < B; j++) {
            const int32_t p = *pair++;
            const extent at = next[p]++;
            row[at] = (int32_t)i;
            pair_of_addition[at / 2] = p;
        }
}

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
 * taken together: three products with a row for each example have one for each pair.
 *
 * Here the pairs are numbered, by place and character. */
static void embedding_forward(Network *net)
{
    const extent n = net->sizes.batch, B = net->sizes.block_size, V = net->sizes.vocabulary;
    const int32_t *Xb = net->Xb;
    int32_t *pair = net->pair, *pair_of = net->pair_of, *character = net->character;
    uint8_t *stands = net->stands;
    extent pairs = 0;

    for (extent j = 0; j < B; j++) {
        net->first_pair[j] = pairs;
        memset(stands, 0, (size_t)V);
        for (extent i = 0; i < n; i++) stands[Xb[i * B + j]] = 1;
        for (extent id = 0; id < V; id++) { /* no branch: nobody can foretell which are there */
            pair_of[id] = (int32_t)pairs;
            character[pairs] = (int32_t)id;
            pairs += stands[id];
        }
        for (extent i = 0; i < n; i++) pair[i * B + j] = pair_of[Xb[i * B + j]];
    }
    net->first_pair[B] = pairs;

    list_rows(net);

    for (extent p = 0; p < pairs; p++)
        memcpy(net->C_of_pair + p * net->C_stride,
               net->parameters.C + character[p] * net->C_stride,
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
 * Pairs have one row or many, and nobody can foretell where a loop over them ends. So there is no
 * such loop: every addition takes two rows more into the sum, which starts again where a new pair does, and
 * leaves it as the pair's, again and again until it is complete. */
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

/* =================================================================== batchnorm_fused.py, tanh.py
 * In one pass over the rows: a number goes from one stage to the other in its register. */

/* bndiff = hprebn - bnmeani    bnraw = bndiff * bnvar_inv
 * hpreact = bngain * bnraw + bnbias    h = tanh(hpreact)
 *
 * bndiff costs one subtraction wherever it is needed, less than to write it and read it again. So
 * bnraw is never made: what bndiff is multiplied with has bnvar_inv in it already. */
INLINE void batchnorm_and_tanh_forward(const int width, Network *net, extent column)
{
    const float EPS = 1e-5f;
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
        store(sums + v * LANES, bnvar[v] / (float)(n - 1) + EPS);
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
            store(h + at, tanh_of(scale[v] * bndiff + bnbias[v]));
        }
}

/* dhpreact = (1 - h**2) * dh
 * dbngain = (bnraw * dhpreact).sum(0)    dbnbias = dhpreact.sum(0)
 * dhprebn = bngain * bnvar_inv * (dhpreact - dbnbias / n - bnraw * dbngain / (n - 1))
 *
 * With bndiff: dbngain = bnvar_inv * (bndiff * dhpreact).sum(0), and the last term is bndiff * slope
 * with slope = bnvar_inv * dbngain / (n - 1). */
INLINE void batchnorm_and_tanh_backward(const int width, Network *net, extent column)
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
            const vector d = (1.0f - load(h + at) * load(h + at)) * load(dh + at);
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
 * The output layer. A vocabulary fills vectors badly (27 characters are 1.7 vectors of 16 lanes), so hidden
 * units or rows of the batch lie along the lanes instead: W2 lies as W2T (V, H), the logits as
 * logitsT (V, n), and h is turned over, strip by strip, to hdropT (H, n). */

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
    batchnorm_and_tanh_forward(width, net, column);
    if (net->options.dropout > 0) dropout_forward(width, net, column);
    turn_over(width, net, column);
}

/* The same backward, from dhdrop to dhprebn_of_pair. */
INLINE void hidden_backward(const int width, Network *net, extent column)
{
    if (net->options.dropout > 0) dropout_backward(width, net, column);
    batchnorm_and_tanh_backward(width, net, column);
    linear_hidden_backward_to_pairs(width, net, column);
}

/* The parameters of one row -= lr * their gradients; the others have been updated on the way. */
static void update(Network *net, Range units)
{
    const extent at = units.first, length = units.end - units.first;
    add_scaled(net->parameters.b1 + at, -net->lr, net->gradients.b1 + at, length);
    add_scaled(net->parameters.bngain + at, -net->lr, net->gradients.bngain + at, length);
    add_scaled(net->parameters.bnbias + at, -net->lr, net->gradients.bnbias + at, length);
}

/* A step, or a member's share of it. A member has hidden units, rows of the batch, characters and
 * pairs of its own, and waits where it goes on with what others have made. Every sum is taken by one
 * of them, in the order that it has in a team of one: how many they are changes no bit. */
static void forward_and_backward(Network *net, const Member *me)
{
    const Range units = share(net->sizes.n_hidden, me), rows = share(net->sizes.batch, me);

    linear_hidden_forward_of_pairs(net, units);
    FOR_STRIPS(hidden_forward, net, units);
    meet(me); /* logits need all of hdropT */
    linear_output_forward(net, rows);
    cross_entropy_forward_and_backward(net, rows);
    meet(me); /* dhdrop, dW2 and db2 need all of dlogits */
    linear_output_backward(net, units);
    linear_output_backward_bias(net, share(net->sizes.vocabulary, me));
    FOR_STRIPS(hidden_backward, net, units);
    meet(me); /* dC needs dhprebn_of_pair of all units, */
    linear_hidden_backward_input(net, me);
    meet(me); /* and all of W1, which may change only now */
    linear_hidden_backward_weight(net, units);
    if (net->descends) update(net, units);
    meet(me); /* pairs and lr are read no more: the next step may begin */
}

/* What one member does for all, between two steps. */
static void begin_step(Network *net, const Examples *examples, const int64_t *indices)
{
    net->stopped = !take_batch(net, examples, indices);
    if (!net->stopped) embedding_forward(net);
}

static float end_step(Network *net)
{
    embedding_backward(net);
    if (net->descends) {
        add_scaled(net->parameters.b2, -net->lr, net->gradients.b2, net->sizes.vocabulary);
        net->step++;
    }
    return loss_of_batch(net);
}

int64_t RUN_STEPS(const Member *me, Network *net, const Examples *examples, const int64_t *indices,
                  const float *lrs, int64_t steps, float *losses)
{
    const extent n = net->sizes.batch;
    const int leads = me->number == 0;
    if (leads) network_aim(net, lrs != NULL);
    for (int64_t step = 0; step < steps; step++) {
        const int64_t *batch = indices + step * n;
        if (leads) {
            begin_step(net, examples, batch);
            net->lr = lrs != NULL ? lrs[step] : 0;
            if (step + 1 < steps) fetch_early(examples, batch + n, n);
        }
        meet(me);
        if (net->stopped) return step;
        forward_and_backward(net, me);
        if (leads) losses[step] = end_step(net);
    }
    return steps;
}
