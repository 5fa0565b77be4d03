/* Threads live no longer than one call of team_run: some ten microseconds for each, beside the tenth
 * of a second that a chunk of steps takes. So a process may fork between two calls, and none is left
 * when it ends. They meet some times in every step, too often to sleep in between: who waits looks
 * again and again, and lets others have the processor if it takes long. */
#define _POSIX_C_SOURCE 200809L /* of the signals */
#include "team.h"
#include "thread.h"

#if HAS_THREADS
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
    Thread thread;
} Place;

static void wait_while(atomic_uint *number, unsigned is)
{
    for (int looks = 0; atomic_load_explicit(number, memory_order_acquire) == is;) {
        if (looks == LOOKS) {
            thread_yield();
            continue;
        }
        looks++;
        thread_pause();
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

THREAD_FUNCTION begin(void *place)
{
    Member *me = &((Place *)place)->member;
    wait_while(&me->team->gathered, 0);
    me->size = me->team->size;
    me->team->work(me->team->context, me);
    return 0;
}

/* Starts as many threads as it can; returns the size of the team, the caller counted. */
static int gather(Place *places, int size, Team *team)
{
    int number = 1;
    for (; number < size; number++) {
        places[number].member = (Member){number, 0, team};
        if (!thread_start(&places[number].thread, begin, &places[number])) break;
    }
    return number;
}

void team_run(int size, team_work *work, void *context)
{
    Team team = {.work = work, .context = context};
    Place *places = size > 1 ? calloc((size_t)size, sizeof *places) : NULL;
    team.size = places != NULL ? gather(places, size, &team) : 1;
    atomic_store_explicit(&team.gathered, 1, memory_order_release);
    work(context, &(Member){0, team.size, &team});
    for (int number = 1; number < team.size; number++) thread_join(places[number].thread);
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
