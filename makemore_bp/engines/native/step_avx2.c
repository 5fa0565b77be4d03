/* step.c once more, for x86-64 with AVX2 and FMA. */
#include "network.h"

#if defined(__GNUC__) && defined(__x86_64__)
/* What the headers define must not be compiled for AVX2: other files might end up calling it. */
#include <immintrin.h>
#include <math.h>
#include <string.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#define ADVANCE advance_avx2
#define LANES 8
#define TILE_ROWS 4 /* 16 registers: 4 * 3 sums, 3 vectors of `right`, one element of `left` */
#define TILE_VECTORS 3
#define ROW_DOTS 2
#define COLUMN_DOTS 4
#define LARGER(a, b) _mm256_max_ps((__m256)(a), (__m256)(b))
#define MULTIPLY_ADD(a, b, c) _mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c))
#include "step.c"

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
