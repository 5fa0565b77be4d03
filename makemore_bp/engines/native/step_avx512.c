/* step.c once more, for x86-64 with AVX-512. */
#include "network.h"

#if defined(__GNUC__) && defined(__x86_64__)
/* What the headers define must not be compiled for AVX-512: other files might end up calling it. */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((                     \
    target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma"))),    \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512dq,avx512vl,avx512bw,avx2,fma")
#endif

#define ADVANCE advance_avx512
#define LANES 16
#define TILE_ROWS 7 /* of 32 registers, 21 sums; with 24 GCC keeps a vector of `right` in memory */
#define TILE_VECTORS 3
#define ROW_DOTS 4
#define COLUMN_DOTS 4
#define LARGER(a, b) _mm512_max_ps((__m512)(a), (__m512)(b))
#define MULTIPLY_ADD(a, b, c) _mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c))
#include "step.c"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
