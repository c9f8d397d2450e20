#include "sim/cloud_internal.h"
#include "sim/fault_internal.h"
#include "sim/recorder.h"

#include "base/log.h"
#include "base/thread.h"
#include "base/timefmt.h"
#include "sim/rates.h"
#include "sim/usage.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void init_locks(struct cloud *cloud)
{
    pthread_mutex_init(&cloud->queue_lock, NULL);
    pthread_mutex_init(&cloud->origin_lock, NULL);
    pthread_mutex_init(&cloud->calls.lock, NULL);
    thread_condition_init(&cloud->queue_wake);
    cloud->queue_tail = &cloud->queue_head;
}

static void init_settings(struct cloud *cloud, const struct cloud_config *config)
{
    cloud->config = *config;
    cloud->actor = config->actor;
    cloud->events_kept = config->events_kept == 0 ? 100000 : config->events_kept;
    cloud->event_bytes_kept =
        config->event_bytes_kept == 0 ? INT64_C(256) << 20 : config->event_bytes_kept;
    memcpy(cloud->duplicate_names, config->duplicate_names, sizeof(cloud->duplicate_names));
    cloud->backend_deadline_ns =
        config->backend_deadline_ns == 0 ? 600 * NS_PER_S : config->backend_deadline_ns;
    cloud->stepped = config->stepped;
    atomic_init(&cloud->writable, true);
}

static int start_writer(struct cloud *cloud, struct error *err)
{
    cloud->started =
        cloud->stepped || pthread_create(&cloud->writer, NULL, writer_main, cloud) == 0;
    return cloud->started ? 0 : error_set(err, ERROR_INTERNAL, NULL, "no more threads");
}

