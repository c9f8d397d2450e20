// What a backend has seen and done becomes the state of instances.
//
// A report shows all containers of a cluster at once. An instance that has changed since it was
// made, or that an effect is still wanted for, is passed over: the next report, or the effect's
// own, tells.
#include "sim/cloud_internal.h"
#include "sim/instance.h"
#include "sim/names.h"
#include "sim/operation.h"

#include <stdio.h>
#include <string.h>

// --- one instance ---

static bool set_text(struct txn *t, const char **field, const char *value)
{
    if (operation_same(*field, value))
        return false;
    *field = arena_strdup(t->arena, value);
    return true;
}

static void add_ip(struct txn *t, struct instance_spec *spec, const struct ip *ip)
{
    char text[IP_TEXT_MAX];

    if (!ip->family)
        return;
    ip_format(ip, text);
    spec->addresses[spec->address_count++] = (struct address_spec){
        .type = ADDRESS_INTERNAL, .ip = *ip, .text = arena_strdup(t->arena, text)};
}

// The addresses of a container that runs; one that does not keeps those that it had, so that its
// node does not lose them.
static int set_addresses(struct txn *t, struct instance *i, const struct container *c,
                         bool *changed, struct error *err)
{
    struct instance_spec spec = {0};

    if (c->state != CONTAINER_RUNNING || (!c->v4.family && !c->v6.family))
        return 0;
    spec.addresses = arena_alloc(t->arena, 3 * sizeof(*spec.addresses));
    add_ip(t, &spec, &c->v4);
    add_ip(t, &spec, &c->v6);
    spec.addresses[spec.address_count++] =
        (struct address_spec){.type = ADDRESS_HOSTNAME, .text = arena_strdup(t->arena, c->name)};
    return instance_addresses_replace(t, i, &spec, changed, err);
}

static enum instance_event event_of(const struct container *c)
{
    if (c->state == CONTAINER_RUNNING)
        return INSTANCE_UP;
    return c->state == CONTAINER_STOPPED ? INSTANCE_DOWN : INSTANCE_LOST;
}

// Why the state follows: asked for, or as the container says.
static void give_reason(struct txn *t, struct instance *i, const struct container *c, bool asked)
{
    const char *code = asked ? "user-request" : c->reason_code;
    const char *message = c->reason_message;

    if (c->state == CONTAINER_RUNNING) {
        i->r.reason_code = i->r.reason_message = NULL;
        return;
    }
    if (asked && i->r.reason_code && strcmp(i->r.reason_code, "user-request") == 0)
        return; // as the request said
    if (c->state == CONTAINER_ABSENT && !asked)
        code = "container-removed", message = "The container was removed";
    i->r.reason_code = arena_strdup(t->arena, code ? code : "container-stopped");
    i->r.reason_message = arena_strdup(t->arena, message ? message : "The container was stopped");
}

// `asked`: an effect is done.
static int follow(struct txn *t, struct instance *i, const struct container *c, bool asked,
                  struct error *err)
{
    enum instance_state next = (enum instance_state)i->r.state;
    bool changed = false;
    int rc;

    if (c->id)
        changed = set_text(t, &i->container_id, c->id);
    rc = set_addresses(t, i, c, &changed, err);
    if (rc < 0)
        return rc;
    instance_step((enum instance_state)i->r.state, event_of(c), &next);
    if ((int)next != i->r.state) {
        give_reason(t, i, c, asked);
        return instance_move(t, i, (int)next, err);
    }
    return changed ? txn_put(t, &i->r, err) : 0;
}

// --- a report ---

struct reading {
    const struct cluster_report *report;
    const struct cluster *cluster;
    bool *matched; // per container
    bool stale;    // some instance was passed over
};

static const struct container *find_container(struct reading *r, const struct instance *i)
{
    for (size_t n = 0; n < r->report->count; n++) {
        const struct container *c = &r->report->containers[n];

        if (i->container_id ? strcmp(i->container_id, c->id) == 0
                            : strcmp(i->r.name, c->name) == 0) {
            r->matched[n] = true;
            return c;
        }
    }
    return NULL;
}

// Its name may have been given to another container; that one is then adopted.
static void match_by_name(struct reading *r, const struct instance *i)
{
    for (size_t n = 0; n < r->report->count; n++) {
        if (strcmp(r->report->containers[n].name, i->r.name) == 0)
            r->matched[n] = true;
    }
}

static int read_instance(struct txn *t, struct reading *r, struct instance *i, struct error *err)
{
    static const struct container absent = {.state = CONTAINER_ABSENT};
    const struct container *c;
    int64_t wanted;
    int rc;

    if (i->r.state == INSTANCE_TERMINATED) {
        r->stale = r->stale || i->r.revision > r->report->as_of;
        return 0;
    }
    c = find_container(r, i);
    rc = outbox_pending(t, i->r.id, &wanted, err);
    if (rc != 0 || i->r.revision > r->report->as_of || (c && c->unsettled)) {
        r->stale = r->stale || rc == 0;
        match_by_name(r, i);
        return rc < 0 ? rc : 0;
    }
    if (!c && !i->container_id) // still waited for
        return 0;
    if (c && !i->container_id && c->state != CONTAINER_RUNNING)
        return 0; // made, but not started yet
    return follow(t, i, c ? c : &absent, false, err);
}

