#include "api/bodies_scenario.h"

#include "api/bodies.h"
#include "sim/change.h"

#include <stdlib.h>
#include <string.h>

#define SOURCE_MAX (512 << 10)
#define VARIABLES_MAX 100

// --- fields ---

static int parse_scenario(struct json_in *in, const struct field *f, const json_t *value,
                          char *object)
{
    char *text, *copy;

    if (!json_is_object(value))
        return json_in_fail(in, NULL, "must be an object");
    text = json_dumps(value, JSON_COMPACT);
    if (!text)
        return json_in_fail(in, NULL, "must not contain NUL");
    copy = arena_strdup(in->arena, text);
    free(text);
    memcpy(object + f->offset, &copy, sizeof(copy));
    return 0;
}

static const char *variable_text(struct json_in *in, const json_t *value)
{
    const char *copy;
    char *text;

    if (json_is_string(value))
        return json_in_string(in, value);
    text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    copy = arena_strdup(in->arena, text);
    free(text);
    return copy;
}

static int parse_variables(struct json_in *in, const struct field *f, const json_t *value,
                           char *object)
{
    struct scenario_body *body = (struct scenario_body *)(void *)object;
    const char *key;
    json_t *item;

    (void)f;
    if (!json_is_object(value))
        return json_in_fail(in, NULL, "must be an object");
    if (json_object_size(value) > VARIABLES_MAX)
        return json_in_fail(in, NULL, "must have at most %d variables", VARIABLES_MAX);
    body->variables =
        arena_alloc(in->arena, json_object_size(value) * sizeof(*body->variables) + 1);
    json_object_foreach((json_t *)(uintptr_t)value, key, item)
    {
        struct store_tag *variable = &body->variables[body->variable_count++];
        if (!json_is_string(item) && !json_is_number(item) && !json_is_boolean(item))
            return json_in_fail(in, key, "must be a text, a number, true or false");
        variable->key = arena_strdup(in->arena, key);
        variable->value = variable_text(in, item);
        if (!variable->value)
            return -ERROR_INVALID;
    }
    return 0;
}

static int check_body(struct json_in *in, void *object)
{
    const struct scenario_body *body = object;

    if (!body->source == !body->scenario)
        return json_in_fail(in, NULL, "must have exactly one of source and scenario");
    return 0;
}

static const struct field fields[] = {
    {.name = "source",
     .type = FIELD_STRING,
     .offset = offsetof(struct scenario_body, source),
     .minimum = 1,
     .maximum = SOURCE_MAX},
    {.name = "scenario",
     .type = FIELD_PARSED,
     .offset = offsetof(struct scenario_body, scenario),
     .parse = parse_scenario},
    {.name = "file",
     .type = FIELD_STRING,
     .offset = offsetof(struct scenario_body, file),
     .minimum = 1,
     .maximum = 200},
    {.name = "variables", .type = FIELD_PARSED, .parse = parse_variables},
    {.name = "seed",
     .type = FIELD_INT64,
     .offset = offsetof(struct scenario_body, seed),
     .present = offsetof(struct scenario_body, has_seed),
     .maximum = INT64_MAX},
    {0}};

const struct schema body_scenario_validate = {
    .name = "ScenarioRun", .fields = fields, .check = check_body};

// --- the program ---

int scenario_body_compile(const struct scenario_body *body, struct diagnostics *d,
                          struct scenario *out)
{
    const char *text = body->source ? body->source : body->scenario;
    struct scenario_input input = {.text = text,
                                   .length = strlen(text),
                                   .variables = body->variables,
                                   .variable_count = body->variable_count};

    d->file = body->file ? body->file : "scenario";
    return scenario_compile(&input, d, out);
}

// The request has room for one diagnostic; validate has them all.
static int convert(struct json_in *in, const void *given, void *object)
{
    const struct scenario_body *body = given;
    struct change_request_scenario *request = object;
    struct scenario *program = arena_alloc(in->arena, sizeof(*program));
    struct diagnostics d = {.arena = in->arena};

    if (scenario_body_compile(body, &d, program) < 0)
        return json_in_fail(in, body->source ? "source" : "scenario", "%s%s",
                            diagnostic_text(&d, 0), d.count > 1 ? " (and more)" : "");
    request->program = program;
    request->seed = body->seed;
    request->has_seed = body->has_seed;
    return 0;
}

const struct schema body_scenario_run = {.name = "ScenarioRun",
                                         .fields = fields,
                                         .check = check_body,
                                         .size = sizeof(struct scenario_body),
                                         .convert = convert};
