// What a load balancer is made of: its listeners, checked, and its addresses, taken and given back.
#include "sim/load_balancer.h"
#include "sim/names.h"
#include "sim/operation.h"

#include <stdio.h>
#include <string.h>

// --- listeners ---

static size_t find_listener(const struct listener *list, size_t count, enum protocol protocol,
                            int port)
{
    size_t n = 0;

    while (n < count && (list[n].protocol != protocol || list[n].port != port))
        n++;
    return n;
}

size_t load_balancer_find_listener(const struct load_balancer *lb, enum protocol protocol, int port)
{
    return find_listener(lb->listeners, lb->listener_count, protocol, port);
}

static bool uses_pool(const struct listener *list, size_t count, const char *pool_id)
{
    for (size_t n = 0; n < count; n++) {
        if (strcmp(list[n].target_pool_id, pool_id) == 0)
            return true;
    }
    return false;
}

static int check_pool(struct txn *t, const struct load_balancer *lb, const char *id,
                      const char *field, struct error *err)
{
    struct row row; // the record of a large pool need not be unpacked
    int rc = store_get(t->store, KIND_TARGET_POOL, lb->r.project, id, t->arena, &row, err);

    if (rc == 0)
        return error_set(err, ERROR_INVALID, field, "target pool %s does not exist", id);
    return rc < 0 ? rc : 0;
}

int load_balancer_check_listeners(struct txn *t, const struct load_balancer *lb,
                                  const struct listener *listeners, size_t count, struct error *err)
{
    char field[64];

    if (count > LISTENERS_MAX)
        return error_set(err, ERROR_INVALID, "listeners",
                         "a load balancer has at most %d listeners", LISTENERS_MAX);
    for (size_t n = 0; n < count; n++) {
        const struct listener *l = &listeners[n];
        int rc;

        if (find_listener(listeners, n, l->protocol, l->port) < n) {
            snprintf(field, sizeof(field), "listeners[%zu].port", n);
            return error_set(err, ERROR_INVALID, field, "listener %s:%d is listed twice",
                             protocol_names[l->protocol], l->port);
        }
        if (uses_pool(listeners, n, l->target_pool_id) ||
            uses_pool(lb->listeners, lb->listener_count, l->target_pool_id))
            continue;
        snprintf(field, sizeof(field), "listeners[%zu].target_pool_id", n);
        rc = check_pool(t, lb, l->target_pool_id, field, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

// --- addresses ---

static bool has_family(const struct load_balancer *lb, enum ip_family family)
{
    for (size_t n = 0; n < lb->address_count; n++) {
        if (lb->addresses[n].ip.family == family)
            return true;
    }
    return false;
}

static int check_reserved(const struct load_balancer *lb, const struct address *a,
                          const char *field, struct error *err)
{
    if (a->load_balancer_id)
        return error_set(err, ERROR_IN_USE, field, "address %s is used by load balancer %s",
                         a->r.id, a->load_balancer_id);
    if (a->scheme != lb->scheme)
        return error_set(err, ERROR_INVALID, field, "address %s is %s, the load balancer is %s",
                         a->r.id, scheme_names[a->scheme], scheme_names[lb->scheme]);
    if (has_family(lb, a->ip.family))
        return error_set(err, ERROR_INVALID, field, "address %s is a second one of family %s",
                         a->r.id, ip_family_name(a->ip.family));
    return 0;
}

static int take_reserved(struct txn *t, struct load_balancer *lb, const char *id, size_t n,
                         struct error *err)
{
    struct resource *found;
    char field[64];
    int rc;

    snprintf(field, sizeof(field), "address_ids[%zu]", n);
    rc = txn_find(t, KIND_ADDRESS, lb->r.project, id, &found, err);
    if (rc == 0)
        return error_set(err, ERROR_INVALID, field, "address %s does not exist", id);
    if (rc > 0)
        rc = check_reserved(lb, (struct address *)found, field, err);
    if (rc < 0)
        return rc;
    lb->addresses[lb->address_count++] =
        (struct lb_address){.ip = ((struct address *)found)->ip, .address_id = found->id};
    return 0;
}

static int allocate(struct txn *t, struct load_balancer *lb, enum ip_family family,
                    struct error *err)
{
    struct lb_address *a = &lb->addresses[lb->address_count];
    int rc = txn_ip_allocate(t, family == IP_V6 ? POOL_LB_V6 : POOL_LB_V4, lb->r.id, &a->ip, err);

    if (rc == 0)
        lb->address_count++;
    return rc;
}

int load_balancer_addresses_assign(struct txn *t, struct load_balancer *lb,
                                   const struct load_balancer_spec *spec, struct error *err)
{
    size_t families = spec->address_id_count ? 0 : spec->family_count;
    int rc = 0;

    lb->addresses =
        arena_alloc(t->arena, (spec->address_id_count + families + 1) * sizeof(*lb->addresses));
    for (size_t n = 0; n < spec->address_id_count && rc == 0; n++)
        rc = take_reserved(t, lb, spec->address_ids[n], n, err);
    for (size_t n = 0; n < families && rc == 0; n++)
        rc = allocate(t, lb, spec->families[n], err);
    if (rc == 0 && lb->address_count == 0)
        rc = allocate(t, lb, IP_V4, err);
    return rc;
}

int load_balancer_addresses_bind(struct txn *t, const struct load_balancer *lb, const char *id,
                                 struct error *err)
{
    for (size_t n = 0; n < lb->address_count; n++) {
        struct resource *r;
        int rc;

        if (!lb->addresses[n].address_id)
            continue;
        rc = txn_load(t, KIND_ADDRESS, lb->r.project, lb->addresses[n].address_id, &r, err);
        if (rc < 0)
            return rc;
        ((struct address *)r)->load_balancer_id = id;
        rc = txn_put(t, r, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int load_balancer_addresses_release(struct txn *t, const struct load_balancer *lb,
                                    struct error *err)
{
    for (size_t n = 0; n < lb->address_count; n++) {
        int rc;

        if (lb->addresses[n].address_id)
            continue;
        rc = txn_ip_release(t, &lb->addresses[n].ip, lb->r.id, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}
