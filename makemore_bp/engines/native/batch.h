/* The minibatch: the ids of its examples, and its pairs (step.c says what those are for). */
#ifndef MAKEMORE_BP_BATCH_H
#define MAKEMORE_BP_BATCH_H

#include "network.h"
#include "vectors.h"

INLINE int64_t number_at(const void *numbers, int width, int64_t at)
{
    switch (width) {
    case 1: return ((const uint8_t *)numbers)[at];
    case 2: return ((const int16_t *)numbers)[at];
    case 4: return ((const int32_t *)numbers)[at];
    default: return ((const int64_t *)numbers)[at];
    }
}

INLINE int is_example(const Examples *examples, int64_t index)
{
    return index >= 0 && index < examples->examples;
}

/* Xb and Yb of the examples at `indices`; returns 0 if any is out of range. Python has checked all
 * of it once; the memory is the caller's, though, and is checked again where it is read. The widths
 * are constants where it is called for common data, so that nothing is asked in the loop. */
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

/* Asks the memory for what the next batch needs: it lies anywhere, and arrives meanwhile. */
static void fetch_early(const Examples *examples, const int64_t *indices, extent length)
{
    const char *positions = examples->positions;
    for (extent i = 0; i < length; i++)
        if (is_example(examples, indices[i]))
            PREFETCH(positions + indices[i] * examples->positions_width);
}

/* Numbers the pairs, by place and character. */
static void number_pairs(Network *net)
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
        for (extent id = 0; id < V; id++) { /* no branch: it could not be predicted */
            pair_of[id] = (int32_t)pairs;
            character[pairs] = (int32_t)id;
            pairs += stands[id];
        }
        for (extent i = 0; i < n; i++) pair[i * B + j] = pair_of[Xb[i * B + j]];
    }
    net->first_pair[B] = pairs;
}

/* Lists the rows of every pair for linear_hidden_backward_to_pairs, two to an addition. Where their
 * number is odd, row n stands in the last place, which is zero. */
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

#endif
