// What can be done with target pools.
#include "sim/operation.h"
#include "sim/target_pool.h"

#include <string.h>

// --- following time and instances ---

// Which timed transition the pool's deadline is of.
static const char *due_transition(const struct target_pool *pool)
{
    for (size_t n = 0; n < pool->target_count; n++) {
        if (pool->targets[n].due_ns == pool->r.transition_ns)
            return target_machine.timers[pool->targets[n].health];
    }
    return NULL;
}

int target_pool_due(struct txn *t, struct resource *r, struct error *err)
{
    struct target_pool *pool = (struct target_pool *)r;
    int rc;

    t->operation = due_transition(pool);
    rc = target_pool_fire(t, pool, err);
    return rc < 0 ? rc : txn_put(t, r, err);
}

static int follow(struct txn *t, const char *id, const struct instance *i, struct error *err)
{
    struct target_pool *pool;
    struct resource *r;
    int rc = txn_load(t, KIND_TARGET_POOL, 0, id, &r, err);

    if (rc < 0)
        return rc;
    pool = (struct target_pool *)r;
    for (size_t n = 0; n < pool->target_count; n++) {
        if (!operation_same(pool->targets[n].instance_id, i->r.id))
            continue;
        if (!target_tell(&pool->targets[n], target_event_of(i)))
            return 0;
        target_pool_reschedule(pool);
        return txn_put(t, r, err);
    }
    return 0;
}

int target_pool_instance_changed(struct txn *t, const struct instance *i, struct error *err)
{
    struct owner *owners;
    size_t count;
    int rc = store_referrers(t->store, i->r.id, KIND_TARGET_POOL, t->arena, &owners, &count, err);

    for (size_t n = 0; rc == 0 && n < count; n++)
        rc = follow(t, owners[n].id, i, err);
    return rc;
}

// --- create ---

int target_pool_create(struct txn *t, struct change *c, struct error *err)
{
    static const struct health_check no_check = {.protocol = HEALTH_CHECK_NONE,
                                                 .path = "/",
                                                 .interval_s = 10,
                                                 .timeout_s = 5,
                                                 .healthy_threshold = 2,
                                                 .unhealthy_threshold = 2};
    const struct target_pool_spec *spec = &c->request.target_pool;
    struct target_pool *pool = (struct target_pool *)txn_new(t, KIND_TARGET_POOL, true, NULL);
    bool changed;
    int rc;

    pool->health_check = spec->has_health_check ? spec->health_check : no_check;
    rc = operation_head(t, &pool->r, spec->name, 0, &spec->tags, err);
    if (rc == 0)
        rc = target_pool_add(t, pool, spec->targets, spec->target_count, &changed, err);
    if (rc == 0)
        rc = txn_put(t, &pool->r, err);
    if (rc == 0)
        change_answer(t, c, &pool->r);
    return rc;
}

// --- update ---

static int finish(struct txn *t, struct change *c, struct resource *r, bool changed,
                  struct error *err)
{
    int rc = changed ? txn_put(t, r, err) : 0;

    if (rc == 0)
        change_answer(t, c, r);
    return rc;
}

static bool same_check(const struct health_check *a, const struct health_check *b)
{
    return a->protocol == b->protocol && a->port == b->port && strcmp(a->path, b->path) == 0 &&
           a->interval_s == b->interval_s && a->timeout_s == b->timeout_s &&
           a->healthy_threshold == b->healthy_threshold &&
           a->unhealthy_threshold == b->unhealthy_threshold;
}

static void patch_check(struct target_pool *pool, const struct target_pool_spec *spec,
                        bool *changed)
{
    if (!spec->has_health_check || same_check(&pool->health_check, &spec->health_check))
        return;
    pool->health_check = spec->health_check;
    *changed = true;
}

int target_pool_update(struct txn *t, struct change *c, struct error *err)
{
    const struct target_pool_spec *spec = &c->request.target_pool;
    struct target_pool *pool;
    struct resource *r;
    bool changed = false;
    int rc = operation_load(t, c, KIND_TARGET_POOL, &r, err);

    if (rc < 0)
        return rc;
    pool = (struct target_pool *)r;
    rc = operation_patch_head(t, r, spec->name, 0, &spec->tags, &changed, err);
    if (rc == 0 && spec->has_targets)
        rc = target_pool_replace(t, pool, spec->targets, spec->target_count, &changed, err);
    if (rc < 0)
        return rc;
    patch_check(pool, spec, &changed);
    return finish(t, c, r, changed, err);
}

int target_pool_add_targets(struct txn *t, struct change *c, struct error *err)
{
    const struct target_pool_spec *spec = &c->request.target_pool;
    struct resource *r;
    bool changed = false;
    int rc = operation_load(t, c, KIND_TARGET_POOL, &r, err);

    if (rc == 0)
        rc = target_pool_add(t, (struct target_pool *)r, spec->targets, spec->target_count,
                             &changed, err);
    return rc < 0 ? rc : finish(t, c, r, changed, err);
}

typedef int edit_of_target(struct txn *t, struct target_pool *pool, const struct target_ref *ref,
                           bool *changed, struct error *err);

static int edit_target(struct txn *t, struct change *c, edit_of_target *edit, struct error *err)
{
    struct resource *r;
    bool changed = false;
    int rc = operation_load(t, c, KIND_TARGET_POOL, &r, err);

    if (rc == 0)
        rc = edit(t, (struct target_pool *)r, &c->request.target, &changed, err);
    return rc < 0 ? rc : finish(t, c, r, changed, err);
}

int target_pool_remove_target(struct txn *t, struct change *c, struct error *err)
{
    return edit_target(t, c, target_pool_remove, err);
}

int target_pool_fail_target(struct txn *t, struct change *c, struct error *err)
{
    return edit_target(t, c, target_pool_fail, err);
}

int target_pool_heal_target(struct txn *t, struct change *c, struct error *err)
{
    return edit_target(t, c, target_pool_heal, err);
}

// --- delete ---

int target_pool_delete(struct txn *t, struct change *c, struct error *err)
{
    struct resource *r;
    struct owner *owners = NULL;
    size_t count = 0;
    int rc = operation_load(t, c, KIND_TARGET_POOL, &r, err);

    if (rc == 0)
        rc = store_referrers(t->store, r->id, KIND_LOAD_BALANCER, t->arena, &owners, &count, err);
    if (rc < 0)
        return rc;
    if (count > 0)
        return error_set(err, ERROR_IN_USE, NULL, "target pool %s is used by load balancer %s",
                         r->id, owners[0].id);
    return txn_delete(t, r, err);
}
