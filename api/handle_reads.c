// Reads of resources: documents and lists of them.
#include "api/faulty_reads.h"
#include "api/handlers.h"
#include "api/query.h"
#include "api/request.h"
#include "base/json_writer.h"
#include "sim/names.h"
#include "sim/txn.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_BYTES_MAX ((size_t)64 << 20)

// Zones, types, latencies and projects belong to no project; fault rules of all are listed.
static int64_t project_of(const struct request *r)
{
    enum kind kind = r->endpoint->kind;

    return kind <= KIND_ROUTE || kind == KIND_SCENARIO || kind == KIND_CHAOS ? r->project : 0;
}

// --- one ---

// Whether an If-None-Match list names the revision; weak comparison (RFC 9110 13.1.2).
static bool none_match(const struct request *r, int64_t revision)
{
    const char *list = r->headers.if_none_match, *at;
    char tag[ETAG_MAX];
    size_t length = (size_t)(etag_put(tag, revision, r->epoch) - tag);

    if (strcmp(list, "*") == 0)
        return true;
    for (at = strstr(list, tag); at; at = strstr(at + length, tag))
        if (at[length] == '\0' || strchr(", \t", at[length]))
            return true;
    return false;
}

// What a fault rule has altered is sent in any case.
static void answer_document(struct request *r, int64_t revision, bool altered)
{
    r->reply.revision = revision;
    if (!altered && r->headers.if_none_match && none_match(r, revision)) {
        r->reply.status = 304;
        buffer_clear(&r->reply.body);
    }
}

// Ids and names are short and hardly ever escaped: they are read without the arena.
int handle_get(struct request *r, struct error *err)
{
    struct span given = r->parameters[0];
    struct faulty_read faulty;
    char id[256];
    int64_t revision;
    bool altered = false;
    int result;

    if (given.length >= sizeof(id))
        return error_set(err, ERROR_NOT_FOUND, NULL, "no such %s", kind_name(r->endpoint->kind));
    memcpy(id, given.data, given.length);
    id[given.length] = '\0';
    if (memchr(id, '%', given.length)) {
        const char *decoded = request_parameter(r, 0, err);
        if (!decoded)
            return -ERROR_INVALID;
        snprintf(id, sizeof(id), "%s", decoded);
    }
    buffer_reserve(&r->reply.body, 1024);
    if (faulty_begin(&faulty, r, project_of(r), NULL))
        result = faulty_get(&faulty, id, &r->reply.body, &revision, &altered, err);
    else
        result = cloud_get(r->api->cloud, r->endpoint->kind, project_of(r), id, &r->reply.body,
                           &revision, err);
    if (result < 0)
        return result;
    answer_document(r, revision, altered);
    return 0;
}

// Every document ends with its revision.
static int64_t revision_in(const struct buffer *document)
{
    const char *colon = memrchr(document->data, ':', document->length);

    return colon ? strtoll(colon + 1, NULL, 10) : 0;
}

// Projects go by their names.
static int answer_project(struct request *r, const char *name, struct error *err)
{
    struct list_query query = {.kind = KIND_PROJECT, .name = name, .limit = 1};
    int64_t next, revision;
    size_t count;
    int result = cloud_list(r->api->cloud, &query, &r->reply.body, &count, &next, &revision, err);

    if (result < 0)
        return result;
    if (count == 0)
        return error_set(err, ERROR_NOT_FOUND, NULL, "project %s does not exist", name);
    answer_document(r, revision_in(&r->reply.body), false);
    return 0;
}

int handle_project(struct request *r, struct error *err)
{
    const char *name = request_parameter(r, 0, err);

    return name ? answer_project(r, name, err) : -ERROR_INVALID;
}

int handle_own_project(struct request *r, struct error *err)
{
    return answer_project(r, r->project_name, err);
}

// --- many ---

static const char *const *state_names(enum kind kind)
{
    switch (kind) {
    case KIND_INSTANCE:
        return instance_state_names;
    case KIND_LOAD_BALANCER:
        return load_balancer_state_names;
    case KIND_ROUTE:
        return route_state_names;
    case KIND_SCENARIO:
    case KIND_CHAOS:
        return kind_ops_of(kind)->state_names;
    default:
        return NULL;
    }
}

// The parameters that filter by columns of the kind, by the columns' names.
static void set_columns(const struct query *q, struct list_query *list)
{
    static const struct {
        const char *name;
        int parameter;
    } filters[] = {{"zone", QUERY_INDEX_ZONE},
                   {"type", QUERY_INDEX_TYPE},
                   {"lifecycle", QUERY_INDEX_LIFECYCLE},
                   {"network", QUERY_INDEX_NETWORK}};
    const char *names[KIND_COLUMNS_MAX];
    size_t count = kind_columns(list->kind, names);

    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof(filters) / sizeof(filters[0]); k++)
            if (strcmp(names[i], filters[k].name) == 0)
                list->columns[i] = q->values[filters[k].parameter];
}

static int list_query_of(struct request *r, const struct query *q, struct list_query *out,
                         struct error *err)
{
    const char *states = q->values[QUERY_INDEX_STATE];

    *out = (struct list_query){
        .kind = r->endpoint->kind,
        .project = project_of(r),
        .name = q->values[QUERY_INDEX_NAME],
        .tags = q->tags,
        .tag_count = q->tag_count,
        .after_seq = q->after,
        .limit = q->limit,
        .max_bytes = LIST_BYTES_MAX,
    };
    set_columns(q, out);
    if (q->values[QUERY_INDEX_PROJECT]) {
        const char *name = q->values[QUERY_INDEX_PROJECT];
        if (cloud_project(r->api->cloud, name, &out->project, NULL) < 0)
            return error_set(err, ERROR_INVALID, "project", "no such project: %s", name);
    }
    return states ? states_parse(states, state_names(out->kind), &out->states, err) : 0;
}

static void put_list_end(struct buffer *out, uint64_t fingerprint, int64_t next, int64_t revision)
{
    char token[PAGE_TOKEN_MAX];

    buffer_append_string(out, "]");
    if (next > 0) {
        page_token_make(token, fingerprint, next);
        buffer_printf(out, ",\"next_page_token\":\"%s\"", token);
    }
    buffer_printf(out, ",\"revision\":%" PRId64 "}", revision);
}

int handle_list(struct request *r, struct error *err)
{
    struct faulty_read faulty;
    struct list_query list;
    struct query q;
    int64_t next, revision;
    size_t count;
    int result = query_parse(r->endpoint, r->query, &r->arena, &q, err);

    if (result >= 0)
        result = list_query_of(r, &q, &list, err);
    if (result < 0)
        return result;
    buffer_append_string(&r->reply.body, "{\"items\":[");
    if (faulty_begin(&faulty, r, list.project, &q))
        result = faulty_list(&faulty, &list, &r->reply.body, &next, &revision, err);
    else
        result = cloud_list(r->api->cloud, &list, &r->reply.body, &count, &next, &revision, err);
    if (result < 0)
        return result;
    put_list_end(&r->reply.body, q.fingerprint, next, revision);
    return 0;
}
