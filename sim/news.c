#include "sim/news.h"

#include "base/clock.h"
#include "base/json_writer.h"
#include "base/thread.h"
#include "sim/cloud.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define NEWS_ITEMS 4096
#define NEWS_BYTES ((size_t)4 << 20)

struct news {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    uint64_t wakes; // counts news_wake
    atomic_llong revision;
    atomic_llong epoch;     // -1 while the cloud is being replaced
    int64_t complete_after; // the ring holds every event with a greater revision
    struct news_item items[NEWS_ITEMS];
    size_t first, count, bytes;
};

void event_encode(const struct event *event, struct json_writer *w)
{
    static const char *const types[] = {"created", "updated", "deleted", "fired"};
    static const char *const causes[] = {"api", "timer", "seed", "backend", "scenario", "chaos"};

    jw_object_begin(w);
    jw_field_int(w, "revision", event->revision);
    jw_field_time(w, "time", event->time_ns);
    if (event->project_name != NULL) {
        jw_field_string(w, "project", event->project_name);
    }
    jw_field_string(w, "kind", kind_name(event->kind));
    jw_field_string(w, "id", event->id);
    jw_field_string(w, "type", types[event->type]);
    jw_key(w, "cause");
    jw_object_begin(w);
    jw_field_string(w, "type", causes[event->cause]);
    if (event->operation != NULL) {
        jw_field_string(w, "operation", event->operation);
    }
    jw_object_end(w);
    jw_key(w, "document");
    jw_raw(w, event->document.data, event->document.length);
    jw_object_end(w);
}

void news_batch_add(struct news_batch *b, const struct event *event)
{
    struct buffer out;
    struct json_writer w;

    if (b->count == b->capacity) {
        size_t capacity = b->capacity == 0 ? 64 : b->capacity * 2;
        struct news_item *items = realloc(b->items, capacity * sizeof(*items));
        if (items == NULL) {
            abort();
        }
        b->items = items;
        b->capacity = capacity;
    }
    buffer_init(&out);
    buffer_reserve(&out, event->document.length + 384);
    jw_init(&w, &out);
    event_encode(event, &w);
    struct news_item *item = &b->items[b->count++];
    item->length = out.length;
    buffer_append(&out, event->id, strlen(event->id));
    item->revision = event->revision;
    item->project = event->project;
    item->kind = event->kind;
    item->type = event->type;
    item->envelope = buffer_take(&out, NULL);
    if (item->envelope == NULL) {
        abort();
    }
}

void news_batch_truncate(struct news_batch *b, size_t count)
{
    while (b->count > count) {
        free(b->items[--b->count].envelope);
    }
}

void news_batch_fini(struct news_batch *b)
{
    news_batch_truncate(b, 0);
    free(b->items);
    memset(b, 0, sizeof(*b));
}

struct news *news_new(int64_t revision, int64_t epoch)
{
    struct news *n = calloc(1, sizeof(*n));

    if (n == NULL) {
        return NULL;
    }
    pthread_mutex_init(&n->lock, NULL);
    thread_condition_init(&n->wake);
    n->complete_after = revision;
    atomic_init(&n->revision, revision);
    atomic_init(&n->epoch, epoch);
    return n;
}

static void drop_oldest(struct news *n)
{
    struct news_item *item = &n->items[n->first];

    n->complete_after = item->revision;
    n->bytes -= item->length;
    free(item->envelope);
    n->first = (n->first + 1) % NEWS_ITEMS;
    n->count--;
}

void news_free(struct news *n)
{
    if (n == NULL) {
        return;
    }
    while (n->count > 0) {
        drop_oldest(n);
    }
    pthread_cond_destroy(&n->wake);
    pthread_mutex_destroy(&n->lock);
    free(n);
}

static void replace(struct news *n, int64_t revision, int64_t epoch)
{
    pthread_mutex_lock(&n->lock);
    while (n->count > 0) {
        drop_oldest(n);
    }
    n->complete_after = revision;
    atomic_store(&n->epoch, epoch);
    atomic_store(&n->revision, revision);
    n->wakes++;
    pthread_cond_broadcast(&n->wake);
    pthread_mutex_unlock(&n->lock);
}

void news_replacing(struct news *n)
{
    replace(n, news_revision(n), -1);
}

void news_replaced(struct news *n, int64_t revision, int64_t epoch)
{
    replace(n, revision, epoch);
}

int64_t news_epoch(struct news *n)
{
    return atomic_load(&n->epoch);
}

void news_publish(struct news *n, struct news_batch *b)
{
    if (b->count == 0) {
        return;
    }
    int64_t now = clock_monotonic();
    pthread_mutex_lock(&n->lock);
    for (size_t i = 0; i < b->count; i++) {
        b->items[i].published_ns = now;
        while (n->count > 0 &&
               (n->count == NEWS_ITEMS || n->bytes + b->items[i].length > NEWS_BYTES)) {
            drop_oldest(n);
        }
        n->items[(n->first + n->count++) % NEWS_ITEMS] = b->items[i];
        n->bytes += b->items[i].length;
    }
    atomic_store(&n->revision, b->items[b->count - 1].revision);
    pthread_cond_broadcast(&n->wake);
    pthread_mutex_unlock(&n->lock);
    b->count = 0;
}

int64_t news_revision(struct news *n)
{
    return atomic_load(&n->revision);
}

int64_t news_wait(struct news *n, int64_t after, int64_t monotonic_deadline)
{
    pthread_mutex_lock(&n->lock);
    uint64_t wakes = n->wakes;
    while (atomic_load(&n->revision) <= after && n->wakes == wakes &&
           clock_monotonic() < monotonic_deadline)
        thread_wait_until(&n->wake, &n->lock, monotonic_deadline);
    pthread_mutex_unlock(&n->lock);
    return news_revision(n);
}

void news_wake(struct news *n)
{
    pthread_mutex_lock(&n->lock);
    n->wakes++;
    pthread_cond_broadcast(&n->wake);
    pthread_mutex_unlock(&n->lock);
}

static bool matches(const struct news_item *item, const struct event_query *query)
{
    return item->revision > query->since &&
           (query->project == 0 || item->project == 0 || item->project == query->project) &&
           (query->kind < 0 || (int)item->kind == query->kind) &&
           !(query->tenant && item->kind == KIND_PROJECT);
}

// Index of the first item after `since`: revisions in the ring have no gaps.
static size_t first_after(const struct news *n, int64_t since)
{
    if (n->count == 0) {
        return 0;
    }
    int64_t offset =
        since - n->items[n->first].revision + 1; // in this order: since may be INT64_MAX
    return offset < 0 ? 0 : (size_t)offset;
}

int news_read(struct news *n, const struct event_query *query,
              int (*each)(void *context, const struct event *event, struct bytes envelope),
              void *context, int64_t *out_revision)
{
    int result = 1, given = 0;

    pthread_mutex_lock(&n->lock);
    if (query->since < n->complete_after) {
        result = 0;
    }
    for (size_t i = first_after(n, query->since);
         result == 1 && i < n->count && given < query->limit; i++) {
        const struct news_item *item = &n->items[(n->first + i) % NEWS_ITEMS];
        if (!matches(item, query)) {
            continue;
        }
        struct event event = {.revision = item->revision,
                              .project = item->project,
                              .kind = item->kind,
                              .id = item->envelope + item->length,
                              .type = item->type,
                              .published_ns = item->published_ns};
        int rc = each(context, &event, (struct bytes){item->envelope, item->length});
        result = rc < 0 ? rc : result;
        given++;
    }
    *out_revision = news_revision(n);
    pthread_mutex_unlock(&n->lock);
    return result;
}
