// One step of the writer, a change or a timed transition: all of it happens, or nothing.
#include "base/log.h"
#include "sim/fault_internal.h"
#include "sim/scenario_ops.h"
#include "sim/usage.h"
#include "sim/writer_internal.h"

#include <string.h>

#define NO_REVISION (-1) // an If-Match that no resource fits

void step_begin(struct cloud *cloud, struct txn *t)
{
    memset(t, 0, sizeof(*t));
    t->cloud = cloud;
    t->store = cloud->store;
    t->arena = &cloud->arena;
    t->now_ns = cloud->step_ns;
}

// --- undone alone ---

int txn_mark_set(struct cloud *cloud, struct txn_mark *mark, struct error *err)
{
    mark->ledger = cloud->ledger;
    mark->news = cloud->pending.count;
    mark->faults = faults_mark(cloud->faults);
    mark->usage = usage_mark(cloud->usage);
    mark->deferred = cloud->deferred;
    mark->written = store_rows_written(cloud->store);
    return cloud->at_once ? 0 : store_savepoint(cloud->store, err);
}

// Forgets the changes of the clock that were asked for since.
void step_drop_deferred(struct cloud *cloud, struct change *until)
{
    while (cloud->deferred != until) {
        struct change *c = cloud->deferred;
        cloud->deferred = c->next;
        change_free(c);
    }
}

// Without a savepoint only what has written nothing can be undone alone.
static int roll_back(struct cloud *cloud, const struct txn_mark *mark, int rc, struct error *err)
{
    if (!cloud->at_once) {
        store_savepoint_rollback(cloud->store);
    } else if (store_rows_written(cloud->store) != mark->written) {
        cloud->do_over = true;
        memset(err, 0, sizeof(*err));
        return error_set(err, ERROR_STORAGE, NULL, "the batch is to be done over");
    }
    return rc;
}

int txn_mark_end(struct cloud *cloud, const struct txn_mark *mark, int rc, struct error *err)
{
    if (rc == 0 && !cloud->at_once) {
        rc = store_savepoint_release(cloud->store, err);
    }
    if (rc < 0) {
        rc = roll_back(cloud, mark, rc, err);
        news_batch_truncate(&cloud->pending, mark->news);
        faults_truncate(cloud->faults, mark->faults);
        usage_undo(cloud->usage, mark->usage);
        step_drop_deferred(cloud, mark->deferred);
        cloud->ledger = mark->ledger;
    }
    return rc;
}

// The faults that fired during a step, after its end: they are told also when it failed.
int step_write_fired(struct cloud *cloud, struct error *err)
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
    if (t->now_ns - known.created_ns >
        IDEMPOTENCY_KEPT) { // not trimmed yet, and it may be used again
        return store_idempotent_trim(t->store, t->now_ns - IDEMPOTENCY_KEPT, err);
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

void step_apply(struct cloud *cloud, struct change *c)
{
    struct error err = {0};
    struct txn_mark mark;
    struct txn t;

    step_begin(cloud, &t);
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
    if (step_write_fired(cloud, &err) < 0) {
        log_line(LOG_ERROR, "a firing could not be written", "error", err.message, NULL);
    }
    scenarios_look(cloud);
}
