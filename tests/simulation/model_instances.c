#include "sim/names.h"
#include "tests/simulation/model.h"

#include <stdio.h>
#include <string.h>

enum { POOL_IN4, POOL_IN6, POOL_OUT4, POOL_OUT6 };

void model_check_instance(const struct thing *x, json_t *document)
{
    json_t *list = json_object_get(document, "addresses");

    must_be(x, document, "zone", x->zone);
    must_be(x, document, "type", x->type);
    if (json_array_size(list) != (size_t)x->address_count)
        violated("instance %s has %zu addresses, must have %d", x->id, json_array_size(list),
                 x->address_count);
    for (int n = 0; n < x->address_count; n++) {
        json_t *a = json_array_get(list, (size_t)n);

        must_be(x, a, "type", address_type_names[x->addresses[n].type]);
        must_be(x, a, "address", x->addresses[n].text);
    }
    model_check_notices(x, document);
}

// --- moving ---

static bool enter(struct model *m, struct thing *x, int state)
{
    bool gone = model_enter(m, x, state);

    x->state_due = x->due;
    model_notices_follow(x);
    model_notices_reschedule(x);
    return gone;
}

void model_instance_move(struct model *m, struct thing *x, int state)
{
    int before = x->state;
    bool gone = enter(m, x, state);
    struct thing after = *x; // x itself may go

    if (gone)
        model_deleted(m, x);
    else
        model_written(m, x);
    if (after.state == before)
        return;
    model_routes_follow(m, &after);
    model_pools_follow(m, &after);
}

void model_instance_due(struct model *m, struct thing *x)
{
    if (x->state_due && x->state_due <= m->now)
        model_instance_move(m, x, model_deadline_state(x));
    else
        model_notice_fire(m, x);
}

// --- create ---

static enum error_code find_catalogued(struct model *m, enum kind kind, const char *name,
                                       struct thing **out)
{
    if (name)
        *out = model_find(m, kind, 0, name);
    else
        *out = m->things[kind].count ? m->things[kind].items[0] : NULL;
    return *out ? ERROR_NONE : ERROR_INVALID;
}

static void show(struct thing *x, enum address_type type, const char *text)
{
    struct shown_address *a = &x->addresses[x->address_count++];

    a->type = type;
    snprintf(a->text, sizeof(a->text), "%s", text);
}

static void allocate(struct model *m, struct thing *x, enum address_type type, int pool)
{
    char text[IP_TEXT_MAX];

    model_allocate(m, x, pool);
    ip_format(&x->ips[x->ip_count - 1], text);
    show(x, type, text);
}

static bool is_shown(const struct thing *x, const struct address_spec *a)
{
    for (int n = 0; n < x->address_count; n++) {
        if (x->addresses[n].type == a->type && strcmp(x->addresses[n].text, a->text) == 0)
            return true;
    }
    return false;
}

static bool holds(const struct thing *x, const struct ip *ip)
{
    for (int n = 0; n < x->ip_count; n++) {
        if (ip_compare(&x->ips[n], ip) == 0)
            return true;
    }
    return false;
}

// Replaces what x shows and holds; `old`: as it is stored, NULL for a new one.
static enum error_code take_given(struct model *m, struct thing *x, const struct thing *old,
                                  const struct instance_spec *spec)
{
    x->address_count = x->ip_count = 0;
    for (size_t n = 0; n < spec->address_count; n++) {
        const struct address_spec *a = &spec->addresses[n];

        if (is_shown(x, a))
            return ERROR_INVALID;
        show(x, a->type, a->text);
        if (!a->ip.family || holds(x, &a->ip))
            continue;
        if (!(old && holds(old, &a->ip)) && model_owner_of_ip(m, &a->ip))
            return ERROR_IN_USE;
        x->ips[x->ip_count++] = a->ip;
    }
    return ERROR_NONE;
}

static const enum ip_family v4_alone[] = {IP_V4};

static void take_any(struct model *m, struct thing *x, const struct instance_spec *spec)
{
    const enum ip_family *families = spec->family_count ? spec->families : v4_alone;
    size_t count = spec->family_count ? spec->family_count : 1;
    char dns[2 * NAME_SIZE + 16];

    for (size_t n = 0; n < count; n++)
        allocate(m, x, ADDRESS_INTERNAL, families[n] == IP_V6 ? POOL_IN6 : POOL_IN4);
    for (size_t n = 0; spec->external_ip && n < count; n++)
        allocate(m, x, ADDRESS_EXTERNAL, families[n] == IP_V6 ? POOL_OUT6 : POOL_OUT4);
    snprintf(dns, sizeof(dns), "%s.%s.internal", x->name, x->zone);
    show(x, ADDRESS_INTERNAL_DNS, dns);
}

