// Starting, stopping and removing chaos, and its deadlines.
#include "sim/chaos_internal.h"
#include "sim/cloud_internal.h"
#include "sim/operation.h"

static int write(struct txn *t, struct chaos *c, struct error *err)
{
    int64_t first = c->next_ns;

    for (size_t i = 0; i < c->later_count && !c->set.dry_run; i++)
        if (c->later[i].remedy != REMEDY_NONE && (first == 0 || c->later[i].due_ns < first))
            first = c->later[i].due_ns;
    c->r.transition_ns = first;
    return txn_put(t, &c->r, err);
}

static void be_chaos(struct txn *t)
{
    t->cause = CAUSE_CHAOS;
    t->operation = "chaos.strike";
}

// Brings back what it has taken.
static int end(struct txn *t, struct chaos *c, const char *code, const char *message,
               struct error *err)
{
    int rc;

    be_chaos(t);
    rc = chaos_remedy_due(t, c, true, err);
    c->r.state = CHAOS_STOPPED;
    c->r.reason_code = code;
    c->r.reason_message = message;
    c->next_ns = 0;
    c->ended_ns = t->now_ns;
    return rc < 0 ? rc : write(t, c, err);
}

// It goes when all that it has taken is back.
static int forget(struct txn *t, struct chaos *c, struct error *err)
{
    if (c->later_count == 0)
        return txn_delete(t, &c->r, err);
    c->r.state = CHAOS_DELETING;
    return write(t, c, err);
}

int chaos_due(struct txn *t, struct resource *r, struct error *err)
{
    struct chaos *c = (struct chaos *)r;
    int rc;

    be_chaos(t);
    if (r->state == CHAOS_RUNNING && c->until_ns > 0 && c->until_ns <= t->now_ns)
        return end(t, c, "ended", "Its time was over", err);
    rc = chaos_remedy_due(t, c, false, err);
    if (rc == 0 && c->next_ns != 0 && c->next_ns <= t->now_ns) {
        rc = chaos_watch(t, c, err);
        if (rc == 0)
            rc = chaos_strike(t, c, err);
        chaos_plan(c, c->next_ns); // by plan, not from now: it does not drift
    }
    if (rc == 0 && r->state == CHAOS_DELETING)
        return forget(t, c, err);
    return rc < 0 ? rc : write(t, c, err);
}

static int check_alone(struct txn *t, struct error *err)
{
    const struct store_match running = {
        .kind = KIND_CHAOS, .project = t->project, .states = 1U << CHAOS_RUNNING};
    int64_t count;
    int rc = store_match_count(t->store, &running, &count, err);

    if (rc == 0 && count > 0)
        return error_set(err, ERROR_EXISTS, NULL, "chaos runs in this project already");
    return rc;
}

int chaos_start(struct txn *t, struct change *change, struct error *err)
{
    struct chaos *c = (struct chaos *)txn_new(t, KIND_CHAOS, true, NULL);
    uint64_t drawn = random_u64(t->cloud->seed, t->cloud->ledger.revision + 1, 1) >> 12;
    int rc = check_alone(t, err);

    if (rc < 0)
        return rc;
    c->set = change->request.chaos.set;
    c->seed = change->request.chaos.has_seed ? change->request.chaos.seed : (int64_t)drawn;
    c->r.name = c->set.profile ? c->set.profile : c->r.id;
    c->started_ns = t->now_ns;
    c->until_ns = c->set.duration_ns > 0 ? t->now_ns + c->set.duration_ns : 0;
    chaos_plan(c, t->now_ns);
    rc = write(t, c, err);
    if (rc == 0)
        change_answer(t, change, &c->r);
    return rc;
}

int chaos_stop(struct txn *t, struct change *change, struct error *err)
{
    struct resource *r;
    int rc = operation_load(t, change, KIND_CHAOS, &r, err);

    if (rc == 0 && r->state == CHAOS_RUNNING)
        rc = end(t, (struct chaos *)r, "user-request", "Stopped by request", err);
    if (rc == 0)
        change_answer(t, change, r);
    return rc;
}

int chaos_delete(struct txn *t, struct change *change, struct error *err)
{
    struct resource *r;
    int rc = operation_load(t, change, KIND_CHAOS, &r, err);

    if (rc == 0 && r->state == CHAOS_RUNNING)
        rc = end(t, (struct chaos *)r, "user-request", "Stopped by request", err);
    return rc < 0 ? rc : forget(t, (struct chaos *)r, err);
}
