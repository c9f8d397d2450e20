// The writer: the one thread that changes the cloud. It takes whatever changes are waiting, and the
// timed transitions that are due, applies each inside its own savepoint, commits once, and only
// then tells: first the watchers, then the callers. A change that comes alone is not kept waiting
// for company.
#include "base/log.h"
#include "base/timefmt.h"
#include "sim/cloud_internal.h"
#include "sim/fault_internal.h"
#include "sim/recorder.h"
#include "sim/scenario_ops.h"
#include "sim/usage.h"

#include <stdlib.h>
#include <string.h>

#define ADVANCE_BATCH 4096 // timed transitions in one transaction of their own
#define FIRE_TOGETHER 64   // timed transitions in one savepoint, unless one of them fails
#define TRIM_BATCH 64      // events trimmed per batch, beyond those it added
#define IDEMPOTENCY_KEPT (24 * 3600 * NS_PER_S)
#define NO_REVISION (-1)           // an If-Match that no resource fits
#define RETRY_AFTER (1 * NS_PER_S) // monotonic, after a batch that could not be committed

static void begin_txn(struct cloud *cloud, struct txn *t)
{
    memset(t, 0, sizeof(*t));
    t->cloud = cloud;
    t->store = cloud->store;
    t->arena = &cloud->arena;
    t->now_ns = cloud->step_ns;
}

// --- one step inside its savepoint ---

int txn_mark_set(struct cloud *cloud, struct txn_mark *mark, struct error *err)
{
    mark->ledger = cloud->ledger;
    mark->news = cloud->pending.count;
    mark->faults = faults_mark(cloud->faults);
    mark->usage = usage_mark(cloud->usage);
    mark->deferred = cloud->deferred;
    return store_savepoint(cloud->store, err);
}

// Forgets the changes of the clock that were asked for since.
static void drop_deferred(struct cloud *cloud, struct change *until)
{
    while (cloud->deferred != until) {
        struct change *c = cloud->deferred;
        cloud->deferred = c->next;
        change_free(c);
    }
}

int txn_mark_end(struct cloud *cloud, const struct txn_mark *mark, int rc, struct error *err)
{
    if (rc == 0) {
        rc = store_savepoint_release(cloud->store, err);
    }
    if (rc < 0) {
        store_savepoint_rollback(cloud->store);
        news_batch_truncate(&cloud->pending, mark->news);
        faults_truncate(cloud->faults, mark->faults);
        usage_undo(cloud->usage, mark->usage);
        drop_deferred(cloud, mark->deferred);
        cloud->ledger = mark->ledger;
    }
    return rc;
}

// The faults that fired during a step, after its end: they are told also when it failed.
static int write_fired(struct cloud *cloud, struct error *err)
{
    struct txn_mark mark;

    if (!faults_any_fired(cloud->faults)) {
        return 0;
    }
    int rc = txn_mark_set(cloud, &mark, err);
    return rc < 0 ? rc : txn_mark_end(cloud, &mark, faults_write_fired(cloud, err), err);
}

// --- changes ---

// 1 when an earlier answer was found and given, 0 when the change is to be applied.
static int answer_again(struct txn *t, struct change *c, struct error *err)
{
    struct idempotent known;

    int rc = store_idempotent_get(t->store, c->project, c->operation, c->idempotency_key, t->arena,
                                  &known, err);
    if (rc <= 0) {
        return rc;
    }
    if (known.fingerprint != c->fingerprint) {
        return error_set(err, ERROR_IDEMPOTENCY, "Idempotency-Key",
                         "this key was used with another request");
    }
    buffer_append(&c->document, known.document.data, known.document.length);
    c->revision = known.revision;
    c->result_id = known.id;
    c->replayed = true;
    return 1;
}

static int remember_answer(struct txn *t, const struct change *c, struct error *err)
{
    struct idempotent entry = {.project = c->project,
                               .operation = c->operation,
                               .key = c->idempotency_key,
                               .fingerprint = c->fingerprint,
                               .created_ns = t->now_ns,
                               .revision = c->revision,
                               .id = c->result_id == NULL ? "" : c->result_id,
                               .document = {c->document.data, c->document.length}};

    return store_idempotent_put(t->store, &entry, err);
}

