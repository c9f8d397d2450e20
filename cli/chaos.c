#include "cli/chaos.h"

#include "cli/body.h"
#include "cli/resource.h"

#include <stdlib.h>
#include <string.h>

// --rate ACTION=N or ACTION=N/h, repeated.
static int add_rates(const struct command *c, json_t *body, struct failure *f)
{
    json_t *rates = json_object();

    for (size_t i = 0; i < c->option_count; i++) {
        const char *value = c->options[i].value;
        size_t length = strcspn(value, "=");
        char *end;
        double rate;

        if (strcmp(c->options[i].flag->name, "rate") != 0)
            continue;
        rate = strtod(value + length + 1, &end);
        if (end == value + length + 1 || (*end != '\0' && strcmp(end, "/h") != 0) ||
            !(rate >= 0 && rate <= 1e9)) {
            json_decref(rates);
            return fail(f, EXIT_USAGE, "--rate: '%s' is not ACTION=NUMBER", value);
        }
        json_object_setn_new(rates, value, length, json_real(rate));
    }
    if (json_object_size(rates) > 0)
        json_object_set(body, "rates", rates);
    json_decref(rates);
    return EXIT_OK;
}

int verb_chaos_start(struct cli *cli, struct failure *f)
{
    const struct kind *kind = cli->command->verb->kind;
    struct http_request request = {.method = "POST", .path = kind->path};
    json_t *body = NULL, *reply = NULL;
    int rc = body_build(cli->http, cli->command, &body, f);

    if (rc == EXIT_OK)
        rc = add_rates(cli->command, body, f);
    request.body = body;
    if (rc == EXIT_OK)
        rc = http_send(cli->http, &request, &reply, f);
    if (rc == EXIT_OK)
        output_item(cli->output, kind, reply);
    json_decref(body);
    json_decref(reply);
    return rc;
}

static int stop(struct cli *cli, const char *ref, json_t *replies, struct failure *f)
{
    const struct kind *kind = cli->command->verb->kind;
    struct http_request request = {.method = "POST"};
    json_t *reply = NULL;
    struct buffer path;
    char *id = NULL;
    int rc = resource_resolve(cli->http, kind, ref, &id, f);

    buffer_init(&path);
    if (rc == EXIT_OK) {
        buffer_printf(&path, "%s/%s/stop", kind->path, id);
        buffer_append(&path, "", 1);
        request.path = path.data;
        rc = http_send(cli->http, &request, &reply, f);
    }
    if (rc == EXIT_OK)
        json_array_append_new(replies, reply);
    buffer_fini(&path);
    free(id);
    return rc;
}

int verb_chaos_stop(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    struct resource_list running = {0};
    json_t *replies = json_array();
    int rc = EXIT_OK;

    for (size_t i = 0; rc == EXIT_OK && i < c->operand_count; i++)
        rc = stop(cli, c->operands[i], replies, f);
    if (c->operand_count == 0)
        rc = resource_list(cli->http, c->verb->kind, "state=running", 0, &running, f);
    for (size_t i = 0; rc == EXIT_OK && i < json_array_size(running.items); i++)
        rc = stop(cli, resource_key(c->verb->kind, json_array_get(running.items, i)), replies, f);
    if (rc == EXIT_OK)
        output_items(cli->output, c->verb->kind, replies);
    json_decref(running.items);
    json_decref(replies);
    return rc;
}

int verb_chaos_profiles(struct cli *cli, struct failure *f)
{
    const struct verb *verb = cli->command->verb;
    json_t *reply = NULL;
    int rc = http_get(cli->http, verb->prints->path, &reply, f);

    if (rc == EXIT_OK)
        output_items(cli->output, verb->prints, json_object_get(reply, "items"));
    json_decref(reply);
    return rc;
}
