// The writer: the one thread that changes the cloud. It takes whatever changes are waiting, and the
// timed transitions that are due, applies each as a step of its own (sim/step.c, sim/due.c),
// commits once (sim/batch.c), and only then tells: first the watchers, then the callers. A change
// that comes alone is not kept waiting for company.
#include "base/log.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "sim/recorder.h"
#include "sim/writer_internal.h"

#include <stdlib.h>

#define RETRY_AFTER (1 * NS_PER_S) // monotonic, after a batch that could not be committed

int64_t writer_step_to_now(struct cloud *cloud)
{
    if (!cloud->replaying) {
        cloud->step_ns = clock_now(cloud->clock);
    }
    return cloud->step_ns;
}

// --- changes ---

void writer_answer(struct cloud *cloud, struct change *c)
{
    atomic_fetch_add(c->error.code == ERROR_NONE ? &cloud->changes : &cloud->refused, 1);
    c->done(c);
}

static void answer_all(struct cloud *cloud, struct change *first, const struct error *failed)
{
    struct change *next;

    for (struct change *c = first; c != NULL; c = next) {
        next = c->next; // `c` may be gone once answered
        if (failed != NULL) {
            c->error = *failed;
            buffer_clear(&c->document);
        }
        writer_answer(cloud, c);
    }
}

// A change may leave something that is due at once, before the next one.
static int apply_all(struct cloud *cloud, struct change *first, struct error *err)
{
    int rc = 0;

    for (struct change *c = first; rc >= 0 && c != NULL; c = c->next) {
        c->applied_at = cloud->ledger.revision;
        step_apply(cloud, c);
        if (due_by(cloud, cloud->step_ns)) {
            rc = due_fire(cloud, cloud->step_ns, DUE_BATCH, false, err);
        }
    }
    return rc < 0 ? rc : 0;
}

static int commit_all(struct cloud *cloud, struct change *first, struct error *err)
{
    struct txn_mark mark;
    int rc = batch_begin(cloud, &mark, err);

    if (rc < 0) {
        return rc;
    }
    rc = batch_finish(cloud, &mark, apply_all(cloud, first, err), err);
    for (struct change *c = first; rc == 0 && c != NULL; c = c->next) {
        recorder_note(cloud, c, cloud->step_ns);
    }
    return rc;
}

// What is due, then changes (may be none): the event log is a function of the changes and of when
// they came, however late timers fire and however changes fall into batches.
static int run_batch(struct cloud *cloud, struct change *first)
{
    struct error err = {0};

    writer_step_to_now(cloud);
    int rc = due_catch_up(cloud, &err);
    if (rc == 0 && first != NULL) {
        rc = commit_all(cloud, first, &err);
    }
    bool cut = err.code == ERROR_UNAVAILABLE && atomic_load(&cloud->winding_down);
    if (rc < 0 && !cut) {
        log_line(LOG_ERROR, "changes could not be written", "error", err.message, NULL);
    }
    answer_all(cloud, first, rc < 0 ? &err : NULL);
    return rc;
}
// --- the thread ---

static bool stands_alone(const struct change *c)
{
    return c->clock != NULL || c->replacement != NULL || c->alone != NULL || c->at_ns != 0;
}

static void run_alone(struct cloud *cloud, struct change *c)
{
    if (c->at_ns > cloud->step_ns && cloud->replaying) {
        cloud->step_ns = c->at_ns;
        clock_advance_to(cloud->clock, c->at_ns);
    }
    if (c->replacement != NULL || c->alone != NULL) {
        writer_step_to_now(cloud);
        if ((c->even_cut ? due_catch_up_or_cut : due_catch_up)(cloud, &c->error) == 0) {
            (c->alone != NULL ? c->alone : run_replace)(cloud, c);
        }
        writer_answer(cloud, c);
    } else if (c->clock != NULL) {
        run_clock(cloud, c);
    } else {
        c->next = NULL;
        run_batch(cloud, c);
    }
}

static void split(struct change **first, struct change **out_run)
{
    struct change **at = first;

    while (*at != NULL && !stands_alone(*at)) {
        at = &(*at)->next;
    }
    struct change *rest = *at;
    *at = NULL;
    *out_run = *first;
    *first = rest;
}

// Runs of ordinary changes make a batch each; one that stands alone does so in its place.
static int run_all(struct cloud *cloud, struct change *first)
{
    int rc = 0;

    while (first != NULL) {
        struct change *run;
        split(&first, &run);
        if (run != NULL) {
            rc = run_batch(cloud, run);
        }
        if (first != NULL) {
            struct change *alone = first;
            first = first->next;
            run_alone(cloud, alone);
        }
    }
    return rc;
}

static int64_t due_monotonic(struct cloud *cloud)
{
    int64_t due = cloud->ledger.next_due_ns;
    return due == 0 || cloud->replaying ? INT64_MAX : clock_monotonic_at(cloud->clock, due);
}

// Takes all that is queued; NULL when a deadline came first or the cloud closes (*out_closing).
static struct change *take(struct cloud *cloud, int64_t deadline, bool *out_closing)
{
    pthread_mutex_lock(&cloud->queue_lock);
    while (cloud->queue_head == NULL && !cloud->closing && clock_monotonic() < deadline)
        thread_wait_until(&cloud->queue_wake, &cloud->queue_lock, deadline);
    struct change *first = cloud->queue_head;
    cloud->queue_head = NULL;
    cloud->queue_tail = &cloud->queue_head;
    cloud->queue_length = 0;
    *out_closing = cloud->closing;
    pthread_mutex_unlock(&cloud->queue_lock);
    return first;
}

// One turn: batches of what was taken, or of what is due; then the books are closed. A scaled clock
// stands from the first thing due to the end: a machine that cannot keep up with it has a slower
// cloud, and not one that is ever further behind and answers ever later.
static int turn(struct cloud *cloud, struct change *first)
{
    int rc = first != NULL ? run_all(cloud, first) : run_batch(cloud, NULL);

    arena_clear(&cloud->arena);
    store_tidy(cloud->store); // when everybody has been answered
    clock_release(cloud->clock);
    return rc;
}

void cloud_step(struct cloud *cloud)
{
    bool closing;
    struct change *first = take(cloud, 0, &closing);

    if (first != NULL || due_by(cloud, writer_step_to_now(cloud))) {
        turn(cloud, first);
    }
}

void *writer_main(void *argument)
{
    struct cloud *cloud = argument;
    int64_t not_before = 0;
    bool closing = false;

    for (;;) {
        int64_t deadline = due_monotonic(cloud);
        struct change *first = take(cloud, deadline > not_before ? deadline : not_before, &closing);
        if (first == NULL && closing) {
            return NULL;
        }
        int rc = turn(cloud, first);
        not_before = rc < 0 ? clock_monotonic() + RETRY_AFTER : 0;
    }
}