// --- adoption ---

struct zones {
    struct txn *txn;
    const char *cluster;
    const char *best;
    int64_t fewest;
};

static int count_in_zone(struct txn *t, const char *cluster, const char *zone, int64_t *out,
                         struct error *err)
{
    struct owner *owners;
    struct resource *r;
    size_t count;
    int rc = store_referrers(t->store, cluster, KIND_INSTANCE, t->arena, &owners, &count, err);

    *out = 0;
    for (size_t n = 0; rc == 0 && n < count; n++) {
        rc = txn_load(t, KIND_INSTANCE, 0, owners[n].id, &r, err);
        if (rc == 0 && r->state != INSTANCE_TERMINATED &&
            strcmp(((struct instance *)r)->zone, zone) == 0)
            (*out)++;
    }
    return rc;
}

static int compare_zone(void *context, const struct row *row, struct error *err)
{
    struct zones *z = context;
    int64_t count;
    int rc = count_in_zone(z->txn, z->cluster, row->id, &count, err);

    if (rc < 0 || (z->best && count >= z->fewest))
        return rc;
    z->best = arena_strdup(z->txn->arena, row->id);
    z->fewest = count;
    return 0;
}

// The zone with the fewest nodes of the cluster, the first of several.
static int choose_zone(struct txn *t, const char *cluster, struct zone **out, struct error *err)
{
    struct zones z = {.txn = t, .cluster = cluster};
    struct resource *r;
    int rc = store_each(t->store, KIND_ZONE, 0, compare_zone, &z, err);

    if (rc == 0 && !z.best)
        return error_set(err, ERROR_INVALID, "zone", "there is no zone to choose from");
    if (rc == 0)
        rc = txn_load(t, KIND_ZONE, 0, z.best, &r, err);
    if (rc == 0)
        *out = (struct zone *)r;
    return rc;
}

static int choose_type(struct txn *t, const char **out, struct error *err)
{
    static const char *const any[KIND_COLUMNS_MAX];
    struct row row;
    int rc = store_get_by_columns(t->store, KIND_INSTANCE_TYPE, 0, any, 0, t->arena, &row, err);

    if (rc == 1)
        *out = row.id;
    return rc == 0 ? error_set(err, ERROR_INVALID, "type", "there is no type to choose from")
                   : (rc < 0 ? rc : 0);
}

static int adopt(struct txn *t, const struct cluster *cluster, const struct container *c,
                 struct error *err)
{
    struct instance *i = (struct instance *)txn_new(t, KIND_INSTANCE, true, NULL);
    struct instance_spec spec = {
        .backend = BACKEND_DOCKER,
        .container = {.cluster = cluster->r.id, .role = c->role, .provision = PROVISION_ADOPT}};
    struct zone *zone = NULL;
    bool changed;
    int rc = choose_zone(t, cluster->r.id, &zone, err);

    if (rc == 0)
        rc = choose_type(t, &i->type, err);
    if (rc < 0 || !zone)
        return rc;
    i->zone = zone->r.id;
    i->region = zone->region;
    i->backend = BACKEND_DOCKER;
    rc = operation_head(t, &i->r, arena_strdup(t->arena, c->name), INSTANCE_DEAD, &spec.tags, err);
    if (rc == 0)
        rc = instance_container(t, i, &spec, err);
    if (rc == 0)
        rc = set_addresses(t, i, c, &changed, err);
    if (rc < 0)
        return rc;
    instance_enter(t, i, INSTANCE_PENDING);
    rc = txn_put(t, &i->r, err);
    if (rc == 0)
        rc = instance_want(t, i, -1, err);
    return rc < 0 ? rc : follow(t, i, c, false, err);
}

// A container that cannot be adopted (its name or an address is taken) must not keep the others
// from being: the cluster says why. What can fail does so before the first txn_put, which a
// savepoint of the store alone would not undo.
static int adopt_new(struct txn *t, struct reading *r, struct error *why, struct error *err)
{
    for (size_t n = 0; n < r->report->count; n++) {
        const struct container *c = &r->report->containers[n];
        struct error one = {0};

        if (r->matched[n] || c->state != CONTAINER_RUNNING || c->unsettled)
            continue;
        if (store_savepoint(t->store, err) < 0)
            return -(int)err->code;
        if (adopt(t, r->cluster, c, &one) < 0) {
            store_savepoint_rollback(t->store);
            error_set(why, one.code, one.field, "container %s: %s", c->name, one.message);
        } else if (store_savepoint_release(t->store, err) < 0) {
            return -(int)err->code;
        }
    }
    return 0;
}

// --- the cluster itself ---

