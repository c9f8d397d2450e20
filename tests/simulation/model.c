// The things of the model: found, made, moved, named, addressed.
#include "tests/simulation/model.h"

#include "sim/instance.h"
#include "sim/load_balancer.h"
#include "sim/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const tag_keys[TAG_KEYS] = {"a", "b", "c"};

const char *const transition_of[TRANSITIONS] = {
    "instance.pending",       "instance.stopping",      "instance.rebooting",
    "instance.terminating",   "instance.terminated",    "load_balancer.provisioning",
    "load_balancer.updating", "load_balancer.deleting", "target.initial",
    "target.draining",        "route.pending",          "route.deleting",
};

void model_init(struct model *m, uint64_t seed)
{
    *m = (struct model){.seed = seed};
    m->latencies[T_TERMINATED] = (struct distribution){.a = INT64_C(60000000000)};
}

static void free_thing(struct thing *x)
{
    free(x->document);
    free(x);
}

void model_fini(struct model *m)
{
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        for (size_t i = 0; i < m->things[kind].count; i++)
            free_thing(m->things[kind].items[i]);
        free(m->things[kind].items);
    }
    for (size_t i = 0; i < m->happening_count; i++)
        free(m->happenings[i].envelope);
    free(m->happenings);
}

// --- finding and making ---

struct thing *model_find(const struct model *m, enum kind kind, int64_t project, const char *id)
{
    const struct things *all = &m->things[kind];

    for (size_t i = 0; i < all->count; i++) {
        struct thing *x = all->items[i];
        if ((project == 0 || x->project == project) && strcmp(x->id, id) == 0)
            return x;
    }
    return NULL;
}

struct thing *model_new(struct model *m, enum kind kind, const struct change *c, const char *prefix)
{
    struct thing *x = calloc(1, sizeof(*x));

    if (!x)
        abort();
    x->kind = kind;
    x->created = m->now;
    if (prefix)
        id_make(x->id, prefix, m->seed, m->revision + 1);
    else
        snprintf(x->id, sizeof(x->id), "%s", c->id);
    snprintf(x->name, sizeof(x->name), "%s", x->id);
    if (kind <= KIND_ROUTE) {
        x->project = c->project;
        snprintf(x->project_name, sizeof(x->project_name), "%s", c->project_name);
    }
    return x;
}

void model_drop(struct thing *x)
{
    free_thing(x);
}

enum error_code model_load(struct model *m, enum kind kind, const struct change *c,
                           struct thing **out)
{
    struct thing *x = model_find(m, kind, c->project, c->id);

    if (!x)
        return ERROR_NOT_FOUND;
    if (c->if_match && c->if_match != x->revision)
        return ERROR_PRECONDITION;
    *out = x;
    return ERROR_NONE;
}

// --- names and tags ---

bool model_holds_name(const struct thing *x)
{
    if (x->kind == KIND_INSTANCE)
        return x->state != INSTANCE_TERMINATED;
    if (x->kind == KIND_ROUTE)
        return x->state != ROUTE_DELETING;
    return true;
}

bool model_name_taken(const struct model *m, const struct thing *x, const char *name)
{
    const struct things *all = &m->things[x->kind];

    for (size_t i = 0; i < all->count; i++) {
        const struct thing *other = all->items[i];
        if (other != x && other->project == x->project && model_holds_name(other) &&
            strcmp(other->name, name) == 0)
            return true;
    }
    return false;
}

static void set_tags(struct thing *x, const struct tags_spec *tags, bool *changed)
{
    for (size_t i = 0; i < tags->count; i++) {
        for (int key = 0; key < TAG_KEYS; key++) {
            const char *value = tags->items[i].value;
            if (strcmp(tags->items[i].key, tag_keys[key]) != 0)
                continue;
            *changed |=
                (value && x->tags[key]) ? strcmp(value, x->tags[key]) != 0 : value != x->tags[key];
            x->tags[key] = value;
        }
    }
}

