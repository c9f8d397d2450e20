// `mockcloud fault`: the flags of an effect as the body that the API takes.
#include "base/buffer.h"
#include "base/timefmt.h"
#include "cli/body.h"
#include "cli/resource.h"
#include "cli/verbs.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// --- numbers and durations ---

static bool parse_number(const char *text, char **end, double *out)
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

static int bad(const char *flag, const char *value, const char *form, struct failure *f)
{
    return fail(f, EXIT_USAGE, "--%s: '%s' is not %s", flag, value, form);
}

// --- effects: each puts its object into *out ---

typedef int effect_maker(const char *value, json_t **out, struct failure *f);

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
        return bad("error", value, "STATUS[:CODE]", f);
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

    if (!parse_number(value, &end, &rate) || rate <= 0 || end[0] != '/')
        return bad("throttle", value, form, f);
    per = end[1] == 's' ? 1 : end[1] == 'm' ? 60 : end[1] == 'h' ? 3600 : 0;
    if (per == 0 || (end[2] != '\0' && (end[2] != ':' || !is_number(end + 3))))
        return bad("throttle", value, form, f);
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
        return bad("truncate", value, "a number of bytes, or half", f);
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

static int make_wrong(const char *value, json_t **out, struct failure *f)
{
    size_t length = strcspn(value, ":");

    (void)f;
    *out = json_pack("{ss%}", "what", value, length);
    if (value[length] == ':')
        json_object_set_new(*out, "skew", json_string(value + length + 1));
    return EXIT_OK;
}

static int make_stuck(const char *value, json_t **out, struct failure *f)
{
    (void)f;
    *out = strcmp(value, "ever") == 0 ? json_object() : json_pack("{ss}", "for", value);
    return EXIT_OK;
}

static int make_failed(const char *value, json_t **out, struct failure *f)
{
    (void)f;
    *out = json_pack("{ss}", "code", value);
    return EXIT_OK;
}

static int make_for(const char *value, json_t **out, struct failure *f)
{
    (void)f;
    *out = json_pack("{ss}", "for", value);
    return EXIT_OK;
}

static int make_by(const char *value, json_t **out, struct failure *f)
{
    (void)f;
    *out = json_pack("{ss}", "by", value);
    return EXIT_OK;
}

static int make_what(const char *value, json_t **out, struct failure *f)
{
    (void)f;
    *out = json_pack("{ss}", "what", value);
    return EXIT_OK;
}

static int make_reply(const char *value, json_t **out, struct failure *f)
{
    (void)f;
    *out = json_pack("{ss}", "reply", value);
    return EXIT_OK;
}

static int make_zone(const char *value, json_t **out, struct failure *f)
{
    size_t length = strcspn(value, ":");

    (void)f;
    *out = json_pack("{ss%}", "zone", value, length);
    if (value[length] == ':')
        json_object_set_new(*out, "instances", json_string(value + length + 1));
    return EXIT_OK;
}

static const struct effect {
    const char *flag;
    const char *name;
    effect_maker *make;
    const char *details;   // flags that belong to it
    const char *operation; // when no --op is given; NULL: one must be
} effects[] = {
    {"error", "error", make_error, "message,retry-after", NULL},
    {"latency", "latency", make_latency, "wait-clock", NULL},
    {"throttle", "throttle", make_throttle, "wait-clock", NULL},
    {"hang", "hang", make_none, "at-most,wait-clock", NULL},
    {"reset", "reset", make_none, "", NULL},
    {"truncate", "truncate", make_truncate, "", NULL},
    {"half-applied", "half_applied", make_reply, "message,at-most", NULL},
    {"stale", "stale_read", make_stale, "", NULL},
    {"hide-new", "hide_new", make_for, "", NULL},
    {"reorder", "reorder", make_none, "", NULL},
    {"wrong", "wrong_answer", make_wrong, "", NULL},
    {"exhausted", "exhausted", make_what, "message", "instances.create"},
    {"zone-outage", "zone_outage", make_zone, "", "*"},
    {"stuck", "stuck_transition", make_stuck, "", NULL},
    {"fail-transition", "failed_transition", make_failed, "message", NULL},
    {"stream-cut", "stream_cut", make_none, "", "events.list"},
    {"stream-lag", "stream_lag", make_by, "", "events.list"},
    {"stream-duplicate", "stream_duplicate", make_none, "", "events.list"},
};

static const struct detail {
    const char *flag, *field;
} details[] = {{"message", "message"},
               {"retry-after", "retry_after"},
               {"at-most", "at_most"},
               {"wait-clock", "clock"}};

// --- the rule ---

static int choose_effect(const struct command *c, const struct effect **out, struct failure *f)
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
    if (*out == NULL)
        return fail(f, EXIT_USAGE, "what shall happen? --error, --latency, ...; see --help");
    return EXIT_OK;
}

