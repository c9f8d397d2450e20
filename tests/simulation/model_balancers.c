// Load balancers and the reserved addresses that they may use.
#include "sim/names.h"
#include "tests/simulation/model.h"

#include <stdio.h>
#include <string.h>

enum { POOL_FOR_V4 = 4, POOL_FOR_V6 = 5 };

static int pool_for(enum ip_family family)
{
    return family == IP_V6 ? POOL_FOR_V6 : POOL_FOR_V4;
}

// --- reserved addresses ---

void model_check_address(const struct thing *x, json_t *document)
{
    char text[IP_TEXT_MAX];

    ip_format(&x->ips[0], text);
    must_be(x, document, "address", text);
    must_be(x, document, "scheme", scheme_names[x->scheme]);
    must_be(x, document, "load_balancer_id", x->user[0] ? x->user : NULL);
}

enum error_code model_address_create(struct model *m, const struct change *c)
{
    const struct address_spec_reserved *spec = &c->request.address;
    struct thing *x = model_new(m, KIND_ADDRESS, c, "addr");
    int pool = pool_for(spec->has_ip ? spec->ip.family : spec->family);
    enum error_code code = model_head(m, x, spec->name, &spec->tags);

    x->scheme = spec->scheme;
    if (code == ERROR_NONE && !spec->has_ip && model_free_ips(m, pool) == 0)
        code = ERROR_EXHAUSTED;
    else if (code == ERROR_NONE && !spec->has_ip)
        model_allocate(m, x, pool);
    else if (code == ERROR_NONE && spec->family && spec->ip.family != spec->family)
        code = ERROR_INVALID;
    else if (code == ERROR_NONE && !cidr_contains(&m->pools[pool], &spec->ip))
        code = ERROR_INVALID;
    else if (code == ERROR_NONE && !model_claim(m, x, &spec->ip))
        code = ERROR_IN_USE;
    if (code == ERROR_NONE)
        code = model_quota_left(m, x->project, KIND_ADDRESS, 1);
    if (code != ERROR_NONE)
        model_drop(x);
    else
        model_written(m, x);
    return code;
}

enum error_code model_address_update(struct model *m, const struct change *c)
{
    const struct address_spec_reserved *spec = &c->request.address;
    bool changed = false;
    struct thing *x;
    enum error_code code = model_load(m, KIND_ADDRESS, c, &x);

    if (code == ERROR_NONE)
        code = model_patch_head(m, x, spec->name, &spec->tags, &changed);
    if (code == ERROR_NONE && changed)
        model_written(m, x);
    return code;
}

enum error_code model_address_delete(struct model *m, const struct change *c)
{
    struct thing *x;
    enum error_code code = model_load(m, KIND_ADDRESS, c, &x);

    if (code == ERROR_NONE && x->user[0])
        return ERROR_IN_USE;
    if (code == ERROR_NONE)
        model_deleted(m, x);
    return code;
}

// Tells the reserved addresses of the load balancer who uses them now.
static void bind(struct model *m, const struct thing *lb, const char *user)
{
    for (int n = 0; n < lb->address_id_count; n++) {
        struct thing *a = model_find(m, KIND_ADDRESS, lb->project, lb->address_ids[n]);

        if (!a)
            violated("load balancer %s uses address %s, which is gone", lb->id, lb->address_ids[n]);
        snprintf(a->user, sizeof(a->user), "%s", user);
        model_written(m, a);
    }
}

// --- load balancers ---

static void check_listeners(const struct thing *x, json_t *list)
{
    if (json_array_size(list) != (size_t)x->listener_count)
        violated("load balancer %s has %zu listeners, must have %d", x->id, json_array_size(list),
                 x->listener_count);
    for (int n = 0; n < x->listener_count; n++) {
        json_t *listener = json_array_get(list, (size_t)n);

        must_be(x, listener, "protocol", protocol_names[x->listeners[n].protocol]);
        must_be_int(x, listener, "port", x->listeners[n].port);
        must_be_int(x, listener, "target_port", x->listeners[n].target_port);
        must_be(x, listener, "target_pool_id", x->listeners[n].pool);
    }
}

