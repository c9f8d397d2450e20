#include "cli/verbs.h"
#include "base/buffer.h"
#include "base/timefmt.h"
#include "cli/body.h"
#include "cli/completion.h"
#include "cli/events.h"
#include "cli/resource.h"
#include "cli/wait.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifndef MOCKCLOUD_VERSION
#define MOCKCLOUD_VERSION "0.1.0"
#endif

int verb_list(struct cli *cli, struct failure *f)
{
    json_t *items = NULL;
    int rc = resource_select(cli->http, cli->command, NULL, &items, f);

    if (rc != EXIT_OK)
        return rc;
    if (args_has(cli->command, "count"))
        fprintf(cli->output->file, "%zu\n", json_array_size(items));
    else
        output_items(cli->output, cli->command->verb->kind, items);
    json_decref(items);
    return EXIT_OK;
}

int verb_get(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    json_t *items = json_array();
    int rc = EXIT_OK;

    for (size_t i = 0; rc == EXIT_OK && i < c->operand_count; i++) {
        json_t *document = NULL;

        rc = resource_find(cli->http, c->verb->kind, c->operands[i], &document, f);
        if (rc == EXIT_OK)
            json_array_append_new(items, document);
    }
    if (rc == EXIT_OK && c->operand_count == 1)
        output_item(cli->output, c->verb->kind, json_array_get(items, 0));
    else if (rc == EXIT_OK)
        output_items(cli->output, c->verb->kind, items);
    json_decref(items);
    return rc;
}

static int fail_in_error(const struct kind *kind, const char *key, const json_t *document,
                         struct failure *f)
{
    const char *why =
        json_string_value(json_object_get(json_object_get(document, "state_reason"), "message"));

    return fail(f, EXIT_REFUSED, "%s/%s ended in state error%s%s", kind->noun, key, why ? ": " : "",
                why ? why : "");
}

int verb_wait_all(struct cli *cli, json_t *documents, struct failure *f)
{
    const struct verb *verb = cli->command->verb;
    int64_t deadline = events_deadline(http_config(cli->http)->timeout_ns);
    size_t i;
    json_t *document;

    json_array_foreach(documents, i, document)
    {
        const char *key = resource_key(verb->kind, document);
        json_t *done = NULL;
        int rc = wait_for(cli->http, verb->kind, key, verb->done, deadline, &done, f);

        if (rc != EXIT_OK)
            return rc;
        if (done != NULL && wait_met("state=error", done, true))
            rc = fail_in_error(verb->kind, key, done, f);
        if (done != NULL)
            json_array_set_new(documents, i, done);
        if (rc != EXIT_OK)
            return rc;
    }
    return EXIT_OK;
}

// Waits if that was asked for, and prints one or many.
static int finish(struct cli *cli, json_t *documents, bool list, struct failure *f)
{
    const struct verb *verb = cli->command->verb;
    int rc = args_has(cli->command, "wait") ? verb_wait_all(cli, documents, f) : EXIT_OK;
    const struct kind *kind = verb->prints != NULL ? verb->prints : verb->kind;

    if (rc == EXIT_OK && !list)
        output_item(cli->output, kind, json_array_get(documents, 0));
    else if (rc == EXIT_OK)
        output_items(cli->output, kind, documents);
    return rc;
}

static int create_request(struct cli *cli, json_t **out_body, struct failure *f)
{
    const struct command *c = cli->command;
    int rc;

    if (c->operand_count > 0 && args_has(c, "name"))
        return fail(f, EXIT_USAGE, "--name: the name is given already: '%s'", c->operands[0]);
    rc = body_build(cli->http, c, out_body, f);
    if (rc == EXIT_OK && c->operand_count > 0 &&
        json_object_set_new(*out_body, "name", json_string(c->operands[0])) != 0) {
        json_decref(*out_body);
        return fail(f, EXIT_USAGE, "NAME: not UTF-8 text");
    }
    return rc;
}

int verb_create(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    struct http_request request = {.method = "POST", .path = c->verb->kind->path};
    json_t *body = NULL, *reply = NULL, *documents;
    bool list;
    int rc = create_request(cli, &body, f);

    if (rc != EXIT_OK)
        return rc;
    request.body = body;
    request.idempotency_key = args_value(c, "idempotency-key");
    rc = http_send(cli->http, &request, &reply, f);
    json_decref(body);
    if (rc != EXIT_OK)
        return rc;
    list = json_is_array(json_object_get(reply, "items"));
    documents = list ? json_incref(json_object_get(reply, "items")) : json_pack("[O]", reply);
    rc = finish(cli, documents, list, f);
    json_decref(documents);
    json_decref(reply);
    return rc;
}

// "<collection>/<name>", encoded; the caller frees. NULL: out of memory.
static char *item_path(const char *collection, const char *name)
{
    struct buffer path;

    buffer_init(&path);
    buffer_printf(&path, "%s/", collection);
    http_escape(&path, name);
    return buffer_take(&path, NULL);
}

