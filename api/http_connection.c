// One request on one connection, as libmicrohttpd sees it.
#include "api/http_internal.h"

#include "api/calls.h"
#include "api/injection.h"
#include "api/metrics.h"
#include "api/problem.h"
#include "api/stream.h"
#include "base/decimal.h"
#include "base/log.h"
#include "base/timefmt.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

// --- the head ---

// Called with the request line, before anything is decoded: our request begins here.
void *http_uri(void *closure, const char *uri, struct MHD_Connection *connection)
{
    struct http_server *server = closure;
    struct exchange *x = malloc(sizeof(*x) + strlen(uri) + 2);
    struct http_target target;

    if (!x)
        return NULL;
    memset(x, 0, sizeof(*x));
    http_take_target(uri, x->target, &target);
    x->authority = target.authority;
    x->server = server;
    x->connection = connection;
    x->request.api = &server->api;
    x->request.started_ns = clock_monotonic();
    x->request.number = atomic_fetch_add_explicit(&server->requests, 1, memory_order_relaxed) + 1;
    x->request.path = target.path;
    x->request.query = target.query;
    return x;
}

static const struct {
    const char *name;
    size_t length;
    size_t offset; // in struct headers
} fields[] = {
#define FIELD(name, member)                                      \
    {                                                            \
        name, sizeof(name) - 1, offsetof(struct headers, member) \
    }
    FIELD("Host", host),
    FIELD("Accept", accept),
    FIELD("Origin", origin),
    FIELD("User-Agent", user_agent),
    FIELD("If-Match", if_match),
    FIELD("Content-Type", content_type),
    FIELD("If-None-Match", if_none_match),
    FIELD("Last-Event-ID", last_event_id),
    FIELD("Authorization", authorization),
    FIELD("Content-Encoding", content_encoding),
    FIELD("Idempotency-Key", idempotency_key),
    FIELD("X-Mockcloud-Project", project),
#undef FIELD
};

static bool is(const char *name, size_t length, const char *other, size_t other_length)
{
    return length == other_length && strncasecmp(name, other, length) == 0;
}

static void take_framing(struct exchange *x, const char *name, size_t length, const char *value)
{
    if (is(name, length, "Content-Length", 14)) {
        x->has_length = true;
        x->expected = strtoull(value, NULL, 10);
    } else if (is(name, length, "Transfer-Encoding", 17)) {
        x->has_coding = true;
    } else if (is(name, length, "Expect", 6)) {
        x->expects = true;
    }
}

// Of a field that is sent twice the first counts.
static enum MHD_Result take_header(void *closure, enum MHD_ValueKind kind, const char *name,
                                   size_t name_length, const char *value, size_t value_length)
{
    struct exchange *x = closure;

    (void)kind, (void)value_length;
    value = value ? value : "";
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        if (is(name, name_length, fields[i].name, fields[i].length)) {
            char *at = (char *)&x->request.headers + fields[i].offset;
            const char *known;
            memcpy(&known, at, sizeof(known));
            if (!known)
                memcpy(at, &value, sizeof(value));
            return MHD_YES;
        }
    }
    take_framing(x, name, name_length, value);
    return MHD_YES;
}

// --- replies ---

static void put_allow(struct MHD_Response *response, unsigned allowed)
{
    char text[64] = "";

    for (int i = 0; i < METHOD_COUNT; i++)
        if (allowed & (1U << i)) {
            strcat(text, *text ? ", " : "");
            strcat(text, method_names[i]);
        }
    if (allowed & (1U << METHOD_GET))
        strcat(text, ", HEAD");
    MHD_add_response_header(response, "Allow", text);
}

static void put_number(struct MHD_Response *response, const char *name, int64_t number)
{
    char text[DECIMAL_MAX];

    decimal_put(text, (uint64_t)number);
    MHD_add_response_header(response, name, text);
}

static void put_limits(struct MHD_Response *response, const struct reply *reply)
{
    if (reply->retry_after_s > 0)
        put_number(response, "Retry-After", reply->retry_after_s);
    if (reply->rate.limit > 0) {
        put_number(response, "RateLimit-Limit", reply->rate.limit);
        put_number(response, "RateLimit-Remaining", reply->rate.remaining);
        put_number(response, "RateLimit-Reset", reply->rate.reset_s);
    }
}

