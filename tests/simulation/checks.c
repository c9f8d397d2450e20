#include "tests/simulation/checks.h"

#include "sim/cloud_internal.h"
#include "sim/usage.h"
#include "store/internal.h"

#include <inttypes.h>
#include <string.h>

static const enum kind kinds[] = {
    KIND_INSTANCE, KIND_LOAD_BALANCER, KIND_TARGET_POOL, KIND_ADDRESS, KIND_ROUTE,
    KIND_ZONE,     KIND_INSTANCE_TYPE, KIND_LATENCY,     KIND_PROJECT, KIND_QUOTA};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static void check_document(const struct thing *x, struct cloud *cloud)
{
    struct buffer out;
    struct error err = {0};
    int64_t revision = 0;

    buffer_init(&out);
    if (cloud_get(cloud, x->kind, x->project, x->id, &out, &revision, &err) < 0)
        violated("%s %s, written at revision %" PRId64 ", cannot be read: %s", kind_name(x->kind),
                 x->id, x->revision, err.message);
    if (revision != x->revision || out.length != x->length ||
        memcmp(out.data, x->document, x->length) != 0)
        violated("GET of %s %s is not the document of its last event, %" PRId64 ": %.*s",
                 kind_name(x->kind), x->id, x->revision, (int)out.length, out.data);
    buffer_fini(&out);
}

void check_step(const struct model *m, struct cloud *cloud, uint64_t draw)
{
    const struct things *all = &m->things[kinds[draw % KINDS]];
    struct clock_view clock = cloud_clock(cloud);

    if (cloud_revision(cloud) != m->revision)
        violated("the cloud is at revision %" PRId64 ", must be at %" PRId64, cloud_revision(cloud),
                 m->revision);
    if (clock.now_ns != m->now)
        violated("the clock says %" PRId64 ", must say %" PRId64, clock.now_ns, m->now);
    if (clock.next_deadline_ns != model_next_due(m))
        violated("the next deadline is %" PRId64 ", must be %" PRId64, clock.next_deadline_ns,
                 model_next_due(m));
    if (all->count > 0)
        check_document(all->items[draw / KINDS % all->count], cloud);
}

// --- lists ---

static void check_list(const struct model *m, struct cloud *cloud, enum kind kind)
{
    struct list_query query = {.kind = kind, .limit = 1000000};
    const struct things *all = &m->things[kind];
    struct buffer out;
    struct error err = {0};
    size_t count = 0, at = 0;
    int64_t next = 0, revision = 0;

    buffer_init(&out);
    if (cloud_list(cloud, &query, &out, &count, &next, &revision, &err) < 0)
        violated("%s: cannot be listed: %s", kind_name(kind), err.message);
    if (count != all->count || next != 0 || revision != m->revision)
        violated("%zu of %s are listed at revision %" PRId64 ", must be %zu at %" PRId64, count,
                 kind_name(kind), revision, all->count, m->revision);
    for (size_t i = 0; i < count; i++) {
        const struct thing *x = all->items[i];

        if (at + x->length > out.length || memcmp(out.data + at, x->document, x->length) != 0)
            violated("the list of %s differs from the model at %s", kind_name(kind), x->id);
        at += x->length + 1;
    }
    buffer_fini(&out);
}

// --- what must always hold, whatever the model thinks happened ---

static void check_names(const struct model *m)
{
    for (size_t k = 0; k < 5; k++) {
        const struct things *all = &m->things[kinds[k]];
        for (size_t i = 0; i < all->count; i++) {
            const struct thing *x = all->items[i];
            if (model_holds_name(x) && model_name_taken(m, x, x->name))
                violated("two of %s have the name %s", kind_name(x->kind), x->name);
        }
    }
}

static void check_addresses(const struct model *m)
{
    for (size_t k = 0; k < KINDS; k++) {
        const struct things *all = &m->things[kinds[k]];
        for (size_t i = 0; i < all->count; i++) {
            const struct thing *x = all->items[i];
            if (x->kind == KIND_INSTANCE && x->state == INSTANCE_TERMINATED)
                continue;
            for (int n = 0; n < x->ip_count; n++) {
                if (model_owner_of_ip(m, &x->ips[n]) != x)
                    violated("an address of %s is somebody else's too", x->id);
            }
        }
    }
}

static void check_routes(const struct model *m)
{
    for (size_t i = 0; i < m->things[KIND_ROUTE].count; i++) {
        const struct thing *x = m->things[KIND_ROUTE].items[i];
        const struct thing *hop = model_find(m, KIND_INSTANCE, 0, x->hop);
        bool runs = x->hop_is_address || (hop && hop->state == INSTANCE_RUNNING);

        if ((x->state == ROUTE_ACTIVE && !runs) || (x->state == ROUTE_BLACKHOLE && runs))
            violated("route %s is %s", x->id,
                     runs ? "a blackhole, but its next hop runs"
                          : "active, but its next hop does not run");
    }
}

