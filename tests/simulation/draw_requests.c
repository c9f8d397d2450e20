// What is asked for: names, addresses, targets, so few of each that they collide.
#include "tests/simulation/draw_requests.h"

#include "base/timefmt.h"

#include <string.h>

uint64_t draw_below(struct draw *d, uint64_t limit)
{
    return random_u64(d->seed, d->step, d->stream++) % limit;
}

bool draw_chance(struct draw *d, unsigned percent)
{
    return draw_below(d, 100) < percent;
}

#define PICK(d, list) (list)[draw_below(d, sizeof(list) / sizeof((list)[0]))]

static const char *const names[] = {"ant",   "bee",   "cat",  "dog", "elk",   "fox",
                                    "gnu",   "hen",   "ibex", "jay", "ant-1", "bee-2",
                                    "cat-1", "dog-3", "elk",  "owl"};
static const char *const zones[] = {"mock-1a", "mock-1b", "mock-1c", "mock-2a"};
static const char *const values[] = {"1", "2", NULL};

struct pool_config draw_pools(void)
{
    return (struct pool_config){.internal_v4 = "10.0.0.0/25",
                                .internal_v6 = "fd00:10::/121",
                                .external_v4 = "198.18.0.0/26",
                                .external_v6 = "2001:db8:1::/122",
                                .load_balancer_v4 = "127.64.0.0/28",
                                .load_balancer_v6 = "2001:db8:2::/124"};
}

// --- parts of requests ---

static const char *maybe_name(struct draw *d)
{
    return draw_chance(d, 50) ? PICK(d, names) : NULL;
}

static void draw_tags(struct draw *d, struct change *c, struct tags_spec *tags)
{
    if (!draw_chance(d, 30))
        return;
    tags->items = arena_alloc(&c->arena, TAG_KEYS * sizeof(*tags->items));
    for (int key = 0; key < TAG_KEYS; key++) {
        if (draw_chance(d, 50))
            tags->items[tags->count++] =
                (struct tag_patch){tag_keys[key], values[draw_below(d, c->id ? 3 : 2)]};
    }
}

static void give_ip(struct change *c, struct ip *out, const char **out_text, const char *text)
{
    if (ip_parse(text, out, NULL) < 0)
        violated("%s is no address", text);
    if (out_text)
        *out_text = arena_strdup(&c->arena, text);
}

static void draw_addresses(struct draw *d, struct change *c, struct instance_spec *spec)
{
    static const enum address_type kinds[] = {ADDRESS_INTERNAL, ADDRESS_EXTERNAL, ADDRESS_HOSTNAME};

    spec->has_addresses = true;
    spec->address_count = draw_below(d, 4);
    spec->addresses = arena_alloc(&c->arena, 4 * sizeof(*spec->addresses));
    for (size_t n = 0; n < spec->address_count; n++) {
        struct address_spec *a = &spec->addresses[n];

        a->type = PICK(d, kinds);
        if (a->type == ADDRESS_HOSTNAME) {
            a->text = PICK(d, names);
            continue;
        }
        give_ip(c, &a->ip, &a->text,
                arena_printf(&c->arena, draw_chance(d, 50) ? "10.0.0.%d" : "192.0.2.%d",
                             (int)draw_below(d, 24)));
    }
}

static size_t draw_families(struct draw *d, enum ip_family out[2])
{
    size_t count = draw_below(d, 3);

    out[0] = draw_chance(d, 50) ? IP_V4 : IP_V6;
    out[1] = out[0] == IP_V4 ? IP_V6 : IP_V4;
    return count;
}

static const struct thing *pick(struct draw *d, const struct model *m, enum kind kind)
{
    const struct things *all = &m->things[kind];

    return all->count ? all->items[draw_below(d, all->count)] : NULL;
}

// An id of the kind in the change's project; now and then of another one, or of nothing.
static const char *pick_id(struct draw *d, const struct model *m, struct change *c, enum kind kind)
{
    const struct thing *x = NULL;

    for (int tries = 0; tries < 8; tries++) {
        x = pick(d, m, kind);
        if (!x || x->project == c->project || draw_chance(d, 2))
            break;
    }
    return x && !draw_chance(d, 1) ? arena_strdup(&c->arena, x->id) : "i-0123456789abcdef0";
}

// --- instances ---

