// The catalogue: zones and instance types. They go by their names and belong to no project.
#include "sim/cloud_internal.h"
#include "sim/pack.h"

#include <string.h>

static void pack_zone(const struct resource *r, struct buffer *out)
{
    const struct zone *zone = (const struct zone *)r;

    pack_string(out, zone->region);
    pack_int(out, zone->capacity_total);
    pack_int(out, (int64_t)zone->capacity_count);
    for (size_t i = 0; i < zone->capacity_count; i++) {
        pack_string(out, zone->capacity[i].type);
        pack_int(out, zone->capacity[i].limit);
    }
}

static void unpack_zone(struct resource *r, struct unpacker *in, struct arena *arena)
{
    struct zone *zone = (struct zone *)r;

    zone->region = unpack_string(in);
    zone->capacity_total = -1;
    if (in->version < 2) {
        return;
    }
    zone->capacity_total = unpack_int(in);
    zone->capacity_count = unpack_count(in);
    zone->capacity = arena_alloc(arena, (zone->capacity_count + 1) * sizeof(*zone->capacity));
    for (size_t i = 0; i < zone->capacity_count; i++) {
        zone->capacity[i].type = unpack_string(in);
        zone->capacity[i].limit = unpack_int(in);
    }
}

static void encode_capacity(const struct zone *zone, struct json_writer *w)
{
    if (zone->capacity_count > 0) {
        jw_key(w, "capacity");
        jw_object_begin(w);
        for (size_t i = 0; i < zone->capacity_count; i++) {
            jw_field_int(w, zone->capacity[i].type, zone->capacity[i].limit);
        }
        jw_object_end(w);
    }
    if (zone->capacity_total >= 0) {
        jw_field_int(w, "capacity_total", zone->capacity_total);
    }
}

static void encode_zone(const struct resource *r, struct json_writer *w)
{
    jw_object_begin(w);
    jw_field_string(w, "name", r->id);
    jw_field_string(w, "region", ((const struct zone *)r)->region);
    encode_state(r, w);
    encode_capacity((const struct zone *)r, w);
    jw_field_int(w, "revision", r->revision);
    jw_object_end(w);
}

static const char *const zone_states[] = {
    [ZONE_AVAILABLE] = "available",
    [ZONE_UNAVAILABLE] = "unavailable",
    NULL,
};

const struct kind_ops zone_kind = {
    .kind = KIND_ZONE,
    .size = sizeof(struct zone),
    .state_names = zone_states,
    .pack = pack_zone,
    .unpack = unpack_zone,
    .encode = encode_zone,
};

static void pack_type(const struct resource *r, struct buffer *out)
{
    const struct instance_type *type = (const struct instance_type *)r;

    pack_int(out, type->cpus);
    pack_int(out, type->memory_mib);
    pack_int(out, type->max_pods);
}

static void unpack_type(struct resource *r, struct unpacker *in, struct arena *arena)
{
    struct instance_type *type = (struct instance_type *)r;

    (void)arena;
    type->cpus = (int)unpack_int(in);
    type->memory_mib = unpack_int(in);
    type->max_pods = (int)unpack_int(in);
}

static void encode_type(const struct resource *r, struct json_writer *w)
{
    const struct instance_type *type = (const struct instance_type *)r;

    jw_object_begin(w);
    jw_field_string(w, "name", r->id);
    jw_field_int(w, "cpus", type->cpus);
    jw_field_int(w, "memory_mib", type->memory_mib);
    jw_field_int(w, "max_pods", type->max_pods);
    jw_field_int(w, "revision", r->revision);
    jw_object_end(w);
}

const struct kind_ops instance_type_kind = {
    .kind = KIND_INSTANCE_TYPE,
    .size = sizeof(struct instance_type),
    .pack = pack_type,
    .unpack = unpack_type,
    .encode = encode_type,
};

static int find_or_new(struct txn *t, enum kind kind, const char *name, struct resource **out,
                       struct error *err)
{
    int rc = txn_find(t, kind, 0, name, out, err);

    if (rc == 0) {
        *out = txn_new(t, kind, false, name);
    }
    return rc < 0 ? rc : 0;
}

static int64_t total_of(const struct zone_spec *spec)
{
    return spec->has_capacity_total ? spec->capacity_total : -1;
}

static bool same_capacity(const struct zone *zone, const struct zone_spec *spec)
{
    bool same =
        zone->capacity_count == spec->capacity_count && zone->capacity_total == total_of(spec);

    for (size_t i = 0; same && i < spec->capacity_count; i++) {
        same = strcmp(zone->capacity[i].type, spec->capacity[i].type) == 0 &&
               zone->capacity[i].limit == spec->capacity[i].limit;
    }
    return same;
}

