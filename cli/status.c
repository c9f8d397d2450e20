// Is the server there, and what is in it.
#include "cli/resource.h"
#include "cli/verbs.h"

#include <string.h>

static const struct kind *const counted[] = {&kind_instance, &kind_lb,   &kind_pool, &kind_address,
                                             &kind_route,    &kind_zone, &kind_type, NULL};

// {"total": N, "running": N, …}; the states only where the kind has them.
static json_t *count_states(const json_t *items, const struct kind *kind)
{
    json_t *counts = json_pack("{sI}", "total", (json_int_t)json_array_size(items));
    const json_t *item;
    size_t i;

    json_array_foreach(items, i, item)
    {
        const char *state = json_string_value(json_object_get(item, "state"));
        json_int_t n;

        if (kind->states != NULL && state != NULL) {
            n = json_integer_value(json_object_get(counts, state));
            json_object_set_new(counts, state, json_integer(n + 1));
        }
    }
    return counts;
}

static int add_counts(struct cli *cli, json_t *status, struct failure *f)
{
    for (size_t i = 0; counted[i] != NULL; i++) {
        struct resource_list list;
        int rc = resource_list(cli->http, counted[i], "", 0, &list, f);

        if (rc != EXIT_OK)
            return rc;
        json_object_set_new(status, counted[i]->noun, count_states(list.items, counted[i]));
        json_object_set_new(status, "revision", json_integer(list.revision));
        json_decref(list.items);
    }
    return EXIT_OK;
}

static int add_server(struct cli *cli, json_t *status, struct failure *f)
{
    json_t *health = NULL, *document = NULL, *project = NULL;
    int rc;

    json_object_set_new(status, "server", json_string(http_config(cli->http)->server));
    rc = http_get(cli->http, "/readyz", &health, f);
    if (rc == EXIT_OK) {
        json_object_set(status, "status", json_object_get(health, "status"));
        rc = http_get(cli->http, "/openapi.json", &document, f);
    }
    if (rc == EXIT_OK) {
        json_object_set(status, "api",
                        json_object_get(json_object_get(document, "info"), "version"));
        rc = http_get(cli->http, "/v1/project", &project, f);
    }
    if (rc == EXIT_OK)
        json_object_set(status, "project", json_object_get(project, "name"));
    json_decref(health);
    json_decref(document);
    json_decref(project);
    return rc;
}

static void print_counts(FILE *out, const json_t *counts)
{
    const char *separator = " (";
    void *at = json_object_iter((json_t *)(uintptr_t)counts);

    for (; at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)counts, at)) {
        json_int_t n = json_integer_value(json_object_iter_value(at));

        if (strcmp(json_object_iter_key(at), "total") == 0) {
            fprintf(out, "%" JSON_INTEGER_FORMAT, n);
        } else {
            fprintf(out, "%s%" JSON_INTEGER_FORMAT " %s", separator, n, json_object_iter_key(at));
            separator = ", ";
        }
    }
    fputs(separator[0] == ',' ? ")\n" : "\n", out);
}

static void print_status(struct output *output, json_t *status)
{
    const char *key;
    json_t *value;

    if (output->format == OUTPUT_JSON) {
        json_dumpf(status, output->file, JSON_INDENT(2));
        fputc('\n', output->file);
        return;
    }
    json_object_foreach(status, key, value)
    {
        fprintf(output->file, "%-10s", key);
        if (json_is_object(value))
            print_counts(output->file, value);
        else if (json_is_string(value))
            fprintf(output->file, "%s\n", json_string_value(value));
        else
            fprintf(output->file, "%" JSON_INTEGER_FORMAT "\n", json_integer_value(value));
    }
}

int verb_status(struct cli *cli, struct failure *f)
{
    json_t *status = json_object();
    int rc = add_server(cli, status, f);

    if (rc == EXIT_OK)
        rc = add_counts(cli, status, f);
    print_status(cli->output, status);
    json_decref(status);
    return rc;
}
