// The addresses of an instance: claimed as given or allocated from the pools.
#include "sim/instance.h"
#include "sim/operation.h"

#include <stdio.h>
#include <string.h>

#define DNS_NAME_MAX 253 // of the whole, RFC 1035

static bool is_same_ip(const struct ip *a, const struct ip *b)
{
    return a->family && b->family && ip_compare(a, b) == 0;
}

static bool has_ip(const struct instance_address *list, size_t count, const struct ip *ip)
{
    for (size_t n = 0; n < count; n++) {
        if (is_same_ip(&list[n].ip, ip))
            return true;
    }
    return false;
}

static bool has_address(const struct instance_address *list, size_t count,
                        const struct instance_address *a)
{
    for (size_t n = 0; n < count; n++) {
        if (list[n].type == a->type && strcmp(list[n].text, a->text) == 0)
            return true;
    }
    return false;
}

// Claims list[n], unless the instance holds it: it did before, or it is the same IP address under
// another type.
static int claim(struct txn *t, const struct instance *i, const struct instance_address *list,
                 size_t n, struct error *err)
{
    char field[64];

    snprintf(field, sizeof(field), "addresses[%zu].address", n);
    if (has_address(list, n, &list[n]))
        return error_set(err, ERROR_INVALID, field, "address %s is listed twice", list[n].text);
    if (!list[n].ip.family || has_ip(list, n, &list[n].ip) ||
        has_ip(i->addresses, i->address_count, &list[n].ip))
        return 0;
    return txn_ip_claim(t, &list[n].ip, i->r.id, field, err);
}

static int claim_all(struct txn *t, const struct instance *i, const struct instance_spec *spec,
                     struct instance_address **out, struct error *err)
{
    struct instance_address *list = arena_alloc(t->arena, spec->address_count * sizeof(*list));

    for (size_t n = 0; n < spec->address_count; n++) {
        const struct address_spec *a = &spec->addresses[n];
        int rc;

        list[n] = (struct instance_address){.type = a->type, .ip = a->ip, .text = a->text};
        rc = claim(t, i, list, n, err);
        if (rc < 0)
            return rc;
    }
    *out = list;
    return 0;
}

static int allocate(struct txn *t, struct instance *i, enum address_type type,
                    enum ip_family family, struct error *err)
{
    static const enum pool pools[2][2] = {{POOL_INTERNAL_V4, POOL_INTERNAL_V6},
                                          {POOL_EXTERNAL_V4, POOL_EXTERNAL_V6}};
    struct instance_address *a = &i->addresses[i->address_count];
    char text[IP_TEXT_MAX];
    int rc;

    rc = txn_ip_allocate(t, pools[type == ADDRESS_EXTERNAL][family == IP_V6], i->r.id, &a->ip, err);
    if (rc < 0)
        return rc;
    ip_format(&a->ip, text);
    a->type = type;
    a->text = arena_strdup(t->arena, text);
    i->address_count++;
    return 0;
}

static int allocate_all(struct txn *t, struct instance *i, enum address_type type,
                        const struct instance_spec *spec, struct error *err)
{
    static const enum ip_family by_default[] = {IP_V4};
    const enum ip_family *families = spec->family_count ? spec->families : by_default;
    size_t count = spec->family_count ? spec->family_count : 1;

    for (size_t n = 0; n < count; n++) {
        int rc = allocate(t, i, type, families[n], err);

        if (rc < 0)
            return rc;
    }
    return 0;
}

int instance_addresses_assign(struct txn *t, struct instance *i, const struct instance_spec *spec,
                              struct error *err)
{
    const char *dns;
    int rc;

    if (spec->has_addresses) {
        rc = claim_all(t, i, spec, &i->addresses, err);
        if (rc == 0)
            i->address_count = spec->address_count;
        return rc;
    }
    i->addresses = arena_alloc(t->arena, (2 * 2 + 1) * sizeof(*i->addresses));
    rc = allocate_all(t, i, ADDRESS_INTERNAL, spec, err);
    if (rc == 0 && spec->external_ip)
        rc = allocate_all(t, i, ADDRESS_EXTERNAL, spec, err);
    if (rc < 0)
        return rc;
    dns = arena_printf(t->arena, "%s.%s.internal", i->r.name, i->zone);
    if (strlen(dns) <= DNS_NAME_MAX) // an instance of a longer name has none
        i->addresses[i->address_count++] =
            (struct instance_address){.type = ADDRESS_INTERNAL_DNS, .text = dns};
    return 0;
}

// Releases the IP addresses of the instance that are not among `kept`.
static int release(struct txn *t, const struct instance *i, const struct instance_address *kept,
                   size_t kept_count, struct error *err)
{
    const struct instance_address *list = i->addresses;

    for (size_t n = 0; n < i->address_count; n++) {
        int rc;

        if (!list[n].ip.family || has_ip(list, n, &list[n].ip) ||
            has_ip(kept, kept_count, &list[n].ip))
            continue;
        rc = txn_ip_release(t, &list[n].ip, i->r.id, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool lists_differ(const struct instance *i, const struct instance_spec *spec)
{
    if (i->address_count != spec->address_count)
        return true;
    for (size_t n = 0; n < i->address_count; n++) {
        if (i->addresses[n].type != spec->addresses[n].type ||
            strcmp(i->addresses[n].text, spec->addresses[n].text) != 0)
            return true;
    }
    return false;
}

int instance_addresses_replace(struct txn *t, struct instance *i, const struct instance_spec *spec,
                               bool *changed, struct error *err)
{
    struct instance_address *list;
    int rc;

    if (!lists_differ(i, spec))
        return 0;
    rc = claim_all(t, i, spec, &list, err);
    if (rc == 0)
        rc = release(t, i, list, spec->address_count, err);
    if (rc < 0)
        return rc;
    i->addresses = list;
    i->address_count = spec->address_count;
    *changed = true;
    return 0;
}

int instance_addresses_release(struct txn *t, const struct instance *i, struct error *err)
{
    return release(t, i, NULL, 0, err);
}
