// What can be done with instances.
#include "sim/fault_cloud.h"
#include "sim/notice.h"
#include "sim/operation.h"

#include <stdio.h>
#include <string.h>

// --- moving ---

static int tell_dependents(struct txn *t, const struct instance *i, struct error *err)
{
    int rc = route_instance_changed(t, i, err);

    return rc < 0 ? rc : target_pool_instance_changed(t, i, err);
}

// The state's own deadline beside those of the notices.
bool instance_enter(struct txn *t, struct instance *i, int next)
{
    bool gone = instance_enter_state(t, i, next);

    i->due_ns = i->r.transition_ns;
    notices_follow(i, t->now_ns);
    notices_reschedule(i);
    return gone;
}

int instance_move(struct txn *t, struct instance *i, int next, struct error *err)
{
    int before = i->r.state;
    bool gone = instance_enter(t, i, next);
    int rc;

    if (i->r.state == INSTANCE_TERMINATED && before != INSTANCE_TERMINATED) {
        rc = instance_addresses_release(t, i, err);
        if (rc < 0)
            return rc;
    }
    rc = operation_write(t, &i->r, gone, err);
    if (rc == 0)
        rc = instance_want(t, i, before, err);
    if (rc < 0 || i->r.state == before)
        return rc;
    return tell_dependents(t, i, err);
}

int instance_due(struct txn *t, struct resource *r, struct error *err)
{
    struct instance *i = (struct instance *)r;
    int next, rc;

    if (i->due_ns == 0 || i->due_ns > t->now_ns)
        return notice_fire(t, i, err);
    rc = instance_overdue(t, i, &next, err);
    if (rc < 0)
        return rc;
    if (next != r->state)
        return instance_move(t, i, next, err);
    i->due_ns = r->transition_ns; // a fault rule holds it
    notices_reschedule(i);
    return txn_put(t, r, err);
}

static void give_reason(struct resource *r, enum instance_event event)
{
    static const char *const messages[INSTANCE_EVENTS] = {
        [INSTANCE_STOP] = "Stopped by request",
        [INSTANCE_TERMINATE] = "Terminated by request",
    };

    r->reason_code = messages[event] ? "user-request" : NULL;
    r->reason_message = messages[event];
}

// --- create ---

// The first one that is in none of these states; *out is kept when there is none. Three-way.
static int first_id(struct txn *t, enum kind kind, uint32_t not_states, const char **out,
                    struct error *err)
{
    static const char *const any[KIND_COLUMNS_MAX];
    struct row row;
    int rc = store_get_by_columns(t->store, kind, 0, any, not_states, t->arena, &row, err);

    if (rc > 0)
        *out = row.id;
    return rc;
}

// The zone or instance type of this name; NULL: the first.
static int find_catalogued(struct txn *t, enum kind kind, const char *field, const char *name,
                           struct resource **out, struct error *err)
{
    int rc = name ? 1 : first_id(t, kind, 0, &name, err);

    if (rc == 0)
        return error_set(err, ERROR_INVALID, field, "there is no %s to choose from", field);
    if (rc > 0)
        rc = txn_find(t, kind, 0, name, out, err);
    if (rc == 0)
        return error_set(err, ERROR_INVALID, field, "%s %s does not exist", field, name);
    return rc < 0 ? rc : 0;
}

// The first zone that is open to the project; *out is kept when there is none.
static int first_open_zone(struct txn *t, const char **out, struct error *err)
{
    const struct store_match open = {.kind = KIND_ZONE, .states = 1U << ZONE_AVAILABLE};
    const char **ids;
    size_t count = 0;
    int rc;

    if (!fault_any(t->cloud)) { // the usual case needs no list
        rc = first_id(t, KIND_ZONE, ~(1U << ZONE_AVAILABLE), out, err);
        return rc < 0 ? rc : 0;
    }
    rc = store_match_ids(t->store, &open, t->arena, &ids, &count, err);
    for (size_t n = 0; rc == 0 && n < count; n++)
        if (!fault_zone_is_down(t, ids[n])) {
            *out = ids[n];
            break;
        }
    return rc;
}

// Where nobody has said where; when all zones are down, the first one refuses.
static int find_zone(struct txn *t, const char *name, struct resource **out, struct error *err)
{
    int rc = name ? 0 : first_open_zone(t, &name, err);

    return rc < 0 ? rc : find_catalogued(t, KIND_ZONE, "zone", name, out, err);
}

static int check_open(const struct resource *zone, struct error *err)
{
    if (zone->state != ZONE_AVAILABLE)
        return error_set(err, ERROR_ZONE_UNAVAILABLE, "zone", "zone %s is unavailable", zone->id);
    return 0;
}

static int create_one(struct txn *t, const struct instance_spec *spec, const char *name,
                      const struct zone *zone, const struct resource *type, struct instance **out,
                      struct error *err)
{
    struct instance *i = (struct instance *)txn_new(t, KIND_INSTANCE, true, NULL);
    bool gone;
    int rc;

    i->zone = zone->r.id;
    i->region = zone->region;
    i->type = type->id;
    i->lifecycle = spec->lifecycle;
    i->backend = spec->backend;
    rc = operation_head(t, &i->r, name, INSTANCE_DEAD, &spec->tags, err);
    if (rc == 0)
        rc = check_open(&zone->r, err); // after the fault rules, which count whom they refuse
    if (rc == 0)
        rc = spec->backend == BACKEND_DOCKER ? instance_container(t, i, spec, err)
                                             : instance_addresses_assign(t, i, spec, err);
    if (rc < 0)
        return rc;
    gone = instance_enter(t, i, INSTANCE_PENDING);
    *out = i;
    rc = operation_write(t, &i->r, gone, err); // nobody can refer to it yet
    return rc < 0 ? rc : instance_want(t, i, -1, err);
}