void model_check_balancer(const struct thing *x, json_t *document)
{
    json_t *list = json_object_get(document, "addresses");
    int allocated = 0;

    check_listeners(x, json_object_get(document, "listeners"));
    if (json_array_size(json_object_get(document, "source_ranges")) != (size_t)x->ranges)
        violated("load balancer %s has not %d source ranges", x->id, x->ranges);
    if (json_array_size(list) != (size_t)(x->ip_count + x->address_id_count))
        violated("load balancer %s has %zu addresses", x->id, json_array_size(list));
    for (size_t n = 0; n < json_array_size(list); n++) {
        json_t *a = json_array_get(list, n);
        char text[IP_TEXT_MAX];

        if (n < (size_t)x->address_id_count) {
            must_be(x, a, "address_id", x->address_ids[n]);
            continue;
        }
        ip_format(&x->ips[allocated++], text);
        must_be(x, a, "address", text);
    }
}

static void move(struct model *m, struct thing *x, int state)
{
    bool gone = model_enter(m, x, state);
    struct thing after = *x;

    if (!gone) {
        model_written(m, x);
        return;
    }
    model_deleted(m, x);
    bind(m, &after, "");
}

void model_balancer_due(struct model *m, struct thing *x)
{
    move(m, x, model_deadline_state(x));
}

static bool uses(const struct thing *x, const char *pool)
{
    for (int n = 0; n < x->listener_count; n++) {
        if (strcmp(x->listeners[n].pool, pool) == 0)
            return true;
    }
    return false;
}

static enum error_code check_new_listeners(const struct model *m, const struct thing *x,
                                           const struct listener *list, size_t count)
{
    for (size_t n = 0; n < count; n++) {
        for (size_t o = 0; o < n; o++) {
            if (list[o].protocol == list[n].protocol && list[o].port == list[n].port)
                return ERROR_INVALID;
        }
        if (!uses(x, list[n].target_pool_id) &&
            !model_find(m, KIND_TARGET_POOL, x->project, list[n].target_pool_id))
            return ERROR_INVALID;
    }
    return ERROR_NONE;
}

static void add_listener(struct thing *x, const struct listener *l)
{
    struct listener_of_model *mine = &x->listeners[x->listener_count];

    if (x->listener_count++ == LISTENERS_OF_MODEL)
        violated("the model has no room for another listener of %s", x->id);
    mine->protocol = l->protocol;
    mine->port = l->port;
    mine->target_port = l->target_port;
    snprintf(mine->pool, sizeof(mine->pool), "%s", l->target_pool_id);
}

static void take_listeners(struct thing *x, const struct load_balancer_spec *spec)
{
    x->listener_count = 0;
    for (size_t n = 0; n < spec->listener_count; n++)
        add_listener(x, &spec->listeners[n]);
}

static enum error_code take_reserved(struct model *m, struct thing *x, const char *id,
                                     bool *has_family)
{
    const struct thing *a = model_find(m, KIND_ADDRESS, x->project, id);

    if (!a)
        return ERROR_INVALID;
    if (a->user[0])
        return ERROR_IN_USE;
    if (a->scheme != x->scheme || has_family[a->ips[0].family == IP_V6])
        return ERROR_INVALID;
    has_family[a->ips[0].family == IP_V6] = true;
    snprintf(x->address_ids[x->address_id_count++], NAME_SIZE, "%s", id);
    return ERROR_NONE;
}

static enum error_code assign(struct model *m, struct thing *x,
                              const struct load_balancer_spec *spec)
{
    static const enum ip_family v4_alone[] = {IP_V4};
    const enum ip_family *families = spec->family_count ? spec->families : v4_alone;
    size_t count = spec->address_id_count ? 0 : spec->family_count ? spec->family_count : 1;
    bool has_family[2] = {false, false};
    enum error_code code = ERROR_NONE;

    for (size_t n = 0; code == ERROR_NONE && n < spec->address_id_count; n++)
        code = take_reserved(m, x, spec->address_ids[n], has_family);
    for (size_t n = 0; code == ERROR_NONE && n < count; n++) {
        if (model_free_ips(m, pool_for(families[n])) == 0)
            return ERROR_EXHAUSTED;
    }
    for (size_t n = 0; code == ERROR_NONE && n < count; n++)
        model_allocate(m, x, pool_for(families[n]));
    return code;
}

enum error_code model_balancer_create(struct model *m, const struct change *c)
{
    const struct load_balancer_spec *spec = &c->request.load_balancer;
    struct thing *x = model_new(m, KIND_LOAD_BALANCER, c, "lb");
    enum error_code code = model_head(m, x, spec->name, &spec->tags);

