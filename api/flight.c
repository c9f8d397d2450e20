#include "api/flight.h"

#include "base/clock.h"
#include "base/timefmt.h"

#include <time.h>

void flight_init(struct flight *f)
{
    pthread_condattr_t attributes;

    *f = (struct flight){0};
    pthread_mutex_init(&f->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&f->idle, &attributes);
    pthread_condattr_destroy(&attributes);
}

void flight_fini(struct flight *f)
{
    pthread_cond_destroy(&f->idle);
    pthread_mutex_destroy(&f->lock);
}

void flight_begin(struct flight *f)
{
    atomic_fetch_add(&f->under_way, 1);
}

void flight_end(struct flight *f)
{
    if (atomic_fetch_sub(&f->under_way, 1) > 1 || !atomic_load(&f->stopping))
        return;
    pthread_mutex_lock(&f->lock);
    pthread_cond_signal(&f->idle);
    pthread_mutex_unlock(&f->lock);
}

long flight_under_way(struct flight *f)
{
    return atomic_load(&f->under_way);
}

bool flight_suspend(struct flight *f)
{
    bool stopping;

    pthread_mutex_lock(&f->lock);
    stopping = atomic_load(&f->stopping);
    f->suspended += !stopping;
    pthread_mutex_unlock(&f->lock);
    return !stopping;
}

void flight_resumed(struct flight *f)
{
    pthread_mutex_lock(&f->lock);
    if (--f->suspended == 0)
        pthread_cond_signal(&f->idle);
    pthread_mutex_unlock(&f->lock);
}

void flight_stop(struct flight *f)
{
    pthread_mutex_lock(&f->lock);
    atomic_store(&f->stopping, true);
    pthread_mutex_unlock(&f->lock);
}

bool flight_stopping(struct flight *f)
{
    return atomic_load(&f->stopping);
}

void flight_wait(struct flight *f, int64_t patience_ns)
{
    struct timespec deadline;
    int64_t until;

    pthread_mutex_lock(&f->lock);
    while (f->suspended > 0)
        pthread_cond_wait(&f->idle, &f->lock);
    until = clock_monotonic() + patience_ns;
    deadline = (struct timespec){.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};
    while (atomic_load(&f->under_way) > 0 &&
           pthread_cond_timedwait(&f->idle, &f->lock, &deadline) == 0)
        ;
    pthread_mutex_unlock(&f->lock);
}
