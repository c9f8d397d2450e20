// Zones, instance types, latencies and projects; and the table of all changes.
#include "tests/simulation/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Limits are there, or -1 and not.
static void check_limits(const struct thing *x, json_t *object, const int64_t *limits, int count,
                         const char *const *names)
{
    for (int n = 0; n < count; n++) {
        if (limits[n] >= 0)
            must_be_int(x, object, names[n], limits[n]);
        else
            must_be(x, object, names[n], NULL);
    }
}

static void check_zone(const struct thing *x, json_t *document)
{
    static const char *const total[] = {"capacity_total"};

    must_be(x, document, "region", x->zone);
    check_limits(x, document, &x->total, 1, total);
    check_limits(x, json_object_get(document, "capacity"), x->capacity, TYPES, type_names);
}

static void check_project(const struct thing *x, json_t *document)
{
    must_be(x, document, "id", x->id);
    must_be_time(x, document, "expires_at", x->due);
}

void model_check_catalogue(const struct thing *x, json_t *document)
{
    static const char *const quotas[QUOTAS] = {"instances", "load_balancers", "target_pools",
                                               "addresses", "routes"};
    static const char *const distributions[] = {"fixed", "uniform", "normal", "lognormal"};

    if (x->kind == KIND_ZONE)
        check_zone(x, document);
    else if (x->kind == KIND_QUOTA)
        check_limits(x, document, x->limits, QUOTAS, quotas);
    else if (x->kind == KIND_INSTANCE_TYPE)
        must_be_int(x, document, "memory_mib", x->memory_mib);
    else if (x->kind == KIND_LATENCY)
        must_be(x, document, "distribution", distributions[x->distribution.kind]);
    else if (x->kind == KIND_PROJECT)
        check_project(x, document);
}

// What a PUT of a kind that goes by name is about: `made` as it is to be, unless it is so already.
static void put(struct model *m, struct thing *made, bool is_same, struct thing *old)
{
    if (old && !is_same) {
        old->state = made->state;
        memcpy(old->zone, made->zone, sizeof(old->zone));
        old->cpus = made->cpus;
        old->memory_mib = made->memory_mib;
        memcpy(old->capacity, made->capacity, sizeof(old->capacity));
        old->total = made->total;
        old->distribution = made->distribution;
        model_written(m, old);
    }
    if (old)
        model_drop(made);
    else
        model_written(m, made);
}

static void take_capacity(struct thing *x, const struct zone_spec *spec)
{
    for (int type = 0; type < TYPES; type++) {
        x->capacity[type] = -1;
        for (size_t i = 0; i < spec->capacity_count; i++) {
            if (strcmp(spec->capacity[i].type, type_names[type]) == 0)
                x->capacity[type] = spec->capacity[i].limit;
        }
    }
    x->total = spec->has_capacity_total ? spec->capacity_total : -1;
}

enum error_code model_zone_put(struct model *m, const struct change *c)
{
    struct thing *old = model_find(m, KIND_ZONE, 0, c->id);
    struct thing *x = model_new(m, KIND_ZONE, c, NULL);

    x->state = (int)c->request.zone.state;
    snprintf(x->zone, sizeof(x->zone), "%s", c->request.zone.region);
    take_capacity(x, &c->request.zone);
    put(m, x,
        old && old->state == x->state && strcmp(old->zone, x->zone) == 0 &&
            memcmp(old->capacity, x->capacity, sizeof(x->capacity)) == 0 && old->total == x->total,
        old);
    return ERROR_NONE;
}

enum error_code model_type_put(struct model *m, const struct change *c)
{
    struct thing *old = model_find(m, KIND_INSTANCE_TYPE, 0, c->id);
    struct thing *x = model_new(m, KIND_INSTANCE_TYPE, c, NULL);

    x->cpus = c->request.instance_type.cpus;
    x->memory_mib = c->request.instance_type.memory_mib;
    put(m, x, old && old->cpus == x->cpus && old->memory_mib == x->memory_mib, old);
    return ERROR_NONE;
}

static enum error_code delete_unused(struct model *m, enum kind kind, const struct change *c)
{
    struct thing *x = model_find(m, kind, 0, c->id);

    if (!x)
        return ERROR_NOT_FOUND;
    for (size_t i = 0; i < m->things[KIND_INSTANCE].count; i++) {
        const struct thing *instance = m->things[KIND_INSTANCE].items[i];
        if (strcmp(kind == KIND_ZONE ? instance->zone : instance->type, x->id) == 0)
            return ERROR_IN_USE;
    }
    model_deleted(m, x);
    return ERROR_NONE;
}

