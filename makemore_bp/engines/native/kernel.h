/* What the stages of kernel.c work on, and the entry points that the binding calls. */
#ifndef MAKEMORE_BP_KERNEL_H
#define MAKEMORE_BP_KERNEL_H

#include "team.h"

#include <stddef.h>
#include <stdint.h>

typedef ptrdiff_t extent; /* a size, a stride or an index: signed, as wide as memory */

/* Row lengths are padded to a multiple of this many floats (one cache line, one AVX-512 vector), so
 * that every stage may work in whole vectors whatever the instruction set. */
enum { PAD = 16 };

typedef struct {
    extent vocabulary; /* V */
    extent block_size; /* B, characters of context */
    extent n_embd;     /* E, floats per character */
    extent n_hidden;   /* H, hidden units */
    extent batch;      /* n, examples per minibatch */
} Sizes;

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

static inline int64_t number_at(const void *numbers, int width, int64_t at)
{
    switch (width) {
    case 1: return ((const uint8_t *)numbers)[at];
    case 2: return ((const int16_t *)numbers)[at];
    case 4: return ((const int32_t *)numbers)[at];
    default: return ((const int64_t *)numbers)[at];
    }
}

/* The first place where something is out of range, or -1: an id in the stream, a position that
 * leaves no room for its example, an index of an example. */
int64_t first_bad_id(const Examples *examples, extent vocabulary);
int64_t first_bad_position(const Examples *examples, extent block_size);
int64_t first_bad_index(const int64_t *indices, int64_t length, int64_t examples);

/* The seven tensors of the network: its parameters, or their gradients. `each` is the same seven
 * pointers, for loops. */
enum { TENSORS = 7 };
typedef union {
    struct {
        float *C;      /* (V, E) */
        float *W1;     /* (B*E, H) */
        float *b1;     /* (1, H) */
        float *W2T;    /* (H, V), as its transposed (V, H) */
        float *b2;     /* (1, V) */
        float *bngain; /* (1, H) */
        float *bnbias; /* (1, H) */
    };
    float *each[TENSORS];
} Parameters;

/* The gradients of what lies between the parameters and the loss. */
enum { ACTIVATIONS = 4 };
typedef union {
    struct {
        float *logitsT; /* (n, V), as its transposed (V, n) */
        float *h;       /* (n, H) */
        float *hpreact; /* (n, H) */
        float *hprebn;  /* (n, H) */
    };
    float *each[ACTIVATIONS];
} Activations;

/* What a run may ask for besides plain gradient descent. All zeros ask for nothing. */
typedef struct {
    double dropout;     /* probability that a hidden output is switched off, 0 to below 1 */
    uint64_t seed;      /* of dropout's masks */
    float weight_decay; /* W1 and W2 lose lr * weight_decay of themselves in every step */
} Options;

/* How a matrix lies in memory: row r starts at r * stride, or column c at c * stride where it lies
 * transposed. */
typedef struct {
    extent rows, columns, stride;
    int transposed;
} Layout;

/* Everything a step touches, in one block of memory. Only `parameters` and `step` carry anything
 * from one step to the next. */
typedef struct {
    Sizes sizes;
    Options options;
    uint64_t step;        /* the number of the next step, of which its mask is a function */
    extent C_stride;      /* E padded: of C, and of what is like it */
    extent hidden_stride; /* H padded: of W1, W2T, hprebn ... h, and their gradients */
    extent batch_stride;  /* n padded: of logitsT, dlogitsT and hdropT */

    Layout parameter_layouts[TENSORS];
    Parameters parameters;
    Parameters gradients;

    int descends; /* whether gradients go into the parameters, or are only looked at */
    float lr;     /* of the step at hand */
    int stopped;  /* whether its examples were out of range */

    int32_t *Xb; /* (n, B) */
    int32_t *Yb; /* (n,) */

    /* The pairs of a batch: a place of the context, and a character that stands there in some row
     * (embedding_forward). Those of place j are first_pair[j] to first_pair[j + 1] - 1. */
    int32_t *pair;         /* (n, B): which pair place j of row i is */
    extent *first_pair;    /* (B + 1,) */
    int32_t *character;    /* (pairs,) */
    extent additions;          /* of two rows each, that add up the rows of all pairs: */
    int32_t *row;              /* (additions, 2) */
    int32_t *pair_of_addition; /* (additions,) */
    /* While they are numbered and listed: */
    uint8_t *stands;       /* (V,): whether a character stands at a place */
    int32_t *pair_of;      /* (V,): and its pair there */
    int32_t *rows_of_pair; /* (pairs,): how many */
    extent *next;          /* (pairs,): where in `row` its next one goes */
    float *C_of_pair;       /* (pairs, E) */
    float *dC_of_pair;      /* (pairs, E) */
    float *hprebn_of_pair;  /* (pairs, H) */
    float *dhprebn_of_pair; /* (pairs, H), in the place of hprebn_of_pair */

    float *hprebn;
    float *bnmeani;
    float *bnvar_inv;
    float *h;       /* bndiff, bnraw and hpreact are never written */
    float *mask;    /* dropout's, and what it leaves of h; without dropout there is neither, */
    float *hdrop;   /* and hdrop is h itself */
    float *hdropT;  /* (H, n) */
    float *logitsT; /* (V, n) */
    float *weight_of_row; /* (n,): 1/n, and 0 in the padding */
    double *loss_of_part; /* (n / PAD, rounded up) */

    /* d.logitsT is dlogits, d.h is dh (before dropout's backward, dhdrop), ... While training,
     * dhpreact and dhprebn take the place of dh; who looks at gradients finds each in its own.
     * Behind the last row lies one more, which is never written: row n of dhprebn is the zero that
     * list_rows points to. */
    Layout activation_layouts[ACTIVATIONS];
    Activations d;
    float *own[ACTIVATIONS];

    void *memory; /* what to free */
} Network;

enum { BASELINE, AVX2, AVX512, INSTRUCTION_SETS };

/* NULL when there is not enough memory, or n * B does not fit in 32 bits. The sizes are positive, the
 * batch at least 2. `step` is the number of the first step that will be run. */
Network *network_create(Sizes sizes, Options options, uint64_t step);
void network_destroy(Network *network);

/* Whether the steps to come train, or only leave gradients to be looked at. */
void network_aim(Network *network, int descends);

/* Copy the parameters in and out, and the gradients out, as dense rows without padding. */
void network_load(Network *network, const Parameters *from);
void network_store(const Network *network, const Parameters *to);
void network_store_gradients(const Network *network, const Parameters *to, const Activations *also);

/* A member's share of `steps` steps of forward, backward and update; step s takes the examples
 * indices[s * n ... s * n + n - 1], the learning rate lrs[s], and leaves its loss in losses[s].
 * With lrs NULL nothing is updated: the gradients of the last step are there to read.
 *
 * Returns the number of steps done. That is `steps`, unless an index, a position or an id is out of
 * range: then it stops before that step and touches nothing outside. */
typedef int64_t run_steps(const Member *me, Network *network, const Examples *examples,
                          const int64_t *indices, const float *lrs, int64_t steps, float *losses);

/* The same by a team of up to so many threads; their number changes no bit. */
int64_t run_in_team(int threads, run_steps *run, Network *network, const Examples *examples,
                    const int64_t *indices, const float *lrs, int64_t steps, float *losses);

/* The function for an instruction set, or NULL where this build or this machine lacks it. */
run_steps *steps_for(int instruction_set);

run_steps run_steps_baseline, run_steps_avx2, run_steps_avx512;

#endif