static int send_to(struct cli *cli, const char *method, const char *collection, const char *name,
                   const json_t *body, json_t **out, struct failure *f)
{
    struct http_request request = {.method = method, .body = body};
    char *path = item_path(collection, name);
    int rc;

    if (path == NULL)
        return fail(f, EXIT_REFUSED, "out of memory");
    request.path = path;
    request.if_revision = args_int(cli->command, "if-revision", 0);
    rc = http_send(cli->http, &request, out, f);
    free(path);
    return rc;
}

// What is there now without what the server adds, so that a PUT keeps what no flag changes.
static int current_fields(struct cli *cli, const char *name, json_t **out, struct failure *f)
{
    struct failure local = {0};
    json_t *document = NULL;
    int rc = resource_find(cli->http, cli->command->verb->kind, name, &document, &local);

    if (rc == EXIT_NOT_FOUND) {
        *out = json_object();
        return EXIT_OK;
    }
    if (rc != EXIT_OK)
        return fail(f, local.code, "%s", local.message);
    json_object_del(document, "name");
    json_object_del(document, "revision");
    *out = document;
    return EXIT_OK;
}

int verb_put(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    json_t *body = NULL, *flags = NULL, *reply = NULL;
    int rc = body_build(cli->http, c, &flags, f);

    if (rc == EXIT_OK)
        rc = current_fields(cli, c->operands[0], &body, f);
    if (rc == EXIT_OK) {
        json_object_update(body, flags);
        rc = send_to(cli, "PUT", c->verb->path, c->operands[0], body, &reply, f);
    }
    if (rc == EXIT_OK)
        output_item(cli->output, c->verb->kind, reply);
    json_decref(body);
    json_decref(flags);
    json_decref(reply);
    return rc;
}

int verb_update(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    json_t *body = NULL, *documents = json_array();
    int rc = args_uses(c, USE_BODY) ? body_build(cli->http, c, &body, f)
                                    : fail(f, EXIT_USAGE, "nothing to change; see --help");

    for (size_t i = 0; rc == EXIT_OK && i < c->operand_count; i++) {
        json_t *reply = NULL;
        char *key = NULL;

        rc = resource_resolve(cli->http, c->verb->kind, c->operands[i], &key, f);
        if (rc == EXIT_OK)
            rc = send_to(cli, "PATCH", c->verb->kind->path, key, body, &reply, f);
        if (rc == EXIT_OK)
            json_array_append_new(documents, reply);
        free(key);
    }
    if (rc == EXIT_OK)
        rc = finish(cli, documents, c->operand_count > 1, f);
    json_decref(body);
    json_decref(documents);
    return rc;
}

int verb_delete_named(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    const char *path = c->verb->path != NULL ? c->verb->path : c->verb->kind->path;
    int rc = EXIT_OK;

    for (size_t i = 0; rc == EXIT_OK && i < c->operand_count; i++) {
        rc = send_to(cli, "DELETE", path, c->operands[i], NULL, NULL, f);
        if (rc == EXIT_OK)
            output_deleted(cli->output, c->verb->kind, c->operands[i]);
    }
    return rc;
}

static json_t *part_body(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    json_t *body = NULL, *targets;

    if (c->verb->kind == &kind_lb)
        return body_listener(cli->http, "SPEC", c->operands[1], &body, f) == EXIT_OK ? body : NULL;
    targets = json_array();
    for (size_t i = 1; i < c->operand_count; i++) {
        json_t *target = NULL;

        if (body_target(cli->http, "TARGET", c->operands[i], &target, f) != EXIT_OK) {
            json_decref(targets);
            return NULL;
        }
        json_array_append_new(targets, target);
    }
    return json_pack("{so}", "targets", targets);
}

// The verb's request to the parts of operand 1, or to one of them.
static int send_part(struct cli *cli, const json_t *body, const char *part, struct failure *f)
{
    const struct command *c = cli->command;
    struct http_request request = {.method = c->verb->method, .body = body};
    json_t *reply = NULL;
    char *key = NULL, *path = NULL;
    int rc = resource_resolve(cli->http, c->verb->kind, c->operands[0], &key, f);

    if (rc == EXIT_OK) {
        request.path = path = resource_path(c->verb->path, key, part);
        request.if_revision = args_int(c, "if-revision", 0);
        rc = path ? http_send(cli->http, &request, &reply, f)
                  : fail(f, EXIT_REFUSED, "out of memory");
    }
    if (rc == EXIT_OK)
        output_item(cli->output, c->verb->kind, reply);
    json_decref(reply);
    free(path);
    free(key);
    return rc;
}

int verb_add_part(struct cli *cli, struct failure *f)
{
    json_t *body = part_body(cli, f);
    int rc = body != NULL ? send_part(cli, body, NULL, f) : (int)f->code;

    json_decref(body);
    return rc;
}

