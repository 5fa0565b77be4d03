/* Vectors of floats: LANES of them are added and multiplied at once.
 *
 * step_avx2.c and step_avx512.c say what their instruction set has before they include this: LANES,
 * and with LARGER(a, b) and MULTIPLY_ADD(a, b, c) the instructions that compilers do not find by
 * themselves. Without LANES it is the baseline of the platform. */
#ifndef MAKEMORE_BP_VECTORS_H
#define MAKEMORE_BP_VECTORS_H

#include "extent.h"

#include <stdint.h>
#include <string.h>

#ifndef LANES
#define LANES 4
#if defined(__GNUC__) && defined(__SSE__)
#include <xmmintrin.h>
#define LARGER(a, b) _mm_max_ps((__m128)(a), (__m128)(b))
#elif defined(__GNUC__) && defined(__aarch64__)
#include <arm_neon.h>
#define MULTIPLY_ADD(a, b, c) vfmaq_f32((float32x4_t)(c), (float32x4_t)(a), (float32x4_t)(b))
#endif
#endif

/* `bits` is a vector of integers of the same size. GCC and Clang have such types; for another
 * compiler a vector is one float, and it makes of the loops what it can. */
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

/* -------------------------------------------------------------------------------- exp and tanh
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

/* ------------------------------------------------------------------------------- transposition
 * Of blocks of SQUARE x SQUARE floats. Processors are quickest at mixing numbers within quads of
 * lanes, so a quad of columns is turned at a time, and for eight lanes the quads of rows r and r + 4
 * lie side by side. */
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

#endif
