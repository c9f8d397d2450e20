// Starting, stopping and removing scenarios, and when they are looked at.
#include "sim/scenario_ops.h"

#include "base/log.h"
#include "sim/cloud_internal.h"
#include "sim/operation.h"

#define LOOKS 16 // at scenarios that set each other off, after one change

static void be_scenario(struct txn *t)
{
    t->cause = CAUSE_SCENARIO;
    t->operation = "scenario.step";
}

int scenario_due(struct txn *t, struct resource *r, struct error *err)
{
    struct scenario *s = (struct scenario *)r;
    bool moved = false;
    int rc = 0;

    be_scenario(t);
    if (r->state == SCENARIO_RUNNING)
        rc = scenario_advance(t, s, &moved, err);
    if (rc < 0 || (!moved && r->transition_ns > t->now_ns) || (!moved && r->transition_ns == 0))
        return rc;
    return scenario_write(t, s, err);
}

// --- operations ---

static int64_t seed_of(struct txn *t, const struct change *c)
{
    uint64_t drawn = random_u64(t->cloud->seed, t->cloud->ledger.revision + 1, 0);

    return c->request.scenario.has_seed ? c->request.scenario.seed : (int64_t)(drawn >> 12);
}

int scenario_run(struct txn *t, struct change *c, struct error *err)
{
    struct scenario *s = (struct scenario *)txn_new(t, KIND_SCENARIO, true, NULL);
    struct resource head = s->r;
    bool moved;
    int rc;

    *s = *c->request.scenario.program;
    head.name = s->r.name;
    s->r = head;
    s->seed = s->seed >= 0 ? s->seed : seed_of(t, c);
    if (c->request.scenario.has_seed)
        s->seed = c->request.scenario.seed;
    s->started_ns = t->now_ns;
    calls_begin_scenario(t, s);
    rc = scenario_write(t, s, err); // before its steps: the log begins with it
    if (rc < 0)
        return rc;
    be_scenario(t);
    rc = scenario_advance(t, s, &moved, err);
    if (rc == 0)
        rc = scenario_write(t, s, err);
    if (rc == 0)
        change_answer(t, c, &s->r);
    return rc;
}

static int end_early(struct txn *t, struct scenario *s, struct error *err)
{
    s->r.reason_code = "user-request";
    s->r.reason_message = "Stopped by request";
    scenario_end(t, s, SCENARIO_STOPPED);
    return scenario_write(t, s, err);
}

int scenario_stop(struct txn *t, struct change *c, struct error *err)
{
    struct resource *r;
    int rc = operation_load(t, c, KIND_SCENARIO, &r, err);

    if (rc == 0 && r->state == SCENARIO_RUNNING)
        rc = end_early(t, (struct scenario *)r, err);
    if (rc == 0)
        change_answer(t, c, r);
    return rc;
}

int scenario_remove(struct txn *t, struct resource *r, struct error *err)
{
    int rc = 0;

    if (r->state == SCENARIO_RUNNING)
        rc = end_early(t, (struct scenario *)r, err);
    return rc < 0 ? rc : txn_delete(t, r, err);
}

int scenario_delete(struct txn *t, struct change *c, struct error *err)
{
    struct resource *r;
    int rc = operation_load(t, c, KIND_SCENARIO, &r, err);

    return rc < 0 ? rc : scenario_remove(t, r, err);
}

// --- looking ---

static int count_watching(void *context, const struct row *row, struct error *err)
{
    struct cloud *cloud = context;
    const struct resource *r = record_from_row(KIND_SCENARIO, row, &cloud->arena, err);

    if (!r)
        return -ERROR_INTERNAL;
    cloud->ledger.scenarios_watching += ((const struct scenario *)r)->watches;
    cloud->ledger.scenarios_awaiting_calls += ((const struct scenario *)r)->awaits_calls;
    return 0;
}

int scenarios_load(struct cloud *cloud, struct error *err)
{
    cloud->ledger.scenarios_watching = cloud->ledger.scenarios_awaiting_calls = 0;
    return store_each(cloud->store, KIND_SCENARIO, 0, count_watching, cloud, err);
}

static int look_at(struct cloud *cloud, const char *id, struct error *err)
{
    struct row row;
    int rc = store_get(cloud->store, KIND_SCENARIO, 0, id, &cloud->arena, &row, err);

    return rc == 1 ? writer_fire(cloud, KIND_SCENARIO, &row, err) : rc;
}

static int look(struct cloud *cloud, struct error *err)
{
    const struct store_match running = {.kind = KIND_SCENARIO, .states = 1U << SCENARIO_RUNNING};
    const char **ids;
    size_t count = 0;
    int rc = store_match_ids(cloud->store, &running, &cloud->arena, &ids, &count, err);

    for (size_t i = 0; rc >= 0 && i < count; i++)
        rc = look_at(cloud, ids[i], err);
    return rc;
}

void scenarios_look(struct cloud *cloud)
{
    struct error err = {0};
    int rc = 0;

    if (cloud->ledger.scenarios_watching == 0 || cloud->looking)
        return;
    cloud->looking = true;
    for (int i = 0; i < LOOKS && rc >= 0 && cloud->ledger.looked_at != cloud->ledger.revision;
         i++) {
        cloud->ledger.looked_at = cloud->ledger.revision;
        rc = look(cloud, &err);
    }
    cloud->looking = false;
    if (rc < 0)
        log_line(LOG_ERROR, "scenarios could not be looked at", "error", err.message, NULL);
}
