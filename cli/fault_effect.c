#include "cli/fault_effect.h"

#include "cli/body.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// --- numbers and durations ---

bool fault_number(const char *text, char **end, double *out)
{
    errno = 0;
    *out = strtod(text, end);
    return *end != text && errno == 0 && isfinite(*out) && *out >= 0 && strspn(text, "0123456789.");
}

static bool is_number(const char *text)
{
    return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static json_t *integer(const char *text)
{
    return json_integer(strtoll(text, NULL, 10));
}

int fault_bad_flag(const char *flag, const char *value, const char *form, struct failure *f)
{
    return fail(f, EXIT_USAGE, "--%s: '%s' is not %s", flag, value, form);
}

// --- effects: each puts its object into *out ---

static int make_none(const char *value, json_t **out, struct failure *f)
{
    (void)value, (void)f;
    *out = json_object();
    return EXIT_OK;
}

static int make_error(const char *value, json_t **out, struct failure *f)
{
    size_t digits = strspn(value, "0123456789");
    const char *code = value[digits] == ':' ? value + digits + 1 : NULL;

    if (digits != 3 || (value[digits] != '\0' && (code == NULL || *code == '\0')))
        return fault_bad_flag("error", value, "STATUS[:CODE]", f);
    *out = json_pack("{so}", "status", integer(value));
    if (code != NULL)
        json_object_set_new(*out, "code", json_string(code));
    return EXIT_OK;
}

static int make_latency(const char *value, json_t **out, struct failure *f)
{
    return body_distribution("--latency", value, out, f);
}

static int make_throttle(const char *value, json_t **out, struct failure *f)
{
    const char *form = "N/s[:BURST], N/m[:BURST] or N/h[:BURST]";
    double rate, per;
    char *end;

    if (!fault_number(value, &end, &rate) || rate <= 0 || end[0] != '/')
        return fault_bad_flag("throttle", value, form, f);
    per = end[1] == 's' ? 1 : end[1] == 'm' ? 60 : end[1] == 'h' ? 3600 : 0;
    if (per == 0 || (end[2] != '\0' && (end[2] != ':' || !is_number(end + 3))))
        return fault_bad_flag("throttle", value, form, f);
    *out = json_pack("{sf}", "rate", rate / per);
    if (end[2] == ':')
        json_object_set_new(*out, "burst", integer(end + 3));
    return EXIT_OK;
}

static int make_truncate(const char *value, json_t **out, struct failure *f)
{
    *out = json_object();
    if (strcmp(value, "half") == 0)
        return EXIT_OK;
    if (!is_number(value)) {
        json_decref(*out);
        return fault_bad_flag("truncate", value, "a number of bytes, or half", f);
    }
    json_object_set_new(*out, "bytes", integer(value));
    return EXIT_OK;
}

static int make_stale(const char *value, json_t **out, struct failure *f)
{
    (void)f;
    *out = is_number(value) ? json_pack("{so}", "revisions", integer(value))
                            : json_pack("{ss}", "lag", value);
    return EXIT_OK;
}

// "FIRST" or "FIRST:SECOND"
static json_t *split(const char *first, const char *second, const char *value)
{
    size_t length = strcspn(value, ":");
    json_t *made = json_pack("{ss%}", first, value, length);

    if (value[length] == ':')
        json_object_set_new(made, second, json_string(value + length + 1));
    return made;
}

static int make_wrong(const char *value, json_t **out, struct failure *f)
{
    (void)f;
    *out = split("what", "skew", value);
    return EXIT_OK;
}

static int make_stuck(const char *value, json_t **out, struct failure *f)
{
    (void)f;
    *out = strcmp(value, "ever") == 0 ? json_object() : json_pack("{ss}", "for", value);
    return EXIT_OK;
}

static int make_zone(const char *value, json_t **out, struct failure *f)
{
    (void)f;
    *out = split("zone", "instances", value);
    return EXIT_OK;
}

static const struct fault_effect_flag effects[] = {
    {"error", "error", make_error, NULL, "message,retry-after", NULL},
    {"latency", "latency", make_latency, NULL, "wait-clock", NULL},
    {"throttle", "throttle", make_throttle, NULL, "wait-clock", NULL},
    {"hang", "hang", make_none, NULL, "at-most,wait-clock", NULL},
    {"reset", "reset", make_none, NULL, "", NULL},
    {"truncate", "truncate", make_truncate, NULL, "", NULL},
    {"half-applied", "half_applied", NULL, "reply", "message,at-most", NULL},
    {"stale", "stale_read", make_stale, NULL, "", NULL},
    {"hide-new", "hide_new", NULL, "for", "", NULL},
    {"reorder", "reorder", make_none, NULL, "", NULL},
    {"wrong", "wrong_answer", make_wrong, NULL, "", NULL},
    {"exhausted", "exhausted", NULL, "what", "message", "instances.create"},
    {"zone-outage", "zone_outage", make_zone, NULL, "", "*"},
    {"stuck", "stuck_transition", make_stuck, NULL, "", NULL},
    {"fail-transition", "failed_transition", NULL, "code", "message", NULL},
    {"stream-cut", "stream_cut", make_none, NULL, "", "events.list"},
    {"stream-lag", "stream_lag", NULL, "by", "", "events.list"},
    {"stream-duplicate", "stream_duplicate", make_none, NULL, "", "events.list"},
};

static const struct detail {
    const char *flag, *field;
} details[] = {{"message", "message"},
               {"retry-after", "retry_after"},
               {"at-most", "at_most"},
               {"wait-clock", "clock"}};

// --- of a command ---

int fault_effect_given(const struct command *c, const struct fault_effect_flag **out,
                       struct failure *f)
{
    *out = NULL;
    for (size_t i = 0; i < sizeof effects / sizeof *effects; i++) {
        if (!args_has(c, effects[i].flag))
            continue;
        if (*out != NULL)
            return fail(f, EXIT_USAGE, "--%s and --%s: a rule has one effect; add two rules",
                        (*out)->flag, effects[i].flag);
        *out = &effects[i];
    }
    return EXIT_OK;
}

const struct fault_effect_flag *fault_effect_named(const char *name)
{
    for (size_t i = 0; i < sizeof effects / sizeof *effects; i++)
        if (strcmp(effects[i].name, name) == 0)
            return &effects[i];
    return NULL;
}

int fault_effect_make(const struct fault_effect_flag *effect, const char *value, json_t **out,
                      struct failure *f)
{
    if (effect->make != NULL)
        return effect->make(value, out, f);
    *out = json_pack("{ss}", effect->field, value);
    return EXIT_OK;
}

int fault_effect_details(const struct command *c, const struct fault_effect_flag *effect,
                         json_t *out, struct failure *f)
{
    for (size_t i = 0; i < sizeof details / sizeof *details; i++) {
        const char *value = args_value(c, details[i].flag);

        if (value == NULL)
            continue;
        if (!spec_choice(effect->details, details[i].flag, strlen(details[i].flag)))
            return fail(f, EXIT_USAGE, "--%s: does not belong to --%s", details[i].flag,
                        effect->flag);
        json_object_set_new(out, details[i].field, json_string(value));
    }
    return EXIT_OK;
}