enum error_code model_head(struct model *m, struct thing *x, const char *name,
                           const struct tags_spec *tags)
{
    bool ignored = false;

    if (name)
        snprintf(x->name, sizeof(x->name), "%s", name);
    if (model_name_taken(m, x, x->name))
        return ERROR_EXISTS;
    set_tags(x, tags, &ignored);
    return ERROR_NONE;
}

enum error_code model_patch_head(struct model *m, struct thing *x, const char *name,
                                 const struct tags_spec *tags, bool *changed)
{
    if (name && strcmp(name, x->name) != 0) {
        if (model_name_taken(m, x, name))
            return ERROR_EXISTS;
        snprintf(x->name, sizeof(x->name), "%s", name);
        *changed = true;
    }
    set_tags(x, tags, changed);
    return ERROR_NONE;
}

// --- states and time ---

int64_t model_draw(struct model *m, int transition)
{
    uint32_t stream = (uint32_t)transition << 24 | m->draws++;

    return distribution_draw(&m->latencies[transition], m->seed, m->revision + 1, stream);
}

// The timed states: what ends them, and where their deadline leads. -1: gone.
static const struct timed {
    enum kind kind;
    int state, transition, next;
} timed[] = {
    {KIND_INSTANCE, INSTANCE_PENDING, T_PENDING, INSTANCE_RUNNING},
    {KIND_INSTANCE, INSTANCE_STOPPING, T_STOPPING, INSTANCE_STOPPED},
    {KIND_INSTANCE, INSTANCE_REBOOTING, T_REBOOTING, INSTANCE_RUNNING},
    {KIND_INSTANCE, INSTANCE_TERMINATING, T_TERMINATING, INSTANCE_TERMINATED},
    {KIND_INSTANCE, INSTANCE_TERMINATED, T_TERMINATED, -1},
    {KIND_LOAD_BALANCER, LB_PROVISIONING, T_LB_PROVISIONING, LB_ACTIVE},
    {KIND_LOAD_BALANCER, LB_UPDATING, T_LB_UPDATING, LB_ACTIVE},
    {KIND_LOAD_BALANCER, LB_DELETING, T_LB_DELETING, LB_DELETED},
    {KIND_ROUTE, ROUTE_PENDING, T_ROUTE_PENDING, ROUTE_ACTIVE},
    {KIND_ROUTE, ROUTE_DELETING, T_ROUTE_DELETING, ROUTE_DELETED},
};

static const struct timed *timed_of(enum kind kind, int state)
{
    for (size_t i = 0; i < sizeof(timed) / sizeof(timed[0]); i++) {
        if (timed[i].kind == kind && timed[i].state == state)
            return &timed[i];
    }
    return NULL;
}

static bool is_end(enum kind kind, int state)
{
    return (kind == KIND_ROUTE && state == ROUTE_DELETED) ||
           (kind == KIND_LOAD_BALANCER && state == LB_DELETED);
}

bool model_enter(struct model *m, struct thing *x, int state)
{
    x->due = 0;
    for (;;) {
        const struct timed *t;
        int64_t duration;

        if (state < 0)
            return true;
        x->state = state;
        if (is_end(x->kind, state))
            return true;
        t = timed_of(x->kind, state);
        if (!t)
            return false;
        duration = model_draw(m, t->transition);
        if (duration > 0) {
            x->due = m->now + duration;
            return false;
        }
        state = t->next;
    }
}

int model_deadline_state(const struct thing *x)
{
    const struct timed *t = timed_of(x->kind, x->state);

    if (!t)
        violated("%s %s has a deadline in a state that takes no time", kind_name(x->kind), x->id);
    return t->next;
}

static struct thing *first_due(const struct model *m)
{
    struct thing *first = NULL;

    for (int kind = 0; kind < KIND_COUNT; kind++) {
        for (size_t i = 0; i < m->things[kind].count; i++) {
            struct thing *x = m->things[kind].items[i];
            if (x->due && (!first || x->due < first->due ||
                           (x->due == first->due && x->revision < first->revision)))
                first = x;
        }
    }
    return first;
}

int64_t model_next_due(const struct model *m)
{
    const struct thing *x = first_due(m);

    return x ? x->due : 0;
}

