// The record of a load balancer: packed, as a document, as references.
#include "sim/load_balancer.h"
#include "sim/names.h"
#include "sim/pack.h"
#include "sim/txn.h"

static void pack_listener(const struct listener *l, struct buffer *out)
{
    pack_int(out, l->protocol);
    pack_int(out, l->port);
    pack_string(out, l->target_pool_id);
    pack_int(out, l->target_port);
    pack_int(out, l->proxy_protocol);
    pack_int(out, l->idle_timeout_s);
    pack_int(out, l->session_affinity);
    pack_int(out, l->session_affinity_timeout_s);
}

static void pack(const struct resource *r, struct buffer *out)
{
    const struct load_balancer *lb = (const struct load_balancer *)r;

    pack_int(out, lb->scheme);
    pack_string(out, lb->hostname);
    pack_int(out, (int64_t)lb->address_count);
    for (size_t n = 0; n < lb->address_count; n++) {
        pack_ip(out, &lb->addresses[n].ip);
        pack_string(out, lb->addresses[n].address_id);
    }
    pack_int(out, (int64_t)lb->listener_count);
    for (size_t n = 0; n < lb->listener_count; n++)
        pack_listener(&lb->listeners[n], out);
    pack_int(out, (int64_t)lb->source_range_count);
    for (size_t n = 0; n < lb->source_range_count; n++)
        pack_string(out, lb->source_ranges[n]);
}

static void unpack_listener(struct listener *l, struct unpacker *in)
{
    l->protocol = (enum protocol)unpack_enum(in, PROTOCOL_UDP + 1);
    l->port = (int)unpack_int(in);
    l->target_pool_id = unpack_string(in);
    l->target_port = (int)unpack_int(in);
    l->proxy_protocol = (enum proxy_protocol)unpack_enum(in, PROXY_V2 + 1);
    l->idle_timeout_s = (int)unpack_int(in);
    l->session_affinity = (enum session_affinity)unpack_enum(in, AFFINITY_CLIENT_IP + 1);
    l->session_affinity_timeout_s = (int)unpack_int(in);
}

static void unpack_listeners(struct load_balancer *lb, struct unpacker *in, struct arena *arena)
{
    lb->listener_count = unpack_count(in);
    lb->listeners = arena_alloc(arena, lb->listener_count * sizeof(*lb->listeners));
    for (size_t n = 0; n < lb->listener_count; n++)
        unpack_listener(&lb->listeners[n], in);
}

static void unpack(struct resource *r, struct unpacker *in, struct arena *arena)
{
    struct load_balancer *lb = (struct load_balancer *)r;

    lb->scheme = (enum scheme)unpack_enum(in, SCHEME_INTERNAL + 1);
    lb->hostname = unpack_string(in);
    lb->address_count = unpack_count(in);
    lb->addresses = arena_alloc(arena, lb->address_count * sizeof(*lb->addresses));
    for (size_t n = 0; n < lb->address_count; n++) {
        lb->addresses[n].ip = unpack_ip(in);
        lb->addresses[n].address_id = unpack_string(in);
    }
    unpack_listeners(lb, in, arena);
    lb->source_range_count = unpack_count(in);
    lb->source_ranges = arena_alloc(arena, lb->source_range_count * sizeof(*lb->source_ranges));
    for (size_t n = 0; n < lb->source_range_count; n++)
        lb->source_ranges[n] = unpack_string(in);
}

static void encode_address(const struct lb_address *a, struct json_writer *w)
{
    char text[IP_TEXT_MAX];

    ip_format(&a->ip, text);
    jw_object_begin(w);
    jw_field_string(w, "address", text);
    jw_field_string(w, "family", ip_family_name(a->ip.family));
    if (a->address_id)
        jw_field_string(w, "address_id", a->address_id);
    jw_object_end(w);
}

static void encode_listener(const struct listener *l, struct json_writer *w)
{
    jw_object_begin(w);
    jw_field_string(w, "protocol", protocol_names[l->protocol]);
    jw_field_int(w, "port", l->port);
    jw_field_string(w, "target_pool_id", l->target_pool_id);
    jw_field_int(w, "target_port", l->target_port);
    jw_field_string(w, "proxy_protocol", proxy_protocol_names[l->proxy_protocol]);
    jw_field_int(w, "idle_timeout_seconds", l->idle_timeout_s);
    jw_field_string(w, "session_affinity", session_affinity_names[l->session_affinity]);
    jw_field_int(w, "session_affinity_timeout_seconds", l->session_affinity_timeout_s);
    jw_object_end(w);
}

static void encode_lists(const struct load_balancer *lb, struct json_writer *w)
{
    jw_key(w, "addresses");
    jw_array_begin(w);
    for (size_t n = 0; n < lb->address_count; n++)
        encode_address(&lb->addresses[n], w);
    jw_array_end(w);
    jw_key(w, "listeners");
    jw_array_begin(w);
    for (size_t n = 0; n < lb->listener_count; n++)
        encode_listener(&lb->listeners[n], w);
    jw_array_end(w);
    jw_key(w, "source_ranges");
    jw_array_begin(w);
    for (size_t n = 0; n < lb->source_range_count; n++)
        jw_string(w, lb->source_ranges[n]);
    jw_array_end(w);
}

static void encode(const struct resource *r, struct json_writer *w)
{
    const struct load_balancer *lb = (const struct load_balancer *)r;

    jw_object_begin(w);
    encode_head(r, w);
    encode_state(r, w);
    jw_field_string(w, "scheme", scheme_names[lb->scheme]);
    if (lb->hostname)
        jw_field_string(w, "hostname", lb->hostname);
    encode_lists(lb, w);
    encode_tail(r, w);
    jw_object_end(w);
}

// Target pools and reserved addresses.
static size_t references(const struct resource *r, struct arena *arena, const char ***out)
{
    const struct load_balancer *lb = (const struct load_balancer *)r;
    const char **list =
        arena_alloc(arena, (lb->listener_count + lb->address_count) * sizeof(*list));
    size_t count = 0;

    for (size_t n = 0; n < lb->listener_count; n++)
        list[count++] = lb->listeners[n].target_pool_id;
    for (size_t n = 0; n < lb->address_count; n++) {
        if (lb->addresses[n].address_id)
            list[count++] = lb->addresses[n].address_id;
    }
    *out = list;
    return count;
}

const struct kind_ops load_balancer_kind = {
    .kind = KIND_LOAD_BALANCER,
    .size = sizeof(struct load_balancer),
    .id_prefix = "lb",
    .state_names = load_balancer_state_names,
    .pack = pack,
    .unpack = unpack,
    .encode = encode,
    .references = references,
    .due = load_balancer_due,
    .remove = load_balancer_remove,
};
