/* Sizes, strides and indices, and how rows are padded. */
#ifndef MAKEMORE_BP_EXTENT_H
#define MAKEMORE_BP_EXTENT_H

#include <stddef.h>

typedef ptrdiff_t extent; /* signed, as wide as memory */

/* Row lengths are padded to a multiple of this many floats (one cache line, one AVX-512 vector), so
 * that every stage may work in whole vectors whatever the instruction set. */
enum { PAD = 16 };

static inline extent divided_up(extent length, extent part)
{
    return (length + part - 1) / part;
}

#endif