static int put_zone(struct txn *t, const char *name, const struct zone_spec *spec,
                    struct resource **out, struct error *err)
{
    int rc = find_or_new(t, KIND_ZONE, name, out, err);

    if (rc < 0) {
        return rc;
    }
    struct zone *zone = (struct zone *)*out;
    if (zone->r.seq != 0 && zone->r.state == (int)spec->state &&
        strcmp(zone->region, spec->region) == 0 && zone->r.reason_code == NULL &&
        same_capacity(zone, spec)) {
        return 0; // a configuration that is applied at every start changes nothing
    }
    zone->r.reason_code = zone->r.reason_message = NULL; // not the outage of a fault rule any more
    zone->region = spec->region;
    zone->r.state = (int)spec->state;
    zone->capacity = spec->capacity;
    zone->capacity_count = spec->capacity_count;
    zone->capacity_total = total_of(spec);
    return txn_put(t, *out, err);
}

static int put_type(struct txn *t, const char *name, int cpus, int64_t memory_mib, int max_pods,
                    struct resource **out, struct error *err)
{
    int rc = find_or_new(t, KIND_INSTANCE_TYPE, name, out, err);

    if (rc < 0) {
        return rc;
    }
    struct instance_type *type = (struct instance_type *)*out;
    if (type->r.seq != 0 && type->cpus == cpus && type->memory_mib == memory_mib &&
        type->max_pods == max_pods) {
        return 0;
    }
    type->cpus = cpus;
    type->memory_mib = memory_mib;
    type->max_pods = max_pods;
    return txn_put(t, *out, err);
}

int zone_put(struct txn *t, struct change *c, struct error *err)
{
    struct resource *r;
    int rc = put_zone(t, c->id, &c->request.zone, &r, err);

    if (rc == 0) {
        change_answer(t, c, r);
    }
    return rc;
}

int instance_type_put(struct txn *t, struct change *c, struct error *err)
{
    struct resource *r;
    int rc = put_type(t, c->id, c->request.instance_type.cpus, c->request.instance_type.memory_mib,
                      c->request.instance_type.max_pods, &r, err);

    if (rc == 0) {
        change_answer(t, c, r);
    }
    return rc;
}

// Deletes a zone or type unless an instance has it; `column`: which of the instance's columns.
static int delete_unused(struct txn *t, enum kind kind, const char *name, size_t column,
                         struct error *err)
{
    struct resource *r;
    struct row row;
    const char *columns[KIND_COLUMNS_MAX] = {0};

    int rc = txn_load(t, kind, 0, name, &r, err);
    if (rc < 0) {
        return rc;
    }
    columns[column] = name;
    rc = store_get_by_columns(t->store, KIND_INSTANCE, 0, columns, 0, t->arena, &row, err);
    if (rc == 1) {
        return error_set(err, ERROR_IN_USE, NULL, "%s %s is in use by instance %s", kind_name(kind),
                         name, row.id);
    }
    return rc < 0 ? rc : txn_delete(t, r, err);
}

int zone_delete(struct txn *t, struct change *c, struct error *err)
{
    return delete_unused(t, KIND_ZONE, c->id, 0, err);
}

int instance_type_delete(struct txn *t, struct change *c, struct error *err)
{
    return delete_unused(t, KIND_INSTANCE_TYPE, c->id, 1, err);
}

int catalog_seed(struct txn *t, struct error *err)
{
    static const char *const zones[] = {"mock-1a", "mock-1b", "mock-1c"};
    static const struct {
        const char *name;
        int cpus;
        int64_t memory_mib;
    } types[] = {{"small", 2, 4096}, {"medium", 4, 8192}, {"large", 8, 16384}};
    const struct zone_spec spec = {.region = "mock-1"};
    struct resource *r = txn_new(t, KIND_PROJECT, false, NULL);

    r->name = "default";
    int rc = txn_put(t, r, err);
    for (size_t i = 0; rc == 0 && i < sizeof(zones) / sizeof(zones[0]); i++) {
        rc = put_zone(t, zones[i], &spec, &r, err);
    }
    for (size_t i = 0; rc == 0 && i < sizeof(types) / sizeof(types[0]); i++) {
        rc = put_type(t, types[i].name, types[i].cpus, types[i].memory_mib, 110, &r, err);
    }
    return rc;
}