// Whether the pools have enough for `count` of them.
static bool pools_suffice(struct model *m, const struct instance_spec *spec, uint64_t count)
{
    const enum ip_family *families = spec->family_count ? spec->families : v4_alone;
    size_t family_count = spec->family_count ? spec->family_count : 1;

    for (size_t n = 0; n < family_count; n++) {
        bool v6 = families[n] == IP_V6;
        if (model_free_ips(m, v6 ? POOL_IN6 : POOL_IN4) < count)
            return false;
        if (spec->external_ip && model_free_ips(m, v6 ? POOL_OUT6 : POOL_OUT4) < count)
            return false;
    }
    return true;
}

static const char *numbered(char out[NAME_SIZE], const char *name, int n)
{
    if (!name)
        return NULL;
    snprintf(out, NAME_SIZE, "%s-%d", name, n);
    return out;
}

static enum error_code check_open(const struct thing *zone)
{
    return zone->state == ZONE_AVAILABLE ? ERROR_NONE : ERROR_ZONE_UNAVAILABLE;
}

static enum error_code check_limits(const struct model *m, int64_t project,
                                    const struct thing *zone, const struct thing *type, int more)
{
    enum error_code code = model_quota_left(m, project, KIND_INSTANCE, more);

    return code == ERROR_NONE ? model_place_left(m, zone->id, type->id, more) : code;
}

// Why `count` instances cannot be created, before one of them is. Name, zone or addresses:
// whichever the first instance that fails meets first.
static enum error_code check_many(struct model *m, const struct change *c, const struct thing *zone,
                                  const struct thing *type)
{
    const struct instance_spec *spec = &c->request.instance;
    struct thing probe = {.kind = KIND_INSTANCE, .project = c->project};
    char name[NAME_SIZE];

    if (spec->has_addresses)
        return ERROR_INVALID;
    for (int n = 1; n <= spec->count; n++) {
        if (spec->name && model_name_taken(m, &probe, numbered(name, spec->name, n)))
            return ERROR_EXISTS;
        if (check_open(zone) != ERROR_NONE)
            return ERROR_ZONE_UNAVAILABLE;
        if (!pools_suffice(m, spec, (uint64_t)n))
            return ERROR_EXHAUSTED;
        enum error_code code = check_limits(m, c->project, zone, type, n);
        if (code != ERROR_NONE)
            return code;
    }
    return ERROR_NONE;
}

static enum error_code create_one(struct model *m, const struct change *c, const char *name,
                                  const struct thing *zone, const struct thing *type)
{
    const struct instance_spec *spec = &c->request.instance;
    struct thing *x = model_new(m, KIND_INSTANCE, c, "i");
    enum error_code code = model_head(m, x, name, &spec->tags);

    snprintf(x->zone, sizeof(x->zone), "%s", zone->id);
    snprintf(x->type, sizeof(x->type), "%s", type->id);
    if (code == ERROR_NONE)
        code = check_open(zone);
    if (code == ERROR_NONE && spec->has_addresses)
        code = take_given(m, x, NULL, spec);
    else if (code == ERROR_NONE && !pools_suffice(m, spec, 1))
        code = ERROR_EXHAUSTED;
    else if (code == ERROR_NONE)
        take_any(m, x, spec);
    if (code == ERROR_NONE)
        code = check_limits(m, c->project, zone, type, 1);
    if (code != ERROR_NONE) {
        model_drop(x);
        return code;
    }
    enter(m, x, INSTANCE_PENDING);
    model_written(m, x);
    return ERROR_NONE;
}

// Where nobody has said where: the first that is available, or the first that refuses.
static enum error_code find_zone(struct model *m, const char *name, struct thing **out)
{
    enum error_code code = find_catalogued(m, KIND_ZONE, name, out);
    const struct things *zones = &m->things[KIND_ZONE];

    for (size_t i = 0; code == ERROR_NONE && !name && i < zones->count; i++)
        if (zones->items[i]->state == ZONE_AVAILABLE) {
            *out = zones->items[i];
            break;
        }
    return code;
}

