// The body of a fault rule (docs/FAULTS.md). What no call could ever meet is refused here, where
// the table of endpoints is known.
#include "api/bodies_fault.h"

#include "api/bodies.h"
#include "api/bodies_shape.h"
#include "api/endpoint.h"
#include "base/bucket.h"
#include "base/glob.h"
#include "base/timefmt.h"
#include "sim/fault.h"
#include "sim/txn.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define COUNT_MAX INT64_C(1000000000)
#define OPERATIONS_MAX 64
#define EFFECT(member) offsetof(struct fault_effect, member)
#define SELECTOR(member) offsetof(struct fault_selector, member)
#define WHEN(member) offsetof(struct fault_when, member)

#define TEXT(name_, offset_, most)                                                \
    {                                                                             \
        .name = (name_), .type = FIELD_STRING, .offset = (offset_), .minimum = 1, \
        .maximum = (most)                                                         \
    }
#define COUNT(name_, offset_)                                                    \
    {                                                                            \
        .name = (name_), .type = FIELD_INT64, .offset = (offset_), .minimum = 1, \
        .maximum = COUNT_MAX                                                     \
    }
#define CHOICE(name_, offset_, choices_)                                                \
    {                                                                                   \
        .name = (name_), .type = FIELD_ENUM, .offset = (offset_), .choices = (choices_) \
    }
#define DURATION(name_, offset_)                                                            \
    {                                                                                       \
        .name = (name_), .type = FIELD_PARSED, .offset = (offset_), .parse = parse_positive \
    }

// Zero means "not given" in the record.
static int parse_positive(struct json_in *in, const struct field *f, const json_t *value,
                          char *object)
{
    struct duration given = {0};
    struct field as_given = {.offset = 0};
    int result = parse_duration(in, &as_given, value, (char *)&given);

    if (result < 0)
        return result;
    if (given.ns == 0)
        return json_in_fail(in, NULL, "must be more than 0");
    memcpy(object + f->offset, &given.ns, sizeof(given.ns));
    return 0;
}

// "-5m": behind.
static int parse_signed(struct json_in *in, const struct field *f, const json_t *value,
                        char *object)
{
    const char *text = json_string_value(value);
    bool negative = text && text[0] == '-';
    json_t *rest = negative ? json_string(text + 1) : NULL;
    int64_t ns;
    int result = parse_positive(in, f, negative ? rest : value, object);

    json_decref(rest);
    if (result < 0 || !negative)
        return result;
    memcpy(&ns, object + f->offset, sizeof(ns));
    ns = -ns;
    memcpy(object + f->offset, &ns, sizeof(ns));
    return 0;
}

// --- match ---

static int parse_kind(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    const char *text = json_in_string(in, value);
    struct error other = {0};
    enum kind kind;
    int number;

    if (!text)
        return -ERROR_INVALID;
    if (kind_parse(text, &kind, &other) < 0)
        return json_in_repeat(in, NULL, &other);
    number = (int)kind;
    memcpy(object + f->offset, &number, sizeof(number));
    return 0;
}

static int parse_scope(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    const char *text = json_string_value(value);

    for (int i = 0; text && scope_names[i]; i++)
        if (strcmp(scope_names[i], text) == 0) {
            memcpy(object + f->offset, &i, sizeof(i));
            return 0;
        }
    return json_in_fail(in, NULL, "must be one of cloud, sim");
}

static int parse_tags(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    struct fault_selector *s = (struct fault_selector *)(void *)object;
    struct tags_spec tags = {0};
    int result = json_in_tags(in, value, &tags);

    (void)f;
    if (result < 0)
        return result;
    s->tags = arena_alloc(in->arena, tags.count * sizeof(*s->tags) + 1);
    s->tag_count = tags.count;
    for (size_t i = 0; i < tags.count; i++)
        s->tags[i] = (struct store_tag){tags.items[i].key, tags.items[i].value};
    return 0;
}

static const struct field selector_fields[] = {
    {.name = "kind", .type = FIELD_PARSED, .offset = SELECTOR(kind), .parse = parse_kind},
    TEXT("id", SELECTOR(id), 64),
    TEXT("name", SELECTOR(name), 253),
    TEXT("zone", SELECTOR(zone), 253),
    TEXT("type", SELECTOR(type), 253),
    TEXT("state", SELECTOR(state), 64),
    {.name = "tags", .type = FIELD_PARSED, .offset = SELECTOR(tags), .parse = parse_tags},
    {0}};

