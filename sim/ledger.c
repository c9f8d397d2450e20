// What the writer remembers beside the rows, and the clock: loaded at the start and when the cloud
// is replaced, saved with the batch that changed it.
#include "sim/cloud_internal.h"
#include "sim/scenario_ops.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FIRST_MODE_KEY "clock.first_mode"

static int note_time(void *context, const struct event *event)
{
    *(int64_t *)context = event->time_ns;
    return 0;
}

// Newest revision: of the newest event, which is never trimmed.
static int load_revision(struct cloud *cloud, struct error *err)
{
    struct event_query query = {.since = INT64_MAX - 1, .kind = -1, .limit = 1};
    int64_t time_ns = 0, newest;
    struct reader *reader;

    int rc = reader_open(cloud->store, &reader, err);
    if (rc == 0) {
        rc = reader_events(reader, &query, note_time, &time_ns, &cloud->ledger.revision, err);
        query.since = cloud->ledger.revision - 1;
        rc = rc < 0 || query.since < 0
                 ? rc
                 : reader_events(reader, &query, note_time, &time_ns, &newest, err);
        cloud->ledger.event_ns = time_ns;
        reader_close(reader);
    }
    return rc;
}

static int load_latency(void *context, const struct row *row, struct error *err)
{
    struct cloud *cloud = context;
    enum transition which;
    struct resource *r = record_from_row(KIND_LATENCY, row, &cloud->arena, err);

    if (r == NULL || transition_parse(row->id, &which, err) < 0) {
        return -ERROR_INTERNAL;
    }
    cloud->ledger.latencies[which] = ((struct latency *)r)->distribution;
    return 0;
}

static void pool_key(char key[32], int pool)
{
    snprintf(key, 32, "pool.%d.next", pool);
}

static int load_numbers(struct cloud *cloud, struct error *err)
{
    struct ledger *ledger = &cloud->ledger;
    char key[32];

    int rc = store_meta_get_int(cloud->store, "events.trimmed", &ledger->trimmed, err);
    if (rc == 0) {
        rc = store_meta_get_int(cloud->store, "events.bytes", &ledger->event_bytes, err);
    }
    for (int i = 0; rc == 0 && i < POOL_COUNT; i++) {
        int64_t next = 0;
        pool_key(key, i);
        rc = store_meta_get_int(cloud->store, key, &next, err);
        ledger->pool_next[i] = (uint64_t)next;
    }
    return rc;
}

int ledger_save(struct cloud *cloud, struct error *err)
{
    const struct ledger *now = &cloud->ledger, *saved = &cloud->saved;
    char key[32];
    int rc = 0;

    if (now->trimmed != saved->trimmed) {
        rc = store_meta_set_int(cloud->store, "events.trimmed", now->trimmed, err);
    }
    if (rc == 0 && now->event_bytes != saved->event_bytes) {
        rc = store_meta_set_int(cloud->store, "events.bytes", now->event_bytes, err);
    }
    for (int i = 0; rc == 0 && i < POOL_COUNT; i++) {
        if (now->pool_next[i] != saved->pool_next[i]) {
            pool_key(key, i);
            rc = store_meta_set_int(cloud->store, key, (int64_t)now->pool_next[i], err);
        }
    }
    return rc;
}

int clock_save(struct cloud *cloud, struct error *err)
{
    struct clock_state state = clock_snapshot(cloud->clock);
    struct store *s = cloud->store;

    int rc = store_meta_set_int(s, "clock.mode", (int64_t)state.mode, err);
    rc = rc < 0 ? rc : store_meta_set_double(s, "clock.scale", state.scale, err);
    rc = rc < 0 ? rc : store_meta_set_int(s, "clock.frozen", state.frozen, err);
    rc = rc < 0 ? rc : store_meta_set_int(s, "clock.cloud_ns", state.cloud_ns, err);
    return rc < 0 ? rc : store_meta_set_int(s, "clock.wall_ns", state.wall_ns, err);
}

int clock_load(struct cloud *cloud, struct clock_state *inout, struct error *err)
{
    int64_t mode = (int64_t)inout->mode, frozen = inout->frozen;
    struct store *s = cloud->store;

    int rc = store_meta_get_int(s, "clock.mode", &mode, err);
    rc = rc < 0 ? rc : store_meta_get_double(s, "clock.scale", &inout->scale, err);
    rc = rc < 0 ? rc : store_meta_get_int(s, "clock.frozen", &frozen, err);
    rc = rc < 0 ? rc : store_meta_get_int(s, "clock.cloud_ns", &inout->cloud_ns, err);
    rc = rc < 0 ? rc : store_meta_get_int(s, "clock.wall_ns", &inout->wall_ns, err);
    if (rc == 0 && (mode < CLOCK_REAL || mode > CLOCK_MANUAL)) {
        rc = error_set(err, ERROR_INTERNAL, NULL, "the stored clock is damaged");
    }
    inout->mode = (enum clock_mode)mode;
    inout->frozen = frozen != 0;
    return rc;
}

