// Events as a list, or as a stream.
#include "api/handlers.h"
#include "api/query.h"
#include "api/request.h"
#include "api/stream.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LIST_BYTES_MAX ((size_t)64 << 20)
#define ENOUGH (-10000) // stops an enumeration; no error code

#define LAST_EVENT_ID_MAX 20

// "120", or "120-3" of a cloud that was replaced three times.
static int parse_last_event_id(const struct request *r, int64_t *out, struct error *err)
{
    const char *text = r->headers.last_event_id;
    size_t digits = strspn(text, "0123456789");
    int64_t epoch = 0; // an id without one is of a cloud that was not replaced yet

    errno = 0;
    *out = strtoll(text, NULL, 10);
    if (digits > 0 && digits <= LAST_EVENT_ID_MAX && text[digits] == '-') {
        size_t more = strspn(text + digits + 1, "0123456789");
        epoch = strtoll(text + digits + 1, NULL, 10);
        digits = more > 0 && more <= LAST_EVENT_ID_MAX ? digits + 1 + more : 0;
    } else if (digits > LAST_EVENT_ID_MAX) {
        digits = 0;
    }
    if (digits == 0 || text[digits] != '\0' || errno != 0)
        return error_set(err, ERROR_INVALID, "Last-Event-ID", "is not the id of an event");
    if (epoch != r->epoch)
        return error_set(err, ERROR_COMPACTED, "Last-Event-ID",
                         "the cloud was replaced since that event");
    return 0;
}

// A revision that a replaced cloud has not reached yet is one of its predecessor. So is that of an
// event that was `received`, whatever cloud (one in memory, say) was here before.
static int check_future(const struct request *r, int64_t since, bool received, struct error *err)
{
    int64_t newest = cloud_revision(r->api->cloud);

    if ((r->epoch == 0 && !received) || since <= newest)
        return 0;
    return error_set(err, ERROR_COMPACTED, received ? "Last-Event-ID" : "since",
                     "the cloud was replaced and is at revision %" PRId64, newest);
}

static int start_stream(struct request *r, const struct query *q, int64_t last,
                        struct event_query *events, struct error *err)
{
    if (last < 0 && !(q->given & QUERY_SINCE))
        events->since = cloud_revision(r->api->cloud);
    r->reply.content_type = "text/event-stream";
    return stream_open(r->api->streams, events, r->epoch,
                       &(struct stream_caller){(int)r->who.scope, r->headers.user_agent}, r,
                       &r->stream, err);
}

struct listing {
    struct buffer *out;
    int64_t last;
    int count;
};

static int put_event(void *context, const struct event *event, struct bytes envelope)
{
    struct listing *listing = context;

    if (listing->count++ > 0)
        buffer_append(listing->out, ",", 1);
    buffer_append(listing->out, envelope.data, envelope.length);
    listing->last = event->revision;
    return listing->out->length >= LIST_BYTES_MAX ? ENOUGH : 0;
}

static int answer_list(struct request *r, const struct event_query *events, struct error *err)
{
    struct listing listing = {.out = &r->reply.body, .last = events->since};
    int64_t newest = 0;
    int result;

    buffer_append_string(listing.out, "{\"items\":[");
    result = cloud_events(r->api->cloud, events, put_event, &listing, &newest, err);
    if (result < 0 && result != ENOUGH)
        return result;
    if (result == ENOUGH)
        newest = cloud_revision(r->api->cloud);
    else if (listing.count < events->limit && newest > listing.last)
        listing.last = newest; // nothing up to there is left
    buffer_printf(listing.out, "],\"next_since\":%" PRId64 ",\"revision\":%" PRId64 "}",
                  listing.last, newest);
    return 0;
}

int handle_events(struct request *r, struct error *err)
{
    struct event_query events;
    struct query q;
    int64_t last = -1;
    bool streams, resumed;
    int result = query_parse(r->endpoint, r->query, &r->arena, &q, err);

    if (result >= 0 && r->headers.last_event_id)
        result = parse_last_event_id(r, &last, err);
    if (result < 0)
        return result;
    events = (struct event_query){.since = q.since,
                                  .project = r->project,
                                  .kind = q.kind,
                                  .limit = q.limit,
                                  .tenant = r->who.scope != SCOPE_SIM};
    streams = request_wants_stream(r);
    resumed = streams && last >= 0;
    if (resumed)
        events.since = last;
    if (check_future(r, events.since, resumed, err) < 0)
        return -ERROR_COMPACTED;
    if (streams)
        return start_stream(r, &q, last, &events, err);
    return answer_list(r, &events, err);
}

// --- digest ---

struct digest_query {
    int64_t since, until;
};

static int digest(struct request *r, struct error *err)
{
    const struct digest_query *q = r->work_context;
    struct events_digest d;
    int result = cloud_events_digest(r->api->cloud, q->since, q->until, &d, err);

    if (result == 0)
        buffer_printf(&r->reply.body,
                      "{\"since\":%" PRId64 ",\"revision\":%" PRId64 ",\"count\":%" PRId64
                      ",\"sha256\":\"%s\"}",
                      d.since, d.until, d.count, d.sha256);
    return result;
}

int handle_events_digest(struct request *r, struct error *err)
{
    struct digest_query *context = arena_alloc(&r->arena, sizeof(*context));
    struct query q;
    int result = query_parse(r->endpoint, r->query, &r->arena, &q, err);

    if (result < 0)
        return result;
    *context = (struct digest_query){q.since, q.given & QUERY_UNTIL ? q.until : INT64_MAX};
    r->work_context = context;
    r->work = digest;
    return 0;
}
