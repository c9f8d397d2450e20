// What can be done with load balancers.
#include "sim/load_balancer.h"
#include "sim/names.h"
#include "sim/operation.h"

#include <string.h>

// --- moving ---

static int move(struct txn *t, struct load_balancer *lb, int next, struct error *err)
{
    bool gone = operation_enter(t, &load_balancer_machine, &lb->r, next);
    int rc = operation_write(t, &lb->r, gone, err);

    if (rc < 0 || !gone)
        return rc;
    rc = load_balancer_addresses_release(t, lb, err);
    return rc < 0 ? rc : load_balancer_addresses_bind(t, lb, NULL, err);
}

int load_balancer_remove(struct txn *t, struct resource *r, struct error *err)
{
    int rc = load_balancer_addresses_release(t, (struct load_balancer *)r, err);

    return rc < 0 ? rc : txn_delete(t, r, err);
}

int load_balancer_due(struct txn *t, struct resource *r, struct error *err)
{
    int next = operation_due(t, &load_balancer_machine, r);

    if (next == r->state)
        return txn_put(t, r, err);
    return move(t, (struct load_balancer *)r, next, err);
}

// --- create ---

static void take_listeners(struct load_balancer *lb, struct txn *t,
                           const struct listener *listeners, size_t count)
{
    lb->listeners = arena_alloc(t->arena, (count + 1) * sizeof(*lb->listeners));
    if (count > 0)
        memcpy(lb->listeners, listeners, count * sizeof(*listeners));
    lb->listener_count = count;
}

static int build(struct txn *t, struct load_balancer *lb, const struct load_balancer_spec *spec,
                 struct error *err)
{
    int rc = operation_head(t, &lb->r, spec->name, 0, &spec->tags, err);

    if (rc == 0)
        rc = load_balancer_check_listeners(t, lb, spec->listeners, spec->listener_count, err);
    if (rc < 0)
        return rc;
    take_listeners(lb, t, spec->listeners, spec->listener_count);
    lb->scheme = spec->scheme;
    lb->hostname = spec->hostname;
    lb->source_ranges = spec->source_ranges;
    lb->source_range_count = spec->source_range_count;
    return load_balancer_addresses_assign(t, lb, spec, err);
}

int load_balancer_create(struct txn *t, struct change *c, struct error *err)
{
    struct load_balancer *lb = (struct load_balancer *)txn_new(t, KIND_LOAD_BALANCER, true, NULL);
    int rc = build(t, lb, &c->request.load_balancer, err);

    if (rc == 0)
        rc = move(t, lb, LB_PROVISIONING, err);
    if (rc == 0)
        rc = load_balancer_addresses_bind(t, lb, lb->r.id, err);
    if (rc == 0)
        change_answer(t, c, &lb->r);
    return rc;
}

// --- update ---

// Loads the load balancer of a change of its configuration; refused unless it is at rest or
// updating.
static int load_for_update(struct txn *t, const struct change *c, struct load_balancer **out,
                           struct error *err)
{
    enum load_balancer_state next;
    struct resource *r;
    int rc = operation_load(t, c, KIND_LOAD_BALANCER, &r, err);

    if (rc < 0)
        return rc;
    *out = (struct load_balancer *)r;
    if (load_balancer_step((enum load_balancer_state)r->state, LB_UPDATE, &next) < 0)
        return operation_refuse(&load_balancer_machine, r, err);
    return 0;
}

// Its listeners or ranges have changed: that takes a while.
static int reconfigure(struct txn *t, struct change *c, struct load_balancer *lb, struct error *err)
{
    int rc;

    lb->r.reason_code = lb->r.reason_message = NULL;
    rc = move(t, lb, LB_UPDATING, err);
    if (rc == 0)
        change_answer(t, c, &lb->r);
    return rc;
}

static bool same_listener(const struct listener *a, const struct listener *b)
{
    return a->protocol == b->protocol && a->port == b->port &&
           strcmp(a->target_pool_id, b->target_pool_id) == 0 && a->target_port == b->target_port &&
           a->proxy_protocol == b->proxy_protocol && a->idle_timeout_s == b->idle_timeout_s &&
           a->session_affinity == b->session_affinity &&
           a->session_affinity_timeout_s == b->session_affinity_timeout_s;
}

static bool listeners_differ(const struct load_balancer *lb, const struct load_balancer_spec *spec)
{
    if (lb->listener_count != spec->listener_count)
        return true;
    for (size_t n = 0; n < spec->listener_count; n++) {
        if (!same_listener(&lb->listeners[n], &spec->listeners[n]))
            return true;
    }
    return false;
}

