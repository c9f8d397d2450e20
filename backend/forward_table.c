// What is to be forwarded: from the documents of load balancers, target pools and instances.
#include "backend/forward.h"

#include "base/timefmt.h"

#include <jansson.h>
#include <string.h>

#define LIST_MAX 10000

struct reading {
    struct cloud *cloud;
    struct forward_table *table;
    json_t *pools, *instances; // by id
};

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

// All documents of a kind as an array; NULL and an error when they cannot be read.
static json_t *list(struct cloud *cloud, enum kind kind, uint32_t states, struct error *err)
{
    struct list_query query = {.kind = kind, .states = states, .limit = LIST_MAX};
    int64_t next, revision;
    json_t *items = NULL;
    struct buffer out;
    size_t count;

    buffer_init(&out);
    buffer_append_string(&out, "[");
    if (cloud_list(cloud, &query, &out, &count, &next, &revision, err) == 0) {
        buffer_append_string(&out, "]");
        items = out.failed ? NULL : json_loadb(out.data, out.length, 0, NULL);
        if (!items)
            error_set(err, ERROR_INTERNAL, NULL, "%s documents cannot be read", kind_name(kind));
    }
    buffer_fini(&out);
    return items;
}

static json_t *by_id(json_t *items)
{
    json_t *map = json_object(), *item;
    size_t n;

    json_array_foreach(items, n, item)
    {
        json_object_set(map, text_at(item, "id"), item);
    }
    json_decref(items);
    return map;
}

// The internal address of a running instance, in that family.
static bool address_of(const struct reading *r, const char *instance, enum ip_family family,
                       struct ip *out)
{
    const json_t *address;
    size_t n;

    json_array_foreach(json_object_get(json_object_get(r->instances, instance), "addresses"), n,
                       address)
    {
        if (strcmp(text_at(address, "type"), "internal") == 0 &&
            ip_parse(text_at(address, "address"), out, NULL) == 0 && out->family == family)
            return true;
    }
    return false;
}

static void add_target(const struct reading *r, struct forward_listener *l, const json_t *target,
                       int port)
{
    struct ip ip;

    if (strcmp(text_at(target, "health"), "healthy") != 0)
        return;
    if (*text_at(target, "address")) {
        if (ip_parse(text_at(target, "address"), &ip, NULL) < 0 || ip.family != l->at.ip.family)
            return;
    } else if (!address_of(r, text_at(target, "instance_id"), l->at.ip.family, &ip)) {
        return;
    }
    l->targets[l->target_count++] = (struct forward_endpoint){ip, port};
}

static void add_listener(const struct reading *r, const json_t *listener, const struct ip *ip)
{
    json_t *pool = json_object_get(r->pools, text_at(listener, "target_pool_id"));
    json_t *targets = json_object_get(pool, "targets"), *target;
    int port = (int)json_integer_value(json_object_get(listener, "target_port"));
    struct forward_table *table = r->table;
    struct forward_listener *l = &table->listeners[table->count];
    size_t n;

    if (table->count == FORWARD_LISTENERS || strcmp(text_at(listener, "protocol"), "TCP") != 0)
        return;
    table->count++;
    l->at.ip = *ip;
    l->at.port = (int)json_integer_value(json_object_get(listener, "port"));
    l->idle_ns = json_integer_value(json_object_get(listener, "idle_timeout_seconds")) * NS_PER_S;
    l->targets = arena_alloc(&table->arena, (json_array_size(targets) + 1) * sizeof(*l->targets));
    json_array_foreach(targets, n, target)
    {
        add_target(r, l, target, port);
    }
}

static void add_load_balancer(const struct reading *r, const json_t *lb)
{
    const json_t *address, *listener;
    struct ip ip;
    size_t a, n;

    json_array_foreach(json_object_get(lb, "addresses"), a, address)
    {
        if (ip_parse(text_at(address, "address"), &ip, NULL) < 0)
            continue;
        json_array_foreach(json_object_get(lb, "listeners"), n, listener)
        {
            add_listener(r, listener, &ip);
        }
    }
}

int forward_table_read(struct cloud *cloud, struct forward_table *out, struct error *err)
{
    struct reading r = {.cloud = cloud, .table = out};
    json_t *balancers = list(cloud, KIND_LOAD_BALANCER, 1U << LB_ACTIVE | 1U << LB_UPDATING, err);
    json_t *pools = balancers ? list(cloud, KIND_TARGET_POOL, 0, err) : NULL;
    json_t *instances = pools ? list(cloud, KIND_INSTANCE, 1U << INSTANCE_RUNNING, err) : NULL;
    json_t *lb;
    size_t n;

    if (instances) {
        memset(out, 0, sizeof(*out));
        arena_init(&out->arena);
        out->listeners = arena_alloc(&out->arena, FORWARD_LISTENERS * sizeof(*out->listeners));
        r.pools = by_id(pools);
        r.instances = by_id(instances);
        json_array_foreach(balancers, n, lb)
        {
            add_load_balancer(&r, lb);
        }
    } else {
        json_decref(pools);
    }
    json_decref(balancers);
    json_decref(r.pools);
    json_decref(r.instances);
    return instances ? 0 : -ERROR_INTERNAL;
}

void forward_table_free(struct forward_table *table)
{
    arena_fini(&table->arena);
    memset(table, 0, sizeof(*table));
}
