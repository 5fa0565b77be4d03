/* Products of matrices. They keep a small tile of the result in registers while they run along the
 * depth. */
#ifndef MAKEMORE_BP_PRODUCTS_H
#define MAKEMORE_BP_PRODUCTS_H

#include "vectors.h"

/* The shapes of tiles; step_avx2.c and step_avx512.c say theirs before they include this. */
#ifndef TILE_ROWS
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
#endif

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

/* to += by * from */
INLINE void add_scaled(float *to, float by, const float *from, extent length)
{
    for (extent at = 0; at < length; at += LANES)
        store(to + at, load(to + at) + by * load(from + at));
}

#endif
