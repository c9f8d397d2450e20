// Projects as they are made; their quotas and rate limits.
#include "base/random.h"
#include "cli/body.h"
#include "cli/verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// "COLLECTION/NAME/PART"; the caller frees; NULL: out of memory.
static char *part_path(const char *collection, const char *name, const char *part)
{
    struct buffer path;

    buffer_init(&path);
    buffer_printf(&path, "%s/", collection);
    http_escape(&path, name);
    buffer_printf(&path, "/%s", part);
    return buffer_take(&path, NULL);
}

static int send_quotas(struct cli *cli, const char *method, const char *project, const json_t *body,
                       json_t **out, struct failure *f)
{
    struct http_request request = {.method = method, .body = body};
    char *path = part_path(kind_project.path, project, "quotas");
    int rc;

    request.path = path;
    rc = path != NULL ? http_send(cli->http, &request, out, f)
                      : fail(f, EXIT_REFUSED, "out of memory");
    free(path);
    return rc;
}

// A table shows the buckets below the quotas.
static void print_quotas(struct cli *cli, json_t *document)
{
    json_t *rows = json_deep_copy(json_object_get(document, "quotas")), *bucket;
    size_t i;

    if (cli->output->format == OUTPUT_JSON) {
        output_item(cli->output, &kind_quota, document);
        json_decref(rows);
        return;
    }
    json_array_foreach(json_object_get(document, "rates"), i, bucket)
    {
        json_t *row = json_deep_copy(bucket);
        json_object_set(row, "name", json_object_get(row, "class"));
        json_object_set(row, "limit", json_object_get(row, "burst"));
        json_array_append_new(rows, row);
    }
    output_items(cli->output, &kind_quota, rows);
    json_decref(rows);
}

int verb_quota_list(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    json_t *document = NULL;
    int rc = c->operand_count > 0 ? send_quotas(cli, "GET", c->operands[0], NULL, &document, f)
                                  : http_get(cli->http, kind_quota.path, &document, f);

    if (rc == EXIT_OK)
        print_quotas(cli, document);
    json_decref(document);
    return rc;
}

int verb_quota_set(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    json_t *body = NULL, *document = NULL;
    int rc = args_uses(c, USE_BODY) ? body_build(cli->http, c, &body, f)
                                    : fail(f, EXIT_USAGE, "nothing to change; see --help");

    if (rc == EXIT_OK)
        rc = send_quotas(cli, "PATCH", c->operands[0], body, NULL, f);
    if (rc == EXIT_OK)
        rc = send_quotas(cli, "GET", c->operands[0], NULL, &document, f);
    if (rc == EXIT_OK)
        print_quotas(cli, document);
    json_decref(body);
    json_decref(document);
    return rc;
}

int verb_quota_remove(struct cli *cli, struct failure *f)
{
    const struct command *c = cli->command;
    int rc = EXIT_OK;

    for (size_t i = 0; rc == EXIT_OK && i < c->operand_count; i++) {
        rc = send_quotas(cli, "DELETE", c->operands[i], NULL, NULL, f);
        if (rc == EXIT_OK)
            output_deleted(cli->output, &kind_quota, c->operands[i]);
    }
    return rc;
}

// A table shows the total below the types.
int verb_zone_capacity(struct cli *cli, struct failure *f)
{
    char *path = part_path(kind_capacity.path, cli->command->operands[0], "capacity");
    json_t *document = NULL, *rows, *total;
    int rc = path != NULL ? http_get(cli->http, path, &document, f)
                          : fail(f, EXIT_REFUSED, "out of memory");

    free(path);
    if (rc != EXIT_OK)
        return rc;
    if (cli->output->format == OUTPUT_JSON) {
        output_item(cli->output, &kind_capacity, document);
    } else {
        rows = json_deep_copy(json_object_get(document, "types"));
        total = json_deep_copy(json_object_get(document, "total"));
        json_object_set_new(total, "type", json_string("(all)"));
        json_array_append_new(rows, total);
        output_items(cli->output, &kind_capacity, rows);
        json_decref(rows);
    }
    json_decref(document);
    return EXIT_OK;
}

// --- projects ---

// Whoever wants one for a while cares for its token, not for its name.
static void complete(const struct command *c, json_t *body)
{
    const char *ttl = args_value(c, "ttl");
    char drawn[32];

    snprintf(drawn, sizeof(drawn), "tmp-%012" PRIx64, random_seed() >> 16);
    json_object_set_new(body, "name", json_string(c->operand_count > 0 ? c->operands[0] : drawn));
    if (ttl != NULL && strcmp(ttl, "none") == 0)
        json_object_del(body, "ttl"); // it stays anyway
    else if (ttl != NULL)
        json_object_set_new(body, "token", json_true());
}

int verb_project_create(struct cli *cli, struct failure *f)
{
    struct http_request request = {.method = "POST", .path = kind_project.path};
    json_t *body = NULL, *reply = NULL;
    int rc = body_build(cli->http, cli->command, &body, f);

    if (rc != EXIT_OK)
        return rc;
    complete(cli->command, body);
    request.body = body;
    rc = http_send(cli->http, &request, &reply, f);
    if (rc == EXIT_OK)
        output_item(cli->output, &kind_project_made, reply);
    json_decref(body);
    json_decref(reply);
    return rc;
}
