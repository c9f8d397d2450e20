// The body with which chaos is started: a profile, and what is to differ from it.
#include "api/bodies.h"
#include "api/bodies_shape.h"
#include "base/timefmt.h"
#include "sim/change.h"

#include <string.h>

#define RATE_MAX 100000.0 // per hour
#define LIMIT_MAX 1000000

struct chaos_body {
    const char *profile;
    double rates[CHAOS_ACTION_COUNT];
    bool rate_given[CHAOS_ACTION_COUNT];
    bool respawn, has_respawn, dry_run;
    struct duration min_down, max_down, notice, duration;
    int limits[3];
    bool limit_given[3];
    struct tags_spec protect;
    int64_t seed;
    bool has_seed;
};

#define BODY(member) offsetof(struct chaos_body, member)

static int parse_rates(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    struct chaos_body *body = (struct chaos_body *)(void *)object;
    const char *key;
    json_t *item;

    (void)f;
    if (!json_is_object(value))
        return json_in_fail(in, NULL, "must be an object");
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        int action = 0;
        while (chaos_action_names[action] && strcmp(chaos_action_names[action], key) != 0)
            action++;
        if (!chaos_action_names[action])
            return json_in_fail(in, key, "is nothing that chaos does");
        body->rates[action] = json_number_value(item);
        body->rate_given[action] = true;
        if (!json_is_number(item) || body->rates[action] < 0 || body->rates[action] > RATE_MAX)
            return json_in_fail(in, key, "must be a number per hour, 0 to %.0f", RATE_MAX);
    }
    return 0;
}

#define LIMIT(text, index)                                                                 \
    {                                                                                      \
        .name = (text), .type = FIELD_INT, .offset = BODY(limits) + (index) * sizeof(int), \
        .maximum = LIMIT_MAX, .present = BODY(limit_given) + (index) * sizeof(bool)        \
    }

static const struct field limit_fields[] = {
    LIMIT("max_down", 0),
    LIMIT("max_down_per_zone", 1),
    LIMIT("min_running", 2),
    {.name = "protect", .type = FIELD_TAGS_PATCH, .offset = BODY(protect)},
    {0}};
static const struct schema limits = {.name = "ChaosLimits", .fields = limit_fields};

#define DURATION(text, member)                                                                \
    {                                                                                         \
        .name = (text), .type = FIELD_PARSED, .offset = BODY(member), .parse = parse_duration \
    }

static const struct field fields[] = {
    {.name = "profile", .type = FIELD_STRING, .offset = BODY(profile), .minimum = 1, .maximum = 64},
    {.name = "seed",
     .type = FIELD_INT64,
     .offset = BODY(seed),
     .present = BODY(has_seed),
     .maximum = INT64_MAX},
    {.name = "rates", .type = FIELD_PARSED, .parse = parse_rates},
    {.name = "respawn", .type = FIELD_BOOL, .offset = BODY(respawn), .present = BODY(has_respawn)},
    {.name = "dry_run", .type = FIELD_BOOL, .offset = BODY(dry_run)},
    {.name = "limits", .type = FIELD_OBJECT, .schema = &limits},
    DURATION("min_down", min_down),
    DURATION("max_down", max_down),
    DURATION("notice", notice),
    DURATION("for", duration),
    {0}};

static int set_rates(struct json_in *in, const struct chaos_body *body, struct chaos_settings *set)
{
    int64_t total = 0;

    for (int i = 0; i < CHAOS_ACTION_COUNT; i++) {
        if (body->rate_given[i])
            set->rates[i] = (int64_t)(body->rates[i] * CHAOS_RATE_UNIT + 0.5);
        total += set->rates[i];
    }
    return total > 0
               ? 0
               : json_in_fail(in, "rates", "nothing would ever happen: give a profile or rates");
}

static int set_times(struct json_in *in, const struct chaos_body *body, struct chaos_settings *set)
{
    set->min_down_ns = body->min_down.given ? body->min_down.ns : set->min_down_ns;
    set->max_down_ns = body->max_down.given ? body->max_down.ns : set->max_down_ns;
    set->notice_ns = body->notice.given ? body->notice.ns : set->notice_ns;
    set->duration_ns = body->duration.ns;
    if (set->min_down_ns > set->max_down_ns)
        return json_in_fail(in, "min_down", "is greater than max_down");
    return body->duration.given && body->duration.ns == 0 ? json_in_fail(in, "for", "must not be 0")
                                                          : 0;
}

static void set_limits(struct json_in *in, const struct chaos_body *body,
                       struct chaos_settings *set)
{
    int *places[] = {&set->max_down, &set->max_down_per_zone, &set->min_running};

    for (int i = 0; i < 3; i++)
        if (body->limit_given[i])
            *places[i] = body->limits[i];
    set->protect_count = body->protect.count;
    set->protect = arena_alloc(in->arena, body->protect.count * sizeof(*set->protect) + 1);
    for (size_t i = 0; i < body->protect.count; i++)
        set->protect[i] =
            (struct store_tag){body->protect.items[i].key, body->protect.items[i].value};
}

static int convert(struct json_in *in, const void *given, void *object)
{
    static const struct chaos_settings own = {.respawn = true,
                                              .min_down_ns = 30 * NS_PER_S,
                                              .max_down_ns = 300 * NS_PER_S,
                                              .notice_ns = 120 * NS_PER_S,
                                              .max_down = 10};
    const struct chaos_body *body = given;
    struct change_request_chaos *request = object;
    const struct chaos_profile *profile = body->profile ? chaos_profile_find(body->profile) : NULL;

    if (body->profile && !profile)
        return json_in_fail(in, "profile", "there is no such profile");
    request->set = profile ? profile->set : own;
    request->set.profile = profile ? profile->name : NULL;
    request->set.respawn = body->has_respawn ? body->respawn : request->set.respawn;
    request->set.dry_run = body->dry_run;
    request->seed = body->seed;
    request->has_seed = body->has_seed;
    set_limits(in, body, &request->set);
    return set_rates(in, body, &request->set) < 0 ? -ERROR_INVALID
                                                  : set_times(in, body, &request->set);
}

const struct schema body_chaos_start = {
    .name = "ChaosStart", .fields = fields, .size = sizeof(struct chaos_body), .convert = convert};
