// The record of a target pool: packed, as a document, as references.
#include "sim/names.h"
#include "sim/pack.h"
#include "sim/target_pool.h"
#include "sim/txn.h"

static void pack_target(const struct target *target, struct buffer *out)
{
    pack_string(out, target->instance_id);
    pack_string(out, target->address);
    pack_int(out, target->health);
    pack_string(out, target->health_reason);
    pack_int(out, target->due_ns);
}

static void pack(const struct resource *r, struct buffer *out)
{
    const struct target_pool *pool = (const struct target_pool *)r;
    const struct health_check *check = &pool->health_check;

    pack_int(out, check->protocol);
    pack_int(out, check->port);
    pack_string(out, check->path);
    pack_int(out, check->interval_s);
    pack_int(out, check->timeout_s);
    pack_int(out, check->healthy_threshold);
    pack_int(out, check->unhealthy_threshold);
    pack_int(out, (int64_t)pool->target_count);
    for (size_t n = 0; n < pool->target_count; n++)
        pack_target(&pool->targets[n], out);
}

static void unpack_target(struct target *target, struct unpacker *in)
{
    target->instance_id = unpack_string(in);
    target->address = unpack_string(in);
    target->health = (enum target_health)unpack_enum(in, TARGET_HEALTHS);
    target->health_reason = unpack_string(in);
    target->due_ns = unpack_int(in);
}

static void unpack(struct resource *r, struct unpacker *in, struct arena *arena)
{
    struct target_pool *pool = (struct target_pool *)r;
    struct health_check *check = &pool->health_check;

    check->protocol = (enum health_check_protocol)unpack_enum(in, HEALTH_CHECK_HTTP + 1);
    check->port = (int)unpack_int(in);
    check->path = unpack_string(in);
    check->interval_s = (int)unpack_int(in);
    check->timeout_s = (int)unpack_int(in);
    check->healthy_threshold = (int)unpack_int(in);
    check->unhealthy_threshold = (int)unpack_int(in);
    pool->target_count = unpack_count(in);
    pool->targets = arena_alloc(arena, pool->target_count * sizeof(*pool->targets));
    for (size_t n = 0; n < pool->target_count; n++)
        unpack_target(&pool->targets[n], in);
}

static void encode_target(const struct target *target, struct json_writer *w)
{
    jw_object_begin(w);
    if (target->instance_id)
        jw_field_string(w, "instance_id", target->instance_id);
    else
        jw_field_string(w, "address", target->address);
    jw_field_string(w, "health", target_health_names[target->health]);
    if (target->health_reason)
        jw_field_string(w, "health_reason", target->health_reason);
    jw_object_end(w);
}

static void encode_health_check(const struct health_check *check, struct json_writer *w)
{
    jw_object_begin(w);
    jw_field_string(w, "protocol", health_check_protocol_names[check->protocol]);
    jw_field_int(w, "port", check->port);
    jw_field_string(w, "path", check->path);
    jw_field_int(w, "interval_seconds", check->interval_s);
    jw_field_int(w, "timeout_seconds", check->timeout_s);
    jw_field_int(w, "healthy_threshold", check->healthy_threshold);
    jw_field_int(w, "unhealthy_threshold", check->unhealthy_threshold);
    jw_object_end(w);
}

static void encode(const struct resource *r, struct json_writer *w)
{
    const struct target_pool *pool = (const struct target_pool *)r;

    jw_object_begin(w);
    encode_head(r, w);
    jw_key(w, "targets");
    jw_array_begin(w);
    for (size_t n = 0; n < pool->target_count; n++)
        encode_target(&pool->targets[n], w);
    jw_array_end(w);
    jw_key(w, "health_check");
    encode_health_check(&pool->health_check, w);
    encode_tail(r, w);
    jw_object_end(w);
}

static size_t references(const struct resource *r, struct arena *arena, const char ***out)
{
    const struct target_pool *pool = (const struct target_pool *)r;
    const char **list = arena_alloc(arena, pool->target_count * sizeof(*list));
    size_t count = 0;

    for (size_t n = 0; n < pool->target_count; n++) {
        if (pool->targets[n].instance_id)
            list[count++] = pool->targets[n].instance_id;
    }
    *out = list;
    return count;
}

const struct kind_ops target_pool_kind = {
    .kind = KIND_TARGET_POOL,
    .size = sizeof(struct target_pool),
    .id_prefix = "tp",
    .pack = pack,
    .unpack = unpack,
    .encode = encode,
    .references = references,
    .due = target_pool_due,
};
