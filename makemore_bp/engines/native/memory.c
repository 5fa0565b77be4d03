/* Where a network lies in memory, and how it gets in and out. */
#include "network.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Under AddressSanitizer the gap behind every tensor is forbidden ground, so that a stage that runs
 * over the end of one tensor into the next is caught. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
#include <sanitizer/asan_interface.h>
enum { GAP = 64 };
#else
#define ASAN_POISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(start, size) ((void)(start), (void)(size))
enum { GAP = 0 };
#endif

enum { LINE = PAD * sizeof(float) }; /* every tensor starts at a multiple of so many bytes */

/* ------------------------------------------------------------------------------------- memory */

/* Hands out pieces of one block. Laid out twice: without memory, to learn the size, then in
 * earnest. */
typedef struct {
    char *next; /* NULL while measuring */
    double bytes; /* a double cannot overflow; beyond 2**53 there is no such memory anyway */
} Block;

static void *piece(Block *block, extent rows, extent stride, size_t element)
{
    const double wanted = ceil((double)rows * (double)stride * (double)element / LINE) * LINE;
    void *start = block->next;
    block->bytes += wanted + GAP;
    if (start != NULL) {
        block->next += (size_t)wanted;
        ASAN_POISON_MEMORY_REGION(block->next, GAP);
        block->next += GAP;
    }
    return start;
}

/* How many lines of `stride` elements a matrix takes. */
static extent lines(Layout layout)
{
    return layout.transposed ? layout.columns : layout.rows;
}

static float *floats(Block *block, Layout layout)
{
    return piece(block, lines(layout), layout.stride, sizeof(float));
}

static void lay_out(Network *net, Block *block)
{
    const extent n = net->sizes.batch;
    const Layout hidden = {n, net->sizes.n_hidden, net->hidden_stride, 0};
    const Layout unit = {1, net->sizes.n_hidden, net->hidden_stride, 0};
    for (int t = 0; t < TENSORS; t++) {
        net->parameters.each[t] = floats(block, net->parameter_layouts[t]);
        net->gradients.each[t] = floats(block, net->parameter_layouts[t]);
    }
    const extent B = net->sizes.block_size, V = net->sizes.vocabulary;
    const extent pairs = B * (n < V ? n : V); /* at most */
    net->Xb = piece(block, n, B, sizeof(int32_t));
    net->Yb = piece(block, n, 1, sizeof(int32_t));
    net->pair = piece(block, n, B, sizeof(int32_t));
    net->first_pair = piece(block, B + 1, 1, sizeof(extent));
    net->character = piece(block, pairs + 1, 1, sizeof(int32_t)); /* one may be written ahead */
    net->row = piece(block, n * B + pairs, 1, sizeof(int32_t));
    net->pair_of_addition = piece(block, n, B, sizeof(int32_t));
    net->stands = piece(block, V, 1, sizeof(uint8_t));
    net->pair_of = piece(block, V, 1, sizeof(int32_t));
    net->rows_of_pair = piece(block, pairs, 1, sizeof(int32_t));
    net->next = piece(block, pairs, 1, sizeof(extent));
    net->C_of_pair = piece(block, pairs, net->C_stride, sizeof(float));
    net->dC_of_pair = piece(block, pairs, net->C_stride, sizeof(float));
    net->hprebn_of_pair = net->dhprebn_of_pair
        = piece(block, pairs, net->hidden_stride, sizeof(float));
    net->hprebn = floats(block, hidden);
    net->bnmeani = floats(block, unit);
    net->bnvar_inv = floats(block, unit);
    net->h = net->hdrop = floats(block, hidden);
    if (net->options.dropout > 0) {
        net->mask = floats(block, hidden);
        net->hdrop = floats(block, hidden);
    }
    net->hdropT = piece(block, net->hidden_stride, net->batch_stride, sizeof(float));
    net->logitsT = piece(block, V, net->batch_stride, sizeof(float));
    net->weight_of_row = piece(block, 1, net->batch_stride, sizeof(float));
    net->loss_of_part = piece(block, net->batch_stride / PAD, 1, sizeof(double));
    for (int a = 0; a < ACTIVATIONS; a++) {
        const Layout layout = net->activation_layouts[a];
        net->own[a] = piece(block, lines(layout) + 1, layout.stride, sizeof(float));
    }
}

void network_aim(Network *net, int descends)
{
    net->descends = descends;
    memcpy(net->d.each, net->own, sizeof net->own);
    if (descends) net->d.hpreact = net->d.hprebn = net->d.h;
}