// Who may not ask for the clock, and who would rather not ask twice, learns the age of things so.
static void put_time(struct MHD_Response *response, const struct exchange *x)
{
    char text[TIME_TEXT_MAX];

    time_format(cloud_now(x->request.api->cloud), text);
    MHD_add_response_header(response, "X-Mockcloud-Time", text);
}

static void put_headers(struct MHD_Response *response, const struct exchange *x)
{
    const struct reply *reply = &x->request.reply;
    char text[ETAG_MAX > REQUEST_ID_MAX ? ETAG_MAX : REQUEST_ID_MAX];

    request_id(&x->request, text);
    MHD_add_response_header(response, "X-Request-Id", text);
    if (reply->status != 204 && reply->status != 304)
        MHD_add_response_header(response, "Content-Type",
                                reply->content_type ? reply->content_type : "application/json");
    if (reply->revision > 0) {
        etag_put(text, reply->revision, x->request.epoch);
        MHD_add_response_header(response, "ETag", text);
    }
    if (reply->location)
        MHD_add_response_header(response, "Location", reply->location);
    if (reply->allowed)
        put_allow(response, reply->allowed);
    if (reply->status == 401)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer realm=\"mockcloud\"");
    if (reply->status == 200 || reply->status == 201 || reply->status == 202)
        put_time(response, x);
    if (x->request.stream)
        MHD_add_response_header(response, "Cache-Control", "no-store");
    put_limits(response, reply);
    if (reply->disposition)
        MHD_add_response_header(response, "Content-Disposition", reply->disposition);
    if (reply->close)
        MHD_add_response_header(response, "Connection", "close");
}

static ssize_t read_stream(void *closure, uint64_t position, char *out, size_t size)
{
    struct exchange *x = closure;
    ssize_t length = stream_read(x->request.stream, out, size);

    (void)position;
    if (length == STREAM_CUT)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    return length < 0 ? MHD_CONTENT_READER_END_OF_STREAM : length;
}

// Hands the body over, without a copy.
static struct MHD_Response *make_response(struct exchange *x)
{
    struct reply *reply = &x->request.reply;
    size_t length;
    char *bytes;

    if (x->request.stream)
        return MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1024, read_stream, x, NULL);
    if (reply->file > 0) {
        int file = reply->file;
        reply->file = 0; // the library closes it
        return MHD_create_response_from_fd64(reply->file_length, file);
    }
    if (reply->fixed)
        return MHD_create_response_from_buffer(reply->fixed_length, (void *)(uintptr_t)reply->fixed,
                                               MHD_RESPMEM_PERSISTENT);
    if (reply->body.length == 0)
        return MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    bytes = buffer_take(&reply->body, &length);
    if (bytes && injection_ends(&x->request, FAULT_TRUNCATE))
        return http_truncated(bytes, length, injection_cut(&x->request, length));
    return bytes ? MHD_create_response_from_buffer(length, bytes, MHD_RESPMEM_MUST_FREE) : NULL;
}

void http_observe(const struct exchange *x, int status)
{
    const struct request *r = &x->request;
    int64_t ns = clock_monotonic() - r->started_ns;
    char text[16];

    metrics_observe(r->api->metrics, r->endpoint, status, ns);
    calls_record(r->api->calls, r, status, ns);
    if (!log_enabled(LOG_DEBUG))
        return;
    snprintf(text, sizeof(text), "%d", status);
    log_line(LOG_DEBUG, "request", "path", r->path.data, "operation",
             r->endpoint ? r->endpoint->operation : "none", "status", text, NULL);
}

static enum MHD_Result answer(struct exchange *x)
{
    struct error failed = {.code = ERROR_INTERNAL, .message = "out of memory"};
    struct MHD_Response *response;
    enum MHD_Result result;

