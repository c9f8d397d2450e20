// Bodies of /sim/v1: catalogue, latencies, projects, tokens, clock.
#include "api/bodies.h"
#include "api/bodies_shape.h"
#include "base/bucket.h"
#include "sim/cloud.h"
#include "sim/names.h"

#include <stdlib.h>
#include <string.h>

#define QUOTA_MAX 1000000000
#define CAPACITY_TYPES_MAX 1000
#define REQUEST(member) (offsetof(struct change, request.member) - offsetof(struct change, request))

static const char *const scope_choices[] = {
    [SCOPE_CLOUD] = "cloud", [SCOPE_SIM] = "sim", [SCOPE_SIM + 1] = NULL};
static const char *const zone_state_choices[] = {[ZONE_AVAILABLE] = "available",
                                                 [ZONE_UNAVAILABLE] = "unavailable",
                                                 [ZONE_UNAVAILABLE + 1] = NULL};

static int by_type(const void *a, const void *b)
{
    return strcmp(((const struct type_capacity *)a)->type, ((const struct type_capacity *)b)->type);
}

static int parse_count(struct json_in *in, const char *field, const json_t *value, int64_t *out)
{
    json_int_t number = json_integer_value(value);

    if (!json_is_integer(value) || number < 0 || number > QUOTA_MAX)
        return json_in_fail(in, field, "must be an integer from 0 to %d", QUOTA_MAX);
    *out = number;
    return 0;
}

// {"small": 10, "large": 0}
static int parse_capacity(struct json_in *in, const struct field *f, const json_t *value,
                          char *object)
{
    struct zone_spec *zone = (struct zone_spec *)(void *)(object + f->offset);
    const char *type;
    json_t *limit;

    if (!json_is_object(value) || json_object_size(value) > CAPACITY_TYPES_MAX)
        return json_in_fail(in, NULL, "must be an object of at most %d instance types",
                            CAPACITY_TYPES_MAX);
    zone->capacity =
        arena_alloc(in->arena, (json_object_size(value) + 1) * sizeof(*zone->capacity));
    json_object_foreach((json_t *)(uintptr_t)value, type, limit)
    {
        struct type_capacity *item = &zone->capacity[zone->capacity_count++];
        if (!name_valid(type, strlen(type)))
            return json_in_fail(in, NULL, "has a name that no instance type can have");
        item->type = arena_strdup(in->arena, type);
        if (parse_count(in, item->type, limit, &item->limit) < 0)
            return -ERROR_INVALID;
    }
    qsort(zone->capacity, zone->capacity_count, sizeof(*zone->capacity), by_type);
    return 0;
}

static const struct field zone_fields[] = {
    {.name = "region", .type = FIELD_NAME, .required = true, .offset = REQUEST(zone.region)},
    {.name = "state",
     .type = FIELD_ENUM,
     .offset = REQUEST(zone.state),
     .choices = zone_state_choices},
    {.name = "capacity", .type = FIELD_PARSED, .offset = REQUEST(zone), .parse = parse_capacity},
    {.name = "capacity_total",
     .type = FIELD_INT64,
     .offset = REQUEST(zone.capacity_total),
     .present = REQUEST(zone.has_capacity_total),
     .maximum = QUOTA_MAX},
    {0}};
const struct schema body_zone_put = {.name = "ZonePut", .fields = zone_fields};

// --- quotas ---

// null: no limit
static int parse_limit(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    struct quota_limit limit = {true, -1};

    if (!json_is_null(value) && parse_count(in, NULL, value, &limit.limit) < 0)
        return -ERROR_INVALID;
    memcpy(object + f->offset, &limit, sizeof(limit));
    return 0;
}

static int check_rate(struct json_in *in, void *object)
{
    const struct quota_rate *rate = object;

    if (rate->rate < BUCKET_RATE_MIN)
        return json_in_fail(in, "rate", "must be %g to %g operations per second", BUCKET_RATE_MIN,
                            BUCKET_RATE_MAX);
    return 0;
}

