// What can be done with routes.
#include "sim/operation.h"
#include "sim/route.h"

// --- moving ---

static enum route_event event_of(const struct instance *i)
{
    return i && i->r.state == INSTANCE_RUNNING ? ROUTE_UP : ROUTE_DOWN;
}

// How the next hop is right now.
static int observe(struct txn *t, const struct route *route, enum route_event *out,
                   struct error *err)
{
    struct resource *found = NULL;
    int rc;

    if (route->next_hop_address) {
        *out = ROUTE_UP;
        return 0;
    }
    rc = txn_find(t, KIND_INSTANCE, route->r.project, route->next_hop_instance_id, &found, err);
    if (rc < 0)
        return rc;
    *out = event_of((const struct instance *)found);
    return 0;
}

// Tells the route how its next hop is; returns whether its state has changed.
static bool tell(struct route *route, enum route_event event)
{
    enum route_state next;

    if (route_step((enum route_state)route->r.state, event, &next) < 0 ||
        (int)next == route->r.state)
        return false;
    route->r.state = (int)next;
    return true;
}

static int move(struct txn *t, struct route *route, int next, struct error *err)
{
    bool gone = operation_enter(t, &route_machine, &route->r, next);

    if (!gone && route->r.state == ROUTE_ACTIVE) {
        enum route_event event;
        int rc = observe(t, route, &event, err);

        if (rc < 0)
            return rc;
        tell(route, event);
    }
    return operation_write(t, &route->r, gone, err);
}

int route_due(struct txn *t, struct resource *r, struct error *err)
{
    int next = operation_due(t, &route_machine, r);

    if (next == r->state)
        return txn_put(t, r, err);
    return move(t, (struct route *)r, next, err);
}

static int follow(struct txn *t, const char *id, enum route_event event, struct error *err)
{
    struct resource *r;
    int rc = txn_load(t, KIND_ROUTE, 0, id, &r, err);

    if (rc < 0 || !tell((struct route *)r, event))
        return rc;
    return txn_put(t, r, err);
}

int route_instance_changed(struct txn *t, const struct instance *i, struct error *err)
{
    struct owner *owners;
    size_t count;
    int rc = store_referrers(t->store, i->r.id, KIND_ROUTE, t->arena, &owners, &count, err);

    for (size_t n = 0; rc == 0 && n < count; n++)
        rc = follow(t, owners[n].id, event_of(i), err);
    return rc;
}

// --- create ---

static int check_destination(struct txn *t, const struct route *route, struct error *err)
{
    const char *columns[KIND_COLUMNS_MAX] = {route->network, route->destination_cidr};
    struct row row;
    int rc = store_get_by_columns(t->store, KIND_ROUTE, route->r.project, columns, ROUTE_DEAD,
                                  t->arena, &row, err);

    if (rc > 0)
        return error_set(err, ERROR_EXISTS, "destination_cidr",
                         "route %s has the destination %s in network %s already", row.id,
                         route->destination_cidr, route->network);
    return rc;
}

// Points the route to the next hop of the request: an address, or an instance that exists.
static int set_next_hop(struct txn *t, struct route *route, const struct route_spec *spec,
                        struct error *err)
{
    const char *id = spec->next_hop_instance_id;
    struct resource *found;

    if (!id && !spec->next_hop_address)
        return error_set(err, ERROR_INVALID, "next_hop", "a route needs a next hop");
    if (id) {
        int rc = txn_find(t, KIND_INSTANCE, route->r.project, id, &found, err);

        if (rc < 0)
            return rc;
        if (rc == 0)
            return error_set(err, ERROR_INVALID, "next_hop.instance_id",
                             "instance %s does not exist", id);
    }
    route->next_hop_instance_id = id;
    route->next_hop_address = spec->next_hop_address;
    return 0;
}

int route_create(struct txn *t, struct change *c, struct error *err)
{
    const struct route_spec *spec = &c->request.route;
    struct route *route = (struct route *)txn_new(t, KIND_ROUTE, true, NULL);
    int rc;

    route->network = spec->network ? spec->network : "default";
    route->destination_cidr = spec->destination_cidr;
    rc = operation_head(t, &route->r, spec->name, ROUTE_DEAD, &spec->tags, err);
    if (rc == 0)
        rc = check_destination(t, route, err);
    if (rc == 0)
        rc = set_next_hop(t, route, spec, err);
    if (rc == 0)
        rc = move(t, route, ROUTE_PENDING, err);
    if (rc == 0)
        change_answer(t, c, &route->r);
    return rc;
}

// --- update ---

static bool has_next_hop(const struct route *route, const struct route_spec *spec)
{
    return operation_same(route->next_hop_instance_id, spec->next_hop_instance_id) &&
           operation_same(route->next_hop_address, spec->next_hop_address);
}

static int patch_next_hop(struct txn *t, struct route *route, const struct route_spec *spec,
                          bool *changed, struct error *err)
{
    bool is_given = spec->next_hop_instance_id || spec->next_hop_address;
    enum route_event event;
    int rc;

    if (!is_given || has_next_hop(route, spec))
        return 0;
    rc = set_next_hop(t, route, spec, err);
    if (rc == 0)
        rc = observe(t, route, &event, err);
    if (rc < 0)
        return rc;
    tell(route, event);
    *changed = true;
    return 0;
}

int route_update(struct txn *t, struct change *c, struct error *err)
{
    const struct route_spec *spec = &c->request.route;
    enum route_state next;
    struct resource *r;
    bool changed = false;
    int rc = operation_load(t, c, KIND_ROUTE, &r, err);

    if (rc < 0)
        return rc;
    if (route_step((enum route_state)r->state, ROUTE_UPDATE, &next) < 0)
        return operation_refuse(&route_machine, r, err);
    rc = operation_patch_head(t, r, spec->name, ROUTE_DEAD, &spec->tags, &changed, err);
    if (rc == 0)
        rc = patch_next_hop(t, (struct route *)r, spec, &changed, err);
    if (rc == 0 && changed)
        rc = txn_put(t, r, err);
    if (rc == 0)
        change_answer(t, c, r);
    return rc;
}

// --- delete ---

int route_delete(struct txn *t, struct change *c, struct error *err)
{
    enum route_state next;
    struct resource *r;
    int rc = operation_load(t, c, KIND_ROUTE, &r, err);

    if (rc < 0)
        return rc;
    if (route_step((enum route_state)r->state, ROUTE_DELETE, &next) < 0)
        return operation_refuse(&route_machine, r, err);
    if ((int)next != r->state)
        rc = move(t, (struct route *)r, (int)next, err);
    if (rc == 0)
        change_answer(t, c, r);
    return rc;
}
