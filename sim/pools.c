// Address pools: configured blocks from which instances and load balancers get their addresses. The
// next free address is looked for behind the last one given, so a released address rests for one
// round.
#include "sim/cloud_internal.h"

static const struct {
    const char *name;
    const char *fallback;
    enum ip_family family;
} pool_specs[POOL_COUNT] = {
    [POOL_INTERNAL_V4] = {"internal_v4", "10.0.0.0/12", IP_V4},
    [POOL_INTERNAL_V6] = {"internal_v6", "fd00:10::/64", IP_V6},
    [POOL_EXTERNAL_V4] = {"external_v4", "198.18.0.0/15", IP_V4},
    [POOL_EXTERNAL_V6] = {"external_v6", "2001:db8:1::/64", IP_V6},
    [POOL_LB_V4] = {"load_balancer_v4", "127.64.0.0/16", IP_V4},
    [POOL_LB_V6] = {"load_balancer_v6", "2001:db8:2::/64", IP_V6},
};

int pools_parse(struct cloud *cloud, const struct pool_config *config, struct error *err)
{
    const char *given[POOL_COUNT] = {
        config->internal_v4, config->internal_v6,      config->external_v4,
        config->external_v6, config->load_balancer_v4, config->load_balancer_v6,
    };

    for (int i = 0; i < POOL_COUNT; i++) {
        struct error why = {0};
        const char *text = given[i] != NULL ? given[i] : pool_specs[i].fallback;
        if (cidr_parse(text, &cloud->pools[i], &why) < 0) {
            return error_set(err, ERROR_INVALID, "address_pools", "%s: %s", pool_specs[i].name,
                             why.message);
        }
        if (cloud->pools[i].base.family != pool_specs[i].family ||
            cidr_size(&cloud->pools[i]) < 4) {
            return error_set(err, ERROR_INVALID, "address_pools",
                             "%s: %s is not an %s block of at least four addresses",
                             pool_specs[i].name, text, ip_family_name(pool_specs[i].family));
        }
        for (int j = 0; j < i; j++) {
            if (cidr_overlaps(&cloud->pools[i], &cloud->pools[j])) {
                return error_set(err, ERROR_INVALID, "address_pools", "%s overlaps %s",
                                 pool_specs[i].name, pool_specs[j].name);
            }
        }
    }
    return 0;
}

const struct cidr *txn_pool_cidr(struct txn *t, enum pool pool)
{
    return &t->cloud->pools[pool];
}

static int exhausted(struct txn *t, enum pool pool, struct error *err)
{
    char text[CIDR_TEXT_MAX];

    cidr_format(&t->cloud->pools[pool], text);
    return error_set(err, ERROR_EXHAUSTED, NULL, "no free address in the pool %s (%s)",
                     pool_specs[pool].name, text);
}

// --- whether a pool is known to be full ---
//
// It is from the walk that found every address taken until an address is released or a claim is put
// back: nothing else takes an address out of the table. Both are seen without help of who puts
// things back: releases are only ever counted up, and a claim is counted twice, in the ledger,
// which is put back with the step or the batch, and in the memory, which is not. So what a refused
// change has walked need not be walked by the next one.

static uint64_t claims_undone(const struct cloud *cloud, int pool)
{
    return cloud->pool_memory[pool].claims - cloud->ledger.pool_claims[pool];
}

static bool is_full(const struct cloud *cloud, int pool)
{
    const struct pool_memory *m = &cloud->pool_memory[pool];
    return m->full && m->releases == cloud->releases && m->undone == claims_undone(cloud, pool);
}

static void note_full(struct cloud *cloud, int pool)
{
    struct pool_memory *m = &cloud->pool_memory[pool];

    m->full = true;
    m->releases = cloud->releases;
    m->undone = claims_undone(cloud, pool);
}

static void note_claim(struct cloud *cloud, const struct ip *ip)
{
    for (int i = 0; i < POOL_COUNT; i++) {
        if (cidr_contains(&cloud->pools[i], ip)) {
            cloud->ledger.pool_claims[i]++;
            cloud->pool_memory[i].claims++;
        }
    }
}

void pools_released(struct cloud *cloud)
{
    cloud->releases++;
}

// --- addresses ---

// The first free address at or behind place `from` of the pool and before `to`. Three-way.
static int find_free(struct txn *t, enum pool pool, uint64_t from, uint64_t to, uint64_t *out,
                     struct error *err)
{
    struct ip first = cidr_nth(&t->cloud->pools[pool], from + 1);
    uint64_t taken = 0;
    int rc = store_ips_taken(t->store, &first, to - from, &taken, err);

    *out = from + taken;
    return rc < 0 ? rc : taken < to - from;
}

// Claims the address at this place of the pool: 1, or 0 if it is taken.
static int claim_nth(struct txn *t, enum pool pool, uint64_t place, const char *owner_id,
                     struct ip *out, struct error *err)
{
    int rc;

    *out = cidr_nth(&t->cloud->pools[pool], place + 1); // not the first, which is the network's
    t->cloud->ledger.pool_next[pool] = place + 1;
    rc = store_ip_claim(t->store, out, owner_id, err);
    if (rc == 1) {
        note_claim(t->cloud, out);
    }
    return rc;
}

int txn_ip_allocate(struct txn *t, enum pool pool, const char *owner_id, struct ip *out,
                    struct error *err)
{
    uint64_t usable = cidr_size(&t->cloud->pools[pool]) - 2; // not the first, not the last
    uint64_t next = t->cloud->ledger.pool_next[pool] % usable, place;
    int rc;

    if (is_full(t->cloud, pool)) {
        return exhausted(t, pool, err);
    }
    rc = claim_nth(t, pool, next, owner_id, out, err); // it is free, but in a crowded pool
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    rc = find_free(t, pool, next, usable, &place, err);
    if (rc == 0) {
        rc = find_free(t, pool, 0, next, &place, err);
    }
    if (rc == 0) {
        note_full(t->cloud, pool);
        return exhausted(t, pool, err);
    }
    rc = rc < 0 ? rc : claim_nth(t, pool, place, owner_id, out, err);
    return rc < 0 ? rc : 0;
}

int txn_ip_claim(struct txn *t, const struct ip *ip, const char *owner_id, const char *field,
                 struct error *err)
{
    int rc = store_ip_claim(t->store, ip, owner_id, err);

    if (rc == 0) {
        char text[IP_TEXT_MAX];
        ip_format(ip, text);
        return error_set(err, ERROR_IN_USE, field, "the address %s is in use", text);
    }
    if (rc == 1) {
        note_claim(t->cloud, ip);
    }
    return rc < 0 ? rc : 0;
}

int txn_ip_release(struct txn *t, const struct ip *ip, const char *owner_id, struct error *err)
{
    pools_released(t->cloud);
    return store_ip_release(t->store, ip, owner_id, err);
}