void for_new_instance(struct draw *d, const struct model *m, struct change *c)
{
    struct instance_spec *spec = &c->request.instance;

    (void)m;
    spec->name = maybe_name(d);
    spec->zone = draw_chance(d, 60) ? PICK(d, zones) : NULL;
    spec->type = draw_chance(d, 60) ? PICK(d, type_names) : NULL;
    spec->external_ip = draw_chance(d, 50);
    spec->lifecycle = draw_chance(d, 30) ? LIFECYCLE_SPOT : LIFECYCLE_ON_DEMAND;
    spec->count = draw_chance(d, 25) ? 1 + (int)draw_below(d, 4) : 0;
    spec->family_count = draw_families(d, spec->families);
    if (draw_chance(d, spec->count ? 5 : 25))
        draw_addresses(d, c, spec);
    draw_tags(d, c, &spec->tags);
}

void for_instance(struct draw *d, const struct model *m, struct change *c)
{
    struct instance_spec *spec = &c->request.instance;

    c->id = pick_id(d, m, c, KIND_INSTANCE);
    if (c->apply != instance_update)
        return;
    spec->name = maybe_name(d);
    spec->type = draw_chance(d, 30) ? PICK(d, type_names) : NULL;
    if (draw_chance(d, 30))
        draw_addresses(d, c, spec);
    draw_tags(d, c, &spec->tags);
}

static const char *pick_notice(struct draw *d, const struct model *m, struct change *c)
{
    const struct thing *x = model_find(m, KIND_INSTANCE, 0, c->id);

    if (!x || x->notice_count == 0 || draw_chance(d, 5))
        return "nt-0123456789abcdef0";
    return arena_strdup(&c->arena, x->notices[draw_below(d, (uint64_t)x->notice_count)].id);
}

void for_notice(struct draw *d, const struct model *m, struct change *c)
{
    struct notice_spec *spec = &c->request.notice;

    c->id = pick_id(d, m, c, KIND_INSTANCE);
    for (int tries = 0; tries < 8 && c->apply == instance_acknowledge; tries++) {
        const struct thing *x = model_find(m, KIND_INSTANCE, 0, c->id);
        if (x && x->notice_count > 0)
            break;
        c->id = pick_id(d, m, c, KIND_INSTANCE);
    }
    if (c->apply == instance_acknowledge)
        c->request.acknowledge.notice_id = pick_notice(d, m, c);
    if (c->apply != instance_interrupt)
        return;
    spec->kind = (enum notice_kind)draw_below(d, NOTICE_KINDS);
    spec->has_action = draw_chance(d, 50);
    spec->action = (enum notice_action)draw_below(d, NOTICE_ACTIONS);
    spec->has_notice = draw_chance(d, 70);
    spec->notice_ns = (int64_t)draw_below(d, 60) * NS_PER_S;
}

// --- routes ---

static void draw_hop(struct draw *d, const struct model *m, struct change *c)
{
    if (draw_chance(d, 80))
        c->request.route.next_hop_instance_id = pick_id(d, m, c, KIND_INSTANCE);
    else if (draw_chance(d, 90))
        c->request.route.next_hop_address =
            arena_printf(&c->arena, "192.0.2.%d", (int)draw_below(d, 200));
}

void for_route(struct draw *d, const struct model *m, struct change *c)
{
    struct route_spec *spec = &c->request.route;

    if (c->apply != route_create)
        c->id = pick_id(d, m, c, KIND_ROUTE);
    if (c->apply == route_delete)
        return;
    spec->name = maybe_name(d);
    spec->network = draw_chance(d, 30) ? PICK(d, names) : NULL;
    spec->destination_cidr = arena_printf(&c->arena, "10.%d.%d.0/24", 200 + (int)draw_below(d, 4),
                                          (int)draw_below(d, 20));
    if (c->apply == route_create || draw_chance(d, 70))
        draw_hop(d, m, c);
    draw_tags(d, c, &spec->tags);
}

// --- target pools ---

static struct target_ref draw_target(struct draw *d, const struct model *m, struct change *c)
{
    if (draw_chance(d, 70))
        return (struct target_ref){.instance_id = pick_id(d, m, c, KIND_INSTANCE)};
    return (struct target_ref){.address =
                                   arena_printf(&c->arena, "192.0.2.%d", (int)draw_below(d, 6))};
}

// Few enough that the model has room: a pool that is full gets none.
static void draw_targets(struct draw *d, const struct model *m, struct change *c)
{
    struct target_pool_spec *spec = &c->request.target_pool;
    const struct thing *x = c->id ? model_find(m, KIND_TARGET_POOL, 0, c->id) : NULL;
    bool is_full = x && x->target_count > TARGETS_OF_MODEL / 3;

    spec->has_targets = true;
    spec->target_count = is_full ? 0 : draw_below(d, 4);
    spec->targets = arena_alloc(&c->arena, 4 * sizeof(*spec->targets));
    for (size_t n = 0; n < spec->target_count; n++)
        spec->targets[n] = draw_target(d, m, c);
}

