// Target pools.
#include "sim/names.h"
#include "tests/simulation/model.h"

#include <stdio.h>
#include <string.h>

void model_check_pool(const struct thing *x, json_t *document)
{
    json_t *list = json_object_get(document, "targets");

    must_be_int(x, json_object_get(document, "health_check"), "interval_seconds", x->interval_s);
    if (json_array_size(list) != (size_t)x->target_count)
        violated("target pool %s has %zu targets, must have %d", x->id, json_array_size(list),
                 x->target_count);
    for (int n = 0; n < x->target_count; n++) {
        json_t *target = json_array_get(list, (size_t)n);

        must_be(x, target, x->targets[n].is_address ? "address" : "instance_id", x->targets[n].key);
        must_be(x, target, "health", target_health_names[x->targets[n].health]);
        must_be(x, target, "health_reason", x->targets[n].reason);
    }
}

// --- one target ---

// Into `initial` or `draining`, or beyond at once if that takes no time; true: gone.
static bool begin(struct model *m, struct target_of_model *target, enum target_health health)
{
    int64_t duration = model_draw(m, health == TARGET_INITIAL ? T_INITIAL : T_DRAINING);

    target->reason = NULL;
    target->due = duration > 0 ? m->now + duration : 0;
    target->health = duration > 0 || health == TARGET_DRAINING ? health : TARGET_HEALTHY;
    return duration <= 0 && health == TARGET_DRAINING;
}

// What its instance is to it.
static const char *const fine = "", *const down = "instance-not-running",
                         *const lost = "instance-terminated";

static const char *observe(const struct model *m, int64_t project, const char *key, bool is_address)
{
    const struct thing *i = is_address ? NULL : model_find(m, KIND_INSTANCE, project, key);

    if (is_address)
        return fine;
    if (!i || i->state == INSTANCE_TERMINATED)
        return lost;
    return i->state == INSTANCE_RUNNING ? fine : down;
}

// True when that changes the target.
static bool tell(struct target_of_model *target, const char *how)
{
    enum target_health next = target->health;
    const char *reason;

    if (next == TARGET_DRAINING || (next == TARGET_INITIAL && how != lost))
        return false;
    next = how == fine ? TARGET_HEALTHY : TARGET_UNHEALTHY;
    reason = how == fine ? NULL : how;
    if (next == target->health && reason == target->reason)
        return false;
    target->health = next;
    target->reason = reason;
    target->due = 0;
    return true;
}

// --- the list ---

static void reschedule(struct thing *x)
{
    x->due = 0;
    for (int n = 0; n < x->target_count; n++) {
        int64_t due = x->targets[n].due;
        if (due && (!x->due || due < x->due))
            x->due = due;
    }
}

static int find_target(const struct thing *x, const char *key, bool is_address)
{
    for (int n = 0; n < x->target_count; n++) {
        if (x->targets[n].is_address == is_address && strcmp(x->targets[n].key, key) == 0)
            return n;
    }
    return -1;
}

static void remove_at(struct thing *x, int n)
{
    x->target_count--;
    memmove(&x->targets[n], &x->targets[n + 1],
            (size_t)(x->target_count - n) * sizeof(x->targets[0]));
}

static const char *key_of(const struct target_ref *ref)
{
    return ref->instance_id ? ref->instance_id : ref->address;
}

static bool listed_twice(const struct target_ref *refs, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        for (size_t o = 0; o < n; o++) {
            if (!refs[n].instance_id == !refs[o].instance_id &&
                strcmp(key_of(&refs[n]), key_of(&refs[o])) == 0)
                return true;
        }
    }
    return false;
}

static enum error_code add_one(struct model *m, struct thing *x, const struct target_ref *ref,
                               bool *changed)
{
    bool is_address = !ref->instance_id;
    int at = find_target(x, key_of(ref), is_address);
    const char *how = observe(m, x->project, key_of(ref), is_address);
    struct target_of_model target = {.is_address = is_address};

    if (at >= 0 && x->targets[at].health != TARGET_DRAINING)
        return ERROR_NONE;
    if (how == lost)
        return ERROR_INVALID;
    if (at < 0) {
        if (x->target_count == TARGETS_OF_MODEL)
            violated("the model has no room for another target of %s", x->id);
        at = x->target_count++;
    }
    snprintf(target.key, sizeof(target.key), "%s", key_of(ref));
    begin(m, &target, TARGET_INITIAL);
    tell(&target, how);
    x->targets[at] = target;
    *changed = true;
    return ERROR_NONE;
}

static bool is_named(const struct target_of_model *target, const struct target_ref *refs,
                     size_t count)
{
    for (size_t n = 0; n < count; n++) {
        if (target->is_address == !refs[n].instance_id &&
            strcmp(target->key, key_of(&refs[n])) == 0)
            return true;
    }
    return false;
}

