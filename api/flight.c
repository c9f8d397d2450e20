#include "api/flight.h"

#include "base/clock.h"
#include "base/thread.h"

void flight_init(struct flight *f)
{
    *f = (struct flight){0};
    pthread_mutex_init(&f->lock, NULL);
    thread_condition_init(&f->idle);
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
    int64_t until;

    pthread_mutex_lock(&f->lock);
    while (f->suspended > 0)
        pthread_cond_wait(&f->idle, &f->lock);
    until = clock_monotonic() + patience_ns;
    while (atomic_load(&f->under_way) > 0 && thread_wait_until(&f->idle, &f->lock, until))
        ;
    pthread_mutex_unlock(&f->lock);
}