/* A row's length in whole vectors. Rows a multiple of some hundred bytes apart would share few
 * places in the first-level cache, and a pass down a column would find none of them there: they are
 * set apart by one vector more. */
static extent padded(extent length)
{
    const extent stride = divided_up(length, PAD) * PAD;
    return stride % 128 == 0 ? stride + PAD : stride;
}

static void choose_layouts(Network *net)
{
    const extent V = net->sizes.vocabulary, E = net->sizes.n_embd, n = net->sizes.batch;
    const extent H = net->sizes.n_hidden, B = net->sizes.block_size;
    net->C_stride = padded(E);
    net->hidden_stride = padded(H);
    net->batch_stride = padded(n);
    const Layout unit = {1, H, net->hidden_stride, 0}, hidden = {n, H, net->hidden_stride, 0};
    const Layout parameters[TENSORS] = {
        {V, E, net->C_stride, 0},         /* C */
        {B * E, H, net->hidden_stride, 0}, /* W1 */
        unit,                             /* b1 */
        {H, V, net->hidden_stride, 1},    /* W2 */
        {1, V, padded(V), 0},             /* b2 */
        unit,                             /* bngain */
        unit,                             /* bnbias */
    };
    const Layout logits = {n, V, net->batch_stride, 1};
    const Layout activations[ACTIVATIONS] = {logits, hidden, hidden, hidden};
    memcpy(net->parameter_layouts, parameters, sizeof parameters);
    memcpy(net->activation_layouts, activations, sizeof activations);
}

Network *network_create(const Sizes *sizes, const Options *options, uint64_t step)
{
    if (sizes->vocabulary > INT32_MAX) return NULL;
    if (sizes->batch > (INT32_MAX - 2 * PAD) / sizes->block_size) return NULL;
    Network *net = calloc(1, sizeof *net);
    if (net == NULL) return NULL;
    net->sizes = *sizes;
    net->options = *options;
    net->step = step;
    choose_layouts(net);

    Block block = {NULL, LINE};
    lay_out(net, &block);
    if (block.bytes < 0x1p53 && block.bytes < (double)(SIZE_MAX / 2))
        net->memory = calloc(1, (size_t)block.bytes);
    if (net->memory == NULL) {
        free(net);
        return NULL;
    }
    block.next = (char *)net->memory + (LINE - (uintptr_t)net->memory % LINE) % LINE;
    lay_out(net, &block);
    for (extent i = 0; i < sizes->batch; i++)
        net->weight_of_row[i] = 1.0f / (float)sizes->batch;
    return net;
}

void network_destroy(Network *net)
{
    if (net == NULL) return;
    free(net->memory); /* AddressSanitizer lifts the poison of what is freed */
    free(net);
}

/* ----------------------------------------------------------------------------------- in and out */

static extent place(Layout layout, extent row, extent column)
{
    return layout.transposed ? column * layout.stride + row : row * layout.stride + column;
}

/* Dense rows from a matrix as it lies, and back. */
static void store_matrix(float *to, const float *from, Layout layout)
{
    for (extent r = 0; r < layout.rows; r++)
        for (extent c = 0; c < layout.columns; c++) *to++ = from[place(layout, r, c)];
}

static void load_matrix(float *to, const float *from, Layout layout)
{
    for (extent r = 0; r < layout.rows; r++)
        for (extent c = 0; c < layout.columns; c++) to[place(layout, r, c)] = *from++;
}

void network_load(Network *net, const float *const *parameters)
{
    for (int t = 0; t < TENSORS; t++) {
        const Layout layout = net->parameter_layouts[t];
        float *to = net->parameters.each[t];
        memset(to, 0, (size_t)lines(layout) * (size_t)layout.stride * sizeof *to);
        load_matrix(to, parameters[t], layout);
    }
}

void network_store(const Network *net, float *const *parameters)
{
    for (int t = 0; t < TENSORS; t++)
        store_matrix(parameters[t], net->parameters.each[t], net->parameter_layouts[t]);
}

void network_store_gradients(const Network *net, float *const *gradients)
{
    for (int t = 0; t < TENSORS; t++)
        store_matrix(*gradients++, net->gradients.each[t], net->parameter_layouts[t]);
    for (int a = 0; a < ACTIVATIONS; a++)
        store_matrix(*gradients++, net->own[a], net->activation_layouts[a]);
}