// Who was let in while the project was still there changes nothing in it once it has ended.
static int check_project(struct txn *t, const struct change *c, struct error *err)
{
    struct cloud *cloud = t->cloud;

    if (c->project == 0 || (!cloud->ledger.project_ended &&
                            c->projects_ended == atomic_load(&cloud->projects_ended))) {
        return 0;
    }
    int rc = store_has(t->store, KIND_PROJECT, c->project, err);
    if (rc == 0) {
        return error_set(err, ERROR_UNAUTHORIZED, "Authorization", "the project has ended");
    }
    return rc < 0 ? rc : 0;
}

static int apply(struct txn *t, struct change *c, struct error *err)
{
    int rc = check_project(t, c, err);

    if (rc == 0 && c->idempotency_key != NULL) {
        rc = answer_again(t, c, err);
    }

    if (c->if_match > 0 && c->if_match_epoch >= 0 && c->if_match_epoch != t->cloud->epoch) {
        c->if_match = NO_REVISION; // the same number, of a cloud that is no more
    }
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    rc = c->apply(t, c, err);
    if (rc == 0 && c->idempotency_key != NULL) {
        rc = remember_answer(t, c, err);
    }
    return rc;
}

static void apply_change(struct cloud *cloud, struct change *c)
{
    struct error err = {0};
    struct txn_mark mark;
    struct txn t;

    begin_txn(cloud, &t);
    t.arena = &c->arena;
    t.cause = c->cause;
    t.operation = c->operation;
    t.project = c->project;
    t.project_name = c->project_name;
    int rc = txn_mark_set(cloud, &mark, &c->error);
    if (rc == 0) {
        rc = txn_mark_end(cloud, &mark, apply(&t, c, &c->error), &c->error);
    }
    if (rc < 0) {
        buffer_clear(&c->document);
    }
    if (write_fired(cloud, &err) < 0) {
        log_line(LOG_ERROR, "a firing could not be written", "error", err.message, NULL);
    }
    scenarios_look(cloud);
}

// --- timed transitions ---

// A step that failed for another reason than storage is a mistake of ours: say so and try again
// later, rather than for ever at once.
static int postpone(struct cloud *cloud, enum kind kind, struct row *row, struct error *err)
{
    log_line(LOG_ERROR, "a timed transition failed", "kind", kind_name(kind), "id", row->id,
             "error", err->message, NULL);
    row->transition_ns = cloud->step_ns + RETRY_AFTER;
    memset(err, 0, sizeof(*err));
    return store_put(cloud->store, kind, row, err);
}

static int fire(struct cloud *cloud, enum kind kind, struct row *row, struct error *err)
{
    struct resource *r;
    struct txn t;

    begin_txn(cloud, &t);
    t.cause = CAUSE_TIMER;
    t.project = row->project;
    r = record_from_row(kind, row, t.arena, err);
    if (r == NULL) {
        return -ERROR_INTERNAL;
    }
    t.project_name = r->project_name;
    int rc = kind_ops_of(kind)->due(&t, r, err);
    return rc < 0 ? rc : write_fired(cloud, err);
}

// One that fails is undone alone and put off.
int writer_fire(struct cloud *cloud, enum kind kind, struct row *row, struct error *err)
{
    struct txn_mark mark;

    int rc = txn_mark_set(cloud, &mark, err);
    if (rc < 0) {
        return rc;
    }
    rc = txn_mark_end(cloud, &mark, fire(cloud, kind, row, err), err);
    return rc < 0 && err->code != ERROR_STORAGE ? postpone(cloud, kind, row, err) : rc;
}

static int look_up_due(struct cloud *cloud, struct error *err)
{
    cloud->ledger.due_moved = false;
    return store_next_transition(cloud->store, &cloud->ledger.next_due_ns, err);
}

typedef int fire_one(struct cloud *cloud, enum kind kind, struct row *row, struct error *err);

struct due {
    int64_t up_to;
    bool stepping; // moves the clock to each deadline first
    bool done;     // out: nothing more is due
    size_t rules;  // changed so far: fault rules hold from their commit, so what is due after one
                   // has changed waits for that
};

// A transition happens at its deadline, however late we come to it; but one that a change has made
// due in the past (a notice that could not be acted on before) happens with that change.
static int64_t happens_at(const struct cloud *cloud, int64_t deadline_ns)
{
    return deadline_ns > cloud->ledger.event_ns ? deadline_ns : cloud->ledger.event_ns;
}

