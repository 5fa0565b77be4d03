/* Which version of the step runs, and how many threads share it. */
#include "kernel.h"

#include "network.h"
#include "team.h"

int64_t first_bad_index(const int64_t *indices, int64_t length, int64_t examples)
{
    for (int64_t at = 0; at < length; at++)
        if (indices[at] < 0 || indices[at] >= examples) return at;
    return -1;
}

/* NULL where this build or this machine lacks the instruction set. */
static advance_share *version_for(int instruction_set)
{
    switch (instruction_set) {
    case BASELINE: return advance_baseline;
#if defined(__GNUC__) && defined(__x86_64__)
    /* These ask the processor and, for the width of its registers, the operating system. */
    case AVX2:
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? advance_avx2
                                                                               : NULL;
    case AVX512:
        __builtin_cpu_init();
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq")
                       && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw")
                       && __builtin_cpu_supports("fma")
                   ? advance_avx512
                   : NULL;
#endif
    default: return NULL;
    }
}

int has_instruction_set(int instruction_set)
{
    return version_for(instruction_set) != NULL;
}

typedef struct {
    advance_share *version;
    Network *network;
    const Steps *steps;
    int64_t done;
} Job;

static void work(void *context, const Member *me)
{
    Job *job = context;
    const int64_t done = job->version(job->network, job->steps, me);
    if (me->number == 0) job->done = done;
}

int64_t network_advance(Network *network, const Examples *examples, int instruction_set,
                        int threads, const int64_t *indices, const float *lrs, int64_t steps,
                        float *losses)
{
    const Steps asked = {examples, indices, lrs, steps, losses};
    Job job = {version_for(instruction_set), network, &asked, 0};
    /* More threads would have next to nothing to do. */
    const extent n = network->sizes.batch, H = network->sizes.n_hidden;
    const extent most = divided_up(n > H ? n : H, PAD);
    network_aim(network, lrs != NULL);
    team_run(threads < most ? threads : (int)most, work, &job);
    return job.done;
}