static void draw_check(struct draw *d, struct target_pool_spec *spec)
{
    spec->has_health_check = draw_chance(d, 40);
    spec->health_check = (struct health_check){.protocol = HEALTH_CHECK_TCP,
                                               .port = 80,
                                               .path = "/",
                                               .interval_s = 5 + (int)draw_below(d, 3),
                                               .timeout_s = 5,
                                               .healthy_threshold = 2,
                                               .unhealthy_threshold = 2};
}

void for_pool(struct draw *d, const struct model *m, struct change *c)
{
    struct target_pool_spec *spec = &c->request.target_pool;

    if (c->apply != target_pool_create)
        c->id = pick_id(d, m, c, KIND_TARGET_POOL);
    if (c->apply == target_pool_remove_target) {
        const struct thing *x = model_find(m, KIND_TARGET_POOL, 0, c->id);
        if (x && x->target_count > 0 && draw_chance(d, 80)) {
            const struct target_of_model *t = &x->targets[draw_below(d, (uint64_t)x->target_count)];
            const char *key = arena_strdup(&c->arena, t->key);
            c->request.target = (struct target_ref){.instance_id = t->is_address ? NULL : key,
                                                    .address = t->is_address ? key : NULL};
        } else {
            c->request.target = draw_target(d, m, c);
        }
        return;
    }
    if (c->apply == target_pool_delete)
        return;
    if (c->apply != target_pool_update || draw_chance(d, 60))
        draw_targets(d, m, c);
    if (c->apply == target_pool_add_targets)
        return;
    spec->name = maybe_name(d);
    draw_check(d, spec);
    draw_tags(d, c, &spec->tags);
}

// --- addresses and load balancers ---

void for_address(struct draw *d, const struct model *m, struct change *c)
{
    struct address_spec_reserved *spec = &c->request.address;

    if (c->apply != address_create)
        c->id = pick_id(d, m, c, KIND_ADDRESS);
    if (c->apply == address_delete)
        return;
    spec->name = maybe_name(d);
    draw_tags(d, c, &spec->tags);
    if (c->apply != address_create)
        return;
    spec->family = draw_chance(d, 60) ? IP_V4 : IP_V6;
    spec->scheme = draw_chance(d, 60) ? SCHEME_INTERNET_FACING : SCHEME_INTERNAL;
    spec->has_ip = draw_chance(d, 25);
    if (spec->has_ip)
        give_ip(c, &spec->ip, NULL, arena_printf(&c->arena, "127.64.0.%d", (int)draw_below(d, 18)));
}

static struct listener draw_listener(struct draw *d, const struct model *m, struct change *c)
{
    return (struct listener){.protocol = draw_chance(d, 70) ? PROTOCOL_TCP : PROTOCOL_UDP,
                             .port = 80 + (int)draw_below(d, 3),
                             .target_pool_id = pick_id(d, m, c, KIND_TARGET_POOL),
                             .target_port = 8080,
                             .idle_timeout_s = 60};
}

static void draw_listeners(struct draw *d, const struct model *m, struct change *c, size_t count)
{
    struct load_balancer_spec *spec = &c->request.load_balancer;

    spec->has_listeners = true;
    spec->listener_count = count;
    spec->listeners = arena_alloc(&c->arena, (count + 1) * sizeof(*spec->listeners));
    for (size_t n = 0; n < count; n++)
        spec->listeners[n] = draw_listener(d, m, c);
}

static void draw_ranges(struct draw *d, struct change *c)
{
    struct load_balancer_spec *spec = &c->request.load_balancer;

    spec->has_source_ranges = draw_chance(d, 50);
    if (!spec->has_source_ranges || draw_chance(d, 50))
        return;
    spec->source_ranges = arena_alloc(&c->arena, sizeof(*spec->source_ranges));
    spec->source_ranges[0] = "10.0.0.0/8";
    spec->source_range_count = 1;
}