static void check_targets(const struct model *m)
{
    for (size_t i = 0; i < m->things[KIND_TARGET_POOL].count; i++) {
        const struct thing *x = m->things[KIND_TARGET_POOL].items[i];
        for (int n = 0; n < x->target_count; n++) {
            const struct target_of_model *t = &x->targets[n];
            const struct thing *hop = model_find(m, KIND_INSTANCE, 0, t->key);
            bool runs = t->is_address || (hop && hop->state == INSTANCE_RUNNING);

            if ((t->health == TARGET_HEALTHY) != runs && t->health != TARGET_INITIAL &&
                t->health != TARGET_DRAINING)
                violated("target %s of %s does not follow its instance", t->key, x->id);
        }
    }
}

// --- what is counted ---

static void must_be_used(struct usage_figures is, int64_t used, const char *what)
{
    if (is.used != used)
        violated("%" PRId64 " of %s are counted, must be %" PRId64, is.used, what, used);
}

static void check_usage(const struct model *m, struct cloud *cloud)
{
    for (size_t p = 0; p < m->things[KIND_PROJECT].count; p++) {
        int64_t project = m->things[KIND_PROJECT].items[p]->seq;
        for (enum kind kind = 0; kind <= KIND_ROUTE; kind++)
            must_be_used(usage_of_quota(cloud->usage, project, kind), model_used(m, project, kind),
                         kind_name(kind));
    }
    for (size_t z = 0; z < m->things[KIND_ZONE].count; z++) {
        const char *zone = m->things[KIND_ZONE].items[z]->id;
        must_be_used(usage_of_capacity(cloud->usage, zone, NULL), model_placed(m, zone, NULL),
                     zone);
        for (int type = 0; type < TYPES; type++)
            must_be_used(usage_of_capacity(cloud->usage, zone, type_names[type]),
                         model_placed(m, zone, type_names[type]), type_names[type]);
    }
}

// --- events ---

struct look {
    const struct model *m;
    int64_t revision;
};

static int look_at_event(void *context, const struct event *event, struct bytes envelope)
{
    struct look *look = context;

    if (event->revision != ++look->revision)
        violated("event %" PRId64 " follows %" PRId64, event->revision, look->revision - 1);
    if (look->m->hashes[event->revision % HASHES] != model_hash(envelope.data, envelope.length))
        violated("event %" PRId64 " is not the one that was given out: %.*s", event->revision,
                 (int)envelope.length, (const char *)envelope.data);
    return 0;
}

static void check_events(const struct model *m, struct cloud *cloud, int64_t kept)
{
    int64_t oldest = cloud_oldest_revision(cloud), revision = 0;
    int64_t since = m->revision > HASHES / 2 ? m->revision - HASHES / 2 : 0;
    struct look look = {.m = m, .revision = since};
    struct event_query query = {.since = since, .kind = -1, .limit = HASHES};
    struct error err = {0};

    if (m->revision - oldest + 1 < kept && oldest != 1)
        violated("only the events from %" PRId64 " to %" PRId64 " are kept", oldest, m->revision);
    if (since < oldest - 1)
        violated("event %" PRId64 " is gone already", since + 1);
    if (cloud_events(cloud, &query, look_at_event, &look, &revision, &err) < 0)
        violated("events cannot be read: %s", err.message);
    if (look.revision != m->revision)
        violated("the events end with %" PRId64 ", must with %" PRId64, look.revision, m->revision);
}

void check_all(const struct model *m, struct cloud *cloud, int64_t events_kept)
{
    for (size_t k = 0; k < KINDS; k++)
        check_list(m, cloud, kinds[k]);
    check_names(m);
    check_addresses(m);
    check_routes(m);
    check_targets(m);
    check_usage(m, cloud);
    check_events(m, cloud, events_kept);
}

// --- tables ---

static void must_count(struct cloud *cloud, const char *sql, size_t expected)
{
    struct error err = {0};
    int64_t count = -1;

    if (connection_int(&cloud->store->c, sql, &count, &err) < 0)
        violated("%s: %s", sql, err.message);
    if (count != (int64_t)expected)
        violated("%s: %" PRId64 ", must be %zu", sql, count, expected);
}

static size_t count_references(const struct thing *x)
{
    size_t count = 0;

    if (x->kind == KIND_ROUTE)
        return !x->hop_is_address;
    for (int n = 0; n < x->target_count; n++)
        count += !x->targets[n].is_address;
    for (int n = 0; n < x->listener_count; n++) { // each pool once
        bool seen = false;
        for (int o = 0; o < n; o++)
            seen = seen || strcmp(x->listeners[n].pool, x->listeners[o].pool) == 0;
        count += !seen;
    }
    return count + (size_t)x->address_id_count;
}

void check_tables(const struct model *m, struct cloud *cloud)
{
    size_t tags = 0, references = 0, ips = 0;

    for (size_t k = 0; k < KINDS; k++) {
        const struct things *all = &m->things[kinds[k]];
        for (size_t i = 0; i < all->count; i++) {
            const struct thing *x = all->items[i];
            for (int key = 0; key < TAG_KEYS; key++)
                tags += x->tags[key] != NULL;
            references += count_references(x);
            if (x->kind != KIND_INSTANCE || x->state != INSTANCE_TERMINATED)
                ips += (size_t)x->ip_count;
        }
    }
    must_count(cloud, "SELECT count(*) FROM tag", tags);
    must_count(cloud, "SELECT count(*) FROM reference", references);
    must_count(cloud, "SELECT count(*) FROM ip", ips);
    must_count(cloud, "SELECT quick_check != 'ok' FROM pragma_quick_check", 0);
}
