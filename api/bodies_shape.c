#include "api/bodies_shape.h"

#include "base/timefmt.h"

#include <string.h>

const char *const distribution_choices[] = {[DISTRIBUTION_FIXED] = "fixed",
                                            [DISTRIBUTION_UNIFORM] = "uniform",
                                            [DISTRIBUTION_NORMAL] = "normal",
                                            [DISTRIBUTION_LOGNORMAL] = "lognormal",
                                            [DISTRIBUTION_LOGNORMAL + 1] = NULL};

static const char *const duration_names[SHAPE_DURATIONS] = {"value", "min", "max", "mean",
                                                            "stddev"};

int parse_duration(struct json_in *in, const struct field *f, const json_t *value, char *object)
{
    struct duration duration = {.given = true};

    if (json_in_duration(in, value, &duration.ns) < 0)
        return -ERROR_INVALID;
    memcpy(object + f->offset, &duration, sizeof(duration));
    return 0;
}

int parse_time(struct json_in *in, const struct field *f, const json_t *value, char *object)
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

// `takes`: mask of the durations that the distribution is made of.
static int check_durations(struct json_in *in, const struct shape_body *body, unsigned takes)
{
    for (int i = 0; i < SHAPE_DURATIONS; i++) {
        bool wanted = (takes >> i) & 1;
        if (wanted && !body->durations[i].given)
            return json_in_fail(in, duration_names[i], "is required");
        if (!wanted && body->durations[i].given)
            return json_in_fail(in, duration_names[i], "does not belong to a %s distribution",
                                distribution_choices[body->kind]);
    }
    return 0;
}

int shape_convert(struct json_in *in, const struct shape_body *given, struct distribution *out)
{
    static const struct {
        int a, b;
    } parts[] = {[DISTRIBUTION_FIXED] = {SHAPE_VALUE, SHAPE_VALUE},
                 [DISTRIBUTION_UNIFORM] = {SHAPE_MIN, SHAPE_MAX},
                 [DISTRIBUTION_NORMAL] = {SHAPE_MEAN, SHAPE_STDDEV},
                 [DISTRIBUTION_LOGNORMAL] = {SHAPE_MEAN, SHAPE_STDDEV}};
    int a = parts[given->kind].a, b = parts[given->kind].b;
    int result = check_durations(in, given, 1U << a | 1U << b);

    if (result < 0)
        return result;
    if (given->kind == DISTRIBUTION_UNIFORM &&
        given->durations[SHAPE_MIN].ns > given->durations[SHAPE_MAX].ns)
        return json_in_fail(in, "min", "is greater than max");
    *out = (struct distribution){
        .kind = given->kind,
        .a = given->durations[a].ns,
        .b = a == b ? 0 : given->durations[b].ns,
    };
    return 0;
}
