/* Threads live no longer than one call of team_run: some ten microseconds for each, beside the tenth
 * of a second that a chunk of steps takes. So a process may fork between two calls, and none is left
 * when it ends. They meet some times in every step, too often to sleep in between: who waits looks
 * again and again, and lets others have the processor if it takes long. */
#define _POSIX_C_SOURCE 200809L /* of the signals */
#include "team.h"

#include <stddef.h>

#if (defined(__unix__) || defined(__APPLE__)) && !defined(__STDC_NO_ATOMICS__)
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { LOOKS = 2000 }; /* before others may have the processor: some 50 microseconds on x86 */

struct Team {
    team_work *work;
    void *context;
    int size;
    atomic_uint gathered; /* whether `size` is known */
    atomic_int here;      /* how many have come to this meeting */
    atomic_uint meetings; /* how many have ended */
};

typedef struct {
    Member member;
    pthread_t thread;
} Place;

static void wait_while(atomic_uint *number, unsigned is)
{
    for (int looks = 0; atomic_load_explicit(number, memory_order_acquire) == is;) {
        if (looks == LOOKS) {
            sched_yield();
            continue;
        }
        looks++;
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__)
        __asm__ volatile("yield");
#endif
    }
}

void team_meet(Team *team)
{
    const unsigned ended = atomic_load_explicit(&team->meetings, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&team->here, 1, memory_order_acq_rel) == team->size - 1) {
        atomic_store_explicit(&team->here, 0, memory_order_relaxed);
        atomic_store_explicit(&team->meetings, ended + 1, memory_order_release);
        return;
    }
    wait_while(&team->meetings, ended);
}

static void *begin(void *place)
{
    Member *me = &((Place *)place)->member;
    wait_while(&me->team->gathered, 0);
    me->size = me->team->size;
    me->team->work(me->team->context, me);
    return NULL;
}

/* Starts as many threads as it can; returns the size of the team, the caller counted. No signal is
 * delivered to them: those are for threads that Python knows. */
static int gather(Place *places, int size, Team *team)
{
    sigset_t all, before;
    int number = 1;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (; number < size; number++) {
        places[number].member = (Member){number, 0, team};
        if (pthread_create(&places[number].thread, NULL, begin, &places[number]) != 0) break;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return number;
}

void team_run(int size, team_work *work, void *context)
{
    Team team = {.work = work, .context = context};
    Place *places = size > 1 ? calloc((size_t)size, sizeof *places) : NULL;
    team.size = places != NULL ? gather(places, size, &team) : 1;
    atomic_store_explicit(&team.gathered, 1, memory_order_release);
    work(context, &(Member){0, team.size, &team});
    for (int number = 1; number < team.size; number++) pthread_join(places[number].thread, NULL);
    free(places);
}

#else

void team_run(int size, team_work *work, void *context)
{
    (void)size;
    work(context, &(Member){0, 1, NULL});
}

void team_meet(Team *team)
{
    (void)team; /* nobody else is there */
}

#endif