static const struct field rate_fields[] = {{.name = "rate",
                                            .type = FIELD_DOUBLE,
                                            .required = true,
                                            .offset = offsetof(struct quota_rate, rate),
                                            .maximum = (int64_t)BUCKET_RATE_MAX},
                                           {.name = "burst",
                                            .type = FIELD_INT64,
                                            .offset = offsetof(struct quota_rate, burst),
                                            .minimum = 1,
                                            .maximum = BUCKET_BURST_MAX},
                                           {0}};
static const struct schema rate_schema = {
    .name = "RateLimit", .fields = rate_fields, .check = check_rate};

static int parse_rate(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    struct quota_rate rate = {0};

    if (!json_is_null(value) && json_in_object(in, &rate_schema, value, &rate) < 0)
        return -ERROR_INVALID;
    rate.given = true;
    memcpy(object + f->offset, &rate, sizeof(rate));
    return 0;
}

#define LIMIT(text, kind)                                                                    \
    {                                                                                        \
        .name = (text), .type = FIELD_PARSED,                                                \
        .offset = offsetof(struct quota_spec, limits) + (kind) * sizeof(struct quota_limit), \
        .parse = parse_limit                                                                 \
    }
#define RATE(text, class)                                                                   \
    {                                                                                       \
        .name = (text), .type = FIELD_PARSED,                                               \
        .offset = offsetof(struct quota_spec, rates) + (class) * sizeof(struct quota_rate), \
        .parse = parse_rate                                                                 \
    }

static const struct field rates_fields[] = {
    RATE("read", RATE_READ), RATE("list", RATE_LIST), RATE("write", RATE_WRITE), {0}};
static const struct schema rates_schema = {.name = "RateLimits", .fields = rates_fields};

static const struct field quota_fields[] = {
    LIMIT("instances", KIND_INSTANCE),
    LIMIT("load_balancers", KIND_LOAD_BALANCER),
    LIMIT("target_pools", KIND_TARGET_POOL),
    LIMIT("addresses", KIND_ADDRESS),
    LIMIT("routes", KIND_ROUTE),
    {.name = "rates", .type = FIELD_OBJECT, .schema = &rates_schema},
    {0}};
const struct schema body_quotas_put = {.name = "QuotasPut", .fields = quota_fields};
const struct schema body_quotas_update = {
    .name = "QuotasUpdate", .fields = quota_fields, .minimum = 1};

static const struct field instance_type_fields[] = {{.name = "cpus",
                                                     .type = FIELD_INT,
                                                     .required = true,
                                                     .offset = REQUEST(instance_type.cpus),
                                                     .minimum = 1,
                                                     .maximum = 4096},
                                                    {.name = "memory_mib",
                                                     .type = FIELD_INT64,
                                                     .required = true,
                                                     .offset = REQUEST(instance_type.memory_mib),
                                                     .minimum = 1,
                                                     .maximum = 67108864},
                                                    {.name = "max_pods",
                                                     .type = FIELD_INT,
                                                     .offset = REQUEST(instance_type.max_pods),
                                                     .maximum = 100000,
                                                     .fallback = 110},
                                                    {0}};
const struct schema body_instance_type_put = {.name = "InstanceTypePut",
                                              .fields = instance_type_fields};

static const struct field token_fields[] = {
    {.name = "scope", .type = FIELD_ENUM, .offset = REQUEST(token.scope), .choices = scope_choices},
    {0}};
const struct schema body_token_create = {.name = "TokenCreate", .fields = token_fields};

// --- clusters ---

#define CLUSTER(member) offsetof(struct cluster_spec, member)

static const struct field cluster_fields[] = {
    {.name = "name", .type = FIELD_NAME, .required = true, .offset = CLUSTER(name)},
    {.name = "terminate",
     .type = FIELD_ENUM,
     .offset = CLUSTER(terminate),
     .choices = terminate_policy_names},
    {.name = "protect_control_plane",
     .type = FIELD_BOOL,
     .offset = CLUSTER(protect_control_plane),
     .fallback = 1},
    {.name = "routes", .type = FIELD_BOOL, .offset = CLUSTER(program_routes), .fallback = 1},
    {0}};
