#include "cli/serve_signals.h"

#include "base/log.h"

#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

static void both(sigset_t *out)
{
    sigemptyset(out);
    sigaddset(out, SIGTERM);
    sigaddset(out, SIGINT);
}

static void tell(struct serve_signals *s)
{
    pthread_mutex_lock(&s->lock);
    s->stopped = true;
    if (s->cloud)
        cloud_wind_down(s->cloud);
    pthread_cond_broadcast(&s->came);
    pthread_mutex_unlock(&s->lock);
}

// It stays, as the one thread that a second signal can end the process through.
static void *await(void *context)
{
    sigset_t signals;
    int number = 0, before;

    both(&signals);
    while (sigwait(&signals, &number) != 0)
        ;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before); // not in the middle of a log line
    log_line(LOG_INFO, "shutting down", "signal", strsignal(number), NULL);
    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
    tell(context);
    pthread_setcancelstate(before, NULL);
    for (;;)
        pause();
    return NULL;
}

int serve_signals_start(struct serve_signals *s, struct error *err)
{
    sigset_t signals;

    *s = (struct serve_signals){.stopped = false};
    both(&signals);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->came, NULL);
    if (pthread_create(&s->thread, NULL, await, s) == 0)
        return 0;
    pthread_cond_destroy(&s->came);
    pthread_mutex_destroy(&s->lock);
    return error_set(err, ERROR_INTERNAL, NULL, "no more threads");
}

void serve_signals_cloud(struct serve_signals *s, struct cloud *cloud)
{
    pthread_mutex_lock(&s->lock);
    s->cloud = cloud;
    if (s->stopped && cloud)
        cloud_wind_down(cloud);
    pthread_mutex_unlock(&s->lock);
}

bool serve_signals_stopped(struct serve_signals *s)
{
    bool stopped;

    pthread_mutex_lock(&s->lock);
    stopped = s->stopped;
    pthread_mutex_unlock(&s->lock);
    return stopped;
}

void serve_signals_wait(struct serve_signals *s)
{
    pthread_mutex_lock(&s->lock);
    while (!s->stopped)
        pthread_cond_wait(&s->came, &s->lock);
    pthread_mutex_unlock(&s->lock);
}

void serve_signals_end(struct serve_signals *s)
{
    pthread_cancel(s->thread);
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->came);
    pthread_mutex_destroy(&s->lock);
}
