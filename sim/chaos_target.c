// Targets that fail their health checks for a while, though their instances run.
#include "sim/chaos_internal.h"
#include "sim/cloud_internal.h"
#include "sim/operation.h"
#include "sim/target_pool.h"

#include <string.h>

#define TRIES 8

static const char *key_of(const struct target *target)
{
    return target->instance_id ? target->instance_id : target->address;
}

static bool is_failing(const struct chaos *c, const char *pool, const char *key)
{
    for (size_t i = 0; i < c->later_count; i++)
        if (c->later[i].remedy == REMEDY_HEAL && strcmp(c->later[i].id, pool) == 0 &&
            strcmp(c->later[i].type, key) == 0)
            return true;
    return false;
}

// Three-way.
static int may_fail(struct txn *t, const struct chaos *c, const struct target_pool *pool,
                    const struct target *target, struct error *err)
{
    struct resource *r;
    int rc;

    if (target->health != TARGET_HEALTHY || is_failing(c, pool->r.id, key_of(target)) ||
        chaos_is_protected(c, &pool->r))
        return 0;
    if (!target->instance_id)
        return 1;
    rc = txn_find(t, KIND_INSTANCE, c->r.project, target->instance_id, &r, err);
    if (rc <= 0)
        return rc;
    return !chaos_is_protected(c, r) && !chaos_is_down(c, (struct instance *)r);
}

// A target of a pool, each drawn evenly, or once more when it may not fail.
static int pick(struct txn *t, const struct chaos *c, struct target_pool **out_pool,
                struct target **out, struct error *err)
{
    const struct store_match all = {.kind = KIND_TARGET_POOL, .project = c->r.project};
    const char **ids;
    size_t count;
    int rc = store_match_ids(t->store, &all, t->arena, &ids, &count, err);

    for (uint32_t n = 0; rc == 0 && count > 0 && n < TRIES; n++) {
        struct target_pool *pool;
        struct resource *r;

        rc = txn_load(t, KIND_TARGET_POOL, c->r.project,
                      ids[chaos_draw(c, STREAM_POOL + n) % count], &r, err);
        if (rc < 0)
            return rc;
        pool = (struct target_pool *)r;
        if (pool->target_count == 0)
            continue;
        *out_pool = pool;
        *out = &pool->targets[chaos_draw(c, STREAM_TARGET + n) % pool->target_count];
        rc = may_fail(t, c, pool, *out, err);
        if (rc == 1)
            return 0;
    }
    return rc < 0 ? rc : error_set(err, ERROR_NOT_FOUND, NULL, "no target was found that may fail");
}

static int tell(struct txn *t, const struct chaos *c, const char *operation, change_apply *apply,
                const char *pool, struct target_ref ref, struct error *err)
{
    struct change change = {.request.target = ref};

    return chaos_change(t, c, operation, apply, &change, pool, err);
}

int chaos_strike_target(struct txn *t, struct chaos *c, int64_t down_ns, struct error *err)
{
    struct target_pool *pool;
    struct chaos_later *later;
    struct target *target;
    int rc = pick(t, c, &pool, &target, err);

    if (rc == 0 && !c->set.dry_run)
        rc = tell(t, c, "target_pools.fail_target", target_pool_fail_target, pool->r.id,
                  (struct target_ref){target->instance_id, target->address}, err);
    if (rc < 0)
        return rc;
    c->last_id = pool->r.id;
    c->last_zone = key_of(target);
    later = chaos_later_add(t, c, 1, REMEDY_HEAL, t->now_ns + down_ns);
    later->id = pool->r.id;
    later->zone = "";
    later->type = key_of(target);
    return 0;
}

int chaos_heal(struct txn *t, const struct chaos *c, const struct chaos_later *l, struct error *err)
{
    struct resource *r;
    struct target_pool *pool;
    int rc = txn_load(t, KIND_TARGET_POOL, c->r.project, l->id, &r, err);

    if (rc < 0)
        return rc;
    pool = (struct target_pool *)r;
    for (size_t n = 0; n < pool->target_count; n++) {
        const struct target *target = &pool->targets[n];

        if (strcmp(key_of(target), l->type) == 0)
            return tell(t, c, "target_pools.heal_target", target_pool_heal_target, l->id,
                        (struct target_ref){target->instance_id, target->address}, err);
    }
    return 0; // it was removed
}
