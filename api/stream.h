// Event streams (server-sent events): the part that knows no HTTP library.
//
// A stream is read by whoever sends it. When there is nothing to send it is parked: the reader's
// connection sleeps until the one notifier thread, which waits for new revisions, wakes it. An idle
// stream is given a comment often enough that none is silent for longer than `keepalive_ns`.
#ifndef API_STREAM_H
#define API_STREAM_H

#include "sim/cloud.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct streams;        // opaque: all of them
struct stream_caller { // whom fault rules see; lives as long as the stream
    int scope;
    const char *user_agent;
};
struct stream; // opaque: one

// Both are called with a lock held and must not call back.
struct stream_sleeper {
    void (*park)(void *context); // puts the connection to sleep
    void (*wake)(void *context); // lets stream_read be called again
};

int streams_new(struct cloud *cloud, int64_t keepalive_ns, const struct stream_sleeper *sleeper,
                struct streams **out, struct error *err);
// Ends every stream: those asleep are woken, stream_read says -1 from now on.
void streams_stop(struct streams *all);
void streams_free(struct streams *all); // after streams_stop; no stream is left. NULL allowed
size_t streams_count(struct streams *all);

// Events after query->since. ERROR_COMPACTED when they are gone, or when the cloud is not of this
// cloud_epoch any more; ERROR_UNAVAILABLE when stopped. It ends when the cloud is replaced.
int stream_open(struct streams *all, const struct event_query *query, int64_t epoch,
                const struct stream_caller *caller, void *context, struct stream **out,
                struct error *err);
void stream_close(struct stream *s); // NULL allowed
// Up to `size` bytes; 0: parked; STREAM_ENDED, or STREAM_CUT by a fault rule.
#define STREAM_ENDED (-1)
#define STREAM_CUT (-2)
ssize_t stream_read(struct stream *s, char *out, size_t size);

#endif
