// `mockcloud fault`.
#include "base/buffer.h"
#include "cli/body.h"
#include "cli/fault_effect.h"
#include "cli/resource.h"
#include "cli/verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// --- the rule ---

static int set_effect(const struct command *c, json_t *body, struct failure *f)
{
    const struct fault_effect_flag *effect;
    json_t *made = NULL;
    char path[64];
    int rc = fault_effect_given(c, &effect, f);

    if (rc == EXIT_OK && effect == NULL)
        return fail(f, EXIT_USAGE, "what shall happen? --error, --latency, ...; see --help");
    if (rc == EXIT_OK)
        rc = fault_effect_make(effect, args_value(c, effect->flag), &made, f);
    if (rc != EXIT_OK)
        return rc;
    rc = fault_effect_details(c, effect, made, f);
    snprintf(path, sizeof path, "effect.%s", effect->name);
    body_set(body, path, made);
    if (rc == EXIT_OK && !args_has(c, "op") && effect->operation == NULL)
        return fail(f, EXIT_USAGE, "--op: which operations? for example --op 'instances.*'");
    if (rc == EXIT_OK && !args_has(c, "op"))
        body_set(body, "match.operations", json_pack("[s]", effect->operation));
    return rc;
}

static int set_probability(const struct command *c, json_t *body, struct failure *f)
{
    const char *probability = args_value(c, "probability");
    double number;
    char *end;

    if (probability == NULL)
        return EXIT_OK;
    if (!fault_number(probability, &end, &number) || *end != '\0')
        return fault_bad_flag("probability", probability, "a number from 0 to 1", f);
    body_set(body, "when.probability", json_real(number));
    return EXIT_OK;
}

static int set_rest(const struct command *c, json_t *body, struct failure *f)
{
    const char *project = args_value(c, "project");

    if (project != NULL)
        body_set(body, "match.project", json_string(project));
    if (c->operand_count > 0)
        body_set(body, "name", json_string(c->operands[0]));
    return set_probability(c, body, f);
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

// --- changing one ---

// What the flags say of the effect: anew, or only some details of the one that is there.
static int patch_effect(const struct command *c, const json_t *rule, json_t *body,
                        struct failure *f)
{
    json_t *effects = json_object_get(rule, "effect"), *made = NULL;
    const char *name = json_object_iter_key(json_object_iter(effects)), *key;
    const struct fault_effect_flag *given;
    json_t *value;
    char path[64];
    int rc = fault_effect_given(c, &given, f);

    if (rc == EXIT_OK && given != NULL)
        rc = fault_effect_make(given, args_value(c, given->flag), &made, f);
    if (rc != EXIT_OK)
        return rc;
    if (given != NULL && strcmp(given->name, name) == 0)
        json_object_foreach(json_object_get(effects, name), key, value)
        {
            if (json_object_get(made, key) == NULL)
                json_object_set_new(made, key, json_null());
        }
    given = given != NULL ? given : fault_effect_named(name);
    made = made != NULL ? made : json_object();
    rc = fault_effect_details(c, given, made, f);
    snprintf(path, sizeof path, "effect.%s", given->name);
    if (json_object_size(made) > 0)
        body_set(body, path, made);
    else
        json_decref(made);
    return rc;
}

static int patch_rest(const struct command *c, json_t *body, struct failure *f)
{
    if (args_has(c, "on") && args_has(c, "off"))
        return fail(f, EXIT_USAGE, "--on and --off: only one of them");
    if (args_has(c, "on") || args_has(c, "off"))
        body_set(body, "enabled", json_boolean(args_has(c, "on")));
    for (size_t i = 0; i < c->option_count; i++)
        if (strcmp(c->options[i].flag->name, "unset") == 0)
            body_set(body, c->options[i].value, json_null());
    return set_probability(c, body, f);
}

static int patch_of(struct cli *cli, const json_t *rule, json_t **out, struct failure *f)
{
    json_t *body = NULL;
    int rc = body_build(cli->http, cli->command, &body, f);

    if (rc == EXIT_OK)
        rc = patch_effect(cli->command, rule, body, f);
    if (rc == EXIT_OK)
        rc = patch_rest(cli->command, body, f);
    if (rc == EXIT_OK && json_object_size(body) == 0)
        rc = fail(f, EXIT_USAGE, "nothing to change; see --help");
    if (rc != EXIT_OK) {
        json_decref(body);
        return rc;
    }
    *out = body;
    return EXIT_OK;
}

static int update_one(struct cli *cli, const char *ref, json_t **out, struct failure *f)
{
    struct http_request request = {.method = "PATCH"};
    json_t *rule = NULL, *body = NULL;
    char *path = NULL;
    int rc = resource_find(cli->http, &kind_fault, ref, &rule, f);

    if (rc == EXIT_OK)
        rc = patch_of(cli, rule, &body, f);
    if (rc == EXIT_OK)
        rc = path_of(cli, resource_key(&kind_fault, rule), "", &path, f);
    request.path = path;
    request.body = body;
    request.if_revision = args_int(cli->command, "if-revision", 0);
    if (rc == EXIT_OK)
        rc = http_send(cli->http, &request, out, f);
    free(path);
    json_decref(body);
    json_decref(rule);
    return rc;
}

int verb_fault_update(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    json_t *documents = json_array();
    int rc = EXIT_OK;

    for (size_t i = 0; rc == EXIT_OK && i < c->operand_count; i++) {
        json_t *reply = NULL;

        rc = update_one(cli, c->operands[i], &reply, f);
        if (rc == EXIT_OK)
            json_array_append_new(documents, reply);
    }
    if (rc == EXIT_OK && c->operand_count == 1)
        output_item(cli->output, &kind_fault, json_array_get(documents, 0));
    else if (rc == EXIT_OK)
        output_items(cli->output, &kind_fault, documents);
    json_decref(documents);
    return rc;
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
