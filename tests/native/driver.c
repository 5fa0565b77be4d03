/* Trains networks of odd sizes on every instruction set, in one thread and in three, for the
 * sanitizers to watch. All arrays are allocated at exactly their size. Prints what it did; exits
 * with 1 if a result is wrong. */
#include "network.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 1;

static uint64_t random_number(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state >> 33;
}

static void *exactly(size_t count, size_t size)
{
    void *memory = malloc(count * size);
    if (memory == NULL) exit(1);
    return memory;
}

static void check(int holds, const char *what)
{
    if (holds) return;
    printf("wrong: %s\n", what);
    exit(1);
}

static float **allocate(const Layout *layouts, int count, float scale)
{
    float **tensors = exactly((size_t)count, sizeof *tensors);
    for (int t = 0; t < count; t++) {
        const size_t length = (size_t)(layouts[t].rows * layouts[t].columns);
        tensors[t] = exactly(length, sizeof(float));
        for (size_t i = 0; i < length; i++)
            tensors[t][i] = scale * ((float)(random_number() % 2001) / 1000 - 1);
    }
    return tensors;
}

static void release(float **tensors, int count)
{
    for (int t = 0; t < count; t++) free(tensors[t]);
    free(tensors);
}

static void set_id(void *stream, int width, int64_t at, int64_t id)
{
    if (width == 1) ((uint8_t *)stream)[at] = (uint8_t)id;
    if (width == 2) ((int16_t *)stream)[at] = (int16_t)id;
    if (width == 4) ((int32_t *)stream)[at] = (int32_t)id;
}

typedef struct {
    int threads, set;
    Network *network;
    const Examples *examples;
    const int64_t *indices;
    const float *lrs;
    float *losses;
} Training;

enum { STEPS = 4 };

static int64_t steps_done(const Training *t)
{
    return network_advance(t->network, t->examples, t->set, t->threads, t->indices, t->lrs, STEPS,
                           t->losses);
}

/* A sum of all bits, from which it shows if one is another. */
static uint64_t digest(uint64_t so_far, float *const *tensors, const Layout *layouts, int count)
{
    for (int t = 0; t < count; t++)
        for (extent i = 0; i < layouts[t].rows * layouts[t].columns; i++) {
            uint32_t bits;
            memcpy(&bits, &tensors[t][i], sizeof bits);
            so_far = (so_far ^ bits) * 0x9E3779B97F4A7C15u;
        }
    return so_far;
}

/* Returns the digest of what was trained and of the gradients. */
static uint64_t train(int threads, int set, Sizes sizes, Options options, float scale)
{
    const int64_t examples = 50, length = examples + sizes.block_size, n = sizes.batch;
    const int stream_width = sizes.vocabulary > 256 ? 2 : sizes.n_hidden % 2 ? 1 : 4;
    const int positions_width = sizes.n_embd % 2 ? 4 : 8;
    void *stream = exactly((size_t)length, (size_t)stream_width);
    void *positions = exactly((size_t)examples, (size_t)positions_width);
    for (int64_t at = 0; at < length; at++)
        set_id(stream, stream_width, at, (int64_t)random_number() % sizes.vocabulary);
    for (int64_t e = 0; e < examples; e++) {
        if (positions_width == 4) ((int32_t *)positions)[e] = (int32_t)e;
        if (positions_width == 8) ((int64_t *)positions)[e] = e;
    }
    Examples data = {stream, stream_width, positions, positions_width, examples, length};
    int64_t *indices = exactly((size_t)(STEPS * n), sizeof *indices);
    for (int64_t i = 0; i < STEPS * n; i++) indices[i] = (int64_t)random_number() % examples;
    float *lrs = exactly(STEPS, sizeof *lrs), *losses = exactly(STEPS, sizeof *losses);
    for (int s = 0; s < STEPS; s++) lrs[s] = 0.01f;

    Network *net = network_create(&sizes, &options, UINT64_MAX - 1);
    check(net != NULL, "memory");
    Layout layouts[TENSORS + ACTIVATIONS];
    memcpy(layouts, net->parameter_layouts, sizeof net->parameter_layouts);
    memcpy(layouts + TENSORS, net->activation_layouts, sizeof net->activation_layouts);
    float **parameters = allocate(layouts, TENSORS, scale);
    float **gradients = allocate(layouts, TENSORS + ACTIVATIONS, 0);

    check(first_bad_index(indices, STEPS * n, examples) == -1, "indices");
    network_load(net, (const float *const *)parameters);
    const Training training = {threads, set, net, &data, indices, lrs, losses};
    check(steps_done(&training) == STEPS, "all steps done");
    for (int s = 0; s < STEPS; s++) check(isfinite(losses[s]), "a finite loss");
    check(network_advance(net, &data, set, threads, indices, NULL, 1, losses) == 1, "gradients");
    network_store_gradients(net, gradients);
    network_store(net, parameters);
    uint64_t bits = digest(0, parameters, layouts, TENSORS);
    bits = digest(bits, gradients, layouts, TENSORS + ACTIVATIONS);

    /* What is out of range is refused before it is read. */
    indices[2 * n + 1] = examples;
    check(first_bad_index(indices, STEPS * n, examples) == 2 * n + 1, "where it stands");
    check(steps_done(&training) == 2, "an index too large");
    indices[2 * n + 1] = INT64_MIN;
    check(steps_done(&training) == 2, "a negative index");
    indices[2 * n + 1] = 0;
    data.stream_length = sizes.block_size;
    check(steps_done(&training) == 0, "a stream too short");
    data.stream_length = length;
    for (int64_t at = 0; at < length; at++)
        set_id(stream, stream_width, at, sizes.vocabulary < 256 ? sizes.vocabulary : 32767);
    check(steps_done(&training) == 0, "an id too large");

    network_destroy(net);
    release(parameters, TENSORS);
    release(gradients, TENSORS + ACTIVATIONS);
    free(stream), free(positions), free(indices), free(lrs), free(losses);
    return bits;
}