#define NAME_MAX_LENGTH 253

static int create_many(struct txn *t, struct change *c, const struct zone *zone,
                       const struct resource *type, struct error *err)
{
    const struct instance_spec *spec = &c->request.instance;

    if (spec->has_addresses)
        return error_set(err, ERROR_INVALID, "addresses", "addresses cannot be given with count");
    for (int n = 1; n <= spec->count; n++) {
        const char *name = spec->name ? arena_printf(t->arena, "%s-%d", spec->name, n) : NULL;
        struct instance *i;
        int rc;

        if (name && strlen(name) > NAME_MAX_LENGTH)
            return error_set(err, ERROR_INVALID, "name", "name with \"-%d\" is longer than %d", n,
                             NAME_MAX_LENGTH);
        rc = create_one(t, spec, name, zone, type, &i, err);
        if (rc < 0)
            return rc;
        change_answer(t, c, &i->r);
    }
    return 0;
}

int instance_create(struct txn *t, struct change *c, struct error *err)
{
    const struct instance_spec *spec = &c->request.instance;
    struct resource *zone, *type;
    struct instance *i;
    int rc;

    rc = find_zone(t, spec->zone, &zone, err);
    if (rc == 0)
        rc = find_catalogued(t, KIND_INSTANCE_TYPE, "type", spec->type, &type, err);
    if (rc < 0)
        return rc;
    if (spec->count > 0)
        return create_many(t, c, (struct zone *)zone, type, err);
    rc = create_one(t, spec, spec->name, (struct zone *)zone, type, &i, err);
    if (rc == 0)
        change_answer(t, c, &i->r);
    return rc;
}

// --- update ---

static int change_type(struct txn *t, struct instance *i, const char *name, bool *changed,
                       struct error *err)
{
    struct resource *type;
    int rc;

    if (!name || strcmp(name, i->type) == 0)
        return 0;
    rc = find_catalogued(t, KIND_INSTANCE_TYPE, "type", name, &type, err);
    if (rc < 0)
        return rc;
    if (i->r.state != INSTANCE_STOPPED)
        return error_set(err, ERROR_STATE, "type",
                         "instance %s is %s; its type can be changed while it is stopped", i->r.id,
                         instance_machine.state_names[i->r.state]);
    i->type = type->id;
    *changed = true;
    return 0;
}

static int patch(struct txn *t, struct instance *i, const struct instance_spec *spec, bool *changed,
                 struct error *err)
{
    int rc = operation_patch_head(t, &i->r, spec->name, INSTANCE_DEAD, &spec->tags, changed, err);

    if (rc == 0)
        rc = change_type(t, i, spec->type, changed, err);
    if (rc == 0 && spec->has_addresses)
        rc = instance_addresses_replace(t, i, spec, changed, err);
    return rc;
}

int instance_update(struct txn *t, struct change *c, struct error *err)
{
    struct resource *r;
    bool changed = false;
    int rc = operation_load(t, c, KIND_INSTANCE, &r, err);

    if (rc < 0)
        return rc;
    if (r->state == INSTANCE_TERMINATED) // it holds neither name nor addresses any more
        return operation_refuse(&instance_machine, r, err);
    rc = patch(t, (struct instance *)r, &c->request.instance, &changed, err);
    if (rc == 0 && changed)
        rc = txn_put(t, r, err);
    if (rc == 0)
        change_answer(t, c, r);
    return rc;
}

// --- actions ---

// Whether it may be started.
static int admit(struct txn *t, const struct instance *i, struct error *err)
{
    struct resource *zone = NULL;
    int rc = fault_admit(t, &i->r, err);

    if (rc == 0)
        rc = find_catalogued(t, KIND_ZONE, "zone", i->zone, &zone, err);
    return rc < 0 || !zone ? rc : check_open(zone, err);
}

static int act(struct txn *t, struct change *c, enum instance_event event, struct error *err)
{
    enum instance_state next;
    struct resource *r;
    int rc = operation_load(t, c, KIND_INSTANCE, &r, err);

    if (rc < 0)
        return rc;
    if (instance_step((enum instance_state)r->state, event, &next) < 0)
        return operation_refuse(&instance_machine, r, err);
    if ((int)next != r->state) {
        if (event == INSTANCE_START)
            rc = admit(t, (struct instance *)r, err);
        if (event == INSTANCE_STOP || event == INSTANCE_TERMINATE)
            rc = instance_may_go_down(t, (struct instance *)r, c->request.action.force, err);
        if (rc < 0)
            return rc;
        give_reason(r, event);
        rc = instance_move(t, (struct instance *)r, (int)next, err);
    }
    if (rc == 0)
        change_answer(t, c, r);
    return rc;
}

int instance_start(struct txn *t, struct change *c, struct error *err)
{
    return act(t, c, INSTANCE_START, err);
}

int instance_stop(struct txn *t, struct change *c, struct error *err)
{
    return act(t, c, INSTANCE_STOP, err);
}

int instance_reboot(struct txn *t, struct change *c, struct error *err)
{
    return act(t, c, INSTANCE_REBOOT, err);
}

int instance_terminate(struct txn *t, struct change *c, struct error *err)
{
    return act(t, c, INSTANCE_TERMINATE, err);
}
