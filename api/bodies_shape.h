// Durations and distributions in bodies: pieces that several schemas share.
#ifndef API_BODIES_SHAPE_H
#define API_BODIES_SHAPE_H

#include "api/json_in.h"
#include "base/random.h"

struct duration {
    bool given;
    int64_t ns;
};

// A time or a duration into a struct duration.
int parse_duration(struct json_in *in, const struct field *f, const json_t *value, char *object);
int parse_time(struct json_in *in, const struct field *f, const json_t *value, char *object);

// A distribution of durations: which of the durations belong to it follows from its kind.
enum { SHAPE_VALUE, SHAPE_MIN, SHAPE_MAX, SHAPE_MEAN, SHAPE_STDDEV, SHAPE_DURATIONS };

struct shape_body {
    enum distribution_kind kind;
    struct duration durations[SHAPE_DURATIONS];
};

extern const char *const distribution_choices[];
int shape_convert(struct json_in *in, const struct shape_body *given, struct distribution *out);

#define SHAPE_DURATION(text, index)                                                           \
    {                                                                                         \
        .name = (text), .type = FIELD_PARSED,                                                 \
        .offset = offsetof(struct shape_body, durations) + (index) * sizeof(struct duration), \
        .parse = parse_duration                                                               \
    }

// The fields of a struct that begins with a struct shape_body.
#define SHAPE_FIELDS                                                            \
    {.name = "distribution",                                                    \
     .type = FIELD_ENUM,                                                        \
     .required = true,                                                          \
     .offset = offsetof(struct shape_body, kind),                               \
     .choices = distribution_choices},                                          \
        SHAPE_DURATION("value", SHAPE_VALUE), SHAPE_DURATION("min", SHAPE_MIN), \
        SHAPE_DURATION("max", SHAPE_MAX), SHAPE_DURATION("mean", SHAPE_MEAN),   \
        SHAPE_DURATION("stddev", SHAPE_STDDEV)

#endif
