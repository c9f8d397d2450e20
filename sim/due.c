// Timed transitions: what is due fires at its deadline, in the order of deadlines.
#include "base/log.h"
#include "base/timefmt.h"
#include "sim/fault_internal.h"
#include "sim/scenario_ops.h"
#include "sim/writer_internal.h"

#include <string.h>

#define RETRY_AFTER (1 * NS_PER_S) // of cloud time

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

    step_begin(cloud, &t);
    t.cause = CAUSE_TIMER;
    t.project = row->project;
    r = record_from_row(kind, row, t.arena, err);
    if (r == NULL) {
        return -ERROR_INTERNAL;
    }
    t.project_name = r->project_name;
    int rc = kind_ops_of(kind)->due(&t, r, err);
    return rc < 0 ? rc : step_write_fired(cloud, err);
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

int due_look_up(struct cloud *cloud, struct error *err)
{
    cloud->ledger.due_moved = false;
    return store_next_transition(cloud->store, &cloud->ledger.next_due_ns, err);
}

// A transition happens at its deadline, however late we come to it; but one that a change has made
// due in the past (a notice that could not be acted on before) happens with that change.
static int64_t happens_at(const struct cloud *cloud, int64_t deadline_ns)
{
    return deadline_ns > cloud->ledger.event_ns ? deadline_ns : cloud->ledger.event_ns;
}

// The first one; 1 when it fired, 0 when nothing is due, negative error.
static int fire_first(struct cloud *cloud, int64_t up_to, bool stepping, struct error *err)
{
    enum kind kind;
    struct row row;

    arena_clear(&cloud->arena);
    int rc = store_next_due(cloud->store, up_to, &cloud->arena, &kind, &row, err);
    if (rc != 1) {
        return rc;
    }
    if (stepping) {
        clock_advance_to(cloud->clock, row.transition_ns);
    }
    cloud->step_ns = happens_at(cloud, row.transition_ns);
    rc = writer_fire(cloud, kind, &row, err);
    if (rc == 0) {
        scenarios_look(cloud);
    }
    if (rc == 0 && cloud->do_over) {
        rc = error_set(err, ERROR_STORAGE, NULL, "the batch is to be done over");
    }
    return rc < 0 ? rc : 1;
}

int due_fire(struct cloud *cloud, int64_t up_to, int limit, bool stepping, struct error *err)
{
    size_t rules = faults_mark(cloud->faults);
    int64_t now = cloud->step_ns;
    int fired = 0, rc = 1;

    // Fault rules hold from their commit, so what is due after one has changed waits for that.
    while (fired < limit && rc == 1 && faults_mark(cloud->faults) == rules) {
        rc = fire_first(cloud, up_to, stepping, err);
        fired += rc == 1;
    }
    cloud->step_ns = now;
    rc = rc < 0 ? rc : due_look_up(cloud, err);
    return rc < 0 ? rc : fired;
}

bool due_by(const struct cloud *cloud, int64_t ns)
{
    int64_t due = cloud->ledger.next_due_ns;
    return due != 0 && due <= ns;
}

// --- batches of their own ---

int due_batch(struct cloud *cloud, int64_t up_to, bool stepping, struct txn_mark *mark,
              struct error *err)
{
    struct clock_state before = clock_snapshot(cloud->clock);

    int rc = batch_begin(cloud, mark, err);
    if (rc < 0) {
        return rc;
    }
    cloud->at_once = true;
    rc = due_fire(cloud, up_to, DUE_BATCH, stepping, err);
    cloud->at_once = false;
    if (!cloud->do_over) {
        return rc;
    }
    cloud->do_over = false;
    memset(err, 0, sizeof(*err));
    batch_undo(cloud, mark);
    if (stepping) {
        clock_restore(cloud->clock, &before);
    }
    rc = batch_begin(cloud, mark, err);
    return rc < 0 ? rc : due_fire(cloud, up_to, DUE_BATCH, stepping, err);
}

static int catch_up_one_batch(struct cloud *cloud, struct error *err)
{
    struct txn_mark mark;

    int fired = due_batch(cloud, cloud->step_ns, false, &mark, err);
    int rc = batch_finish(cloud, &mark, fired < 0 ? fired : 0, err);
    if (rc == 0) {
        atomic_fetch_add(&cloud->fired, fired);
    }
    return rc;
}

int due_catch_up(struct cloud *cloud, struct error *err)
{
    int rc = 0;

    while (rc == 0 && due_by(cloud, cloud->step_ns)) {
        clock_hold(cloud->clock); // to the end of the turn
        rc = catch_up_one_batch(cloud, err);
        if (rc == 0 && due_by(cloud, cloud->step_ns) && atomic_load(&cloud->winding_down)) {
            rc = error_set(err, ERROR_UNAVAILABLE, NULL, "the server is shutting down");
        }
    }
    return rc;
}

// What is due at one moment all fires: else nobody could say what had and what had not.
int due_catch_up_or_cut(struct cloud *cloud, struct error *err)
{
    int rc = due_catch_up(cloud, err);

    if (rc != -ERROR_UNAVAILABLE || !atomic_load(&cloud->winding_down)) {
        return rc;
    }
    memset(err, 0, sizeof(*err));
    cloud->step_ns = happens_at(cloud, cloud->ledger.next_due_ns);
    for (rc = 0; rc == 0 && due_by(cloud, cloud->step_ns);) {
        rc = catch_up_one_batch(cloud, err);
    }
    return rc;
}