static enum error_code edit(struct model *m, struct thing *x, const struct target_pool_spec *spec,
                            bool replace, bool *changed)
{
    enum error_code code = ERROR_NONE;

    if (listed_twice(spec->targets, spec->target_count))
        return ERROR_INVALID;
    for (size_t n = 0; code == ERROR_NONE && n < spec->target_count; n++)
        code = add_one(m, x, &spec->targets[n], changed);
    if (code != ERROR_NONE)
        return code;
    for (int n = 0; replace && n < x->target_count; n++) {
        if (x->targets[n].health == TARGET_DRAINING ||
            is_named(&x->targets[n], spec->targets, spec->target_count))
            continue;
        *changed = true;
        if (begin(m, &x->targets[n], TARGET_DRAINING))
            remove_at(x, n--);
    }
    reschedule(x);
    return ERROR_NONE;
}

// --- following ---

void model_pool_due(struct model *m, struct thing *x)
{
    for (int n = 0; n < x->target_count; n++) {
        struct target_of_model *target = &x->targets[n];

        if (!target->due || target->due > m->now)
            continue;
        if (target->health == TARGET_DRAINING) {
            remove_at(x, n--);
            continue;
        }
        target->due = 0;
        target->health = TARGET_HEALTHY;
        tell(target, observe(m, x->project, target->key, target->is_address));
    }
    reschedule(x);
    model_written(m, x);
}

void model_pools_follow(struct model *m, const struct thing *instance)
{
    for (size_t i = 0; i < m->things[KIND_TARGET_POOL].count; i++) {
        struct thing *x = m->things[KIND_TARGET_POOL].items[i];
        int at = find_target(x, instance->id, false);
        const char *how = instance->state == INSTANCE_TERMINATED ? lost
                          : instance->state == INSTANCE_RUNNING  ? fine
                                                                 : down;

        if (at < 0 || !tell(&x->targets[at], how))
            continue;
        reschedule(x);
        model_written(m, x);
    }
}

// --- changes ---

enum error_code model_pool_create(struct model *m, const struct change *c)
{
    const struct target_pool_spec *spec = &c->request.target_pool;
    struct thing *x = model_new(m, KIND_TARGET_POOL, c, "tp");
    bool changed = false;
    enum error_code code = model_head(m, x, spec->name, &spec->tags);

    x->interval_s = spec->has_health_check ? spec->health_check.interval_s : 10;
    if (code == ERROR_NONE)
        code = edit(m, x, spec, false, &changed);
    if (code == ERROR_NONE)
        code = model_quota_left(m, x->project, KIND_TARGET_POOL, 1);
    if (code != ERROR_NONE)
        model_drop(x);
    else
        model_written(m, x);
    return code;
}

static enum error_code change_targets(struct model *m, const struct change *c, bool replace)
{
    const struct target_pool_spec *spec = &c->request.target_pool;
    bool changed = false;
    struct thing *x, before;
    enum error_code code = model_load(m, KIND_TARGET_POOL, c, &x);

    if (code != ERROR_NONE)
        return code;
    before = *x;
    if (replace)
        code = model_patch_head(m, x, spec->name, &spec->tags, &changed);
    if (code == ERROR_NONE && (!replace || spec->has_targets))
        code = edit(m, x, spec, replace, &changed);
    if (code != ERROR_NONE) {
        *x = before;
        return code;
    }
    if (replace && spec->has_health_check && x->interval_s != spec->health_check.interval_s) {
        x->interval_s = spec->health_check.interval_s;
        changed = true;
    }
    if (changed)
        model_written(m, x);
    return code;
}

enum error_code model_pool_update(struct model *m, const struct change *c)
{
    return change_targets(m, c, true);
}

enum error_code model_pool_add(struct model *m, const struct change *c)
{
    return change_targets(m, c, false);
}

enum error_code model_pool_remove(struct model *m, const struct change *c)
{
    const struct target_ref *ref = &c->request.target;
    struct thing *x;
    int at;
    enum error_code code = model_load(m, KIND_TARGET_POOL, c, &x);

    if (code != ERROR_NONE)
        return code;
    at = find_target(x, key_of(ref), !ref->instance_id);
    if (at < 0)
        return ERROR_NOT_FOUND;
    if (x->targets[at].health == TARGET_DRAINING)
        return ERROR_NONE;
    if (begin(m, &x->targets[at], TARGET_DRAINING))
        remove_at(x, at);
    reschedule(x);
    model_written(m, x);
    return ERROR_NONE;
}

static bool is_used(const struct model *m, const struct thing *pool)
{
    for (size_t i = 0; i < m->things[KIND_LOAD_BALANCER].count; i++) {
        const struct thing *lb = m->things[KIND_LOAD_BALANCER].items[i];
        for (int n = 0; n < lb->listener_count; n++) {
            if (strcmp(lb->listeners[n].pool, pool->id) == 0)
                return true;
        }
    }
    return false;
}

enum error_code model_pool_delete(struct model *m, const struct change *c)
{
    struct thing *x;
    enum error_code code = model_load(m, KIND_TARGET_POOL, c, &x);

    if (code == ERROR_NONE && is_used(m, x))
        return ERROR_IN_USE;
    if (code == ERROR_NONE)
        model_deleted(m, x);
    return code;
}