const struct schema body_cluster_create = {.name = "ClusterCreate", .fields = cluster_fields};

// --- projects ---

static int parse_ttl(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    int64_t ns;

    if (json_in_duration(in, value, &ns) < 0)
        return -ERROR_INVALID;
    if (ns == 0)
        return json_in_fail(in, NULL, "must be more than nothing");
    memcpy(object + f->offset, &ns, sizeof(ns));
    return 0;
}

// null: for ever
static int parse_new_ttl(struct json_in *in, const struct field *f, const json_t *value,
                         char *object)
{
    return json_is_null(value) ? 0 : parse_ttl(in, f, value, object);
}

static const struct schema quotas_schema = {.name = "QuotasPut", .fields = quota_fields};

static const struct field project_fields[] = {
    {.name = "name", .type = FIELD_NAME, .required = true, .offset = REQUEST(project_create.name)},
    {.name = "ttl",
     .type = FIELD_PARSED,
     .offset = REQUEST(project_create.ttl_ns),
     .parse = parse_ttl},
    {.name = "quotas",
     .type = FIELD_OBJECT,
     .offset = REQUEST(project_create.quotas),
     .present = REQUEST(project_create.has_quotas),
     .schema = &quotas_schema},
    {.name = "token", .type = FIELD_BOOL, .offset = REQUEST(project_create.wants_token)},
    {0}};
const struct schema body_project_create = {.name = "ProjectCreate", .fields = project_fields};

static const struct field project_update_fields[] = {{.name = "ttl",
                                                      .type = FIELD_PARSED,
                                                      .required = true,
                                                      .offset = REQUEST(project_update.ttl_ns),
                                                      .parse = parse_new_ttl},
                                                     {0}};
const struct schema body_project_update = {.name = "ProjectUpdate",
                                           .fields = project_update_fields};

// --- latencies ---

static int convert_latency(struct json_in *in, const void *given, void *object)
{
    return shape_convert(in, given, object);
}

static const struct field latency_fields[] = {SHAPE_FIELDS, {0}};
const struct schema body_latency_put = {.name = "LatencyPut",
                                        .fields = latency_fields,
                                        .size = sizeof(struct shape_body),
                                        .convert = convert_latency};

// --- clock ---

static int check_clock_update(struct json_in *in, void *object)
{
    (void)in;
    ((struct clock_change *)object)->action = CLOCK_SET_SCALE;
    return 0;
}

static const struct field clock_update_fields[] = {{.name = "scale",
                                                    .type = FIELD_DOUBLE,
                                                    .required = true,
                                                    .offset = offsetof(struct clock_change, scale),
                                                    .maximum = (int64_t)CLOCK_SCALE_MAX},
                                                   {0}};
const struct schema body_clock_update = {
    .name = "ClockUpdate", .fields = clock_update_fields, .check = check_clock_update};

struct advance_body {
    struct duration by, to; // `to`: a time
};

static int convert_advance(struct json_in *in, const void *given, void *object)
{
    const struct advance_body *body = given;
    struct clock_change *change = object;

    if (body->by.given == body->to.given)
        return json_in_fail(in, NULL, "must have exactly one of by and to");
    change->action = body->by.given ? CLOCK_ADVANCE_BY : CLOCK_ADVANCE_TO;
    change->ns = body->by.given ? body->by.ns : body->to.ns;
    return 0;
}

static const struct field advance_fields[] = {{.name = "by",
                                               .type = FIELD_PARSED,
                                               .offset = offsetof(struct advance_body, by),
                                               .parse = parse_duration},
                                              {.name = "to",
                                               .type = FIELD_PARSED,
                                               .offset = offsetof(struct advance_body, to),
                                               .parse = parse_time},
                                              {0}};
const struct schema body_clock_advance = {.name = "ClockAdvance",
                                          .fields = advance_fields,
                                          .size = sizeof(struct advance_body),
                                          .convert = convert_advance};