static int set_details(const struct command *c, const struct effect *effect, json_t *out,
                       struct failure *f)
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

static int set_effect(const struct command *c, json_t *body, struct failure *f)
{
    const struct effect *effect;
    json_t *made = NULL;
    char path[64];
    int rc = choose_effect(c, &effect, f);

    if (rc == EXIT_OK)
        rc = effect->make(args_value(c, effect->flag), &made, f);
    if (rc != EXIT_OK)
        return rc;
    rc = set_details(c, effect, made, f);
    snprintf(path, sizeof path, "effect.%s", effect->name);
    body_set(body, path, made);
    if (rc == EXIT_OK && !args_has(c, "op") && effect->operation == NULL)
        return fail(f, EXIT_USAGE, "--op: which operations? for example --op 'instances.*'");
    if (rc == EXIT_OK && !args_has(c, "op"))
        body_set(body, "match.operations", json_pack("[s]", effect->operation));
    return rc;
}

static int set_rest(const struct command *c, json_t *body, struct failure *f)
{
    const char *probability = args_value(c, "probability"), *project = args_value(c, "project");
    double number;
    char *end;

    if (probability != NULL) {
        if (!parse_number(probability, &end, &number) || *end != '\0')
            return bad("probability", probability, "a number from 0 to 1", f);
        body_set(body, "when.probability", json_real(number));
    }
    if (project != NULL)
        body_set(body, "match.project", json_string(project));
    if (c->operand_count > 0)
        body_set(body, "name", json_string(c->operands[0]));
    return EXIT_OK;
}

int verb_fault_add(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    struct http_request request = {.method = "POST", .path = kind_fault.path};
    json_t *body = NULL, *reply = NULL;
    int rc;

    if (c->operand_count > 0 && args_has(c, "name"))
        return fail(f, EXIT_USAGE, "--name: the name is given already: '%s'", c->operands[0]);
    rc = body_build(cli->http, c, &body, f);
    if (rc == EXIT_OK)
        rc = set_effect(c, body, f);
    if (rc == EXIT_OK)
        rc = set_rest(c, body, f);
    if (rc == EXIT_OK) {
        request.body = body;
        rc = http_send(cli->http, &request, &reply, f);
    }
    if (rc == EXIT_OK)
        output_item(cli->output, &kind_fault, reply);
    json_decref(body);
    json_decref(reply);
    return rc;
}

// --- the others ---

// "/sim/v1/faults/<id>", then `rest`; the caller frees.
static int path_of(struct cli *cli, const char *ref, const char *rest, char **out,
                   struct failure *f)
{
    struct buffer path;
    char *id = NULL;
    int rc = resource_resolve(cli->http, &kind_fault, ref, &id, f);

    if (rc != EXIT_OK)
        return rc;
    buffer_init(&path);
    buffer_printf(&path, "%s/", kind_fault.path);
    http_escape(&path, id);
    buffer_append_string(&path, rest);
    free(id);
    *out = buffer_take(&path, NULL);
    return *out != NULL ? EXIT_OK : fail(f, EXIT_REFUSED, "out of memory");
}

int verb_fault_remove(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    int rc = EXIT_OK;

    for (size_t i = 0; rc == EXIT_OK && i < c->operand_count; i++) {
        struct http_request request = {.method = "DELETE"};
        char *path = NULL;

        rc = path_of(cli, c->operands[i], "", &path, f);
        request.path = path;
        if (rc == EXIT_OK)
            rc = http_send(cli->http, &request, NULL, f);
        if (rc == EXIT_OK)
            output_deleted(cli->output, &kind_fault, c->operands[i]);
        free(path);
    }
    return rc;
}

int verb_fault_stats(struct cli *cli, struct failure *f)
{
    json_t *reply = NULL;
    char *path = NULL;
    int rc = path_of(cli, cli->command->operands[0], "/stats", &path, f);

    if (rc == EXIT_OK)
        rc = http_get(cli->http, path, &reply, f);
    if (rc == EXIT_OK)
        output_item(cli->output, &kind_fault_stats, reply);
    free(path);
    json_decref(reply);
    return rc;
}

int verb_fault_clear(struct cli *cli, struct failure *f)
{
    const char *project = args_value(cli->command, "project");
    struct http_request request = {.method = "DELETE"};
    struct buffer path;
    int rc;

    buffer_init(&path);
    buffer_append_string(&path, kind_fault.path);
    if (project != NULL) {
        buffer_append_string(&path, "?project=");
        http_escape(&path, project);
    }
    buffer_append(&path, "", 1);
    request.path = path.data;
    rc = path.failed ? fail(f, EXIT_REFUSED, "out of memory")
                     : http_send(cli->http, &request, NULL, f);
    buffer_fini(&path);
    return rc;
}
