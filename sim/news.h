// News: the recent events, encoded once, for whoever watches. A bounded ring in memory; older
// events are read from the database. Thread-safe; the writer publishes, any thread reads and waits.
#ifndef SIM_NEWS_H
#define SIM_NEWS_H

#include "store/store.h"

struct news; // opaque

struct news_item {
    int64_t revision;
    int64_t project;
    enum kind kind;
    enum event_type type;
    int64_t published_ns; // monotonic
    size_t length;
    char *envelope; // owned; the id of the resource follows it
};

// Events of a transaction that is not committed yet.
struct news_batch {
    struct news_item *items; // owned
    size_t count, capacity;
};

void news_batch_add(struct news_batch *b, const struct event *event); // encodes the envelope
void news_batch_truncate(struct news_batch *b, size_t count);         // forgets the newer ones
void news_batch_fini(struct news_batch *b);

struct news *news_new(int64_t revision, int64_t epoch); // newest committed so far
// The cloud is being replaced, and was, by one whose newest revision is this. In between the epoch
// is one that nothing belongs to, and nothing is in the ring. Waiters are woken.
void news_replacing(struct news *n);
void news_replaced(struct news *n, int64_t revision, int64_t epoch);
int64_t news_epoch(struct news *n); // -1 while replacing
void news_free(struct news *n);
void news_publish(struct news *n, struct news_batch *b); // takes the items, leaves the batch empty
int64_t news_revision(struct news *n);
// See cloud_wait_revision, cloud_wake.
int64_t news_wait(struct news *n, int64_t after, int64_t monotonic_deadline);
void news_wake(struct news *n);
// 1 when the ring holds everything after query->since and `each` was called for what matches; 0
// when the database must be asked; negative what `each` returned.
int news_read(struct news *n, const struct event_query *query,
              int (*each)(void *context, const struct event *event, struct bytes envelope),
              void *context, int64_t *out_revision);

#endif