// Fires at most `limit`, in (due, revision) order; returns how many or an error.
static int fire_some(struct cloud *cloud, struct due *due, int limit, fire_one *one,
                     struct error *err)
{
    enum kind kind;
    struct row row;
    int fired = 0;

    while (fired < limit && !due->done && faults_mark(cloud->faults) == due->rules) {
        arena_clear(&cloud->arena);
        int rc = store_next_due(cloud->store, due->up_to, &cloud->arena, &kind, &row, err);
        due->done = rc == 0;
        if (rc == 1 && due->stepping) {
            clock_advance_to(cloud->clock, row.transition_ns);
        }
        if (rc == 1) {
            cloud->step_ns = happens_at(cloud, row.transition_ns);
            rc = one(cloud, kind, &row, err);
        }
        if (rc < 0) {
            return rc;
        }
        scenarios_look(cloud);
        fired += !due->done;
    }
    return fired;
}

// A savepoint costs a sixth of a transition, and none is expected to fail. If one does, all of its
// group are undone and fired again, each in a savepoint of its own.
static int fire_group(struct cloud *cloud, struct due *due, int limit, struct error *err)
{
    struct clock_state before = clock_snapshot(cloud->clock);
    struct txn_mark mark;

    int rc = txn_mark_set(cloud, &mark, err);
    if (rc < 0) {
        return rc;
    }
    int fired = fire_some(cloud, due, limit, fire, err);
    rc = txn_mark_end(cloud, &mark, fired < 0 ? fired : 0, err);
    if (rc == 0 || err->code == ERROR_STORAGE) {
        return rc < 0 ? rc : fired;
    }
    memset(err, 0, sizeof(*err));
    due->done = false;
    if (due->stepping) {
        clock_restore(cloud->clock, &before);
    }
    return fire_some(cloud, due, limit, writer_fire, err);
}

// Fires what is due by `up_to`, at most `limit`; returns how many or an error. `stepping`: moves
// the clock to each deadline first.
static int fire_due(struct cloud *cloud, int64_t up_to, int limit, bool stepping, struct error *err)
{
    struct due due = {.up_to = up_to, .stepping = stepping, .rules = faults_mark(cloud->faults)};
    int64_t now = cloud->step_ns;
    int fired = 0, more = 0;

    while (fired < limit && !due.done && more >= 0 && faults_mark(cloud->faults) == due.rules) {
        int left = limit - fired;
        more = fire_group(cloud, &due, left < FIRE_TOGETHER ? left : FIRE_TOGETHER, err);
        fired += more;
    }
    cloud->step_ns = now;
    int rc = more < 0 ? more : look_up_due(cloud, err);
    return rc < 0 ? rc : fired;
}

static bool is_due_by(const struct cloud *cloud, int64_t ns)
{
    int64_t due = cloud->ledger.next_due_ns;
    return due != 0 && due <= ns;
}

// The present, for the step that begins; it does not move while that lasts.
static int64_t step_to_now(struct cloud *cloud)
{
    if (!cloud->replaying) {
        cloud->step_ns = clock_now(cloud->clock);
    }
    return cloud->step_ns;
}

// --- housekeeping ---