static int update_cluster(struct txn *t, struct cluster *cluster, const struct cluster_report *r,
                          const struct error *why, struct error *err)
{
    int state =
        r->unreachable ? CLUSTER_UNREACHABLE : (r->count ? CLUSTER_ACTIVE : CLUSTER_WAITING);
    const char *message = r->unreachable ? r->unreachable : (why->code ? why->message : NULL);
    const char *code = r->unreachable ? "engine-unreachable" : (why->code ? "not-adopted" : NULL);
    bool changed = state != cluster->r.state;

    changed |= set_text(t, &cluster->r.reason_code, code);
    changed |= set_text(t, &cluster->r.reason_message, message);
    if (r->subnet_v4)
        changed |= set_text(t, &cluster->subnet_v4, r->subnet_v4);
    if (r->subnet_v6)
        changed |= set_text(t, &cluster->subnet_v6, r->subnet_v6);
    cluster->r.state = state;
    return changed ? txn_put(t, &cluster->r, err) : 0;
}

static int read_all(struct txn *t, struct reading *r, struct error *why, struct error *err)
{
    struct owner *owners;
    size_t count;
    int rc =
        store_referrers(t->store, r->cluster->r.id, KIND_INSTANCE, t->arena, &owners, &count, err);

    for (size_t n = 0; rc == 0 && n < count; n++) {
        struct resource *i;

        rc = txn_load(t, KIND_INSTANCE, 0, owners[n].id, &i, err);
        if (rc == 0)
            rc = read_instance(t, r, (struct instance *)i, err);
    }
    return rc < 0 || r->stale ? rc : adopt_new(t, r, why, err);
}

int cluster_observe(struct txn *t, struct change *c, struct error *err)
{
    const struct cluster_report *report = &c->request.report;
    struct reading r = {.report = report};
    struct resource *found;
    struct error why = {0};
    int rc = txn_find(t, KIND_CLUSTER, 0, report->cluster, &found, err);

    if (rc <= 0) // forgotten meanwhile
        return rc;
    r.cluster = (struct cluster *)found;
    r.matched = arena_alloc(t->arena, (report->count + 1) * sizeof(bool));
    t->project = found->project;
    t->project_name = found->project_name;
    rc = report->unreachable ? 0 : read_all(t, &r, &why, err);
    if (rc == 0)
        rc = update_cluster(t, (struct cluster *)found, report, &why, err);
    c->replayed = r.stale;
    return rc;
}

int cloud_report_cluster(struct cloud *cloud, const struct cluster_report *report, bool *out_stale,
                         struct error *err)
{
    struct change *c = change_new(cluster_observe, "backend.report");
    int rc;

    if (!c)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    c->cause = CAUSE_BACKEND;
    c->request.report = *report;
    rc = cloud_apply(cloud, c);
    if (rc < 0)
        error_set(err, c->error.code, c->error.field, "%s", c->error.message);
    else
        *out_stale = c->replayed;
    change_free(c);
    return rc;
}

// --- effects ---

static int say(struct txn *t, struct instance *i, const struct effect_report *e, struct error *err)
{
    bool changed = set_text(t, &i->r.reason_code, e->reason);

    changed |= set_text(t, &i->r.reason_message, e->message);
    return changed ? txn_put(t, &i->r, err) : 0;
}

static int give_up(struct txn *t, struct instance *i, const struct effect_report *e,
                   struct error *err)
{
    int rc = outbox_forget(t, i->r.id, err);

    if (rc < 0)
        return rc;
    i->r.reason_code = e->reason;
    i->r.reason_message = arena_strdup(t->arena, e->message);
    return instance_move(t, i, INSTANCE_ERROR, err);
}

int effect_observe(struct txn *t, struct change *c, struct error *err)
{
    const struct effect_report *e = &c->request.effect;
    struct resource *r;
    int64_t wanted;
    int rc = outbox_pending(t, e->effect->instance_id, &wanted, err);

    if (rc <= 0 || wanted != e->effect->revision) // something else is wanted by now
        return rc < 0 ? rc : 0;
    rc = txn_find(t, KIND_INSTANCE, 0, e->effect->instance_id, &r, err);
    if (rc == 0)
        return outbox_forget(t, e->effect->instance_id, err);
    if (rc < 0)
        return rc;
    t->project = r->project;
    t->project_name = r->project_name;
    if (e->failed)
        return give_up(t, (struct instance *)r, e, err);
    if (!e->container)
        return say(t, (struct instance *)r, e, err);
    rc = outbox_forget(t, r->id, err);
    return rc < 0 ? rc : follow(t, (struct instance *)r, e->container, true, err);
}

int instance_forget(struct txn *t, const char *id, struct error *err)
{
    struct resource *r = NULL;
    int rc = outbox_forget(t, id, err);

    if (rc == 0)
        rc = txn_load(t, KIND_INSTANCE, 0, id, &r, err);
    if (rc < 0 || !r || r->state == INSTANCE_TERMINATED)
        return rc;
    r->reason_code = "cluster-forgotten";
    r->reason_message = "Its cluster is no longer adopted; the container stays";
    return instance_move(t, (struct instance *)r, INSTANCE_TERMINATED, err);
}
