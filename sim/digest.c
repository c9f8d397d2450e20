// The digest of an event log.
#include "base/sha256.h"
#include "sim/cloud.h"

#define EVENTS_AT_ONCE 500
#define ENOUGH (-10000) // stops an enumeration; no error code

struct digesting {
    struct sha256 hash;
    int64_t until, last, count;
    int seen; // of this piece
};

static int add(void *context, const struct event *event, struct bytes envelope)
{
    struct digesting *d = context;

    d->seen++;
    if (event->revision > d->until) {
        return ENOUGH;
    }
    sha256_update(&d->hash, envelope.data, envelope.length);
    sha256_update(&d->hash, "\n", 1);
    d->last = event->revision;
    d->count++;
    return 0;
}

int cloud_events_digest(struct cloud *cloud, int64_t since, int64_t until,
                        struct events_digest *out, struct error *err)
{
    struct digesting d = {.until = until, .last = since};
    int64_t newest;
    int rc = 0;

    sha256_init(&d.hash);
    do {
        struct event_query query = {.since = d.last, .kind = -1, .limit = EVENTS_AT_ONCE};
        d.seen = 0;
        rc = cloud_events(cloud, &query, add, &d, &newest, err);
    } while (rc == 0 && d.seen == EVENTS_AT_ONCE);
    if (rc < 0 && rc != ENOUGH) {
        return rc;
    }
    *out = (struct events_digest){.since = since, .until = d.last, .count = d.count};
    sha256_text(&d.hash, out->sha256);
    return 0;
}