enum error_code model_zone_delete(struct model *m, const struct change *c)
{
    return delete_unused(m, KIND_ZONE, c);
}

enum error_code model_type_delete(struct model *m, const struct change *c)
{
    return delete_unused(m, KIND_INSTANCE_TYPE, c);
}

// --- latencies ---

static int transition_named(const char *name)
{
    int n = 0;

    while (n < TRANSITIONS && strcmp(transition_of[n], name) != 0)
        n++;
    return n;
}

enum error_code model_latency_put(struct model *m, const struct change *c)
{
    const struct distribution *d = &c->request.latency;
    int which = transition_named(c->id);
    struct thing *old, *x;

    if (which == TRANSITIONS)
        return ERROR_INVALID;
    old = model_find(m, KIND_LATENCY, 0, c->id);
    x = model_new(m, KIND_LATENCY, c, NULL);
    x->distribution = *d;
    put(m, x,
        old && old->distribution.kind == d->kind && old->distribution.a == d->a &&
            old->distribution.b == d->b,
        old);
    m->latencies[which] = *d;
    return ERROR_NONE;
}

enum error_code model_latency_delete(struct model *m, const struct change *c)
{
    int which = transition_named(c->id);
    struct thing *x;

    if (which == TRANSITIONS)
        return ERROR_INVALID;
    x = model_find(m, KIND_LATENCY, 0, c->id);
    if (!x)
        return ERROR_NOT_FOUND;
    model_deleted(m, x);
    m->latencies[which] =
        (struct distribution){.a = which == T_TERMINATED ? INT64_C(60000000000) : 0};
    return ERROR_NONE;
}

// --- projects ---

static struct thing *project_named(const struct model *m, const char *name)
{
    for (size_t i = 0; i < m->things[KIND_PROJECT].count; i++) {
        if (strcmp(m->things[KIND_PROJECT].items[i]->name, name) == 0)
            return m->things[KIND_PROJECT].items[i];
    }
    return NULL;
}

enum error_code model_project_create(struct model *m, const struct change *c)
{
    const struct project_spec *spec = &c->request.project_create;
    struct thing *x = model_new(m, KIND_PROJECT, c, "prj");

    snprintf(x->name, sizeof(x->name), "%s", spec->name);
    x->due = spec->ttl_ns > 0 ? m->now + spec->ttl_ns : 0;
    if (model_name_taken(m, x, x->name)) {
        model_drop(x);
        return ERROR_EXISTS;
    }
    model_written(m, x);
    return ERROR_NONE;
}

enum error_code model_project_update(struct model *m, const struct change *c)
{
    int64_t ttl = c->request.project_update.ttl_ns;
    struct thing *x = project_named(m, c->id);

    if (!x)
        return ERROR_NOT_FOUND;
    if (ttl > 0 && strcmp(x->name, "default") == 0)
        return ERROR_IN_USE;
    x->due = ttl > 0 ? m->now + ttl : 0;
    model_written(m, x);
    return ERROR_NONE;
}

// Everything of it goes with it: what refers to others first, of a kind the newest first.
static void end_project(struct model *m, struct thing *x)
{
    static const enum kind kinds[] = {KIND_ROUTE, KIND_LOAD_BALANCER, KIND_TARGET_POOL,
                                      KIND_ADDRESS, KIND_INSTANCE};

    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        struct things *all = &m->things[kinds[k]];

        for (size_t i = all->count; i-- > 0;) {
            if (all->items[i]->project == x->seq)
                model_deleted(m, all->items[i]);
        }
    }
    model_quota_drop(m, x);
    model_deleted(m, x);
}

enum error_code model_project_delete(struct model *m, const struct change *c)
{
    struct thing *x = project_named(m, c->id);

    if (!x)
        return ERROR_NOT_FOUND;
    if (strcmp(x->name, "default") == 0)
        return ERROR_IN_USE;
    end_project(m, x);
    return ERROR_NONE;
}

void model_project_due(struct model *m, struct thing *x)
{
    m->operation = "project.expired";
    end_project(m, x);
}

// --- what a new database begins with ---