static bool has_state(int kind, const char *state)
{
    const struct kind_ops *ops = kind_ops_of((enum kind)kind); // NULL: only events have this kind

    for (int i = 0; ops && ops->state_names && ops->state_names[i]; i++)
        if (strcmp(ops->state_names[i], state) == 0)
            return true;
    return false;
}

static int check_state(struct json_in *in, void *object)
{
    const struct fault_selector *s = object;
    int from = s->kind < 0 ? 0 : s->kind, to = s->kind < 0 ? KIND_COUNT - 1 : s->kind;

    for (int kind = from; s->state && kind <= to; kind++)
        if (has_state(kind, s->state))
            return 0;
    return s->state ? json_in_fail(in, "state", "no such state: %s", s->state) : 0;
}

static const struct schema selector_schema = {
    .name = "FaultResource", .fields = selector_fields, .minimum = 1, .check = check_state};

static const struct field caller_fields[] = {
    {.name = "scope",
     .type = FIELD_PARSED,
     .offset = offsetof(struct fault_match, scope),
     .parse = parse_scope},
    TEXT("user_agent", offsetof(struct fault_match, user_agent), 256),
    {0}};
static const struct schema caller_schema = {
    .name = "FaultCaller", .fields = caller_fields, .minimum = 1};

static const struct field operation_item = TEXT("", 0, 64);
static const struct field match_fields[] = {
    {.name = "operations",
     .type = FIELD_LIST,
     .required = true,
     .offset = offsetof(struct fault_spec, match.operations),
     .count = offsetof(struct fault_spec, match.operation_count),
     .size = sizeof(const char *),
     .minimum = 1,
     .maximum = OPERATIONS_MAX,
     .item = &operation_item},
    {.name = "project", .type = FIELD_NAME, .offset = offsetof(struct fault_spec, project)},
    {.name = "resource",
     .type = FIELD_OBJECT,
     .offset = offsetof(struct fault_spec, match.resource),
     .present = offsetof(struct fault_spec, match.has_resource),
     .schema = &selector_schema},
    {.name = "caller",
     .type = FIELD_OBJECT,
     .offset = offsetof(struct fault_spec, match),
     .schema = &caller_schema},
    {0}};
const struct schema fault_match_schema = {.name = "FaultMatch", .fields = match_fields};

// --- when ---

// A time, or a duration that counts from the creation.
static int parse_moment(struct json_in *in, const struct field *f, const json_t *value,
                        char *object)
{
    const char *text = json_string_value(value);
    bool is_delay = text && !strchr(text, 'T');
    struct field as_given = {.offset = 0};
    struct duration given = {0};
    int result = is_delay ? parse_duration(in, &as_given, value, (char *)&given)
                          : parse_time(in, &as_given, value, (char *)&given);

    if (result < 0)
        return result;
    if (given.ns == 0 && !is_delay)
        return json_in_fail(in, NULL, "must be after 1970");
    memcpy(object + f->offset, &given.ns, sizeof(given.ns));
    memcpy(object + f->count, &is_delay, sizeof(is_delay));
    return 0;
}

static const struct field when_fields[] = {{.name = "from",
                                            .type = FIELD_PARSED,
                                            .offset = offsetof(struct fault_spec, when.from_ns),
                                            .count = offsetof(struct fault_spec, from_is_delay),
                                            .parse = parse_moment},
                                           {.name = "until",
                                            .type = FIELD_PARSED,
                                            .offset = offsetof(struct fault_spec, when.until_ns),
                                            .count = offsetof(struct fault_spec, until_is_delay),
                                            .parse = parse_moment},
                                           COUNT("after", offsetof(struct fault_spec, when.after)),
                                           COUNT("first", offsetof(struct fault_spec, when.first)),
                                           COUNT("every", offsetof(struct fault_spec, when.every)),
                                           COUNT("times", offsetof(struct fault_spec, when.times)),
                                           {.name = "probability",
                                            .type = FIELD_DOUBLE,
                                            .offset = offsetof(struct fault_spec, when.probability),
                                            .maximum = 1},
                                           {0}};

static int check_when(struct json_in *in, void *object)
{
    const struct fault_spec *spec = object;

    if (!(spec->when.probability > 0))
        return json_in_fail(in, "probability", "must be more than 0, and at most 1");
    return 0;
}

const struct schema fault_when_schema = {
    .name = "FaultWhen", .fields = when_fields, .check = check_when};

// --- effects ---

struct latency_effect {
    struct shape_body shape; // first: see SHAPE_FIELDS
    enum fault_clock clock;
};

