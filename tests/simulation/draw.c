// Which change is next, and how far the clock is moved.
#include "tests/simulation/draw_requests.h"

#include "base/timefmt.h"

#define MANY 70 // of a kind: from there on they are rather ended than made

static const struct choice {
    unsigned weight;
    change_apply *apply;
    const char *operation;
    draw_request *fill;
    enum kind kind;
    bool makes;
} choices[] = {
    {14, instance_create, "instances.create", for_new_instance, KIND_INSTANCE, true},
    {7, instance_update, "instances.update", for_instance, KIND_INSTANCE, false},
    {9, instance_start, "instances.start", for_instance, KIND_INSTANCE, false},
    {8, instance_stop, "instances.stop", for_instance, KIND_INSTANCE, false},
    {6, instance_reboot, "instances.reboot", for_instance, KIND_INSTANCE, false},
    {9, instance_terminate, "instances.terminate", for_instance, KIND_INSTANCE, false},
    {7, instance_interrupt, "instances.interrupt", for_notice, KIND_INSTANCE, false},
    {4, instance_acknowledge, "instances.acknowledge", for_notice, KIND_INSTANCE, false},
    {2, instance_cancel_notices, "instances.cancel_interrupt", for_notice, KIND_INSTANCE, false},
    {11, route_create, "routes.create", for_route, KIND_ROUTE, true},
    {6, route_update, "routes.update", for_route, KIND_ROUTE, false},
    {6, route_delete, "routes.delete", for_route, KIND_ROUTE, false},
    {5, target_pool_create, "target_pools.create", for_pool, KIND_TARGET_POOL, true},
    {5, target_pool_update, "target_pools.update", for_pool, KIND_TARGET_POOL, false},
    {6, target_pool_add_targets, "target_pools.add", for_pool, KIND_TARGET_POOL, false},
    {4, target_pool_remove_target, "target_pools.remove", for_pool, KIND_TARGET_POOL, false},
    {4, target_pool_delete, "target_pools.delete", for_pool, KIND_TARGET_POOL, false},
    {5, address_create, "addresses.create", for_address, KIND_ADDRESS, true},
    {2, address_update, "addresses.update", for_address, KIND_ADDRESS, false},
    {4, address_delete, "addresses.delete", for_address, KIND_ADDRESS, false},
    {6, load_balancer_create, "load_balancers.create", for_balancer, KIND_LOAD_BALANCER, true},
    {4, load_balancer_update, "load_balancers.update", for_balancer, KIND_LOAD_BALANCER, false},
    {3, load_balancer_add_listener, "listeners.add", for_balancer, KIND_LOAD_BALANCER, false},
    {3, load_balancer_remove_listener, "listeners.remove", for_balancer, KIND_LOAD_BALANCER, false},
    {4, load_balancer_delete, "load_balancers.delete", for_balancer, KIND_LOAD_BALANCER, false},
    {4, zone_put, "zones.put", for_catalogue, KIND_ZONE, false},
    {1, zone_delete, "zones.delete", for_catalogue, KIND_ZONE, false},
    {2, instance_type_put, "types.put", for_catalogue, KIND_INSTANCE_TYPE, false},
    {1, instance_type_delete, "types.delete", for_catalogue, KIND_INSTANCE_TYPE, false},
    {4, latency_put, "latencies.put", for_catalogue, KIND_LATENCY, false},
    {2, latency_delete, "latencies.delete", for_catalogue, KIND_LATENCY, false},
    {3, quota_put, "quotas.put", for_quota, KIND_QUOTA, false},
    {2, quota_update, "quotas.update", for_quota, KIND_QUOTA, false},
    {3, quota_delete, "quotas.delete", for_quota, KIND_QUOTA, false},
    {2, project_create, "projects.create", for_catalogue, KIND_PROJECT, false},
    {1, project_update, "projects.update", for_catalogue, KIND_PROJECT, false},
    {1, project_delete, "projects.delete", for_catalogue, KIND_PROJECT, false},
};

#define CHOICES (sizeof(choices) / sizeof(choices[0]))

static const struct choice *draw_choice(struct draw *d)
{
    unsigned total = 0;
    uint64_t at;
    size_t i = 0;

    for (size_t n = 0; n < CHOICES; n++)
        total += choices[n].weight;
    for (at = draw_below(d, total); at >= choices[i].weight; i++)
        at -= choices[i].weight;
    return &choices[i];
}

static void draw_project(struct draw *d, const struct model *m, struct change *c)
{
    const struct things *all = &m->things[KIND_PROJECT];
    const struct thing *x = all->items[draw_chance(d, 75) ? 0 : draw_below(d, all->count)];

    c->project = x->seq;
    c->project_name = arena_strdup(&c->arena, x->name);
}

// A key makes a second change the answer of the first; now and then it comes with another request.
static void draw_key(struct draw *d, const struct model *m, struct change *c)
{
    if (c->project != m->things[KIND_PROJECT].items[0]->seq || !draw_chance(d, 8))
        return;
    c->idempotency_key = arena_printf(&c->arena, "k%d", (int)draw_below(d, 8));
    c->fingerprint = draw_below(d, 3) ? 1 : 2;
}

struct change *draw_change(struct draw *d, const struct model *m)
{
    const struct choice *choice = draw_choice(d);
    const struct thing *x;
    struct change *c;

    while (choice->makes && m->things[choice->kind].count > MANY)
        choice = draw_choice(d);
    c = change_new(choice->apply, choice->operation);
    draw_project(d, m, c);
    choice->fill(d, m, c);
    if (choice->makes)
        draw_key(d, m, c);
    x = c->id && choice->kind <= KIND_ROUTE ? model_find(m, choice->kind, 0, c->id) : NULL;
    if (x && draw_chance(d, 8))
        c->if_match = draw_chance(d, 70) ? x->revision : x->revision - 1;
    return c;
}

int64_t draw_jump(struct draw *d, const struct model *m)
{
    int64_t due = model_next_due(m);

    switch (draw_below(d, 20)) {
    case 0:
        return 24 * 3600 * NS_PER_S * (draw_chance(d, 98) ? 1 : 30);
    case 1:
    case 2:
        return 3600 * NS_PER_S;
    case 3:
    case 4:
    case 5:
        return due > m->now ? due - m->now : 0; // exactly to a deadline
    case 6:
        return due > m->now + 1 ? due - m->now - 1 : 1; // and just before
    default:
        return (int64_t)draw_below(d, 20000) * NS_PER_MS;
    }
}
