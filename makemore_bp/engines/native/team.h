/* Threads that go through the same work side by side, each doing its share of it. */
#ifndef MAKEMORE_BP_TEAM_H
#define MAKEMORE_BP_TEAM_H

#include "extent.h"

typedef struct Team Team;

/* One of them: 0 to size - 1. Number 0 is the thread that called team_run. */
typedef struct {
    int number, size;
    Team *team;
} Member;

typedef void team_work(void *context, const Member *me);

/* Calls work(context, member) in `size` threads at once, and returns when all have come back; in
 * fewer where the system has no more to give, or knows no threads. */
void team_run(int size, team_work *work, void *context);

void team_meet(Team *team);

/* Waits until every member is here. What each has written before, all may read after. */
static inline void meet(const Member *me)
{
    if (me->size > 1) team_meet(me->team);
}

/* A member's share of what lies along a row: whole cache lines. */
typedef struct {
    extent first, end;
} Range;

static inline extent share_begins(extent length, extent number, extent size)
{
    const extent at = divided_up(length, PAD) * number / size * PAD;
    return at < length ? at : length;
}

static inline Range share(extent length, const Member *me)
{
    return (Range){share_begins(length, me->number, me->size),
                   share_begins(length, me->number + 1, me->size)};
}

#endif