void model_learn_catalogue(struct model *m, struct cloud *cloud)
{
    static const char *const zones[] = {"mock-1a", "mock-1b", "mock-1c"};
    static const char *const types[] = {"small", "medium", "large"};
    static const int cpus[] = {2, 4, 8}; // each with 2 GiB
    struct change c = {.id = "default"};
    struct thing *project;

    model_fetch(m, cloud);
    m->cause = "seed";
    m->operation = NULL;
    project = model_new(m, KIND_PROJECT, &c, "prj");
    snprintf(project->name, sizeof(project->name), "default");
    model_written(m, project);
    for (size_t i = 0; i < 3; i++) {
        c.id = zones[i];
        c.request.zone.region = "mock-1";
        c.request.zone.state = ZONE_AVAILABLE;
        model_zone_put(m, &c);
    }
    for (size_t i = 0; i < 3; i++) {
        c.id = types[i];
        c.request.instance_type.cpus = cpus[i];
        c.request.instance_type.memory_mib = cpus[i] * 2048;
        model_type_put(m, &c);
    }
    model_all_accounted(m);
}

// --- the table ---

static const struct {
    change_apply *apply;
    model_apply *model;
} all[] = {
    {instance_create, model_instance_create},
    {instance_update, model_instance_update},
    {instance_start, model_instance_start},
    {instance_stop, model_instance_stop},
    {instance_reboot, model_instance_reboot},
    {instance_terminate, model_instance_terminate},
    {instance_interrupt, model_interrupt},
    {instance_acknowledge, model_acknowledge},
    {instance_cancel_notices, model_cancel_notices},
    {route_create, model_route_create},
    {route_update, model_route_update},
    {route_delete, model_route_delete},
    {target_pool_create, model_pool_create},
    {target_pool_update, model_pool_update},
    {target_pool_add_targets, model_pool_add},
    {target_pool_remove_target, model_pool_remove},
    {target_pool_delete, model_pool_delete},
    {address_create, model_address_create},
    {address_update, model_address_update},
    {address_delete, model_address_delete},
    {load_balancer_create, model_balancer_create},
    {load_balancer_update, model_balancer_update},
    {load_balancer_add_listener, model_balancer_add},
    {load_balancer_remove_listener, model_balancer_remove},
    {load_balancer_delete, model_balancer_delete},
    {zone_put, model_zone_put},
    {zone_delete, model_zone_delete},
    {instance_type_put, model_type_put},
    {instance_type_delete, model_type_delete},
    {latency_put, model_latency_put},
    {latency_delete, model_latency_delete},
    {quota_put, model_quota_put},
    {quota_update, model_quota_update},
    {quota_delete, model_quota_delete},
    {project_create, model_project_create},
    {project_update, model_project_update},
    {project_delete, model_project_delete},
};

// The key's entry, NULL: it is not known.
static struct key_of_model *find_key(struct model *m, const struct change *c)
{
    for (size_t i = 0; i < m->key_count; i++) {
        struct key_of_model *k = &m->keys[i];
        if (k->project == c->project && k->operation == c->operation &&
            strcmp(k->key, c->idempotency_key) == 0)
            return k;
    }
    return NULL;
}

static void remember_key(struct model *m, const struct change *c)
{
    struct key_of_model *k = find_key(m, c);

    if (!k && m->key_count == KEYS)
        violated("the model has no room for another idempotency key");
    if (!k)
        k = &m->keys[m->key_count++];
    k->project = c->project;
    k->operation = c->operation;
    k->fingerprint = c->fingerprint;
    k->created = m->now;
    snprintf(k->key, sizeof(k->key), "%s", c->idempotency_key);
}

static bool is_known(const struct model *m, const struct key_of_model *key)
{
    return key && m->now - key->created <= INT64_C(86400000000000);
}

// It may have ended in the same batch.
static bool has_project(const struct model *m, int64_t project)
{
    for (size_t i = 0; i < m->things[KIND_PROJECT].count; i++) {
        if (m->things[KIND_PROJECT].items[i]->seq == project)
            return true;
    }
    return false;
}

enum error_code model_change(struct model *m, const struct change *c)
{
    uint64_t pool_next[6];
    enum error_code code;
    size_t i = 0;

    while (all[i].apply != c->apply)
        i++;
    if (!has_project(m, c->project))
        return ERROR_UNAUTHORIZED;
    if (c->idempotency_key) {
        const struct key_of_model *key = find_key(m, c);
        if (is_known(m, key))
            return key->fingerprint == c->fingerprint ? ERROR_NONE : ERROR_IDEMPOTENCY;
    }
    m->cause = "api";
    m->operation = c->operation;
    m->draws = 0;
    memcpy(pool_next, m->pool_next, sizeof(pool_next));
    code = all[i].model(m, c);
    if (code != ERROR_NONE)
        memcpy(m->pool_next, pool_next, sizeof(pool_next));
    else if (c->idempotency_key)
        remember_key(m, c);
    m->accepted += code == ERROR_NONE;
    m->refused += code != ERROR_NONE;
    return code;
}