enum error_code model_instance_create(struct model *m, const struct change *c)
{
    const struct instance_spec *spec = &c->request.instance;
    struct thing *zone, *type;
    char name[NAME_SIZE];
    enum error_code code = find_zone(m, spec->zone, &zone);

    if (code == ERROR_NONE)
        code = find_catalogued(m, KIND_INSTANCE_TYPE, spec->type, &type);
    if (code != ERROR_NONE)
        return code;
    if (spec->count == 0)
        return create_one(m, c, spec->name, zone, type);
    code = check_many(m, c, zone, type);
    for (int n = 1; code == ERROR_NONE && n <= spec->count; n++)
        code = create_one(m, c, numbered(name, spec->name, n), zone, type);
    return code;
}

// --- update ---

static bool shows_otherwise(const struct thing *x, const struct instance_spec *spec)
{
    if ((size_t)x->address_count != spec->address_count)
        return true;
    for (size_t n = 0; n < spec->address_count; n++) {
        if (x->addresses[n].type != spec->addresses[n].type ||
            strcmp(x->addresses[n].text, spec->addresses[n].text) != 0)
            return true;
    }
    return false;
}

static enum error_code change_type(struct model *m, struct thing *x, const char *name,
                                   bool *changed)
{
    struct thing *type;

    if (!name || strcmp(name, x->type) == 0)
        return ERROR_NONE;
    if (find_catalogued(m, KIND_INSTANCE_TYPE, name, &type) != ERROR_NONE)
        return ERROR_INVALID;
    if (x->state != INSTANCE_STOPPED)
        return ERROR_STATE;
    snprintf(x->type, sizeof(x->type), "%s", name);
    *changed = true;
    return ERROR_NONE;
}

enum error_code model_instance_update(struct model *m, const struct change *c)
{
    const struct instance_spec *spec = &c->request.instance;
    bool changed = false;
    struct thing *x, before;
    enum error_code code = model_load(m, KIND_INSTANCE, c, &x);

    if (code != ERROR_NONE)
        return code;
    if (x->state == INSTANCE_TERMINATED)
        return ERROR_STATE;
    before = *x;
    code = model_patch_head(m, x, spec->name, &spec->tags, &changed);
    if (code == ERROR_NONE)
        code = change_type(m, x, spec->type, &changed);
    if (code == ERROR_NONE && spec->has_addresses && shows_otherwise(x, spec)) {
        code = take_given(m, x, &before, spec);
        changed = true;
    }
    if (code != ERROR_NONE)
        *x = before;
    else if (changed)
        model_written(m, x);
    return code;
}

// --- actions ---

// The state that follows by request; -1: refused.
static int after(int state, enum instance_state wanted)
{
    if (wanted == INSTANCE_PENDING) // start
        return state == INSTANCE_STOPPED ? INSTANCE_PENDING : -1;
    if (wanted == INSTANCE_STOPPING || wanted == INSTANCE_REBOOTING)
        return state == INSTANCE_RUNNING ? (int)wanted : -1;
    return state == INSTANCE_TERMINATING || state == INSTANCE_TERMINATED ? state
                                                                         : INSTANCE_TERMINATING;
}

static enum error_code act(struct model *m, const struct change *c, enum instance_state wanted)
{
    struct thing *x, *zone;
    int next;
    enum error_code code = model_load(m, KIND_INSTANCE, c, &x);

    if (code != ERROR_NONE)
        return code;
    next = after(x->state, wanted);
    if (next < 0)
        return ERROR_STATE;
    if (next == x->state)
        return ERROR_NONE;
    if (wanted == INSTANCE_PENDING)
        code = find_catalogued(m, KIND_ZONE, x->zone, &zone);
    if (wanted == INSTANCE_PENDING && code == ERROR_NONE)
        code = check_open(zone);
    if (wanted == INSTANCE_PENDING && code == ERROR_NONE)
        code = model_place_left(m, x->zone, x->type, 1);
    if (code == ERROR_NONE)
        model_instance_move(m, x, next);
    return code;
}

enum error_code model_instance_start(struct model *m, const struct change *c)
{
    return act(m, c, INSTANCE_PENDING);
}

enum error_code model_instance_stop(struct model *m, const struct change *c)
{
    return act(m, c, INSTANCE_STOPPING);
}

enum error_code model_instance_reboot(struct model *m, const struct change *c)
{
    return act(m, c, INSTANCE_REBOOTING);
}

enum error_code model_instance_terminate(struct model *m, const struct change *c)
{
    return act(m, c, INSTANCE_TERMINATING);
}