int verb_act_on_part(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    json_t *target = NULL;
    char *listener = NULL;
    int rc = EXIT_OK;

    if (c->verb->kind == &kind_lb) { // tcp-80; tcp:80 and TCP-80 mean the same
        listener = strdup(c->operands[1]);
        for (char *at = listener; at != NULL && *at != '\0'; at++)
            *at = (char)(*at == ':' ? '-' : *at >= 'A' && *at <= 'Z' ? *at - 'A' + 'a' : *at);
        rc = send_part(cli, NULL, listener != NULL ? listener : c->operands[1], f);
        free(listener);
        return rc;
    }
    rc = body_target(cli->http, "TARGET", c->operands[1], &target, f);
    if (rc == EXIT_OK) {
        const json_t *ref = json_object_iter_value(json_object_iter(target));

        rc = send_part(cli, NULL, json_string_value(ref), f);
    }
    json_decref(target);
    return rc;
}

static int print_request(struct cli *cli, const struct http_request *request, struct failure *f)
{
    const struct verb *verb = cli->command->verb;
    json_t *reply = NULL;
    int rc = http_send(cli->http, request, &reply, f);

    if (rc == EXIT_OK)
        output_item(cli->output, verb->prints != NULL ? verb->prints : verb->kind, reply);
    json_decref(reply);
    return rc;
}

int verb_send(struct cli *cli, struct failure *f)
{
    const struct verb *verb = cli->command->verb;

    return print_request(cli, &(struct http_request){.method = verb->method, .path = verb->path},
                         f);
}

int verb_token_create(struct cli *cli, struct failure *f)
{
    struct http_request request = {.method = "POST"};
    json_t *body = NULL;
    struct buffer buffer;
    char *path;
    int rc = body_build(cli->http, cli->command, &body, f);

    if (rc != EXIT_OK)
        return rc;
    buffer_init(&buffer);
    buffer_printf(&buffer, "%s/", kind_project.path);
    http_escape(&buffer, cli->command->operands[0]);
    buffer_append_string(&buffer, "/tokens");
    path = buffer_take(&buffer, NULL);
    request.path = path;
    request.body = body;
    rc = path != NULL ? print_request(cli, &request, f) : fail(f, EXIT_REFUSED, "out of memory");
    free(path);
    json_decref(body);
    return rc;
}

int verb_latency_set(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    json_t *body = NULL, *reply = NULL;
    int rc = body_distribution("SHAPE", c->operands[1], &body, f);

    if (rc == EXIT_OK)
        rc = send_to(cli, "PUT", kind_latency.path, c->operands[0], body, &reply, f);
    if (rc == EXIT_OK)
        output_item(cli->output, &kind_latency, reply);
    json_decref(body);
    json_decref(reply);
    return rc;
}

int verb_clock_advance(struct cli *cli, struct failure *f)
{
    const char *operand = cli->command->operands[0];
    struct http_request request = {.method = "POST", .path = kind_advanced.path};
    struct error error = {0};
    bool is_time = strchr(operand, 'T') != NULL;
    json_t *body;
    int64_t ns;
    int rc;

    rc = is_time ? time_parse(operand, &ns, &error) : duration_parse(operand, &ns, &error);
    if (rc != 0)
        return fail(f, EXIT_USAGE, "%s: %s", is_time ? "TIME" : "DURATION", error.message);
    body = json_pack("{ss}", is_time ? "to" : "by", operand);
    request.body = body;
    rc = print_request(cli, &request, f);
    json_decref(body);
    return rc;
}

int verb_clock_scale(struct cli *cli, struct failure *f)
{
    const char *operand = cli->command->operands[0];
    struct http_request request = {.method = "PATCH", .path = kind_clock.path};
    json_t *body;
    double scale;
    char *end;
    int rc;

    errno = 0;
    scale = strtod(operand, &end);
    if (errno != 0 || end == operand || *end != '\0' || !isfinite(scale) || scale < 0)
        return fail(f, EXIT_USAGE, "N: '%s' is not a number of at least 0", operand);
    body = json_pack("{sf}", "scale", scale);
    request.body = body;
    rc = print_request(cli, &request, f);
    json_decref(body);
    return rc;
}

int verb_version(struct cli *cli, struct failure *f)
{
    (void)f;
    fprintf(cli->output->file, "mockcloud %s\n", MOCKCLOUD_VERSION);
    return EXIT_OK;
}

int verb_completion(struct cli *cli, struct failure *f)
{
    const char *shell = cli->command->operands[0];
    const char *script = completion_script(shell);

    if (script == NULL)
        return fail(f, EXIT_USAGE, "completion: unknown shell '%s' (bash, zsh)", shell);
    fputs(script, cli->output->file);
    return EXIT_OK;
}
