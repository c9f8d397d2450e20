// Bodies of /sim/v1: catalogue, latencies, projects, tokens, clock.
#include "api/bodies.h"
#include "base/timefmt.h"
#include "sim/cloud.h"

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

// --- latencies ---

static const char *const distribution_choices[] = {[DISTRIBUTION_FIXED] = "fixed",
                                                   [DISTRIBUTION_UNIFORM] = "uniform",
                                                   [DISTRIBUTION_NORMAL] = "normal",
                                                   [DISTRIBUTION_LOGNORMAL] = "lognormal",
                                                   [DISTRIBUTION_LOGNORMAL + 1] = NULL};

struct duration {
    bool given;
    int64_t ns;
};

enum { VALUE, MIN, MAX, MEAN, STDDEV, DURATIONS };

struct latency_body {
    enum distribution_kind kind;
    struct duration durations[DURATIONS];
};

static const char *const duration_names[DURATIONS] = {"value", "min", "max", "mean", "stddev"};

static int parse_duration(struct json_in *in, const struct field *f, const json_t *value,
                          char *object)
{
    struct error other = {0};
    const char *text = json_in_string(in, value);
    struct duration duration = {.given = true};

    if (!text)
        return -ERROR_INVALID;
    if (duration_parse(text, &duration.ns, &other) < 0)
        return json_in_repeat(in, NULL, &other);
    memcpy(object + f->offset, &duration, sizeof(duration));
    return 0;
}

// `takes`: mask of the durations that the distribution is made of.
static int check_durations(struct json_in *in, const struct latency_body *body, unsigned takes)
{
    for (int i = 0; i < DURATIONS; i++) {
        bool wanted = (takes >> i) & 1;
        if (wanted && !body->durations[i].given)
            return json_in_fail(in, duration_names[i], "is required");
        if (!wanted && body->durations[i].given)
            return json_in_fail(in, duration_names[i], "does not belong to a %s distribution",
                                distribution_choices[body->kind]);
    }
    return 0;
}

static int convert_latency(struct json_in *in, const void *given, void *object)
{
    static const struct {
        int a, b;
    } parts[] = {[DISTRIBUTION_FIXED] = {VALUE, VALUE},
                 [DISTRIBUTION_UNIFORM] = {MIN, MAX},
                 [DISTRIBUTION_NORMAL] = {MEAN, STDDEV},
                 [DISTRIBUTION_LOGNORMAL] = {MEAN, STDDEV}};
    const struct latency_body *body = given;
    int a = parts[body->kind].a, b = parts[body->kind].b;
    int result = check_durations(in, body, 1U << a | 1U << b);

    if (result < 0)
        return result;
    if (body->kind == DISTRIBUTION_UNIFORM && body->durations[MIN].ns > body->durations[MAX].ns)
        return json_in_fail(in, "min", "is greater than max");
    *(struct distribution *)object = (struct distribution){
        .kind = body->kind,
        .a = body->durations[a].ns,
        .b = a == b ? 0 : body->durations[b].ns,
    };
    return 0;
}

#define DURATION(text, index)                                                                   \
    {                                                                                           \
        .name = (text), .type = FIELD_PARSED,                                                   \
        .offset = offsetof(struct latency_body, durations) + (index) * sizeof(struct duration), \
        .parse = parse_duration                                                                 \
    }

static const struct field latency_fields[] = {{.name = "distribution",
                                               .type = FIELD_ENUM,
                                               .required = true,
                                               .offset = offsetof(struct latency_body, kind),
                                               .choices = distribution_choices},
                                              DURATION("value", VALUE),
                                              DURATION("min", MIN),
                                              DURATION("max", MAX),
                                              DURATION("mean", MEAN),
                                              DURATION("stddev", STDDEV),
                                              {0}};
const struct schema body_latency_put = {.name = "LatencyPut",
                                        .fields = latency_fields,
                                        .size = sizeof(struct latency_body),
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

static int parse_time(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    struct error other = {0};
    const char *text = json_in_string(in, value);
    struct duration time = {.given = true};

    if (!text)
        return -ERROR_INVALID;
    if (time_parse(text, &time.ns, &other) < 0)
        return json_in_repeat(in, NULL, &other);
    memcpy(object + f->offset, &time, sizeof(time));
    return 0;
}

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
