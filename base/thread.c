#include "base/thread.h"

#include "base/timefmt.h"

#include <stdatomic.h>
#include <time.h>

unsigned thread_number(void)
{
    static atomic_uint given;
    static _Thread_local unsigned mine; // plus one

    if (mine == 0)
        mine = atomic_fetch_add(&given, 1) + 1;
    return mine - 1;
}

void thread_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;

    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool thread_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t until_ns)
{
    struct timespec until = {.tv_sec = until_ns / NS_PER_S, .tv_nsec = until_ns % NS_PER_S};

    if (until_ns == INT64_MAX)
        return pthread_cond_wait(condition, lock) == 0;
    return pthread_cond_timedwait(condition, lock, &until) == 0;
}