static int trim(struct cloud *cloud, struct error *err)
{
    struct ledger *ledger = &cloud->ledger;
    int64_t kept = ledger->revision - ledger->trimmed;
    int64_t excess = kept - cloud->events_kept;
    int rc = 0;

    if (ledger->event_bytes > cloud->event_bytes_kept && kept > 1) {
        int64_t average = ledger->event_bytes / kept + 1;
        int64_t over = (ledger->event_bytes - cloud->event_bytes_kept) / average + 1;
        excess = excess > over ? excess : over;
    }
    excess = excess < kept ? excess : kept - 1; // the newest stays
    int64_t most = (int64_t)cloud->pending.count + TRIM_BATCH;
    excess = excess < most ? excess : most;
    if (excess > 0) {
        int64_t freed = 0;
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

static int begin(struct cloud *cloud, struct txn_mark *mark, struct error *err)
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
    if (cloud->ledger.rates_changed && rates_reload(cloud, err) < 0) {
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

// Commits and publishes, or puts everything back.
static int finish(struct cloud *cloud, const struct txn_mark *mark, int rc, struct error *err)
{
    rc = rc < 0 || !cloud->ledger.due_moved ? rc : look_up_due(cloud, err);
    rc = rc < 0 ? rc : trim(cloud, err);
    rc = rc < 0 ? rc : ledger_save(cloud, err);
    if (rc < 0) {
        store_rollback(cloud->store);
    } else {
        rc = store_commit(cloud->store, err);
    }
    atomic_store(&cloud->writable, rc == 0);
    if (rc < 0) {
        news_batch_truncate(&cloud->pending, 0);
        faults_truncate(cloud->faults, 0);
        usage_undo(cloud->usage, 0);
        drop_deferred(cloud, NULL);
        cloud->ledger = mark->ledger;
        return rc;
    }
    if (cloud->ledger.tokens_changed || cloud->ledger.rates_changed) {
        reload(cloud, err);
    }
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

static void answer(struct cloud *cloud, struct change *c)
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
        answer(cloud, c);
    }
}

// What is due by now, in transactions of its own.
static int catch_up(struct cloud *cloud, struct error *err)
{
    int rc = 0;

    while (rc == 0 && is_due_by(cloud, cloud->step_ns)) {
        struct txn_mark mark;
        rc = begin(cloud, &mark, err);
        if (rc < 0) {
            break;
        }
        int fired = fire_due(cloud, cloud->step_ns, ADVANCE_BATCH, false, err);
        rc = finish(cloud, &mark, fired < 0 ? fired : 0, err);
        if (rc == 0) {
            atomic_fetch_add(&cloud->fired, fired);
        }
    }
    return rc;
}

// A change may leave something that is due at once, before the next one.
static int apply_all(struct cloud *cloud, struct change *first, struct error *err)
{
    int rc = 0;

    for (struct change *c = first; rc >= 0 && c != NULL; c = c->next) {
        c->applied_at = cloud->ledger.revision;
        apply_change(cloud, c);
        if (is_due_by(cloud, cloud->step_ns)) {
            rc = fire_due(cloud, cloud->step_ns, ADVANCE_BATCH, false, err);
        }
    }
    return rc < 0 ? rc : 0;
}

static int commit_all(struct cloud *cloud, struct change *first, struct error *err)
{
    struct txn_mark mark;
    int rc = begin(cloud, &mark, err);

    if (rc < 0) {
        return rc;
    }
    rc = finish(cloud, &mark, apply_all(cloud, first, err), err);
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

    step_to_now(cloud);
    int rc = catch_up(cloud, &err);
    if (rc == 0 && first != NULL) {
        rc = commit_all(cloud, first, &err);
    }
    if (rc < 0) {
        log_line(LOG_ERROR, "changes could not be written", "error", err.message, NULL);
    }
    answer_all(cloud, first, rc < 0 ? &err : NULL);
    return rc;
}

// --- the clock ---

struct change *clock_change_new(const struct clock_change *what, const char *operation)
{
    struct change *c = change_new(NULL, operation);

    if (c != NULL) {
        c->clock = arena_alloc(&c->arena, sizeof(*c->clock));
        *c->clock = *what;
    }
    return c;
}

// The event that says how the clock was changed, and the clock for after a crash.
static int record_clock(struct cloud *cloud, const struct change *c, struct error *err)
{
    struct buffer *document = &cloud->document;
    struct json_writer w;
    struct txn t;

    struct clock_view view = cloud_clock(cloud);
    begin_txn(cloud, &t);
    t.cause = c->cause;
    t.operation = c->operation;
    buffer_clear(document);
    jw_init(&w, document);
    view.now_ns = cloud->step_ns;
    view.next_deadline_ns = cloud->ledger.next_due_ns;
    encode_clock_at(&view, &w);
    int rc = txn_event(&t, KIND_CLOCK, "clock", 0, NULL, EVENT_UPDATED,
                       (struct bytes){document->data, document->length}, err);
    return rc < 0 ? rc : clock_save(cloud, err);
}

static int advance(struct cloud *cloud, struct change *c, int64_t to)
{
    bool done = false;
    int rc = 0;

    while (rc == 0 && !done) {
        struct clock_state before = clock_snapshot(cloud->clock);
        struct txn_mark mark;
        rc = begin(cloud, &mark, &c->error);
        if (rc < 0) {
            break;
        }
        int fired = fire_due(cloud, to, ADVANCE_BATCH, true, &c->error);
        done = fired < ADVANCE_BATCH && faults_mark(cloud->faults) == 0;
        rc = fired < 0 ? fired : 0;
        if (rc == 0 && done) {
            clock_advance_to(cloud->clock, to);
            cloud->step_ns = to;
            rc = record_clock(cloud, c, &c->error);
        } else if (rc == 0) {
            rc = clock_save(cloud, &c->error);
        }
        rc = finish(cloud, &mark, rc, &c->error);
        if (rc == 0) {
            c->clock->fired += fired;
            atomic_fetch_add(&cloud->fired, fired);
        } else {
            clock_restore(cloud->clock, &before); // what is not committed has not happened
        }
    }
    return rc;
}

static int change_speed(struct cloud *cloud, struct change *c)
{
    struct clock_state before = clock_snapshot(cloud->clock);
    struct txn_mark mark;

    switch (c->clock->action) {
    case CLOCK_SET_SCALE:
        clock_set_scale(cloud->clock, c->clock->scale);
        break;
    case CLOCK_FREEZE:
        clock_freeze(cloud->clock);
        break;
    default:
        clock_resume(cloud->clock);
    }
    int rc = begin(cloud, &mark, &c->error);
    if (rc == 0) {
        rc = cloud->ledger.due_moved ? look_up_due(cloud, &c->error) : 0;
        rc = finish(cloud, &mark, rc < 0 ? rc : record_clock(cloud, c, &c->error), &c->error);
    }
    if (rc < 0) {
        clock_restore(cloud->clock, &before);
    }
    return rc;
}

static void run_clock(struct cloud *cloud, struct change *c)
{
    const struct clock_change *what = c->clock;
    int64_t now = step_to_now(cloud);
    struct json_writer w;
    int rc = catch_up(cloud, &c->error);

    c->applied_at = cloud->ledger.revision;
    if (rc < 0) {
        log_line(LOG_ERROR, "what is due could not be written", "error", c->error.message, NULL);
    } else if (what->action == CLOCK_ADVANCE_TO && what->ns < now) {
        rc = error_set(&c->error, ERROR_INVALID, "to", "the clock is past that already");
    } else if (what->action == CLOCK_ADVANCE_TO || what->action == CLOCK_ADVANCE_BY) {
        rc = advance(cloud, c, what->action == CLOCK_ADVANCE_BY ? now + what->ns : what->ns);
    } else {
        rc = change_speed(cloud, c);
    }
    if (rc == 0) {
        jw_init(&w, &c->document);
        encode_clock(cloud, &w);
    }
    recorder_note(cloud, c, now);
    cloud_clock_changed(cloud);
    answer(cloud, c);
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
        step_to_now(cloud);
        if (catch_up(cloud, &c->error) == 0) {
            (c->alone != NULL ? c->alone : run_replace)(cloud, c);
        }
        answer(cloud, c);
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
    struct timespec until = {.tv_sec = deadline / NS_PER_S, .tv_nsec = deadline % NS_PER_S};

    pthread_mutex_lock(&cloud->queue_lock);
    while (cloud->queue_head == NULL && !cloud->closing && clock_monotonic() < deadline) {
        if (deadline == INT64_MAX) {
            pthread_cond_wait(&cloud->queue_wake, &cloud->queue_lock);
        } else {
            pthread_cond_timedwait(&cloud->queue_wake, &cloud->queue_lock, &until);
        }
    }
    struct change *first = cloud->queue_head;
    cloud->queue_head = NULL;
    cloud->queue_tail = &cloud->queue_head;
    cloud->queue_length = 0;
    *out_closing = cloud->closing;
    pthread_mutex_unlock(&cloud->queue_lock);
    return first;
}

// One turn: batches of what was taken, or of what is due; then the books are closed.
static int turn(struct cloud *cloud, struct change *first)
{
    int rc = first != NULL ? run_all(cloud, first) : run_batch(cloud, NULL);

    arena_clear(&cloud->arena);
    store_tidy(cloud->store); // when everybody has been answered
    return rc;
}

void cloud_step(struct cloud *cloud)
{
    bool closing;
    struct change *first = take(cloud, 0, &closing);

    if (first != NULL || is_due_by(cloud, step_to_now(cloud))) {
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