static int convert_latency(struct json_in *in, const void *given, void *object)
{
    const struct latency_effect *body = given;
    struct fault_effect *e = object;

    e->clock = body->clock;
    return shape_convert(in, &body->shape, &e->delay);
}

static bool code_valid(const char *code)
{
    return code[strspn(code, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static int check_code(struct json_in *in, void *object)
{
    const struct fault_effect *e = object;

    if (e->code && !code_valid(e->code))
        return json_in_fail(in, "code", "has a-z, 0-9 and '_'");
    return 0;
}

static int check_half_applied(struct json_in *in, void *object)
{
    struct fault_effect *e = object;
    bool is_error = e->reply == FAULT_REPLY_ERROR;

    if (!is_error && (e->status || e->code || e->message))
        return json_in_fail(in,
                            e->status ? "status"
                            : e->code ? "code"
                                      : "message",
                            "belongs to reply error");
    if (e->reply != FAULT_REPLY_SILENCE && e->duration_ns)
        return json_in_fail(in, "at_most", "belongs to reply silence");
    if (is_error && !e->status)
        e->status = 500;
    return check_code(in, object);
}

static int check_throttle(struct json_in *in, void *object)
{
    struct fault_effect *e = object;

    if (!(e->rate >= BUCKET_RATE_MIN))
        return json_in_fail(in, "rate", "must be %g to %g", BUCKET_RATE_MIN, BUCKET_RATE_MAX);
    if (e->burst == 0)
        e->burst = e->rate > 1 ? (int)ceil(e->rate) : 1;
    return 0;
}

static int check_stale(struct json_in *in, void *object)
{
    const struct fault_effect *e = object;

    if (!e->count == !e->duration_ns)
        return json_in_fail(in, NULL, "must have exactly one of revisions and lag");
    return 0;
}

static int check_wrong(struct json_in *in, void *object)
{
    const struct fault_effect *e = object;
    bool is_skew = e->wrong == FAULT_WRONG_CLOCK_SKEW;

    if (is_skew != (e->duration_ns != 0))
        return json_in_fail(in, "skew", is_skew ? "is required" : "belongs to clock_skew");
    return 0;
}

#define FIELDS(name_) static const struct field name_##_fields[]
#define STATUS(required_)                                                                       \
    {                                                                                           \
        .name = "status", .type = FIELD_INT, .required = (required_), .offset = EFFECT(status), \
        .minimum = 400, .maximum = 599                                                          \
    }
#define CODE TEXT("code", EFFECT(code), 64)
#define MESSAGE TEXT("message", EFFECT(message), 200)
#define CLOCK(offset_) CHOICE("clock", offset_, fault_clock_names)

FIELDS(latency) = {SHAPE_FIELDS, CLOCK(offsetof(struct latency_effect, clock)), {0}};
FIELDS(error) = {STATUS(true), CODE, MESSAGE, DURATION("retry_after", EFFECT(retry_after_ns)), {0}};
FIELDS(throttle) = {{.name = "rate",
                     .type = FIELD_DOUBLE,
                     .required = true,
                     .offset = EFFECT(rate),
                     .maximum = (int64_t)BUCKET_RATE_MAX},
                    {.name = "burst",
                     .type = FIELD_INT,
                     .offset = EFFECT(burst),
                     .minimum = 1,
                     .maximum = BUCKET_BURST_MAX},
                    {.name = "clock",
                     .type = FIELD_ENUM,
                     .offset = EFFECT(clock),
                     .choices = fault_clock_names,
                     .fallback = FAULT_CLOCK_CLOUD},
                    {0}};
FIELDS(hang) = {DURATION("at_most", EFFECT(duration_ns)), CLOCK(EFFECT(clock)), {0}};
FIELDS(none) = {{0}};
FIELDS(truncate) = {COUNT("bytes", EFFECT(count)), {0}};
FIELDS(half_applied) = {{.name = "reply",
                         .type = FIELD_ENUM,
                         .required = true,
                         .offset = EFFECT(reply),
                         .choices = fault_reply_names},
                        STATUS(false),
                        CODE,
                        MESSAGE,
                        DURATION("at_most", EFFECT(duration_ns)),
                        {0}};
FIELDS(stale_read) = {COUNT("revisions", EFFECT(count)), DURATION("lag", EFFECT(duration_ns)), {0}};
FIELDS(hide_new) = {{.name = "for",
                     .type = FIELD_PARSED,
                     .required = true,
                     .offset = EFFECT(duration_ns),
                     .parse = parse_positive},
                    {0}};
FIELDS(wrong_answer) = {
    {.name = "what",
     .type = FIELD_ENUM,
     .required = true,
     .offset = EFFECT(wrong),
     .choices = fault_wrong_names},
    {.name = "skew", .type = FIELD_PARSED, .offset = EFFECT(duration_ns), .parse = parse_signed},
    {0}};
FIELDS(exhausted) = {{.name = "what",
                      .type = FIELD_ENUM,
                      .required = true,
                      .offset = EFFECT(lack),
                      .choices = fault_lack_names},
                     MESSAGE,
                     {0}};
FIELDS(zone_outage) = {
    {.name = "zone", .type = FIELD_NAME, .required = true, .offset = EFFECT(zone)},
    CHOICE("instances", EFFECT(outage), fault_outage_names),
    {0}};
FIELDS(stuck_transition) = {DURATION("for", EFFECT(duration_ns)), {0}};
FIELDS(failed_transition) = {CODE, MESSAGE, {0}};
FIELDS(stream_lag) = {{.name = "by",
                       .type = FIELD_PARSED,
                       .required = true,
                       .offset = EFFECT(duration_ns),
                       .parse = parse_positive},
                      {0}};

static const struct schema effect_schemas[FAULT_EFFECT_TYPES] = {
    [FAULT_LATENCY] = {.name = "FaultLatency",
                       .fields = latency_fields,
                       .size = sizeof(struct latency_effect),
                       .convert = convert_latency},
    [FAULT_ERROR] = {.name = "FaultError", .fields = error_fields, .check = check_code},
    [FAULT_THROTTLE] = {.name = "FaultThrottle",
                        .fields = throttle_fields,
                        .check = check_throttle},
    [FAULT_HANG] = {.name = "FaultHang", .fields = hang_fields},
    [FAULT_RESET] = {.name = "FaultReset", .fields = none_fields},
    [FAULT_TRUNCATE] = {.name = "FaultTruncate", .fields = truncate_fields},
    [FAULT_HALF_APPLIED] = {.name = "FaultHalfApplied",
                            .fields = half_applied_fields,
                            .check = check_half_applied},
    [FAULT_STALE_READ] = {.name = "FaultStaleRead",
                          .fields = stale_read_fields,
                          .check = check_stale},
    [FAULT_HIDE_NEW] = {.name = "FaultHideNew", .fields = hide_new_fields},
    [FAULT_REORDER] = {.name = "FaultReorder", .fields = none_fields},
    [FAULT_WRONG_ANSWER] = {.name = "FaultWrongAnswer",
                            .fields = wrong_answer_fields,
                            .check = check_wrong},
    [FAULT_EXHAUSTED] = {.name = "FaultExhausted", .fields = exhausted_fields},
    [FAULT_ZONE_OUTAGE] = {.name = "FaultZoneOutage", .fields = zone_outage_fields},
    [FAULT_STUCK_TRANSITION] = {.name = "FaultStuckTransition", .fields = stuck_transition_fields},
    [FAULT_FAILED_TRANSITION] = {.name = "FaultFailedTransition",
                                 .fields = failed_transition_fields,
                                 .check = check_code},
    [FAULT_STREAM_CUT] = {.name = "FaultStreamCut", .fields = none_fields},
    [FAULT_STREAM_LAG] = {.name = "FaultStreamLag", .fields = stream_lag_fields},
    [FAULT_STREAM_DUPLICATE] = {.name = "FaultStreamDuplicate", .fields = none_fields},
};

const struct schema *fault_effect_schema(const char *name)
{
    for (int i = 0; i < FAULT_EFFECT_TYPES; i++)
        if (strcmp(fault_effect_names[i], name) == 0)
            return &effect_schemas[i];
    return NULL;
}

struct effect_body {
    struct fault_effect effect;
    int count;
};

// The field's `minimum` is the type of effect.
static int parse_effect(struct json_in *in, const struct field *f, const json_t *value,
                        char *object)
{
    struct effect_body *body = (struct effect_body *)(void *)object;

    if (body->count++ > 0)
        return json_in_fail(in, NULL, "a rule has one effect; make two rules of it");
    body->effect.type = (enum fault_effect_type)f->minimum;
    return json_in_object(in, &effect_schemas[f->minimum], value, &body->effect);
}

static int convert_effect(struct json_in *in, const void *given, void *object)
{
    const struct effect_body *body = given;

    if (body->count == 0)
        return json_in_fail(in, NULL, "must name an effect");
    *(struct fault_effect *)object = body->effect;
    return 0;
}

static const struct field effect_fields[] = {
#define X(id, name_, place) \
    {.name = name_, .type = FIELD_PARSED, .minimum = id, .parse = parse_effect},
    FAULT_EFFECTS(X)
#undef X
        {0}};
static const struct schema effect_schema = {.name = "FaultEffect",
                                            .fields = effect_fields,
                                            .size = sizeof(struct effect_body),
                                            .convert = convert_effect};

static int parse_the_effect(struct json_in *in, const struct field *f, const json_t *value,
                            char *object)
{
    return json_in_object(in, &effect_schema, value, object + f->offset);
}

// --- what could never happen ---

// Faults are for what a tenant meets: neither the hand of God nor the probes.
static bool has_place(const struct endpoint *e, enum fault_place place)
{
    if (e->access != ACCESS_CLOUD)
        return false;
    switch (place) {
    case FAULT_AT_READ:
        return endpoint_reads(e);
    case FAULT_AT_CHANGE:
    case FAULT_AT_CHANGED:
        return e->apply != NULL;
    case FAULT_AT_STREAM:
        return strcmp(e->operation, "events.list") == 0;
    default:
        return true;
    }
}

static bool can_meet(const struct fault_effect *effect, const char *glob)
{
    enum fault_place place = fault_place_of(effect->type);

    if (place == FAULT_AT_TRANSITION)
        return fault_matches_transition(glob, effect->type);
    for (size_t i = 0; i < endpoint_count; i++) {
        const struct endpoint *e = &endpoints[i];
        if (has_place(e, place) && glob_match(glob, e->operation))
            return true;
    }
    return false;
}

static int check_operations(struct json_in *in, const struct fault_spec *spec)
{
    char field[40];

    for (size_t i = 0; i < spec->match.operation_count; i++) {
        if (can_meet(&spec->effect, spec->match.operations[i]))
            continue;
        snprintf(field, sizeof(field), "match.operations[%zu]", i);
        return json_in_fail(in, field, "matches no %s that %s could happen to",
                            fault_place_of(spec->effect.type) == FAULT_AT_TRANSITION
                                ? "timed transition"
                                : "operation",
                            fault_effect_names[spec->effect.type]);
    }
    return 0;
}

static int check_selector(struct json_in *in, const struct fault_spec *spec)
{
    const struct fault_selector *s = &spec->match.resource;
    enum fault_place place = fault_place_of(spec->effect.type);

    if (place == FAULT_AT_STREAM && (s->name || s->zone || s->type || s->state || s->tag_count))
        return json_in_fail(in, "match.resource",
                            "of a stream's events only kind and id are known");
    if ((s->zone || s->type) && s->kind >= 0 && s->kind != KIND_INSTANCE)
        return json_in_fail(in, s->zone ? "match.resource.zone" : "match.resource.type",
                            "only instances have one");
    if ((place == FAULT_AT_TRANSITION || place == FAULT_AT_CHANGE) &&
        (spec->match.scope >= 0 || spec->match.user_agent))
        return json_in_fail(in, "match.caller", "what the cloud itself does has no caller");
    return 0;
}

static int check_fault(struct json_in *in, void *object)
{
    const struct fault_spec *spec = object;
    int result = check_operations(in, spec);

    return result < 0 ? result : check_selector(in, spec);
}

// The defaults that are not zero are set here: match is required and comes first.
static int parse_match(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    struct fault_spec *spec = (struct fault_spec *)(void *)object;

    (void)f;
    spec->match.scope = -1;
    spec->match.resource.kind = -1;
    spec->when.probability = 1;
    return json_in_object(in, &fault_match_schema, value, spec);
}

static int parse_enabled(struct json_in *in, const struct field *f, const json_t *value,
                         char *object)
{
    bool off = json_is_false(value);

    if (!json_is_boolean(value))
        return json_in_fail(in, NULL, "must be true or false");
    memcpy(object + f->offset, &off, sizeof(off));
    return 0;
}

static const struct field fault_fields[] = {
    {.name = "match", .type = FIELD_PARSED, .required = true, .parse = parse_match},
    {.name = "name", .type = FIELD_NAME, .offset = offsetof(struct fault_spec, name)},
    {.name = "enabled",
     .type = FIELD_PARSED,
     .offset = offsetof(struct fault_spec, off),
     .parse = parse_enabled},
    {.name = "when", .type = FIELD_OBJECT, .offset = 0, .schema = &fault_when_schema},
    {.name = "effect",
     .type = FIELD_PARSED,
     .required = true,
     .offset = offsetof(struct fault_spec, effect),
     .parse = parse_the_effect},
    {0}};
const struct schema body_fault_create = {
    .name = "FaultCreate", .fields = fault_fields, .check = check_fault};