    if (code == ERROR_NONE)
        code = check_new_listeners(m, x, spec->listeners, spec->listener_count);
    x->scheme = spec->scheme;
    if (code == ERROR_NONE)
        code = assign(m, x, spec);
    if (code == ERROR_NONE)
        code = model_quota_left(m, x->project, KIND_LOAD_BALANCER, 1);
    if (code != ERROR_NONE) {
        model_drop(x);
        return code;
    }
    take_listeners(x, spec);
    x->ranges = (int)spec->source_range_count;
    move(m, x, LB_PROVISIONING);
    bind(m, x, x->id);
    return ERROR_NONE;
}

static enum error_code load_for_update(struct model *m, const struct change *c, struct thing **out)
{
    enum error_code code = model_load(m, KIND_LOAD_BALANCER, c, out);

    if (code == ERROR_NONE && ((*out)->state == LB_PROVISIONING || (*out)->state == LB_DELETING))
        return ERROR_STATE;
    return code;
}

static bool listeners_differ(const struct thing *x, const struct load_balancer_spec *spec)
{
    if ((size_t)x->listener_count != spec->listener_count)
        return true;
    for (int n = 0; n < x->listener_count; n++) {
        const struct listener_of_model *mine = &x->listeners[n];
        const struct listener *given = &spec->listeners[n];

        if (mine->protocol != given->protocol || mine->port != given->port ||
            mine->target_port != given->target_port ||
            strcmp(mine->pool, given->target_pool_id) != 0)
            return true;
    }
    return false;
}

enum error_code model_balancer_update(struct model *m, const struct change *c)
{
    const struct load_balancer_spec *spec = &c->request.load_balancer;
    bool relabelled = false, reconfigured = false;
    struct thing *x, before;
    enum error_code code = load_for_update(m, c, &x);

    if (code != ERROR_NONE)
        return code;
    before = *x;
    code = model_patch_head(m, x, spec->name, &spec->tags, &relabelled);
    if (code == ERROR_NONE && spec->has_listeners &&
        (x->state == LB_ERROR || listeners_differ(x, spec))) {
        code = check_new_listeners(m, x, spec->listeners, spec->listener_count);
        if (code == ERROR_NONE)
            take_listeners(x, spec);
        reconfigured = true;
    }
    if (code != ERROR_NONE) {
        *x = before;
        return code;
    }
    if (spec->has_source_ranges && x->ranges != (int)spec->source_range_count) {
        x->ranges = (int)spec->source_range_count;
        reconfigured = true;
    }
    if (reconfigured)
        move(m, x, LB_UPDATING);
    else if (relabelled)
        model_written(m, x);
    return ERROR_NONE;
}

static int find_listener(const struct thing *x, enum protocol protocol, int port)
{
    for (int n = 0; n < x->listener_count; n++) {
        if (x->listeners[n].protocol == protocol && x->listeners[n].port == port)
            return n;
    }
    return -1;
}

enum error_code model_balancer_add(struct model *m, const struct change *c)
{
    const struct listener *added = c->request.load_balancer.listeners;
    struct thing *x;
    enum error_code code = load_for_update(m, c, &x);

    if (code == ERROR_NONE && find_listener(x, added->protocol, added->port) >= 0)
        code = ERROR_EXISTS;
    if (code == ERROR_NONE)
        code = check_new_listeners(m, x, added, 1);
    if (code != ERROR_NONE)
        return code;
    add_listener(x, added);
    move(m, x, LB_UPDATING);
    return ERROR_NONE;
}

enum error_code model_balancer_remove(struct model *m, const struct change *c)
{
    struct thing *x;
    int at;
    enum error_code code = load_for_update(m, c, &x);

    if (code != ERROR_NONE)
        return code;
    at = find_listener(x, c->request.listener.protocol, c->request.listener.port);
    if (at < 0)
        return ERROR_NOT_FOUND;
    x->listener_count--;
    memmove(&x->listeners[at], &x->listeners[at + 1],
            (size_t)(x->listener_count - at) * sizeof(x->listeners[0]));
    move(m, x, LB_UPDATING);
    return ERROR_NONE;
}

enum error_code model_balancer_delete(struct model *m, const struct change *c)
{
    struct thing *x;
    enum error_code code = model_load(m, KIND_LOAD_BALANCER, c, &x);

    if (code == ERROR_NONE && x->state != LB_DELETING)
        move(m, x, LB_DELETING);
    return code;
}
