// A batch: what is committed together. What has been written is published and told only after that,
// and if it cannot be committed, all of it has not happened.
#include "base/log.h"
#include "base/timefmt.h"
#include "sim/fault_internal.h"
#include "sim/usage.h"
#include "sim/writer_internal.h"

// Events are trimmed in strides: a few at a time, and each page of them is written over and over
// until it is empty; many at once, and most of their pages are freed without being written.
#define TRIM_STRIDE 1024 // at most; also the most trimmed per batch beyond those it added
#define TRIM_SHARE 64    // of what is kept, a stride is this part at most

// --- housekeeping ---

// How many of the oldest events are too many.
static int64_t excess_events(const struct cloud *cloud)
{
    const struct ledger *ledger = &cloud->ledger;
    int64_t kept = ledger->revision - ledger->trimmed;
    int64_t share = cloud->events_kept / TRIM_SHARE;
    int64_t excess = kept - cloud->events_kept;

    if (excess < (share < TRIM_STRIDE ? share : TRIM_STRIDE))
        excess = 0;
    if (ledger->event_bytes > cloud->event_bytes_kept && kept > 1) {
        int64_t average = ledger->event_bytes / kept + 1;
        int64_t low = cloud->event_bytes_kept - cloud->event_bytes_kept / TRIM_SHARE;
        int64_t over = (ledger->event_bytes - low) / average + 1;
        excess = excess > over ? excess : over;
    }
    excess = excess < kept ? excess : kept - 1; // the newest stays
    int64_t most = (int64_t)cloud->pending.count + TRIM_STRIDE;
    return excess < most ? excess : most;
}

static int trim(struct cloud *cloud, struct error *err)
{
    struct ledger *ledger = &cloud->ledger;
    int64_t excess = excess_events(cloud), freed = 0;
    int rc = 0;

    if (excess > 0) {
        rc = store_events_trim(cloud->store, ledger->trimmed + excess, (int)excess, &freed, err);
        ledger->trimmed += excess;
        ledger->event_bytes -= freed;
    }
    int64_t now = cloud->step_ns;
    if (rc == 0 && now - cloud->trimmed_idempotency_ns > IDEMPOTENCY_KEPT / 24) {
        rc = store_idempotent_trim(cloud->store, now - IDEMPOTENCY_KEPT, err);
        cloud->trimmed_idempotency_ns = now;
    }
    return rc;
}

// --- a batch ---

int batch_begin(struct cloud *cloud, struct txn_mark *mark, struct error *err)
{
    mark->ledger = cloud->ledger;
    mark->news = 0;
    mark->deferred = NULL;
    return store_begin(cloud->store, err);
}

// What is kept in memory for those who call, and has changed.
static void reload(struct cloud *cloud, struct error *err)
{
    if (cloud->ledger.tokens_changed && tokens_reload(cloud, err) < 0) {
        log_line(LOG_ERROR, "tokens could not be read", "error", err->message, NULL);
    }
    if (cloud->ledger.rates_changed && rates_reload(cloud, false, err) < 0) {
        log_line(LOG_ERROR, "rate limits could not be read", "error", err->message, NULL);
    }
    if (cloud->ledger.project_ended) {
        atomic_fetch_add(&cloud->projects_ended, 1);
    }
    cloud->ledger.tokens_changed = cloud->ledger.rates_changed = false;
    cloud->ledger.project_ended = false;
}

static void forget_when_done(struct change *c)
{
    if (c->error.code != ERROR_NONE)
        log_line(LOG_WARN, "a scenario's change of the clock was refused", "error",
                 c->error.message, NULL);
    change_free(c);
}

// What was asked of the clock runs after the batch that asked, in the order it was asked for.
static void submit_deferred(struct cloud *cloud)
{
    struct change *first = NULL, *next;

    for (struct change *c = cloud->deferred; c != NULL; c = next) {
        next = c->next;
        c->next = first;
        first = c;
    }
    cloud->deferred = NULL;
    for (; first != NULL; first = next) {
        next = first->next;
        first->done = forget_when_done;
        cloud_submit(cloud, first);
    }
}

void txn_defer_clock(struct txn *t, struct change *c)
{
    c->next = t->cloud->deferred;
    t->cloud->deferred = c;
}

void batch_undo(struct cloud *cloud, const struct txn_mark *mark)
{
    store_rollback(cloud->store);
    news_batch_truncate(&cloud->pending, 0);
    faults_truncate(cloud->faults, 0);
    faults_asked_end(cloud->faults, true);
    usage_undo(cloud->usage, 0);
    step_drop_deferred(cloud, NULL);
    cloud->ledger = mark->ledger;
}

int batch_finish(struct cloud *cloud, const struct txn_mark *mark, int rc, struct error *err)
{
    rc = rc < 0 || !cloud->ledger.due_moved ? rc : due_look_up(cloud, err);
    rc = rc < 0 ? rc : faults_write_asked(cloud, err);
    rc = rc < 0 ? rc : trim(cloud, err);
    rc = rc < 0 ? rc : ledger_save(cloud, err);
    rc = rc < 0 ? rc : store_commit(cloud->store, err);
    atomic_store(&cloud->writable, rc == 0);
    if (rc < 0) {
        batch_undo(cloud, mark);
        return rc;
    }
    if (cloud->ledger.tokens_changed || cloud->ledger.rates_changed) {
        reload(cloud, err);
    }
    faults_asked_end(cloud->faults, false);
    faults_publish(cloud->faults);
    outbox_committed(cloud);
    usage_commit(cloud->usage);
    cloud->saved = cloud->ledger;
    ledger_publish(cloud);
    atomic_fetch_add(&cloud->batches, 1);
    news_publish(cloud->news, &cloud->pending);
    submit_deferred(cloud);
    return 0;
}
