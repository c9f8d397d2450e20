// The cloud as a whole: copied into a file, replaced by one, and taken back to its beginning.
#include "base/log.h"
#include "sim/cloud_internal.h"
#include "sim/recorder.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *cloud_scratch_path(struct cloud *cloud)
{
    return store_scratch_path(cloud->store);
}

int cloud_snapshot(struct cloud *cloud, char **out_path, struct error *err)
{
    char *path = store_scratch_path(cloud->store);

    if (path == NULL) {
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    int rc = store_snapshot(cloud->store, path, err);
    if (rc < 0) {
        free(path);
        return rc;
    }
    *out_path = path;
    return 0;
}

// --- on the writer thread ---

static void encode_state_of_cloud(struct cloud *cloud, struct buffer *out)
{
    struct json_writer w;
    char seed[24];

    snprintf(seed, sizeof(seed), "%" PRIu64, cloud->seed);
    jw_init(&w, out);
    jw_object_begin(&w);
    jw_field_int(&w, "revision", cloud->ledger.revision);
    jw_field_int(&w, "epoch", cloud->epoch);
    jw_field_string(&w, "seed", seed); // 64 bits: more than a number of JSON can be trusted with
    jw_key(&w, "clock");
    encode_clock(cloud, &w);
    jw_object_end(&w);
}

static int set_clock(struct cloud *cloud, const struct replacement *what, struct error *err)
{
    struct clock_state state = cloud->first_clock;
    int rc = what->restarts_clock ? 0 : clock_load(cloud, &state, err);

    if (rc == 0 && what->restarts_clock) {
        state.wall_ns = clock_wall();
        state.cloud_ns = state.mode == CLOCK_MANUAL ? state.cloud_ns : state.wall_ns;
    } else if (rc == 0 && what->stops_clock && state.mode != CLOCK_MANUAL) {
        state.frozen = true;
        state.cloud_ns = cloud->ledger.event_ns;
    }
    if (rc < 0) {
        return rc;
    }
    clock_restore(cloud->clock, &state);
    return clock_save(cloud, err);
}

static int replace(struct cloud *cloud, const struct replacement *what, struct error *err)
{
    int64_t epoch = cloud->epoch + 1;
    int rc = store_replace(cloud->store, what->path, epoch, err);

    atomic_store(&cloud->writable, rc != -ERROR_STORAGE);
    if (rc == 0) {
        cloud->epoch = epoch;
        recorder_replaced(cloud);
    }
    rc = rc < 0 ? rc : cloud_reload(cloud, err);
    return rc < 0 ? rc : set_clock(cloud, what, err);
}

void run_replace(struct cloud *cloud, struct change *c)
{
    char revision[24], epoch[24];

    news_replacing(cloud->news); // streams of what was end before anything new can be read
    int rc = replace(cloud, c->replacement, &c->error);
    cloud_clock_changed(cloud);
    news_replaced(cloud->news, cloud->ledger.revision, cloud->epoch);
    if (rc < 0) {
        log_line(LOG_ERROR, "the cloud could not be replaced", "error", c->error.message, NULL);
        return;
    }
    snprintf(revision, sizeof(revision), "%" PRId64, cloud->ledger.revision);
    snprintf(epoch, sizeof(epoch), "%" PRId64, cloud->epoch);
    log_line(LOG_INFO, "replaced", "cause", c->operation, "revision", revision, "epoch", epoch,
             NULL);
    encode_state_of_cloud(cloud, &c->document);
}

// --- for whoever asks ---

static int submit(struct cloud *cloud, const struct replacement *what, const char *operation,
                  struct buffer *out, struct error *err)
{
    struct change *c = change_new(NULL, operation);

    if (c == NULL) {
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    c->replacement = what;
    int rc = cloud_apply(cloud, c);
    if (rc < 0) {
        *err = c->error;
    } else if (out != NULL) {
        buffer_append(out, c->document.data, c->document.length);
    }
    change_free(c);
    return rc;
}

static int check_record(void *context, const struct row *row, struct error *err)
{
    struct arena *arena = ((void **)context)[0];
    const enum kind *kind = ((void **)context)[1];

    arena_clear(arena);
    return record_from_row(*kind, row, arena, err) == NULL ? -ERROR_INTERNAL : 0;
}

// That the file is a database of ours says nothing of what is in its rows.
static int check_records(struct store *store, struct arena *arena, struct error *err)
{
    struct row row;
    int rc = store_get_by_name(store, KIND_PROJECT, 0, "default", 0, arena, &row, err);

    if (rc == 0) {
        return error_set(err, ERROR_INVALID, NULL, "the snapshot has no default project");
    }
    for (int kind = 0; rc >= 0 && kind < KIND_COUNT; kind++) {
        enum kind this = (enum kind)kind;
        if (kind_ops_of(this) != NULL) {
            rc = store_each(store, this, 0, check_record, (void *[]){arena, &this}, err);
        }
    }
    return rc < 0 ? rc : 0;
}

static int check_content(const char *path, struct error *err)
{
    struct store *store = NULL;
    struct arena arena;

    arena_init(&arena);
    int rc = store_open(&(struct store_options){.path = path}, &store, err);
    if (rc == 0) {
        rc = check_records(store, &arena, err);
    }
    store_close(store);
    arena_fini(&arena);
    if (rc == -ERROR_INTERNAL) { // of the file, not of ours
        err->code = ERROR_INVALID;
        rc = -ERROR_INVALID;
    }
    return rc;
}

int cloud_restore(struct cloud *cloud, const char *path, const char *name, bool stopped,
                  struct buffer *out, struct error *err)
{
    struct replacement what = {.path = path, .stops_clock = stopped};
    struct error local = {0};
    struct error *e = err == NULL ? &local : err;

    int rc = store_snapshot_check(path, name, e);
    rc = rc < 0 ? rc : check_content(path, e);
    return rc < 0 ? rc : submit(cloud, &what, "snapshot.restore", out, e);
}

// --- the beginning ---

// A cloud of its own, made and filled like the first one, closed again: what remains is the file.
static int make_origin(struct cloud *cloud, const char *path, struct error *err)
{
    struct cloud_config config = cloud->config;
    struct cloud *other = NULL;

    config.store = (struct store_options){.path = path};
    config.clock = cloud->first_clock;
    config.clock.wall_ns = clock_wall();
    if (config.clock.mode != CLOCK_MANUAL) {
        config.clock.cloud_ns = config.clock.wall_ns;
    }
    config.seed = cloud->first_seed;
    config.has_clock = config.has_seed = false;
    config.stepped = true; // this thread is enough
    int rc = cloud_open(&config, &other, err);
    if (rc == 0 && config.fill != NULL) {
        rc = config.fill(config.fill_context, other, err);
    }
    cloud_close(other);
    if (rc < 0) {
        unlink(path);
    }
    return rc;
}

static int ensure_origin(struct cloud *cloud, struct error *err)
{
    char *path;

    if (cloud->origin != NULL) {
        return 0;
    }
    path = store_scratch_path(cloud->store);
    if (path == NULL) {
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    int rc = make_origin(cloud, path, err);
    if (rc < 0) {
        free(path);
    } else {
        cloud->origin = path;
    }
    return rc;
}

int cloud_keep_origin(struct cloud *cloud, struct error *err)
{
    pthread_mutex_lock(&cloud->origin_lock);
    int rc = cloud->origin != NULL ? 0 : cloud_snapshot(cloud, &cloud->origin, err);
    pthread_mutex_unlock(&cloud->origin_lock);
    return rc;
}

// The lock is held until the file has been read: the writer changes the epoch in it.
int cloud_reset(struct cloud *cloud, struct buffer *out, struct error *err)
{
    struct replacement what = {.restarts_clock = true};
    struct error local = {0};
    struct error *e = err == NULL ? &local : err;

    pthread_mutex_lock(&cloud->origin_lock);
    int rc = ensure_origin(cloud, e);
    what.path = cloud->origin;
    rc = rc < 0 ? rc : submit(cloud, &what, "cloud.reset", out, e);
    pthread_mutex_unlock(&cloud->origin_lock);
    return rc;
}
