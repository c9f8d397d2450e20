// Conditions of a scenario on the calls that the API answers.
#include "api/calls.h"
#include "api/scenario_compile.h"
#include "base/glob.h"

#include <string.h>

static const char *const calls_keys[] = {"caller", "operation", "status", "project", "since", NULL};

static int read_operation(struct compiling *c, const struct node *node, const char **out)
{
    if (compile_text(c, node, out) < 0)
        return -ERROR_INVALID;
    for (size_t i = 0; i < endpoint_count; i++)
        if (glob_match(*out, endpoints[i].operation))
            return 0;
    return diagnose(c->d, node, "no operation of the API is called like \"%.64s\"", *out);
}

static int read_statuses(struct compiling *c, const struct node *node, const char **out)
{
    if (!node->text || !calls_statuses_valid(node->text))
        return diagnose(c->d, node, "must be statuses such as 429 or 5xx, separated by commas");
    *out = node->text;
    return 0;
}

static int read_calls_key(struct compiling *c, const struct node *item, struct calls_wanted *out)
{
    if (compile_is_dynamic(item))
        return diagnose(c->d, item, "must be known before the scenario runs");
    if (strcmp(item->key, "caller") == 0)
        return compile_text(c, item, &out->caller);
    if (strcmp(item->key, "operation") == 0)
        return read_operation(c, item, &out->operation);
    if (strcmp(item->key, "status") == 0)
        return read_statuses(c, item, &out->statuses);
    if (strcmp(item->key, "project") == 0)
        return compile_text(c, item, &out->project);
    out->since_start = item->text && strcmp(item->text, "scenario") == 0;
    if (!out->since_start && (!item->text || strcmp(item->text, "step") != 0))
        return diagnose(c->d, item, "must be step or scenario");
    return 0;
}

static int read_per_minute(struct compiling *c, const struct node *node, int64_t *out)
{
    bool is_number = node->type == NODE_INT || node->type == NODE_REAL;

    if (!is_number || !(node->real >= 0 && node->real <= SCENARIO_COUNT_MAX))
        return diagnose(c->d, node, "must be a number, 0 to %d", SCENARIO_COUNT_MAX);
    *out = (int64_t)(node->real * 1000 + 0.5); // as sim/scenario.h has it
    return 0;
}

int compile_calls(struct compiling *c, const struct node *map, struct condition *out)
{
    static const char *const keys[] = {"calls", "is", "max_per_minute", NULL};
    const struct node *what = node_get(map, "calls"), *is = node_get(map, "is"),
                      *rate = node_get(map, "max_per_minute");
    int rc = compile_known(c, map, keys);

    if (what->type != NODE_MAP)
        return diagnose(c->d, what, "must be a map that says which calls");
    out->type = CONDITION_CALLS;
    out->comparison = IS_AT_LEAST;
    out->number = 1;
    out->calls.per_minute = -1;
    if (compile_known(c, what, calls_keys) < 0)
        return -ERROR_INVALID;
    for (size_t i = 0; i < what->count; i++)
        if (read_calls_key(c, &what->items[i], &out->calls) < 0)
            rc = -ERROR_INVALID;
    if ((is && compile_comparison(c, is, out) < 0) ||
        (rate && read_per_minute(c, rate, &out->calls.per_minute) < 0))
        return -ERROR_INVALID;
    return rc;
}