static int start(struct cloud *cloud, struct error *err)
{
    cloud->tokens = tokens_new();
    cloud->faults = faults_new(cloud->seed);
    cloud->outbox = outbox_new(cloud);
    cloud->recorder = recorder_new();
    int rc = cloud->tokens == NULL || cloud->faults == NULL || cloud->outbox == NULL ||
                     cloud->recorder == NULL
                 ? error_set(err, ERROR_INTERNAL, NULL, "out of memory")
                 : cloud_reload(cloud, err);
    if (rc < 0) {
        return rc;
    }
    cloud->news = news_new(cloud->ledger.revision, cloud->epoch);
    if (cloud->news == NULL) {
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    return start_writer(cloud, err);
}

int cloud_open(const struct cloud_config *config, struct cloud **out, struct error *err)
{
    struct cloud *cloud = calloc(1, sizeof(*cloud));

    if (cloud == NULL) {
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    init_locks(cloud);
    init_settings(cloud, config);
    cloud->usage = usage_new();
    cloud->rates = rates_new();
    int rc = cloud->usage == NULL || cloud->rates == NULL
                 ? error_set(err, ERROR_INTERNAL, NULL, "out of memory")
                 : pools_parse(cloud, &config->pools, err);
    rc = rc < 0 ? rc : store_open(&config->store, &cloud->store, err);
    rc = rc < 0 ? rc : ledger_open(cloud, config, err);
    rc = rc < 0 ? rc : start(cloud, err);
    if (rc < 0) {
        cloud_close(cloud);
        return rc;
    }
    *out = cloud;
    return 0;
}

void cloud_wind_down(struct cloud *cloud)
{
    atomic_store(&cloud->winding_down, true);
}

static void stop_writer(struct cloud *cloud)
{
    struct error err = {0};

    if (cloud->stepped) {
        cloud_step(cloud);
    }
    cloud_wind_down(cloud);
    pthread_mutex_lock(&cloud->queue_lock);
    cloud->closing = true;
    pthread_cond_signal(&cloud->queue_wake);
    pthread_mutex_unlock(&cloud->queue_lock);
    if (!cloud->stepped) {
        pthread_join(cloud->writer, NULL);
    }
    if (faults_write_matched(cloud, &err) < 0) {
        log_line(LOG_WARN, "matches of fault rules could not be saved", "error", err.message, NULL);
    }
    memset(&err, 0, sizeof(err));
    if (clock_save(cloud, &err) < 0) {
        log_line(LOG_WARN, "the clock could not be saved", "error", err.message, NULL);
    }
}

void cloud_close(struct cloud *cloud)
{
    if (cloud == NULL) {
        return;
    }
    cloud_backend_detach(cloud); // its workers wait for the writer
    if (cloud->started) {
        stop_writer(cloud);
    }
    news_batch_fini(&cloud->pending);
    recorder_free(cloud->recorder);
    news_free(cloud->news);
    tokens_free(cloud->tokens);
    faults_free(cloud->faults);
    outbox_free(cloud->outbox);
    usage_free(cloud->usage);
    rates_free(cloud->rates);
    clock_free(cloud->clock);
    store_close(cloud->store);
    buffer_fini(&cloud->document);
    buffer_fini(&cloud->record);
    arena_fini(&cloud->arena);
    pthread_cond_destroy(&cloud->queue_wake);
    pthread_mutex_destroy(&cloud->queue_lock);
    pthread_mutex_destroy(&cloud->origin_lock);
    pthread_mutex_destroy(&cloud->calls.lock);
    free(cloud->origin); // the file goes with the store
    free(cloud);
}

void cloud_submit(struct cloud *cloud, struct change *c)
{
    c->next = NULL;
    pthread_mutex_lock(&cloud->queue_lock);
    bool closing = cloud->closing;
    if (!closing) {
        *cloud->queue_tail = c;
        cloud->queue_tail = &c->next;
        cloud->queue_length++;
        pthread_cond_signal(&cloud->queue_wake);
    }
    pthread_mutex_unlock(&cloud->queue_lock);
    if (closing) {
        error_set(&c->error, ERROR_UNAVAILABLE, NULL, "the server is shutting down");
        c->done(c);
    }
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool done;
};

static void applied(struct change *c)
{
    struct waiter *waiter = c->context;

    pthread_mutex_lock(&waiter->lock);
    waiter->done = true;
    pthread_cond_signal(&waiter->wake);
    pthread_mutex_unlock(&waiter->lock);
}

int cloud_apply(struct cloud *cloud, struct change *c)
{
    struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER};

    c->done = applied;
    c->context = &waiter;
    cloud_submit(cloud, c);
    if (cloud->stepped) {
        cloud_step(cloud);
    }
    pthread_mutex_lock(&waiter.lock);
    while (!waiter.done) {
        pthread_cond_wait(&waiter.wake, &waiter.lock);
    }
    pthread_mutex_unlock(&waiter.lock);
    return -(int)c->error.code;
}

void cloud_set_address(struct cloud *cloud, const char *address)
{
    store_set_address(cloud->store, address);
}

// --- reads ---

int cloud_get(struct cloud *cloud, enum kind kind, int64_t project, const char *id,
              struct buffer *out, int64_t *out_revision, struct error *err)
{
    struct reader *reader;

    int rc = store_reader_take(cloud->store, &reader, err);
    if (rc < 0) {
        return rc;
    }
    rc = reader_document(reader, kind, project, id, out, out_revision, err);
    store_reader_give(cloud->store, reader);
    if (rc == 0) {
        return error_set(err, ERROR_NOT_FOUND, NULL, "%s %s does not exist", kind_name(kind), id);
    }
    return rc < 0 ? rc : 0;
}

int cloud_list(struct cloud *cloud, const struct list_query *query, struct buffer *out,
               size_t *out_count, int64_t *out_next_seq, int64_t *out_revision, struct error *err)
{
    struct reader *reader;

    int rc = store_reader_take(cloud->store, &reader, err);
    if (rc < 0) {
        return rc;
    }
    rc = reader_list(reader, query, out, out_count, out_next_seq, out_revision, err);
    store_reader_give(cloud->store, reader);
    return rc;
}

int cloud_get_past(struct cloud *cloud, enum kind kind, int64_t project, const char *id,
                   const struct past_view *view, struct buffer *out, int64_t *out_revision,
                   struct error *err)
{
    struct reader *reader;

    int rc = store_reader_take(cloud->store, &reader, err);
    if (rc < 0) {
        return rc;
    }
    rc = reader_past_document(reader, kind, project, id, view, out, out_revision, err);
    store_reader_give(cloud->store, reader);
    if (rc == 0) {
        return error_set(err, ERROR_NOT_FOUND, NULL, "%s %s does not exist", kind_name(kind), id);
    }
    return rc < 0 ? rc : 0;
}

int cloud_list_past(struct cloud *cloud, const struct list_query *query,
                    const struct past_view *view, struct buffer *out, size_t *out_count,
                    int64_t *out_next_seq, int64_t *out_revision, struct error *err)
{
    struct reader *reader;

    int rc = store_reader_take(cloud->store, &reader, err);
    if (rc < 0) {
        return rc;
    }
    rc = reader_past_list(reader, query, view, out, out_count, out_next_seq, out_revision, err);
    store_reader_give(cloud->store, reader);
    return rc;
}

int64_t cloud_epoch(struct cloud *cloud)
{
    return news_epoch(cloud->news);
}

int64_t cloud_revision(struct cloud *cloud)
{
    return news_revision(cloud->news);
}

struct forward {
    int (*each)(void *context, const struct event *event, struct bytes envelope);
    void *context;
    struct buffer envelope;
};

static int encode_and_forward(void *context, const struct event *event)
{
    struct forward *forward = context;
    struct json_writer w;

    buffer_clear(&forward->envelope);
    jw_init(&w, &forward->envelope);
    event_encode(event, &w);
    return forward->each(forward->context, event,
                         (struct bytes){forward->envelope.data, forward->envelope.length});
}

int cloud_events(struct cloud *cloud, const struct event_query *query,
                 int (*each)(void *context, const struct event *event, struct bytes envelope),
                 void *context, int64_t *out_revision, struct error *err)
{
    struct forward forward = {.each = each, .context = context};
    struct reader *reader;

    int rc = news_read(cloud->news, query, each, context, out_revision);
    if (rc != 0) {
        return rc < 0 ? rc : 0;
    }
    rc = store_reader_take(cloud->store, &reader, err);
    if (rc < 0) {
        return rc;
    }
    rc = reader_events(reader, query, encode_and_forward, &forward, out_revision, err);
    store_reader_give(cloud->store, reader);
    buffer_fini(&forward.envelope);
    return rc;
}

int64_t cloud_wait_revision(struct cloud *cloud, int64_t after, int64_t monotonic_deadline)
{
    return news_wait(cloud->news, after, monotonic_deadline);
}

void cloud_wake(struct cloud *cloud)
{
    news_wake(cloud->news);
}

int64_t cloud_oldest_revision(struct cloud *cloud)
{
    return atomic_load(&cloud->trimmed) + 1;
}

// --- clock and figures ---

void encode_clock(struct cloud *cloud, struct json_writer *w)
{
    struct clock_view view = cloud_clock(cloud);

    encode_clock_at(&view, w);
}

void encode_clock_at(const struct clock_view *view, struct json_writer *w)
{
    static const char *const modes[] = {"real", "scaled", "manual"};

    jw_object_begin(w);
    jw_field_time(w, "now", view->now_ns);
    jw_field_string(w, "mode", modes[view->mode]);
    jw_key(w, "scale");
    jw_double(w, view->scale);
    jw_key(w, "frozen");
    jw_bool(w, view->frozen);
    if (view->next_deadline_ns != 0) {
        int64_t ms = (view->next_deadline_ns + NS_PER_MS - 1) / NS_PER_MS;
        jw_field_time(w, "next_deadline", ms * NS_PER_MS); // who advances to it sees it happen
    }
    jw_object_end(w);
}

void cloud_clock_encode(struct cloud *cloud, struct buffer *out)
{
    struct json_writer w;

    jw_init(&w, out);
    encode_clock(cloud, &w);
}

int64_t cloud_now(struct cloud *cloud)
{
    return clock_now(cloud->clock);
}

int64_t cloud_monotonic_at(struct cloud *cloud, int64_t cloud_ns)
{
    return clock_monotonic_at(cloud->clock, cloud_ns);
}

void cloud_on_clock(struct cloud *cloud, void (*changed)(void *context), void *context)
{
    struct clock_listener *listeners = cloud->clock_listeners, *at = NULL;

    pthread_mutex_lock(&cloud->queue_lock);
    for (int i = 0; i < CLOCK_LISTENERS_MAX; i++) {
        bool mine = listeners[i].changed != NULL && listeners[i].context == context;
        if (mine || (at == NULL && listeners[i].changed == NULL)) {
            at = &listeners[i];
        }
    }
    assert(at != NULL);
    *at = (struct clock_listener){changed, context};
    pthread_mutex_unlock(&cloud->queue_lock);
}

void cloud_clock_changed(struct cloud *cloud)
{
    pthread_mutex_lock(&cloud->queue_lock);
    for (int i = 0; i < CLOCK_LISTENERS_MAX; i++) {
        if (cloud->clock_listeners[i].changed != NULL) {
            cloud->clock_listeners[i].changed(cloud->clock_listeners[i].context);
        }
    }
    pthread_mutex_unlock(&cloud->queue_lock);
}

struct clock_view cloud_clock(struct cloud *cloud)
{
    struct clock_state state = clock_snapshot(cloud->clock);

    return (struct clock_view){.now_ns = state.cloud_ns,
                               .mode = state.mode,
                               .scale = state.frozen ? 0 : state.scale,
                               .frozen = state.frozen,
                               .next_deadline_ns = atomic_load(&cloud->next_deadline_ns)};
}

struct cloud_stats cloud_stats(struct cloud *cloud)
{
    pthread_mutex_lock(&cloud->queue_lock);
    int64_t queue_length = cloud->queue_length;
    pthread_mutex_unlock(&cloud->queue_lock);
    return (struct cloud_stats){.revision = cloud_revision(cloud),
                                .changes = atomic_load(&cloud->changes),
                                .refused = atomic_load(&cloud->refused),
                                .batches = atomic_load(&cloud->batches),
                                .transitions_fired = atomic_load(&cloud->fired),
                                .queue_length = queue_length,
                                .database_bytes = store_database_bytes(cloud->store),
                                .writable = atomic_load(&cloud->writable)};
}
