// The record of an instance: packed, as a document, as columns.
#include "sim/instance.h"
#include "sim/names.h"
#include "sim/pack.h"
#include "sim/txn.h"

static void pack_notice(const struct notice *n, struct buffer *out)
{
    pack_string(out, n->id);
    pack_int(out, n->kind);
    pack_int(out, n->action);
    pack_int(out, n->state);
    pack_int(out, n->issued_ns);
    pack_int(out, n->deadline_ns);
    pack_int(out, n->ended_ns);
}

static void pack(const struct resource *r, struct buffer *out)
{
    const struct instance *i = (const struct instance *)r;

    pack_string(out, i->zone);
    pack_string(out, i->region);
    pack_string(out, i->type);
    pack_int(out, i->lifecycle);
    pack_int(out, i->backend);
    pack_int(out, (int64_t)i->address_count);
    for (size_t n = 0; n < i->address_count; n++) {
        const struct instance_address *a = &i->addresses[n];

        pack_int(out, a->type);
        pack_ip(out, &a->ip);
        pack_string(out, a->ip.family ? NULL : a->text); // of an IP address it is derived
    }
    pack_int(out, i->due_ns);
    pack_int(out, i->notice_serial);
    pack_int(out, (int64_t)i->notice_count);
    for (size_t n = 0; n < i->notice_count; n++)
        pack_notice(&i->notices[n], out);
    pack_string(out, i->cluster);
    pack_string(out, i->container_id);
    pack_int(out, i->role);
    pack_int(out, i->provision);
}

static void unpack_address(struct instance_address *a, struct unpacker *in, struct arena *arena)
{
    char text[IP_TEXT_MAX];

    a->type = (enum address_type)unpack_enum(in, ADDRESS_HOSTNAME + 1);
    a->ip = unpack_ip(in);
    a->text = unpack_string(in);
    if (a->ip.family) {
        ip_format(&a->ip, text);
        a->text = arena_strdup(arena, text);
    }
}

static void unpack_notice(struct notice *n, struct unpacker *in)
{
    n->id = unpack_string(in);
    n->kind = (enum notice_kind)unpack_enum(in, NOTICE_KINDS);
    n->action = (enum notice_action)unpack_enum(in, NOTICE_ACTIONS);
    n->state = (enum notice_state)unpack_enum(in, NOTICE_STATES);
    n->issued_ns = unpack_int(in);
    n->deadline_ns = unpack_int(in);
    n->ended_ns = unpack_int(in);
    in->failed = in->failed || !n->id;
}

// Of version 1 the only deadline was the state's own.
static void unpack_notices(struct instance *i, struct unpacker *in, struct arena *arena)
{
    i->due_ns = i->r.transition_ns;
    if (in->version < 2)
        return;
    i->due_ns = unpack_int(in);
    i->notice_serial = unpack_int(in);
    i->notice_count = unpack_count(in);
    i->notices = arena_alloc(arena, i->notice_count * sizeof(*i->notices));
    for (size_t n = 0; n < i->notice_count && !in->failed; n++)
        unpack_notice(&i->notices[n], in);
}

static void unpack(struct resource *r, struct unpacker *in, struct arena *arena)
{
    struct instance *i = (struct instance *)r;

    i->zone = unpack_string(in);
    i->region = unpack_string(in);
    i->type = unpack_string(in);
    i->lifecycle = (enum instance_lifecycle)unpack_enum(in, LIFECYCLE_SPOT + 1);
    i->backend = (enum instance_backend)unpack_enum(in, BACKEND_DOCKER + 1);
    i->address_count = unpack_count(in);
    i->addresses = arena_alloc(arena, i->address_count * sizeof(*i->addresses));
    for (size_t n = 0; n < i->address_count && !in->failed; n++)
        unpack_address(&i->addresses[n], in, arena);
    unpack_notices(i, in, arena);
    if (in->version >= 2) {
        i->cluster = unpack_string(in);
        i->container_id = unpack_string(in);
        i->role = (enum node_role)unpack_enum(in, ROLE_CONTROL_PLANE + 1);
        i->provision = (enum provision)unpack_enum(in, PROVISION_ADOPT + 1);
    }
}

static void encode_container(const struct instance *i, struct json_writer *w)
{
    jw_key(w, "container");
    jw_object_begin(w);
    jw_field_string(w, "cluster", i->cluster);
    jw_field_string(w, "role", node_role_names[i->role]);
    jw_field_string(w, "provision", provision_names[i->provision]);
    if (i->container_id)
        jw_field_string(w, "id", i->container_id);
    jw_object_end(w);
}

static void encode_address(const struct instance_address *a, struct json_writer *w)
{
    jw_object_begin(w);
    jw_field_string(w, "type", address_type_names[a->type]);
    if (a->ip.family)
        jw_field_string(w, "family", ip_family_name(a->ip.family));
    jw_field_string(w, "address", a->text);
    jw_object_end(w);
}

static void encode_notice(const struct notice *n, struct json_writer *w)
{
    jw_object_begin(w);
    jw_field_string(w, "id", n->id);
    jw_field_string(w, "kind", notice_kind_names[n->kind]);
    jw_field_string(w, "action", notice_action_names[n->action]);
    jw_field_string(w, "state", notice_state_names[n->state]);
    jw_field_time(w, "issued_at", n->issued_ns);
    if (n->deadline_ns)
        jw_field_time(w, "deadline", n->deadline_ns);
    if (n->ended_ns)
        jw_field_time(w, "ended_at", n->ended_ns);
    jw_object_end(w);
}

static void encode_notices(const struct instance *i, struct json_writer *w)
{
    if (i->notice_count == 0)
        return;
    jw_key(w, "notices");
    jw_array_begin(w);
    for (size_t n = 0; n < i->notice_count; n++)
        encode_notice(&i->notices[n], w);
    jw_array_end(w);
}

static void encode(const struct resource *r, struct json_writer *w)
{
    const struct instance *i = (const struct instance *)r;

    jw_object_begin(w);
    encode_head(r, w);
    encode_state(r, w);
    jw_field_string(w, "zone", i->zone);
    jw_field_string(w, "region", i->region);
    jw_field_string(w, "type", i->type);
    jw_field_string(w, "lifecycle", lifecycle_names[i->lifecycle]);
    jw_field_string(w, "backend", backend_names[i->backend]);
    jw_key(w, "addresses");
    jw_array_begin(w);
    for (size_t n = 0; n < i->address_count; n++)
        encode_address(&i->addresses[n], w);
    jw_array_end(w);
    encode_notices(i, w);
    if (i->cluster)
        encode_container(i, w);
    encode_tail(r, w);
    jw_object_end(w);
}

static void columns(const struct resource *r, const char *out[KIND_COLUMNS_MAX])
{
    const struct instance *i = (const struct instance *)r;

    out[0] = i->zone;
    out[1] = i->type;
    out[2] = lifecycle_names[i->lifecycle];
}

// A report finds the instances of a cluster by this.
static size_t references(const struct resource *r, struct arena *arena, const char ***out)
{
    const struct instance *i = (const struct instance *)r;

    if (!i->cluster)
        return 0;
    *out = arena_alloc(arena, sizeof(**out));
    (*out)[0] = i->cluster;
    return 1;
}

const struct kind_ops instance_kind = {
    .kind = KIND_INSTANCE,
    .size = sizeof(struct instance),
    .id_prefix = "i",
    .state_names = instance_state_names,
    .pack = pack,
    .unpack = unpack,
    .encode = encode,
    .columns = columns,
    .references = references,
    .references_fixed = true,
    .due = instance_due,
    .remove = instance_remove,
};
