/* Trains networks of odd sizes on every instruction set, in one thread and in three, for the
 * sanitizers to watch. All arrays are allocated at exactly their size. Prints what it did; exits
 * with 1 if a result is wrong. */
#include "kernel.h"

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

static void allocate(float **tensors, const Layout *layouts, int count, float scale)
{
    for (int t = 0; t < count; t++) {
        const size_t length = (size_t)(layouts[t].rows * layouts[t].columns);
        tensors[t] = exactly(length, sizeof(float));
        for (size_t i = 0; i < length; i++)
            tensors[t][i] = scale * ((float)(random_number() % 2001) / 1000 - 1);
    }
}

static void release(float **tensors, int count)
{
    for (int t = 0; t < count; t++) free(tensors[t]);
}

static void set_id(void *stream, int width, int64_t at, int64_t id)
{
    if (width == 1) ((uint8_t *)stream)[at] = (uint8_t)id;
    if (width == 2) ((int16_t *)stream)[at] = (int16_t)id;
    if (width == 4) ((int32_t *)stream)[at] = (int32_t)id;
}

typedef struct {
    int threads;
    run_steps *run;
    Network *network;
    const Examples *examples;
    const int64_t *indices;
    const float *lrs;
    float *losses;
} Training;

enum { STEPS = 4 };

static int64_t steps_done(const Training *t)
{
    return run_in_team(t->threads, t->run, t->network, t->examples, t->indices, t->lrs, STEPS,
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
static uint64_t train(int threads, run_steps *run, Sizes sizes, Options options, float scale)
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

    Network *net = network_create(sizes, options, UINT64_MAX - 1);
    check(net != NULL, "memory");
    Parameters parameters, gradients;
    Activations activations;
    allocate(parameters.each, net->parameter_layouts, TENSORS, scale);
    allocate(gradients.each, net->parameter_layouts, TENSORS, 0);
    allocate(activations.each, net->activation_layouts, ACTIVATIONS, 0);

    check(first_bad_id(&data, sizes.vocabulary) == -1, "ids");
    check(first_bad_position(&data, sizes.block_size) == -1, "positions");
    check(first_bad_index(indices, STEPS * n, examples) == -1, "indices");
    network_load(net, &parameters);
    const Training training = {threads, run, net, &data, indices, lrs, losses};
    check(steps_done(&training) == STEPS, "all steps done");
    for (int s = 0; s < STEPS; s++) check(isfinite(losses[s]), "a finite loss");
    check(run_in_team(threads, run, net, &data, indices, NULL, 1, losses) == 1, "gradients");
    network_store_gradients(net, &gradients, &activations);
    network_store(net, &parameters);
    uint64_t bits = digest(0, parameters.each, net->parameter_layouts, TENSORS);
    bits = digest(bits, gradients.each, net->parameter_layouts, TENSORS);
    bits = digest(bits, activations.each, net->activation_layouts, ACTIVATIONS);

    /* What is out of range is refused before it is read. */
    indices[2 * n + 1] = examples;
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
    release(parameters.each, TENSORS);
    release(gradients.each, TENSORS);
    release(activations.each, ACTIVATIONS);
    free(stream), free(positions), free(indices), free(lrs), free(losses);
    return bits;
}

/* The same training, alone and in three threads. */
static void train_both_ways(run_steps *run, Sizes sizes, Options options, float scale)
{
    const uint64_t start = state, alone = train(1, run, sizes, options, scale);
    state = start;
    check(train(3, run, sizes, options, scale) == alone, "the same bits in three threads");
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
    const Options plain = {0}, all = {0.3, 7, 1e-3f};
    static const char *const names[INSTRUCTION_SETS] = {"baseline", "avx2", "avx512"};
    check(network_create((Sizes){1, 1, 1, PTRDIFF_MAX / 64, PTRDIFF_MAX / 64}, plain, 0) == NULL,
          "a network larger than memory");
    for (int set = 0; set < INSTRUCTION_SETS; set++) {
        run_steps *run = steps_for(set);
        if (run == NULL) continue;
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            train_both_ways(run, sizes[i], plain, 0.3f);
            train_both_ways(run, sizes[i], plain, 30.0f); /* saturated, and logits far apart */
            train_both_ways(run, sizes[i], all, 0.3f);
        }
        printf("%s clean\n", names[set]);
    }
    return 0;
}