    x->phase = PHASE_ANSWERED;
    if (x->request.reply.body.failed)
        request_refuse(&x->request, &failed);
    response = make_response(x);
    if (!response)
        return MHD_NO;
    put_headers(response, x);
    result = MHD_queue_response(x->connection, (unsigned)x->request.reply.status, response);
    MHD_destroy_response(response);
    http_observe(x, x->request.reply.status);
    return result;
}

static enum MHD_Result refuse(struct exchange *x, const struct error *error)
{
    request_refuse(&x->request, error);
    return answer(x);
}

static enum MHD_Result refuse_stopping(struct exchange *x)
{
    struct error error = {0};

    error_set(&error, ERROR_UNAVAILABLE, NULL, "the server is shutting down");
    return refuse(x, &error);
}

// --- changes ---

// On the writer thread.
static void change_done(struct change *c)
{
    struct exchange *x = c->context;
    struct http_server *server = x->server;

    MHD_resume_connection(x->connection); // x may be gone from here on
    flight_resumed(&server->api.flight);
}

static enum MHD_Result submit(struct exchange *x)
{
    struct change *c = x->request.change;

    request_set_source(&x->request);
    c->done = change_done;
    c->context = x;
    x->phase = PHASE_WAITING;
    MHD_suspend_connection(x->connection);
    cloud_submit(x->server->api.cloud, c);
    return MHD_YES;
}

void http_stream_park(void *context)
{
    MHD_suspend_connection(((struct exchange *)context)->connection);
}

void http_stream_wake(void *context)
{
    MHD_resume_connection(((struct exchange *)context)->connection);
}

// --- the exchange ---

// The reply is there; how does it leave?
static enum MHD_Result conclude(struct exchange *x)
{
    const struct request *r = &x->request;

    if (injection_ends(r, FAULT_TRUNCATE) && (r->head || r->reply.body.length == 0) && !r->stream)
        return http_drop(x); // there is nothing to cut
    if (!injection_ends(r, FAULT_HALF_APPLIED))
        return answer(x);
    switch (r->injection->end->effect.reply) {
    case FAULT_REPLY_DROP:
        return http_drop(x);
    case FAULT_REPLY_SILENCE:
        return http_hang(x);
    case FAULT_REPLY_ERROR:
        break;
    }
    injection_refuse(&x->request);
    return answer(x);
}

// Changes have been read when they meet their faults; reads begin only now.
static enum MHD_Result carry_out(struct exchange *x)
{
    struct request *r = &x->request;
    struct error error = {0};

    if (injection_ends(r, FAULT_RESET))
        return http_reset(x);
    if (injection_ends(r, FAULT_HANG))
        return http_hang(x);
    if (injection_ends(r, FAULT_ERROR) || injection_ends(r, FAULT_THROTTLE)) {
        injection_refuse(r);
        return answer(x);
    }
    if (!r->endpoint->apply && request_handle(r, &error) < 0) {
        request_refuse(r, &error);
        return conclude(x);
    }
    if (!r->work && !r->change)
        return conclude(x);
    if (!flight_suspend(&x->server->api.flight))
        return refuse_stopping(x);
    return r->work ? http_work(x) : submit(x);
}

static enum MHD_Result go_on(struct exchange *x)
{
    if (flight_stopping(&x->server->api.flight))
        return refuse_stopping(x);
    return http_delay(x) ? MHD_YES : carry_out(x);
}

static enum MHD_Result finish(struct exchange *x)
{
    struct error error = {0};

    flight_begin(&x->server->api.flight);
    x->in_flight = true;
    if (x->error)
        return refuse(x, x->error);
    if (flight_stopping(&x->server->api.flight))
        return refuse_stopping(x);
    if (x->request.endpoint->apply && request_handle(&x->request, &error) < 0)
        return refuse(x, &error);
    injection_ask(&x->request);
    return http_delay(x) ? MHD_YES : carry_out(x);
}

static uint64_t limit_of(const struct exchange *x)
{
    return x->upload > 0 ? x->server->api.upload_limit : x->server->api.body_limit;
}

void http_keep_error(struct exchange *x, const struct error *error)
{
    x->error = arena_alloc(&x->request.arena, sizeof(*x->error));
    *x->error = *error;
}

