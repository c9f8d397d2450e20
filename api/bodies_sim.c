// Bodies of /sim/v1: catalogue, latencies, projects, tokens, clock.
#include "api/bodies.h"
#include "api/bodies_shape.h"
#include "base/timefmt.h"
#include "sim/cloud.h"
#include "sim/names.h"

#include <string.h>

#define REQUEST(member) (offsetof(struct change, request.member) - offsetof(struct change, request))

static const char *const scope_choices[] = {
    [SCOPE_CLOUD] = "cloud", [SCOPE_SIM] = "sim", [SCOPE_SIM + 1] = NULL};
static const char *const zone_state_choices[] = {[ZONE_AVAILABLE] = "available",
                                                 [ZONE_UNAVAILABLE] = "unavailable",
                                                 [ZONE_UNAVAILABLE + 1] = NULL};

static const struct field zone_fields[] = {
    {.name = "region", .type = FIELD_NAME, .required = true, .offset = REQUEST(zone.region)},
    {.name = "state",
     .type = FIELD_ENUM,
     .offset = REQUEST(zone.state),
     .choices = zone_state_choices},
    {0}};
const struct schema body_zone_put = {.name = "ZonePut", .fields = zone_fields};

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

static const struct field project_fields[] = {
    {.name = "name", .type = FIELD_NAME, .required = true, .offset = REQUEST(project_create.name)},
    {0}};
const struct schema body_project_create = {.name = "ProjectCreate", .fields = project_fields};

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
