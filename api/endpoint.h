// The table of endpoints: the router, the OpenAPI check, the metrics, the call log and the
// matching of faults all read it. One row per operation of openapi.json.
#ifndef API_ENDPOINT_H
#define API_ENDPOINT_H

#include "base/error.h"
#include "sim/change.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// HEAD is answered as GET without the body; it has no rows of its own.
#define METHODS(X) \
    X(GET)         \
    X(POST)        \
    X(PUT)         \
    X(PATCH)       \
    X(DELETE)

enum method {
#define X(name) METHOD_##name,
    METHODS(X)
#undef X
        METHOD_COUNT
};

extern const char *const method_names[METHOD_COUNT];

enum access { ACCESS_PUBLIC, ACCESS_CLOUD, ACCESS_SIM };

// Query parameters, as bits of endpoint.query.
#define QUERY_PARAMETERS(X)     \
    X(LIMIT, "limit")           \
    X(PAGE_TOKEN, "page_token") \
    X(NAME, "name")             \
    X(ZONE, "zone")             \
    X(STATE, "state")           \
    X(TYPE, "type")             \
    X(LIFECYCLE, "lifecycle")   \
    X(NETWORK, "network")       \
    X(SINCE, "since")           \
    X(UNTIL, "until")           \
    X(KIND, "kind")             \
    X(CALLER, "caller")         \
    X(OPERATION, "operation")   \
    X(STATUS, "status")         \
    X(SINCE_TIME, "since")      \
    X(PROJECT, "project")       \
    X(TAGS, "tag.KEY")

enum query_parameter {
#define X(id, name) QUERY_INDEX_##id,
    QUERY_PARAMETERS(X)
#undef X
        QUERY_INDEX_COUNT
};

enum {
#define X(id, name) QUERY_##id = 1 << QUERY_INDEX_##id,
    QUERY_PARAMETERS(X)
#undef X
};

// What a change reads or answers beside its body, as bits of endpoint.flags.
enum {
    TAKES_IF_MATCH = 1,
    TAKES_IDEMPOTENCY_KEY = 2,
    ANSWERS_LOCATION = 4,
    OF_PROJECT = 8,  // acts on the caller's project: X-Mockcloud-Project may name another
    TAKES_FILE = 16, // its body is written to a file (request.upload), with a limit of its own
    UNMETERED = 32,  // takes no token of the project's rate limits
};

struct request;
struct schema; // api/json_in.h

// Either fills request->reply, or leaves request->change to be submitted, or starts a stream.
typedef int endpoint_handler(struct request *r, struct error *err);

struct endpoint {
    enum method method;
    const char *path; // template; {…} matches one segment
    const char *operation;
    enum access access;
    int status; // of success
    unsigned flags;
    unsigned query;
    endpoint_handler *handle;
    enum kind kind;            // of resources; else KIND_COUNT
    change_apply *apply;       // of changes; else NULL
    const struct schema *body; // NULL: takes none
};

extern const struct endpoint endpoints[];
extern const size_t endpoint_count;
// Whether it answers documents of resources: one, or a list.
bool endpoint_reads(const struct endpoint *e);

#define ENDPOINT_MAX 160 // room of arrays that are indexed by endpoint; checked by a unit test

#endif