static void too_large(struct exchange *x)
{
    struct error error = {0};

    buffer_fini(&x->request.body);
    if (x->error) // who is not let in is not told to send less
        return;
    error_set(&error, ERROR_TOO_LARGE, "body", "must have at most %" PRIu64 " bytes", limit_of(x));
    http_keep_error(x, &error);
}

// A body far beyond the limit is refused and the connection closed; one that is a little longer is
// read to its end, since a client that is still sending would see a broken connection instead. One
// that waits to be told to send is told at once.
static bool hopeless(const struct exchange *x, uint64_t length)
{
    return length / 4 > limit_of(x) + ((size_t)1 << 20);
}

// Answers at once and closes the connection.
static enum MHD_Result hang_up(struct exchange *x, const struct error *error)
{
    x->request.reply.close = true;
    return refuse(x, error);
}

// An answer at this point would close the connection, so even a refusal waits for the next call,
// which comes when the body is there, or at once when there is none.
static enum MHD_Result begin(struct exchange *x, const char *method)
{
    struct error error = {0};

    MHD_get_connection_values_n(x->connection, MHD_HEADER_KIND, take_header, x);
    if (x->authority)
        x->request.headers.host = x->authority;
    x->phase = PHASE_BODY;
    if (x->has_length && x->has_coding) { // RFC 9112 6.3: where it ends is anybody's guess
        error_set(&error, ERROR_MALFORMED, "Transfer-Encoding",
                  "cannot be given together with Content-Length");
        return hang_up(x, &error);
    }
    if (request_begin(&x->request, method, &error) < 0)
        http_keep_error(x, &error);
    else if (x->request.endpoint->flags & TAKES_FILE)
        http_upload_open(x);
    if (x->expected <= limit_of(x))
        return MHD_YES;
    too_large(x);
    return x->expects || hopeless(x, x->expected) ? hang_up(x, x->error) : MHD_YES;
}

static void keep_body(struct exchange *x, const char *bytes, size_t length)
{
    if (x->upload > 0)
        http_upload_write(x, bytes, length);
    else
        buffer_append(&x->request.body, bytes, length);
}

static enum MHD_Result take_body(struct exchange *x, const char *bytes, size_t *length)
{
    struct request *r = &x->request;
    int64_t patience = x->upload > 0 ? UPLOAD_TIMEOUT_NS : BODY_TIMEOUT_NS;

    x->received += *length;
    if (hopeless(x, x->received) || clock_monotonic() - r->started_ns > patience)
        return MHD_NO;
    if (x->received > limit_of(x))
        too_large(x);
    else if (!x->error)
        keep_body(x, bytes, *length);
    if (r->body.failed)
        return MHD_NO;
    *length = 0;
    return MHD_YES;
}

enum MHD_Result http_handle(void *closure, struct MHD_Connection *connection, const char *url,
                            const char *method, const char *version, const char *upload,
                            size_t *upload_size, void **state)
{
    struct exchange *x = *state;

    (void)closure, (void)connection, (void)url, (void)version;
    if (!x)
        return MHD_NO; // http_uri ran out of memory
    if (x->phase == PHASE_HEAD)
        return begin(x, method);
    if (x->phase == PHASE_WAITING) {
        request_answer(&x->request);
        return conclude(x);
    }
    if (x->phase == PHASE_WORKING)
        return x->error ? refuse(x, x->error) : conclude(x);
    if (x->phase == PHASE_DELAYED)
        return go_on(x);
    if (x->phase == PHASE_HUNG)
        return http_drop(x);
    return *upload_size > 0 ? take_body(x, upload, upload_size) : finish(x);
}

void http_completed(void *closure, struct MHD_Connection *connection, void **state,
                    enum MHD_RequestTerminationCode code)
{
    struct http_server *server = closure;
    struct exchange *x = *state;
    bool in_flight;

    (void)connection, (void)code;
    if (!x)
        return;
    *state = NULL;
    stream_close(x->request.stream);
    if (x->upload > 0)
        close(x->upload);
    request_fini(&x->request);
    in_flight = x->in_flight;
    free(x);
    if (in_flight)
        flight_end(&server->api.flight);
}