/* The same training, alone and in three threads. */
static void train_both_ways(int set, Sizes sizes, Options options, float scale)
{
    const uint64_t start = state, alone = train(1, set, sizes, options, scale);
    state = start;
    check(train(3, set, sizes, options, scale) == alone, "the same bits in three threads");
}

int main(void)
{
    static const Sizes sizes[] = {
        /* V, B, E, H, n */
        {1, 1, 1, 1, 2},     {2, 1, 1, 1, 2},      {27, 3, 10, 200, 32}, {2, 16, 17, 7, 257},
        {3, 2, 17, 33, 5},   {16, 4, 16, 16, 16},  {17, 1, 16, 48, 31},  {31, 5, 7, 13, 11},
        {300, 2, 3, 65, 10}, {50, 16, 40, 129, 3}, {64, 8, 8, 64, 130},  {97, 3, 33, 101, 67},
        {27, 3, 10, 24, 8},  {27, 3, 10, 72, 40},  {27, 3, 1, 56, 20},
    };
    const Options plain = {.eps = 1e-5f};
    const Options all = {.eps = 1e-5f, .weight_decay = 1e-3f, .dropout = 0.3, .seed = 7};
    const Options relu = {.eps = 1e-5f, .dropout = 0.3, .activation = RELU};
    const Sizes beyond_memory = {1, 1, 1, PTRDIFF_MAX / 64, PTRDIFF_MAX / 64};
    const Sizes beyond_ids = {(ptrdiff_t)INT32_MAX + 1, 1, 1, 1, 2};
    const Sizes beyond_rows = {2, 4, 1, 1, INT32_MAX / 4};
    static const char *const names[INSTRUCTION_SETS] = {"baseline", "avx2", "avx512"};
    check(network_create(&beyond_memory, &plain, 0) == NULL, "a network larger than memory");
    check(network_create(&beyond_ids, &plain, 0) == NULL, "more characters than ids can count");
    check(network_create(&beyond_rows, &plain, 0) == NULL, "a batch of more rows than that");
    for (int set = 0; set < INSTRUCTION_SETS; set++) {
        if (!has_instruction_set(set)) continue;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            train_both_ways(set, sizes[i], plain, 0.3f);
            train_both_ways(set, sizes[i], plain, 30.0f); /* saturated, and logits far apart */
            train_both_ways(set, sizes[i], all, 0.3f);
            train_both_ways(set, sizes[i], relu, 0.3f);
        }
        printf("%s clean\n", names[set]);
    }
    return 0;
}
