/* The kernel as Python sees it. build.py hands these declarations to cffi as they stand. */
#ifndef MAKEMORE_BP_KERNEL_H
#define MAKEMORE_BP_KERNEL_H

#include <stddef.h>
#include <stdint.h>

enum { BASELINE, AVX2, AVX512, INSTRUCTION_SETS };
enum { TANH, RELU };

typedef struct {
    ptrdiff_t vocabulary; /* V */
    ptrdiff_t block_size; /* B, characters of context */
    ptrdiff_t n_embd;     /* E, floats per character */
    ptrdiff_t n_hidden;   /* H, hidden units */
    ptrdiff_t batch;      /* n, examples per minibatch */
} Sizes;

typedef struct {
    float eps;          /* batchnorm adds it to the variance */
    float weight_decay; /* W1 and W2 lose lr * weight_decay of themselves in every step */
    double dropout;     /* probability that a hidden output is switched off, 0 to below 1 */
    uint64_t seed;      /* of dropout's masks */
    int activation;     /* TANH or RELU */
} Options;

/* Example e is stream[positions[e]] ... stream[positions[e] + B - 1], and its target is
 * stream[positions[e] + B]. The widths are in bytes: the caller keeps the smallest type that holds
 * the values. */
typedef struct {
    const void *stream;
    int stream_width; /* 1: uint8, 2: int16, 4: int32 */
    const void *positions;
    int positions_width; /* 4: int32, 8: int64 */
    int64_t examples;
    int64_t stream_length;
} Examples;

typedef struct Network Network;

/* NULL when there is not enough memory, or V or n * B does not fit in 32 bits. The sizes are
 * positive, the batch at least 2. `step` is the number of the first step that will be run. */
Network *network_create(const Sizes *sizes, const Options *options, uint64_t step);
void network_destroy(Network *network);

/* Copy the parameters in and out as dense rows: C, W1, b1, W2, b2, bngain, bnbias; and the gradients
 * out, in the same order, with dlogits, dh, dhpreact and dhprebn behind them. */
void network_load(Network *network, const float *const *parameters);
void network_store(const Network *network, float *const *parameters);
void network_store_gradients(const Network *network, float *const *gradients);

/* Whether this build and this machine have it. */
int has_instruction_set(int instruction_set);

/* The first of the indices that is not an example's, or -1. */
int64_t first_bad_index(const int64_t *indices, int64_t length, int64_t examples);

/* `steps` steps of forward, backward and update, shared by up to so many threads, whose number
 * changes no bit. Step s takes the examples indices[s * n] to indices[s * n + n - 1] and the
 * learning rate lrs[s], and leaves its loss in losses[s]. With lrs NULL nothing is updated: the
 * gradients of the last step are there to read.
 *
 * Returns the number of steps done. That is `steps`, unless an index, a position or an id is out of
 * range: then it stops before that step and touches nothing outside. */
int64_t network_advance(Network *network, const Examples *examples, int instruction_set,
                        int threads, const int64_t *indices, const float *lrs, int64_t steps,
                        float *losses);

#endif
