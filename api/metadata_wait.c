#include "api/metadata_wait.h"

#include "base/timefmt.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define TICK_NS (100 * NS_PER_MS) // between looks at deadlines, while anybody waits
#define EVENTS_MAX 1024           // looked at one by one; after more everybody looks again

struct metadata_waits {
    struct cloud *cloud;
    void (*park)(void *context);
    void (*wake)(void *context);
    pthread_t notifier;
    pthread_mutex_t lock;
    pthread_cond_t changed; // the first to wait, or the end
    struct metadata_waiter *parked;
    int64_t seen;  // events up to this revision have woken whom they concern
    int64_t epoch; // of the cloud that `seen` is of
    bool stopping;
};

// --- who has changed ---

struct changed {
    char (*ids)[ID_MAX];
    size_t count;
    bool all; // too many, or not known
};

static int note(void *context, const struct event *event, struct bytes envelope)
{
    struct changed *changed = context;

    (void)envelope;
    memcpy(changed->ids[changed->count], event->id, strnlen(event->id, ID_MAX - 1) + 1);
    changed->ids[changed->count++][ID_MAX - 1] = '\0';
    return 0;
}

static void learn(struct metadata_waits *all, int64_t since, struct changed *changed,
                  int64_t *out_newest)
{
    struct event_query query = {.since = since, .kind = KIND_INSTANCE, .limit = EVENTS_MAX};

    changed->count = 0;
    if (cloud_events(all->cloud, &query, note, changed, out_newest, NULL) < 0)
        *out_newest = cloud_revision(all->cloud);
    else if (changed->count < EVENTS_MAX)
        return;
    changed->all = true;
}

static bool concerns(const struct changed *changed, const struct metadata_waiter *w)
{
    for (size_t i = 0; i < changed->count; i++) {
        if (strcmp(changed->ids[i], w->waiting->instance_id) == 0)
            return true;
    }
    return changed->all;
}

// --- waking ---

static void unpark(struct metadata_waits *all, struct metadata_waiter *w)
{
    if (w->previous)
        w->previous->next = w->next;
    else
        all->parked = w->next;
    if (w->next)
        w->next->previous = w->previous;
    w->next = w->previous = NULL;
    w->parked = false;
}

static void wake_those(struct metadata_waits *all, const struct changed *changed)
{
    int64_t now = clock_monotonic();
    struct metadata_waiter *next;

    for (struct metadata_waiter *w = all->parked; w; w = next) {
        next = w->next;
        if (!all->stopping && now < w->waiting->deadline_ns && !concerns(changed, w))
            continue;
        unpark(all, w);
        all->wake(w->context);
    }
}

// Sleeps for good while nobody waits: a commit then costs nothing here.
static void *notify(void *context)
{
    struct metadata_waits *all = context;
    char ids[EVENTS_MAX][ID_MAX];

    pthread_mutex_lock(&all->lock);
    while (!all->stopping) {
        struct changed changed = {.ids = ids};
        int64_t since = all->seen, newest = since, epoch = cloud_epoch(all->cloud);

        if (!all->parked) {
            pthread_cond_wait(&all->changed, &all->lock);
            continue;
        }
        pthread_mutex_unlock(&all->lock);
        if (epoch != all->epoch) { // another cloud: everything is new
            newest = cloud_revision(all->cloud);
            changed.all = true;
        } else if (cloud_wait_revision(all->cloud, since, clock_monotonic() + TICK_NS) > since) {
            learn(all, since, &changed, &newest);
        }
        pthread_mutex_lock(&all->lock);
        all->seen = newest;
        all->epoch = epoch;
        wake_those(all, &changed);
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

// --- all of them ---

int metadata_waits_new(struct cloud *cloud, void (*park)(void *context),
                       void (*wake)(void *context), struct metadata_waits **out, struct error *err)
{
    struct metadata_waits *all = calloc(1, sizeof(*all));

    if (!all)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    all->cloud = cloud;
    all->park = park;
    all->wake = wake;
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->changed, NULL);
    if (pthread_create(&all->notifier, NULL, notify, all) != 0) {
        free(all);
        return error_set(err, ERROR_INTERNAL, NULL, "no more threads");
    }
    *out = all;
    return 0;
}

void metadata_waits_stop(struct metadata_waits *all)
{
    struct changed everybody = {.all = true};

    pthread_mutex_lock(&all->lock);
    all->stopping = true;
    wake_those(all, &everybody);
    pthread_cond_signal(&all->changed);
    pthread_mutex_unlock(&all->lock);
    pthread_join(all->notifier, NULL); // within a tick
}

void metadata_waits_free(struct metadata_waits *all)
{
    if (!all)
        return;
    pthread_cond_destroy(&all->changed);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

bool metadata_waits_stopping(struct metadata_waits *all)
{
    bool stopping;

    pthread_mutex_lock(&all->lock);
    stopping = all->stopping;
    pthread_mutex_unlock(&all->lock);
    return stopping;
}

// --- one of them ---

bool metadata_wait_park(struct metadata_waits *all, struct metadata_waiter *w)
{
    bool parked = false;

    pthread_mutex_lock(&all->lock);
    if (!all->stopping &&
        (all->seen <= w->waiting->revision || all->epoch != cloud_epoch(all->cloud))) {
        if (!all->parked) {
            all->seen = w->waiting->revision;
            pthread_cond_signal(&all->changed);
        }
        w->next = all->parked;
        if (w->next)
            w->next->previous = w;
        all->parked = w;
        w->parked = parked = true;
        all->park(w->context);
    }
    pthread_mutex_unlock(&all->lock);
    return parked;
}

void metadata_wait_leave(struct metadata_waits *all, struct metadata_waiter *w)
{
    pthread_mutex_lock(&all->lock);
    if (w->parked)
        unpark(all, w);
    pthread_mutex_unlock(&all->lock);
}