static void for_new_balancer(struct draw *d, const struct model *m, struct change *c)
{
    struct load_balancer_spec *spec = &c->request.load_balancer;

    spec->name = maybe_name(d);
    spec->scheme = draw_chance(d, 60) ? SCHEME_INTERNET_FACING : SCHEME_INTERNAL;
    spec->family_count = draw_families(d, spec->families);
    draw_listeners(d, m, c, draw_below(d, 3));
    draw_ranges(d, c);
    draw_tags(d, c, &spec->tags);
    if (!draw_chance(d, 50))
        return;
    spec->address_ids = arena_alloc(&c->arena, 2 * sizeof(*spec->address_ids));
    spec->address_id_count = 1 + draw_below(d, 2);
    for (size_t n = 0; n < spec->address_id_count; n++)
        spec->address_ids[n] = pick_id(d, m, c, KIND_ADDRESS);
}

void for_balancer(struct draw *d, const struct model *m, struct change *c)
{
    struct load_balancer_spec *spec = &c->request.load_balancer;

    if (c->apply == load_balancer_create) {
        for_new_balancer(d, m, c);
        return;
    }
    c->id = pick_id(d, m, c, KIND_LOAD_BALANCER);
    if (c->apply == load_balancer_add_listener) {
        draw_listeners(d, m, c, 1);
    } else if (c->apply == load_balancer_remove_listener) {
        c->request.listener.protocol = draw_chance(d, 70) ? PROTOCOL_TCP : PROTOCOL_UDP;
        c->request.listener.port = 80 + (int)draw_below(d, 3);
    } else if (c->apply == load_balancer_update) {
        spec->name = maybe_name(d);
        if (draw_chance(d, 40))
            draw_listeners(d, m, c, draw_below(d, 3));
        draw_ranges(d, c);
        draw_tags(d, c, &spec->tags);
    }
}

// --- the catalogue ---

static void draw_distribution(struct draw *d, struct distribution *out)
{
    out->kind = (enum distribution_kind)draw_below(d, 4);
    out->a = (int64_t)draw_below(d, 10) * NS_PER_S;
    out->b = out->a + (int64_t)draw_below(d, 20000) * NS_PER_MS;
}

static void draw_capacity(struct draw *d, struct change *c)
{
    struct zone_spec *spec = &c->request.zone;

    spec->has_capacity_total = draw_chance(d, 30);
    spec->capacity_total = (int64_t)draw_below(d, 40);
    spec->capacity = arena_alloc(&c->arena, TYPES * sizeof(*spec->capacity));
    for (int type = 0; type < TYPES; type++) {
        if (draw_chance(d, 20))
            spec->capacity[spec->capacity_count++] =
                (struct type_capacity){type_names[type], (int64_t)draw_below(d, 20)};
    }
}

void for_quota(struct draw *d, const struct model *m, struct change *c)
{
    const struct things *all = &m->things[KIND_PROJECT];

    c->id = draw_chance(d, 95)
                ? arena_strdup(&c->arena, all->items[draw_below(d, all->count)]->name)
                : "nobody";
    for (int kind = 0; kind < QUOTAS; kind++) {
        struct quota_limit *limit = &c->request.quota.limits[kind];

        limit->given = draw_chance(d, 40);
        limit->limit = draw_chance(d, 70) ? (int64_t)draw_below(d, 30) : -1;
    }
}

static int64_t draw_ttl(struct draw *d)
{
    return (int64_t)(1 + draw_below(d, 3600)) * NS_PER_S;
}

void for_catalogue(struct draw *d, const struct model *m, struct change *c)
{
    static const char *const new_projects[] = {"blue", "green"};

    (void)m;
    if (c->apply == zone_put || c->apply == zone_delete) {
        c->id = PICK(d, zones);
        c->request.zone.region = "mock-1";
        c->request.zone.state = draw_chance(d, 70) ? ZONE_AVAILABLE : ZONE_UNAVAILABLE;
        draw_capacity(d, c);
    } else if (c->apply == instance_type_put || c->apply == instance_type_delete) {
        c->id = PICK(d, type_names);
        c->request.instance_type.cpus = 1 + (int)draw_below(d, 3);
        c->request.instance_type.memory_mib = 1024;
        c->request.instance_type.max_pods = 110;
    } else if (c->apply == project_create) {
        c->request.project_create.name = PICK(d, new_projects);
        c->request.project_create.ttl_ns = (int64_t)draw_below(d, 2) * draw_ttl(d);
    } else if (c->apply == project_update || c->apply == project_delete) {
        c->id = draw_chance(d, 10) ? "default" : PICK(d, new_projects);
        if (c->apply == project_update)
            c->request.project_update.ttl_ns = (int64_t)draw_below(d, 2) * draw_ttl(d);
    } else {
        c->id = draw_chance(d, 98) ? PICK(d, transition_of) : "instance.dreaming";
        draw_distribution(d, &c->request.latency);
    }
}