// One that has failed starts over with those that it has, too: nothing else would repair it.
static int patch_listeners(struct txn *t, struct load_balancer *lb,
                           const struct load_balancer_spec *spec, bool *changed, struct error *err)
{
    int rc;

    if (!spec->has_listeners || (lb->r.state != LB_ERROR && !listeners_differ(lb, spec)))
        return 0;
    rc = load_balancer_check_listeners(t, lb, spec->listeners, spec->listener_count, err);
    if (rc < 0)
        return rc;
    take_listeners(lb, t, spec->listeners, spec->listener_count);
    *changed = true;
    return 0;
}

static bool ranges_differ(const struct load_balancer *lb, const struct load_balancer_spec *spec)
{
    if (lb->source_range_count != spec->source_range_count)
        return true;
    for (size_t n = 0; n < spec->source_range_count; n++) {
        if (strcmp(lb->source_ranges[n], spec->source_ranges[n]) != 0)
            return true;
    }
    return false;
}

static void patch_ranges(struct load_balancer *lb, const struct load_balancer_spec *spec,
                         bool *changed)
{
    if (!spec->has_source_ranges || !ranges_differ(lb, spec))
        return;
    lb->source_ranges = spec->source_ranges;
    lb->source_range_count = spec->source_range_count;
    *changed = true;
}

int load_balancer_update(struct txn *t, struct change *c, struct error *err)
{
    const struct load_balancer_spec *spec = &c->request.load_balancer;
    bool relabelled = false, reconfigured = false;
    struct load_balancer *lb;
    int rc = load_for_update(t, c, &lb, err);

    if (rc == 0)
        rc = operation_patch_head(t, &lb->r, spec->name, 0, &spec->tags, &relabelled, err);
    if (rc == 0)
        rc = patch_listeners(t, lb, spec, &reconfigured, err);
    if (rc < 0)
        return rc;
    patch_ranges(lb, spec, &reconfigured);
    if (reconfigured)
        return reconfigure(t, c, lb, err);
    if (relabelled)
        rc = txn_put(t, &lb->r, err);
    if (rc == 0)
        change_answer(t, c, &lb->r);
    return rc;
}

// --- listeners one by one ---

static int check_added(struct txn *t, const struct load_balancer *lb, const struct listener *added,
                       struct error *err)
{
    struct error why = {0};
    int rc;

    if (load_balancer_find_listener(lb, added->protocol, added->port) < lb->listener_count)
        return error_set(err, ERROR_EXISTS, "port", "load balancer %s has a listener %s:%d already",
                         lb->r.id, protocol_names[added->protocol], added->port);
    if (lb->listener_count >= LISTENERS_MAX)
        return error_set(err, ERROR_EXHAUSTED, NULL, "load balancer %s has %d listeners already",
                         lb->r.id, LISTENERS_MAX);
    rc = load_balancer_check_listeners(t, lb, added, 1, &why);
    if (rc < 0) { // the body is the listener itself
        const char *dot = strchr(why.field, '.');

        return error_set(err, why.code, dot ? dot + 1 : why.field, "%s", why.message);
    }
    return 0;
}

int load_balancer_add_listener(struct txn *t, struct change *c, struct error *err)
{
    const struct listener *added = c->request.load_balancer.listeners;
    struct load_balancer *lb;
    int rc = load_for_update(t, c, &lb, err);

    if (rc == 0)
        rc = check_added(t, lb, added, err);
    if (rc < 0)
        return rc;
    take_listeners(lb, t, lb->listeners, lb->listener_count);
    lb->listeners[lb->listener_count++] = *added;
    return reconfigure(t, c, lb, err);
}

int load_balancer_remove_listener(struct txn *t, struct change *c, struct error *err)
{
    enum protocol protocol = c->request.listener.protocol;
    int port = c->request.listener.port;
    struct load_balancer *lb;
    size_t at;
    int rc = load_for_update(t, c, &lb, err);

    if (rc < 0)
        return rc;
    at = load_balancer_find_listener(lb, protocol, port);
    if (at == lb->listener_count)
        return error_set(err, ERROR_NOT_FOUND, NULL, "load balancer %s has no listener %s:%d",
                         lb->r.id, protocol_names[protocol], port);
    lb->listener_count--;
    memmove(&lb->listeners[at], &lb->listeners[at + 1],
            (lb->listener_count - at) * sizeof(*lb->listeners));
    return reconfigure(t, c, lb, err);
}

// --- delete ---

int load_balancer_delete(struct txn *t, struct change *c, struct error *err)
{
    enum load_balancer_state next;
    struct resource *r;
    int rc = operation_load(t, c, KIND_LOAD_BALANCER, &r, err);

    if (rc < 0)
        return rc;
    if (load_balancer_step((enum load_balancer_state)r->state, LB_DELETE, &next) < 0)
        return operation_refuse(&load_balancer_machine, r, err);
    if ((int)next != r->state)
        rc = move(t, (struct load_balancer *)r, (int)next, err);
    if (rc == 0)
        change_answer(t, c, r);
    return rc;
}
