// The call log: what was called, by whom, how often, and whether that is as it should be.
#include "base/timefmt.h"
#include "cli/resource.h"
#include "cli/verbs.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

// The caller's own project (or --project's), or all of the server's.
static const char *calls_path(const struct cli *cli)
{
    return args_has(cli->command, "all-projects") ? "/sim/v1/calls" : "/v1/calls";
}

int verb_calls_list(struct cli *cli, struct failure *f)
{
    struct kind kind = kind_calls;
    struct resource_list list = {.items = NULL};
    struct buffer query;
    int rc;

    kind.path = calls_path(cli);
    buffer_init(&query);
    resource_query(cli->command, &query);
    buffer_append(&query, "", 1);
    rc = query.failed ? fail(f, EXIT_REFUSED, "out of memory")
                      : resource_list(cli->http, &kind, query.data,
                                      args_int(cli->command, "limit", 50), &list, f);
    buffer_fini(&query);
    if (rc != EXIT_OK)
        return rc;
    output_items(cli->output, &kind_calls, list.items);
    json_decref(list.items);
    return EXIT_OK;
}

// `filtered`: with the filters of the command.
static int get_counters(struct cli *cli, bool filtered, json_t **out, struct failure *f)
{
    struct buffer path;
    int rc;

    buffer_init(&path);
    buffer_printf(&path, "%s/counters?", calls_path(cli));
    if (filtered)
        resource_query(cli->command, &path);
    buffer_append(&path, "", 1);
    rc = path.failed ? fail(f, EXIT_REFUSED, "out of memory")
                     : http_get(cli->http, path.data, out, f);
    buffer_fini(&path);
    return rc;
}

// --- top ---

static void add_class(json_t *item, const char *status, json_int_t times)
{
    static const char *const classes[] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};
    const char *name = classes[strlen(status) == 3 ? status[0] - '0' : 0];

    json_object_set_new(item, name,
                        json_integer(json_integer_value(json_object_get(item, name)) + times));
}

static void set_duration(json_t *item, const char *key, double seconds)
{
    char text[DURATION_TEXT_MAX];

    duration_format(llround(seconds * 1e6) * 1000, text);
    json_object_set_new(item, key, json_string(text));
}

// What a table shows beside what the server said.
static void add_figures(json_t *item)
{
    double count = (double)json_integer_value(json_object_get(item, "count"));
    const char *status;
    json_t *times;

    json_object_foreach(json_object_get(item, "statuses"), status, times)
    {
        add_class(item, status, json_integer_value(times));
    }
    set_duration(item, "average",
                 json_real_value(json_object_get(item, "latency_seconds_sum")) / fmax(count, 1));
    set_duration(item, "longest", json_real_value(json_object_get(item, "latency_seconds_max")));
}

static json_int_t count_of(const json_t *item)
{
    return json_integer_value(json_object_get(item, "count"));
}

static int by_count(const void *a, const void *b)
{
    json_int_t x = count_of(*(json_t *const *)a), y = count_of(*(json_t *const *)b);

    return (x < y) - (x > y);
}

// The `limit` items that were called most.
static json_t *most_called(const json_t *items, size_t limit)
{
    size_t count = json_array_size(items);
    const json_t **sorted = calloc(count + 1, sizeof(json_t *));
    json_t *out = json_array();

    for (size_t i = 0; sorted != NULL && i < count; i++)
        sorted[i] = json_array_get(items, i);
    if (sorted != NULL)
        qsort(sorted, count, sizeof(json_t *), by_count);
    for (size_t i = 0; sorted != NULL && i < count && i < limit; i++)
        json_array_append_new(out, json_deep_copy(sorted[i]));
    free(sorted);
    return out;
}

int verb_calls_top(struct cli *cli, struct failure *f)
{
    json_t *counters = NULL, *items, *item;
    size_t i;
    int rc = get_counters(cli, true, &counters, f);

    if (rc != EXIT_OK)
        return rc;
    items = most_called(json_object_get(counters, "items"),
                        (size_t)args_int(cli->command, "limit", 20));
    if (cli->output->format != OUTPUT_JSON) {
        json_array_foreach(items, i, item)
        {
            add_figures(item);
        }
    }
    output_items(cli->output, &kind_call_counter, items);
    json_decref(items);
    json_decref(counters);
    return EXIT_OK;
}

// --- assert ---

struct bounds {
    int64_t min, max;  // max -1: none
    double per_minute; // below 0: none
};