static const char *due_operation(const struct thing *x)
{
    const struct timed *t = timed_of(x->kind, x->state);

    if (x->kind != KIND_TARGET_POOL)
        return t ? transition_of[t->transition] : NULL; // NULL: a notice's; it will say
    for (int i = 0; i < x->target_count; i++) {
        if (x->targets[i].due == x->due)
            return x->targets[i].health == TARGET_INITIAL ? "target.initial" : "target.draining";
    }
    return "?";
}

void model_advance(struct model *m, int64_t to, bool may_be_cut_short)
{
    struct thing *x;

    while ((x = first_due(m)) && x->due <= to) {
        if (may_be_cut_short && m->at == m->happening_count)
            return;
        if (x->due > m->now)
            m->now = x->due;
        m->cause = "timer";
        m->operation = due_operation(x);
        m->draws = 0;
        m->fired++;
        if (x->kind == KIND_INSTANCE)
            model_instance_due(m, x);
        else if (x->kind == KIND_ROUTE)
            model_route_due(m, x);
        else if (x->kind == KIND_TARGET_POOL)
            model_pool_due(m, x);
        else if (x->kind == KIND_PROJECT)
            model_project_due(m, x);
        else
            model_balancer_due(m, x);
    }
}

// --- addresses ---

static bool has_ip(const struct thing *x, const struct ip *ip)
{
    for (int n = 0; n < x->ip_count; n++) {
        if (ip_compare(&x->ips[n], ip) == 0)
            return true;
    }
    return false;
}

// A terminated instance still shows its addresses but holds them no more.
static bool holds_ips(const struct thing *x)
{
    return x->kind != KIND_INSTANCE || x->state != INSTANCE_TERMINATED;
}

// The first and the last of a block are never given.
static bool is_usable(const struct cidr *cidr, const struct ip *ip)
{
    if (ip->family != cidr->base.family || !cidr_contains(cidr, ip))
        return false;
    uint64_t index = cidr_index(cidr, ip);
    return index > 0 && index < cidr_size(cidr) - 1;
}

struct thing *model_owner_of_ip(const struct model *m, const struct ip *ip)
{
    static const enum kind kinds[] = {KIND_INSTANCE, KIND_LOAD_BALANCER, KIND_ADDRESS};

    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        const struct things *all = &m->things[kinds[k]];
        for (size_t i = 0; i < all->count; i++) {
            struct thing *x = all->items[i];
            if (holds_ips(x) && has_ip(x, ip))
                return x;
        }
    }
    return NULL;
}

bool model_claim(struct model *m, struct thing *x, const struct ip *ip)
{
    if (has_ip(x, ip) || model_owner_of_ip(m, ip))
        return false;
    if (x->ip_count == IPS_MAX)
        violated("the model has no room for another address of %s", x->id);
    x->ips[x->ip_count++] = *ip;
    return true;
}

uint64_t model_free_ips(const struct model *m, int pool)
{
    static const enum kind kinds[] = {KIND_INSTANCE, KIND_LOAD_BALANCER, KIND_ADDRESS};
    uint64_t free_ones = cidr_size(&m->pools[pool]) - 2;

    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        const struct things *all = &m->things[kinds[k]];
        for (size_t i = 0; i < all->count; i++) {
            const struct thing *x = all->items[i];
            for (int n = 0; holds_ips(x) && n < x->ip_count; n++)
                free_ones -= is_usable(&m->pools[pool], &x->ips[n]);
        }
    }
    return free_ones;
}

// The next free one behind the last one given, as sim/pools.c promises.
void model_allocate(struct model *m, struct thing *x, int pool)
{
    uint64_t usable = cidr_size(&m->pools[pool]) - 2;

    for (uint64_t i = 0; i < usable; i++) {
        uint64_t index = m->pool_next[pool] % usable;
        struct ip ip = cidr_nth(&m->pools[pool], index + 1);

        m->pool_next[pool] = index + 1;
        if (model_claim(m, x, &ip))
            return;
    }
    violated("the model knows no free address in pool %d", pool);
}
