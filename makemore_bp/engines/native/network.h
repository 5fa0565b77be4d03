/* The network in the kernel's memory: what the stages of step.c work on. */
#ifndef MAKEMORE_BP_NETWORK_H
#define MAKEMORE_BP_NETWORK_H

#include "extent.h"
#include "kernel.h"
#include "team.h"

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

/* How a matrix lies in memory: row r starts at r * stride, or column c at c * stride where it lies
 * transposed. */
typedef struct {
    extent rows, columns, stride;
    int transposed;
} Layout;

/* Everything a step touches, in one block of memory. Only `parameters` and `step` carry anything
 * from one step to the next. */
struct Network {
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
};

/* Says whether the steps to come train, or only leave gradients to be looked at. */
void network_aim(Network *network, int descends);

/* What `network_advance` is asked for. */
typedef struct {
    const Examples *examples;
    const int64_t *indices;
    const float *lrs;
    int64_t steps;
    float *losses;
} Steps;

/* A member's share of these steps, compiled for one instruction set; returns how many were done. */
typedef int64_t advance_share(Network *network, const Steps *asked, const Member *me);

advance_share advance_baseline, advance_avx2, advance_avx512;

#endif
