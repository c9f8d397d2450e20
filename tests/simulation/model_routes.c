#include "tests/simulation/model.h"

#include <stdio.h>
#include <string.h>

void model_check_route(const struct thing *x, json_t *document)
{
    json_t *hop = json_object_get(document, "next_hop");

    must_be(x, document, "network", x->network);
    must_be(x, document, "destination_cidr", x->cidr);
    must_be(x, hop, x->hop_is_address ? "address" : "instance_id", x->hop);
    must_be(x, hop, x->hop_is_address ? "instance_id" : "address", NULL);
}

// A route that is settled is active if and only if its hop takes packets.
static void settle(struct thing *x, bool hop_is_up)
{
    if (x->state == ROUTE_ACTIVE || x->state == ROUTE_BLACKHOLE)
        x->state = hop_is_up ? ROUTE_ACTIVE : ROUTE_BLACKHOLE;
}

static bool hop_is_up(const struct model *m, const struct thing *x)
{
    const struct thing *i;

    if (x->hop_is_address)
        return true;
    i = model_find(m, KIND_INSTANCE, x->project, x->hop);
    return i && i->state == INSTANCE_RUNNING;
}

static void move(struct model *m, struct thing *x, int state)
{
    bool gone = model_enter(m, x, state);

    settle(x, hop_is_up(m, x));
    if (gone)
        model_deleted(m, x);
    else
        model_written(m, x);
}

void model_route_due(struct model *m, struct thing *x)
{
    move(m, x, model_deadline_state(x));
}

void model_routes_follow(struct model *m, const struct thing *instance)
{
    for (size_t i = 0; i < m->things[KIND_ROUTE].count; i++) {
        struct thing *x = m->things[KIND_ROUTE].items[i];
        int before = x->state;

        if (x->hop_is_address || strcmp(x->hop, instance->id) != 0)
            continue;
        settle(x, instance->state == INSTANCE_RUNNING);
        if (x->state != before)
            model_written(m, x);
    }
}

static bool destination_taken(const struct model *m, const struct thing *x)
{
    for (size_t i = 0; i < m->things[KIND_ROUTE].count; i++) {
        const struct thing *other = m->things[KIND_ROUTE].items[i];
        if (other->project == x->project && other->state != ROUTE_DELETING &&
            strcmp(other->network, x->network) == 0 && strcmp(other->cidr, x->cidr) == 0)
            return true;
    }
    return false;
}

static enum error_code set_hop(const struct model *m, struct thing *x,
                               const struct route_spec *spec)
{
    const char *id = spec->next_hop_instance_id;

    if (!id && !spec->next_hop_address)
        return ERROR_INVALID;
    if (id && !model_find(m, KIND_INSTANCE, x->project, id))
        return ERROR_INVALID;
    x->hop_is_address = !id;
    snprintf(x->hop, sizeof(x->hop), "%s", id ? id : spec->next_hop_address);
    return ERROR_NONE;
}

enum error_code model_route_create(struct model *m, const struct change *c)
{
    const struct route_spec *spec = &c->request.route;
    struct thing *x = model_new(m, KIND_ROUTE, c, "rt");
    enum error_code code = model_head(m, x, spec->name, &spec->tags);

    snprintf(x->network, sizeof(x->network), "%s", spec->network ? spec->network : "default");
    snprintf(x->cidr, sizeof(x->cidr), "%s", spec->destination_cidr);
    if (code == ERROR_NONE && destination_taken(m, x))
        code = ERROR_EXISTS;
    if (code == ERROR_NONE)
        code = set_hop(m, x, spec);
    if (code == ERROR_NONE)
        code = model_quota_left(m, x->project, KIND_ROUTE, 1);
    if (code != ERROR_NONE)
        model_drop(x);
    else
        move(m, x, ROUTE_PENDING);
    return code;
}

static bool has_hop(const struct thing *x, const struct route_spec *spec)
{
    const char *given = spec->next_hop_instance_id;

    if (x->hop_is_address != !given)
        return false;
    return strcmp(x->hop, given ? given : spec->next_hop_address) == 0;
}

enum error_code model_route_update(struct model *m, const struct change *c)
{
    const struct route_spec *spec = &c->request.route;
    bool changed = false;
    struct thing *x, before;
    enum error_code code = model_load(m, KIND_ROUTE, c, &x);

    if (code != ERROR_NONE)
        return code;
    if (x->state == ROUTE_DELETING)
        return ERROR_STATE;
    before = *x;
    code = model_patch_head(m, x, spec->name, &spec->tags, &changed);
    if (code == ERROR_NONE && (spec->next_hop_instance_id || spec->next_hop_address) &&
        !has_hop(x, spec)) {
        code = set_hop(m, x, spec);
        settle(x, hop_is_up(m, x));
        changed = true;
    }
    if (code != ERROR_NONE)
        *x = before;
    else if (changed)
        model_written(m, x);
    return code;
}

enum error_code model_route_delete(struct model *m, const struct change *c)
{
    struct thing *x;
    enum error_code code = model_load(m, KIND_ROUTE, c, &x);

    if (code == ERROR_NONE && x->state != ROUTE_DELETING)
        move(m, x, ROUTE_DELETING);
    return code;
}
