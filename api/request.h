// One request on its way through: what came in, what goes out. The HTTP file fills the first part,
// handlers the second; they meet only here.
#ifndef API_REQUEST_H
#define API_REQUEST_H

#include "api/flight.h"
#include "api/problem.h"
#include "api/router.h"
#include "base/buffer.h"
#include "sim/cloud.h"

// The header fields that we read; NULL: not sent. Borrowed from the connection.
struct headers {
    const char *authorization, *host, *origin, *project, *content_type, *content_encoding, *accept,
        *if_match, *if_none_match, *idempotency_key, *last_event_id, *user_agent;
};

// What a token bucket says of itself: the headers RateLimit-Limit, -Remaining and -Reset.
struct rate_limit {
    int64_t limit; // tokens of a full bucket; 0: no headers
    int64_t remaining;
    int64_t reset_s; // until it is full again
};

struct reply {
    int status;
    struct buffer body; // owned
    const char *fixed;  // instead of `body`: bytes that live for ever
    size_t fixed_length;
    const char *content_type; // static; NULL: JSON
    int64_t revision;         // its ETag; 0: none
    char *location;           // in the arena; NULL: none
    unsigned allowed;         // methods of a 405
    int64_t retry_after_s;    // 0: no Retry-After
    struct rate_limit rate;
    int file; // instead of `body`: open for reading, owned; 0: none
    uint64_t file_length;
    const char *disposition; // static; NULL: no Content-Disposition
    bool close;              // the connection after it
};

struct stream;    // api/stream.h
struct injection; // api/injection.h
struct metrics;
struct calls; // api/calls.h

// What every request shares; owned by the HTTP server.
struct api {
    struct cloud *cloud;
    struct router *router;
    struct metrics *metrics;
    struct calls *calls;
    struct streams *streams;
    const char *const *allowed_hosts; // NULL ends
    size_t body_limit;
    uint64_t upload_limit;  // of bodies that go into a file
    char request_prefix[9]; // of request ids
    struct flight flight;
};

#define REQUEST_FAULT_MAX 24 // as ID_MAX

struct request {
    struct api *api;
    const struct endpoint *endpoint; // NULL: none found
    struct span parameters[ROUTE_PARAMETERS];
    struct span path, query; // as sent, without '?'
    bool head;
    int8_t method;   // enum method; -1: none of ours
    uint64_t number; // of the request id
    int64_t epoch;   // cloud_epoch when it came: what it reads and is told is of that
    int64_t started_ns;
    struct headers headers;
    char fault[REQUEST_FAULT_MAX]; // id of the rule that was applied to it; for the call log
    int64_t projects_ended;        // cloud_projects_ended() before `who` was looked up
    struct identity who;
    int64_t project; // that it acts on; 0: any
    const char *project_name;
    struct buffer body;
    struct arena arena;

    struct injection *injection; // what fault rules do to it; NULL: nothing. In the arena
    struct reply reply;
    struct change_source source; // of the change, for a recording
    struct change *change;       // to be submitted, then answered by request_answer
    // Or what takes its time: run on a thread of its own, which may wait; then the reply is sent.
    int (*work)(struct request *r, struct error *err);
    void *work_context; // in the arena
    char *upload; // file that holds the body of an endpoint that TAKES_FILE; removed in the end
    struct stream *stream; // instead of a reply body
};

// Everything between the head of a request and its reply, in this order. Each returns 0 or an error
// that request_refuse turns into the reply.
//
// Host, origin, route, token, project.
int request_begin(struct request *r, const char *method_name, struct error *err);
// With the whole body: calls the handler.
int request_handle(struct request *r, struct error *err);
// Fills the reply from r->change, which is done (api/handle_changes.c).
void request_answer(struct request *r);
void request_refuse(struct request *r, const struct error *err);
// Says in r->change how it was asked for. Borrows from the request.
void request_set_source(struct request *r);
// Notes the fault rule that was applied; the first one counts.
void request_set_fault(struct request *r, const char *id);
void request_fini(struct request *r);
void request_id(const struct request *r, char out[REQUEST_ID_MAX]);

// "REVISION", or "REVISION-EPOCH" of a cloud that was replaced; returns where the NUL stands.
#define ETAG_MAX 48
char *etag_put(char *out, int64_t revision, int64_t epoch);

#define SNAPSHOT_TYPE "application/vnd.sqlite3"

// Whether Accept asks for an event stream by name.
bool request_wants_stream(const struct request *r);

// For handlers: the n-th path parameter decoded into the arena; NULL and an error when it is not
// well-formed.
const char *request_parameter(struct request *r, size_t n, struct error *err);

#endif
