// Actions and deletions, on what was named or on what a selector matches.
#include "cli/body.h"
#include "cli/events.h"
#include "cli/resource.h"
#include "cli/verbs.h"
#include "cli/wait.h"

#include <stdlib.h>
#include <string.h>

struct action {
    struct cli *cli;
    json_t *replies; // documents after the action; of deletions without a reply those before it
    size_t failed;
    enum exit_code first; // failure
};

static bool has_selector(const struct command *c)
{
    return args_uses(c, USE_QUERY) || args_has(c, "random") || args_has(c, "all");
}

static int check_selection(const struct command *c, struct failure *f)
{
    if (c->operand_count > 0 && has_selector(c))
        return fail(f, EXIT_USAGE, "%s: give names or a selector, not both", c->verb->name);
    if (c->operand_count == 0 && !has_selector(c)) {
        return fail(f, EXIT_USAGE, "%s: which %s? give names, a filter, --random N or --all",
                    c->verb->name, c->verb->kind->noun);
    }
    if (args_has(c, "if-revision") && c->operand_count != 1)
        return fail(f, EXIT_USAGE, "--if-revision: needs exactly one name");
    return EXIT_OK;
}

// What was named; an id costs no request unless the documents are to be shown.
static int named_targets(struct cli *cli, json_t *targets, struct failure *f)
{
    const struct command *c = cli->command;

    for (size_t i = 0; i < c->operand_count; i++) {
        const char *ref = c->operands[i];
        json_t *document = NULL;

        if (resource_is_id(ref) && !args_has(c, "dry-run")) {
            document = json_pack("{ss}", "id", ref);
        } else {
            int rc = resource_find(cli->http, c->verb->kind, ref, &document, f);

            if (rc != EXIT_OK)
                return rc;
        }
        json_array_append_new(targets, document);
    }
    return EXIT_OK;
}

static int find_targets(struct cli *cli, json_t **out, struct failure *f)
{
    const struct command *c = cli->command;
    json_t *targets;
    int rc = check_selection(c, f);

    if (rc != EXIT_OK)
        return rc;
    if (c->operand_count == 0)
        return resource_select(cli->http, c, c->verb->act_states, out, f);
    targets = json_array();
    rc = named_targets(cli, targets, f);
    if (rc != EXIT_OK) {
        json_decref(targets);
        return rc;
    }
    *out = targets;
    return EXIT_OK;
}

static void act_on(struct action *a, const json_t *target, struct failure *f)
{
    const struct verb *verb = a->cli->command->verb;
    struct http_request request = {.method = verb->method};
    char *path = resource_path(verb->path, resource_key(verb->kind, target), NULL);
    json_t *reply = NULL, *body = NULL;
    int rc = args_uses(a->cli->command, USE_BODY)
                 ? body_build(a->cli->http, a->cli->command, &body, f)
                 : EXIT_OK;

    request.path = path;
    request.if_revision = args_int(a->cli->command, "if-revision", 0);
    request.body = body;
    if (rc == EXIT_OK)
        rc = path != NULL ? http_send(a->cli->http, &request, &reply, f)
                          : fail(f, EXIT_REFUSED, "out of memory");
    json_decref(body);
    if (rc == EXIT_OK && reply != NULL)
        json_array_append_new(a->replies, reply);
    else if (rc == EXIT_OK)
        output_deleted(a->cli->output, verb->kind, resource_name(verb->kind, target));
    else
        a->failed++;
    free(path);
}

// Acts on all; one that fails is told and does not hold up the others, a lost server does.
static int act_on_all(struct action *a, const json_t *targets, struct failure *f)
{
    size_t i, count = json_array_size(targets);
    const json_t *target;

    json_array_foreach(targets, i, target)
    {
        struct failure one = {0};

        act_on(a, target, &one);
        if (one.code == EXIT_OK)
            continue;
        if (count == 1 || one.code == EXIT_UNREACHABLE || one.code == EXIT_TIMEOUT)
            return fail(f, one.code, "%s", one.message);
        fprintf(stderr, "mockcloud: %s: %s\n", resource_name(a->cli->command->verb->kind, target),
                one.message);
        a->first = a->first == EXIT_OK ? one.code : a->first;
    }
    return EXIT_OK;
}

static int finish(struct action *a, size_t count, struct failure *f)
{
    struct cli *cli = a->cli;
    int rc = EXIT_OK;

    if (args_has(cli->command, "wait"))
        rc = verb_wait_all(cli, a->replies, f);
    if (json_array_size(a->replies) == 1 && cli->command->operand_count == 1)
        output_item(cli->output, cli->command->verb->kind, json_array_get(a->replies, 0));
    else if (json_array_size(a->replies) > 0 || cli->output->format == OUTPUT_JSON)
        output_items(cli->output, cli->command->verb->kind, a->replies);
    if (rc == EXIT_OK && a->failed > 0)
        rc = fail(f, a->first, "%zu of %zu failed", a->failed, count);
    return rc;
}

static int act(struct cli *cli, const json_t *targets, struct failure *f)
{
    struct action a = {.cli = cli, .replies = json_array()};
    int rc = act_on_all(&a, targets, f);

    if (rc == EXIT_OK)
        rc = finish(&a, json_array_size(targets), f);
    else if (json_array_size(a.replies) > 0) // what was done before the server was lost
        output_items(cli->output, cli->command->verb->kind, a.replies);
    json_decref(a.replies);
    return rc;
}

int verb_act(struct cli *cli, struct failure *f)
{
    json_t *targets = NULL;
    int rc = find_targets(cli, &targets, f);

    if (rc != EXIT_OK)
        return rc;
    if (json_array_size(targets) == 0)
        fprintf(stderr, "mockcloud: %s: nothing matched\n", cli->command->verb->name);
    if (args_has(cli->command, "dry-run"))
        output_items(cli->output, cli->command->verb->kind, targets);
    else
        rc = act(cli, targets, f);
    json_decref(targets);
    return rc;
}