// What the clock is set to by a reset: as the flags say, else of the kind that the database has.
static void note_first_clock(struct cloud *cloud, const struct cloud_config *config, bool is_new,
                             const struct clock_state *stored)
{
    cloud->first_clock = config->clock;
    if (!is_new && !config->has_clock) {
        cloud->first_clock = *stored;
        cloud->first_clock.frozen = false;
        cloud->first_clock.cloud_ns = CLOCK_MANUAL_START; // of one that is not by hand: now
    }
}

// The flags fit the clock that the database has, or the one that it began with: a change of the
// clock by request does not keep the server from being started again.
static int open_clock(struct cloud *cloud, const struct cloud_config *config, bool is_new,
                      struct error *err)
{
    static const char *const modes[] = {"real", "scaled", "manual"};
    struct clock_state state = config->clock;

    int rc = clock_load(cloud, &state, err);
    int64_t first = (int64_t)state.mode;
    rc = rc < 0 ? rc : store_meta_get_int(cloud->store, FIRST_MODE_KEY, &first, err);
    if (rc < 0) {
        return rc;
    }
    if (!is_new && config->has_clock && state.mode != config->clock.mode &&
        first != (int64_t)config->clock.mode) {
        return error_set(err, ERROR_INVALID, "clock", "this database has a %s clock, not %s",
                         modes[state.mode], modes[config->clock.mode]);
    }
    note_first_clock(cloud, config, is_new, &state);
    cloud->clock = clock_new(&state);
    return cloud->clock == NULL ? error_set(err, ERROR_INTERNAL, NULL, "out of memory") : 0;
}

// The seed is stored as the number it is, reinterpreted as signed.
static int open_seed(struct cloud *cloud, const struct cloud_config *config, bool is_new,
                     struct error *err)
{
    int64_t seed = (int64_t)config->seed;

    int rc = store_meta_get_int(cloud->store, "seed", &seed, err);
    cloud->seed = cloud->first_seed = (uint64_t)seed;
    if (rc == 0 && !is_new && config->has_seed && cloud->seed != config->seed) {
        return error_set(err, ERROR_INVALID, "seed",
                         "this database has the seed %" PRIu64 ", not %" PRIu64, cloud->seed,
                         config->seed);
    }
    return rc;
}

// First transaction of a new database: seed, clock, catalogue.
static int create(struct cloud *cloud, struct error *err)
{
    int rc = store_begin(cloud->store, err);

    if (rc < 0) {
        return rc;
    }
    cloud->step_ns = clock_now(cloud->clock);
    struct txn t = {.cloud = cloud,
                    .store = cloud->store,
                    .arena = &cloud->arena,
                    .now_ns = cloud->step_ns,
                    .cause = CAUSE_SEED};
    rc = store_meta_set_int(cloud->store, "seed", (int64_t)cloud->seed, err);
    rc = rc < 0 ? rc : clock_save(cloud, err);
    rc = rc < 0 ? rc
                : store_meta_set_int(cloud->store, FIRST_MODE_KEY,
                                     (int64_t)clock_snapshot(cloud->clock).mode, err);
    rc = rc < 0 ? rc : catalog_seed(&t, err);
    rc = rc < 0 ? rc : ledger_save(cloud, err);
    if (rc < 0) {
        store_rollback(cloud->store);
        return rc;
    }
    return store_commit(cloud->store, err);
}

int ledger_open(struct cloud *cloud, const struct cloud_config *config, struct error *err)
{
    int rc = load_revision(cloud, err);
    bool is_new = cloud->ledger.revision == 0;

    rc = rc < 0 ? rc : open_clock(cloud, config, is_new, err);
    rc = rc < 0 ? rc : open_seed(cloud, config, is_new, err);
    return rc == 0 && is_new ? create(cloud, err) : rc;
}

int ledger_load(struct cloud *cloud, struct error *err)
{
    struct store *s = cloud->store;
    int64_t seed = (int64_t)cloud->seed;

    memset(&cloud->ledger, 0, sizeof(cloud->ledger));
    pools_released(cloud); // another database
    for (int i = 0; i < TRANSITION_COUNT; i++) {
        cloud->ledger.latencies[i] = transition_default((enum transition)i);
    }
    int rc = load_revision(cloud, err);
    rc = rc < 0 ? rc : load_numbers(cloud, err);
    rc = rc < 0 ? rc : store_meta_get_int(s, "seed", &seed, err);
    rc = rc < 0 ? rc : store_meta_get_int(s, STORE_EPOCH_KEY, &cloud->epoch, err);
    rc = rc < 0 ? rc : store_each(s, KIND_LATENCY, 0, load_latency, cloud, err);
    rc = rc < 0 ? rc : scenarios_load(cloud, err);
    rc = rc < 0 ? rc : store_next_transition(s, &cloud->ledger.next_due_ns, err);
    cloud->seed = (uint64_t)seed;
    cloud->saved = cloud->ledger;
    return rc;
}

void ledger_publish(struct cloud *cloud)
{
    atomic_store(&cloud->next_deadline_ns, cloud->ledger.next_due_ns);
    atomic_store(&cloud->trimmed, cloud->ledger.trimmed);
    calls_publish(cloud);
}