static int read_bounds(const struct command *c, struct bounds *out, struct failure *f)
{
    const char *rate = args_value(c, "max-per-minute");
    char *end = NULL;

    *out = (struct bounds){args_int(c, "min", 0), args_int(c, "max", -1), -1};
    if (rate == NULL && !args_has(c, "min") && !args_has(c, "max"))
        return fail(f, EXIT_USAGE, "nothing to assert: give --min, --max or --max-per-minute");
    if (rate == NULL)
        return EXIT_OK;
    errno = 0;
    out->per_minute = strtod(rate, &end);
    if (errno != 0 || end == rate || *end != '\0' || !isfinite(out->per_minute) ||
        out->per_minute < 0)
        return fail(f, EXIT_USAGE, "--max-per-minute: '%s' is not a number of at least 0", rate);
    return EXIT_OK;
}

struct counted {
    int64_t total;
    double window_s, per_minute;
    bool complete;
    char what[400]; // "137 calls of instances.* by mockcloud-ccm* in 10m0s"
};

static void describe(const struct command *c, struct counted *n)
{
    const char *op = args_value(c, "op"), *caller = args_value(c, "caller");
    const char *status = args_value(c, "status");
    char window[DURATION_TEXT_MAX];

    duration_format(llround(n->window_s) * NS_PER_S, window);
    snprintf(n->what, sizeof(n->what), "%lld call%s of %.100s by %.100s%s%.40s in the last %s",
             (long long)n->total, n->total == 1 ? "" : "s", op != NULL ? op : "any operation",
             caller != NULL ? caller : "anybody", status != NULL ? " with status " : "",
             status != NULL ? status : "", window);
}

static int count_calls(struct cli *cli, struct counted *out, struct failure *f)
{
    json_t *counters = NULL;
    int rc = get_counters(cli, true, &counters, f);

    if (rc != EXIT_OK)
        return rc;
    out->total = json_integer_value(json_object_get(counters, "total"));
    out->window_s = json_number_value(json_object_get(counters, "window_seconds"));
    out->complete = json_is_true(json_object_get(counters, "complete"));
    out->per_minute = (double)out->total / fmax(out->window_s / 60, 1);
    describe(cli->command, out);
    json_decref(counters);
    return EXIT_OK;
}

// An assertion on nothing is most often a wrong pattern: say who did call.
static int fail_empty(struct cli *cli, const struct counted *n, struct failure *f)
{
    struct failure ignored = {0};
    json_t *counters = NULL, *item;
    struct buffer seen;
    const char *last = "";
    size_t i;
    int rc;

    buffer_init(&seen);
    get_counters(cli, false, &counters, &ignored);
    json_array_foreach(json_object_get(counters, "items"), i, item)
    {
        const char *agent =
            json_string_value(json_object_get(json_object_get(item, "caller"), "user_agent"));
        if (agent != NULL && strcmp(agent, last) != 0 && seen.length < 400)
            buffer_printf(&seen, "%s%s", seen.length > 0 ? ", " : "", agent);
        last = agent != NULL ? agent : last;
    }
    buffer_append(&seen, "", 1);
    rc = fail(f, EXIT_REFUSED,
              "failed: %s: nothing matched, which --allow-none would accept (callers seen: %s)",
              n->what, seen.data);
    buffer_fini(&seen);
    json_decref(counters);
    return rc;
}

static int judge(struct cli *cli, const struct bounds *b, const struct counted *n,
                 struct failure *f)
{
    if (n->total < b->min)
        return fail(f, EXIT_REFUSED, "failed: %s, at least %lld expected%s", n->what,
                    (long long)b->min,
                    n->complete ? "" : " (older calls are no longer in the log)");
    if (n->total == 0 && b->max != 0 && !args_has(cli->command, "allow-none"))
        return fail_empty(cli, n, f);
    if (b->max >= 0 && n->total > b->max)
        return fail(f, EXIT_REFUSED, "failed: %s, at most %lld allowed", n->what,
                    (long long)b->max);
    if (b->per_minute >= 0 && n->per_minute > b->per_minute)
        return fail(f, EXIT_REFUSED, "failed: %s: %.4g per minute, at most %.4g allowed", n->what,
                    n->per_minute, b->per_minute);
    if (!n->complete && (b->max >= 0 || b->per_minute >= 0))
        return fail(f, EXIT_REFUSED,
                    "failed: %s, but the log does not go back that far: see serve --calls-kept",
                    n->what);
    return EXIT_OK;
}

int verb_calls_assert(struct cli *cli, struct failure *f)
{
    struct counted n = {0};
    struct bounds bounds;
    int rc = read_bounds(cli->command, &bounds, f);

    if (rc == EXIT_OK)
        rc = count_calls(cli, &n, f);
    if (rc == EXIT_OK)
        rc = judge(cli, &bounds, &n, f);
    if (rc == EXIT_OK)
        fprintf(cli->output->file, "ok: %s: %.4g per minute\n", n.what, n.per_minute);
    return rc;
}

int verb_calls_reset(struct cli *cli, struct failure *f)
{
    struct http_request request = {.method = "DELETE", .path = "/sim/v1/calls/counters"};

    return http_send(cli->http, &request, NULL, f);
}
