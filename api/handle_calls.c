// The call log. A caller of scope cloud sees the calls that act on its own project.
#include "api/calls.h"
#include "api/handlers.h"
#include "api/query.h"
#include "base/timefmt.h"

#include <inttypes.h>
#include <string.h>

// A wall time, or how long ago.
static int parse_since(const char *text, int64_t *out, struct error *err)
{
    struct error other = {0};
    int64_t ns;

    if (strchr(text, 'T')) {
        if (time_parse(text, out, &other) == 0)
            return 0;
    } else if (duration_parse(text, &ns, &other) == 0) {
        *out = clock_wall() - ns;
        return 0;
    }
    return error_set(err, ERROR_INVALID, "since", "%s", other.message);
}

static int choose_project(struct request *r, const char *name, int64_t *out, struct error *err)
{
    *out = r->project; // of /v1
    if (!name)
        return 0;
    if (cloud_project(r->api->cloud, name, out, NULL) < 0)
        return error_set(err, ERROR_INVALID, "project", "no such project");
    return 0;
}

static int read_filter(struct request *r, struct query *q, struct calls_filter *out,
                       struct error *err)
{
    const char *since;
    int result = query_parse(r->endpoint, r->query, &r->arena, q, err);

    if (result < 0)
        return result;
    *out = (struct calls_filter){.caller = q->values[QUERY_INDEX_CALLER],
                                 .operation = q->values[QUERY_INDEX_OPERATION],
                                 .statuses = q->values[QUERY_INDEX_STATUS]};
    if (out->statuses && !calls_statuses_valid(out->statuses))
        return error_set(err, ERROR_INVALID, "status",
                         "must be statuses such as 429 or 5xx, separated by commas");
    since = q->values[QUERY_INDEX_SINCE_TIME];
    if (since)
        result = parse_since(since, &out->since_ns, err);
    return result < 0 ? result
                      : choose_project(r, q->values[QUERY_INDEX_PROJECT], &out->project, err);
}

int handle_calls(struct request *r, struct error *err)
{
    struct buffer *out = &r->reply.body;
    struct calls_filter filter;
    char token[PAGE_TOKEN_MAX];
    struct query q;
    int64_t next;
    int result = read_filter(r, &q, &filter, err);

    if (result < 0)
        return result;
    buffer_append_string(out, "{\"items\":[");
    calls_list(r->api->calls, &filter, q.after, q.limit, out, &next);
    buffer_append_string(out, "]");
    if (next > 0) {
        page_token_make(token, q.fingerprint, next);
        buffer_printf(out, ",\"next_page_token\":\"%s\"", token);
    }
    buffer_append_string(out, "}");
    return 0;
}

int handle_call_counters(struct request *r, struct error *err)
{
    struct calls_filter filter;
    struct query q;
    int result = read_filter(r, &q, &filter, err);

    if (result < 0)
        return result;
    calls_count(r->api->calls, &filter, &r->reply.body);
    return 0;
}

int handle_calls_reset(struct request *r, struct error *err)
{
    if (r->query.length > 0)
        return error_set(err, ERROR_UNKNOWN_FIELD, "query", "this operation has no parameters");
    calls_reset(r->api->calls);
    return 0;
}
