#include "sim/recorder.h"

#include "base/log.h"
#include "sim/cloud_internal.h"
#include "sim/fault_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION 1

struct recorder {
    atomic_bool active;
    pthread_mutex_t lock;
    FILE *file; // NULL: nothing is recorded
    char *path; // of the last recording; NULL: there was none
    bool ours;  // a scratch file, removed with the next one
    int64_t lines;
    int error;   // errno of the write that failed; 0: none did
    bool broken; // the cloud was replaced meanwhile
    struct buffer line;
};

struct recorder *recorder_new(void)
{
    struct recorder *r = calloc(1, sizeof(*r));

    if (r != NULL) {
        pthread_mutex_init(&r->lock, NULL);
    }
    return r;
}

static void forget(struct recorder *r)
{
    if (r->file != NULL) {
        fclose(r->file);
    }
    if (r->path != NULL && r->ours) {
        unlink(r->path);
    }
    free(r->path);
    r->file = NULL;
    r->path = NULL;
    atomic_store(&r->active, false);
}

void recorder_free(struct recorder *r)
{
    if (r == NULL) {
        return;
    }
    forget(r);
    buffer_fini(&r->line);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

// --- lines ---

static void write_line(struct recorder *r)
{
    buffer_append(&r->line, "\n", 1);
    if (r->line.failed || fwrite(r->line.data, 1, r->line.length, r->file) != r->line.length ||
        fflush(r->file) != 0) {
        r->error = errno != 0 ? errno : ENOMEM;
        log_line(LOG_ERROR, "the recording ends: it cannot be written", "error", strerror(r->error),
                 NULL);
        fclose(r->file);
        r->file = NULL;
        atomic_store(&r->active, false);
    }
    r->lines++;
}

static void field_text(struct json_writer *w, const char *key, const char *value)
{
    if (value != NULL) {
        jw_field_string(w, key, value);
    }
}

static void field_bytes(struct json_writer *w, const char *key, struct bytes value)
{
    if (value.length > 0) {
        jw_key(w, key);
        jw_string_n(w, value.data, value.length);
    }
}

static void begin_line(struct recorder *r, struct json_writer *w)
{
    buffer_clear(&r->line);
    jw_init(w, &r->line);
    jw_object_begin(w);
}

static void encode_request(const struct change_source *source, const struct change *c,
                           struct json_writer *w)
{
    jw_field_string(w, "method", source->method);
    field_bytes(w, "path", source->path);
    jw_field_string(w, "operation", c->operation);
    field_text(w, "project", source->project);
    field_text(w, "id", c->result_id);
    field_text(w, "if_match", source->if_match);
    field_text(w, "idempotency_key", source->idempotency_key);
    field_bytes(w, "body", source->body);
    if (c->error.code != ERROR_NONE) {
        jw_field_string(w, "code", error_string(c->error.code));
    } else {
        jw_field_int(w, "result", c->revision);
    }
}

static void encode_change(const struct change *c, struct json_writer *w)
{
    if (c->firing != NULL) {
        jw_field_string(w, "fault", c->firing->rule);
        jw_field_string(w, "operation", c->operation);
        jw_field_int(w, "matched", c->firing->matched);
        jw_field_int(w, "fired", c->firing->fired);
    } else if (c->source != NULL) {
        encode_request(c->source, c, w);
    } else {
        jw_field_string(w, "unreplayable", c->operation);
    }
}

// What the cloud does by itself it will do again.
static bool is_from_within(const struct change *c)
{
    return c->cause == CAUSE_SCENARIO || c->cause == CAUSE_CHAOS;
}

void recorder_note(struct cloud *cloud, const struct change *c, int64_t time_ns)
{
    struct recorder *r = cloud->recorder;
    struct json_writer w;

    if (!atomic_load_explicit(&r->active, memory_order_relaxed) || is_from_within(c) ||
        (c->source == NULL && c->firing == NULL && c->error.code != ERROR_NONE) ||
        (c->firing != NULL && c->firing->gone)) {
        return;
    }
    pthread_mutex_lock(&r->lock);
    if (r->file != NULL) {
        begin_line(r, &w);
        jw_field_int(&w, "time_ns", time_ns);
        jw_field_int(&w, "revision", c->applied_at);
        encode_change(c, &w);
        jw_object_end(&w);
        write_line(r);
    }
    pthread_mutex_unlock(&r->lock);
}

void recorder_replaced(struct cloud *cloud)
{
    struct recorder *r = cloud->recorder;

    pthread_mutex_lock(&r->lock);
    if (r->file != NULL) {
        fclose(r->file);
        r->file = NULL;
        r->broken = true;
        atomic_store(&r->active, false);
    }
    pthread_mutex_unlock(&r->lock);
}

// --- start and stop, on the writer ---

static void encode_pools(struct cloud *cloud, struct json_writer *w)
{
    char text[CIDR_TEXT_MAX];

    jw_key(w, "pools");
    jw_array_begin(w);
    for (int i = 0; i < POOL_COUNT; i++) {
        cidr_format(&cloud->pools[i], text);
        jw_string(w, text);
    }
    jw_array_end(w);
}

static void encode_header(struct cloud *cloud, const struct clock_state *clock,
                          struct json_writer *w)
{
    char seed[24];

    snprintf(seed, sizeof(seed), "%" PRIu64, cloud->seed);
    jw_field_int(w, "mockcloud_recording", VERSION);
    jw_field_string(w, "seed", seed);
    jw_field_int(w, "revision", cloud->ledger.revision);
    jw_field_int(w, "time_ns", cloud->step_ns);
    jw_key(w, "clock");
    jw_object_begin(w);
    jw_field_int(w, "mode", (int64_t)clock->mode);
    jw_key(w, "scale");
    jw_double(w, clock->scale);
    jw_key(w, "frozen");
    jw_bool(w, clock->frozen);
    jw_object_end(w);
    encode_pools(cloud, w);
}

// What somebody has recorded before is never overwritten.
static int open_file(const char *path, bool ours, FILE **out, struct error *err)
{
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (ours ? O_TRUNC : 0);
    int fd = open(path, flags, 0600);
    struct stat there;

    if (fd >= 0 && fstat(fd, &there) == 0 && there.st_size > 0) {
        close(fd);
        return error_set(err, ERROR_EXISTS, NULL, "%s: is there already, and not empty", path);
    }
    *out = fd < 0 ? NULL : fdopen(fd, "w");
    if (*out == NULL) {
        error_set(err, ERROR_STORAGE, NULL, "%s: the recording cannot be written: %s", path,
                  strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -ERROR_STORAGE;
    }
    return 0;
}

static int open_recording(struct recorder *r, const char *path, bool ours, struct error *err)
{
    FILE *file;

    if (r->file != NULL) {
        return error_set(err, ERROR_STATE, NULL, "a recording is going on already");
    }
    char *copy = strdup(path);
    int rc = copy == NULL ? error_set(err, ERROR_INTERNAL, NULL, "out of memory")
                          : open_file(path, ours, &file, err);
    if (rc < 0) {
        free(copy);
        return rc;
    }
    forget(r);
    r->file = file;
    r->path = copy;
    r->ours = ours;
    r->lines = 0;
    r->error = 0;
    r->broken = false;
    return 0;
}

// Its first moment is the one at which it was made: so nothing has happened before.
static void start_clock(struct cloud *cloud, struct clock_state *state, struct error *err)
{
    state->frozen = cloud->first_clock.frozen = false;
    clock_restore(cloud->clock, state);
    clock_save(cloud, err);
    cloud_clock_changed(cloud);
}

static void start(struct cloud *cloud, struct change *c)
{
    const char *path = c->id;
    struct recorder *r = cloud->recorder;
    struct clock_state clock = clock_snapshot(cloud->clock);
    struct json_writer w;

    pthread_mutex_lock(&r->lock);
    int rc = open_recording(r, path, c->request.recording.ours, &c->error);
    if (rc == 0 && c->request.recording.starts_clock) {
        start_clock(cloud, &clock, &c->error);
    }
    if (rc == 0) {
        begin_line(r, &w);
        encode_header(cloud, &clock, &w);
        jw_object_end(&w);
        write_line(r);
        atomic_store(&r->active, r->file != NULL);
    }
    pthread_mutex_unlock(&r->lock);
}

static void stop(struct cloud *cloud, struct change *c)
{
    struct recorder *r = cloud->recorder;
    struct json_writer w;

    pthread_mutex_lock(&r->lock);
    if (r->file == NULL) {
        error_set(&c->error, ERROR_STATE, NULL, "nothing is being recorded");
    } else {
        begin_line(r, &w);
        jw_field_int(&w, "time_ns", cloud->step_ns);
        jw_field_int(&w, "revision", cloud->ledger.revision);
        jw_key(&w, "end");
        jw_bool(&w, true);
        jw_object_end(&w);
        write_line(r);
    }
    if (r->file != NULL) {
        fclose(r->file);
        r->file = NULL;
    }
    atomic_store(&r->active, false);
    pthread_mutex_unlock(&r->lock);
}

static int control(struct cloud *cloud, void (*what)(struct cloud *, struct change *),
                   const char *path, bool ours, bool starts_clock, struct error *err)
{
    struct change *c = change_new(NULL, "recording");

    if (c == NULL) {
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    c->alone = what;
    c->even_cut = what == stop;
    c->id = path;
    c->request.recording.ours = ours;
    c->request.recording.starts_clock = starts_clock;
    int rc = cloud_apply(cloud, c);
    if (rc < 0) {
        error_set(err, c->error.code, c->error.field, "%s", c->error.message);
    }
    change_free(c);
    return rc;
}

int cloud_record_start(struct cloud *cloud, const char *path, bool starts_clock, struct error *err)
{
    char *scratch = path == NULL ? store_scratch_path(cloud->store) : NULL;

    int rc = control(cloud, start, path != NULL ? path : scratch, path == NULL, starts_clock, err);
    free(scratch);
    return rc;
}

int cloud_record_stop(struct cloud *cloud, struct error *err)
{
    return control(cloud, stop, NULL, false, false, err);
}

void cloud_record_status(struct cloud *cloud, struct record_status *out)
{
    struct recorder *r = cloud->recorder;

    pthread_mutex_lock(&r->lock);
    *out = (struct record_status){.state = r->file != NULL   ? RECORD_ON
                                           : r->error != 0   ? RECORD_FAILED
                                           : r->broken       ? RECORD_BROKEN
                                           : r->path != NULL ? RECORD_DONE
                                                             : RECORD_NONE,
                                  .lines = r->lines};
    snprintf(out->path, sizeof(out->path), "%s", r->path == NULL ? "" : r->path);
    pthread_mutex_unlock(&r->lock);
}

// --- the clock of a replay ---

// Addresses are given out of them: others make other documents.
static int check_pools(const struct cloud *cloud, const struct replay_start *s, struct error *err)
{
    char text[CIDR_TEXT_MAX];

    for (size_t i = 0; i < s->pool_count && i < POOL_COUNT; i++) {
        cidr_format(&cloud->pools[i], text);
        if (strcmp(text, s->pools[i]) != 0) {
            return error_set(err, ERROR_INVALID, NULL,
                             "the recording has the address pool %s, this cloud %s", s->pools[i],
                             text);
        }
    }
    return 0;
}

static void begin_replay(struct cloud *cloud, struct change *c)
{
    const struct replay_start *s = &c->request.replay;

    if (cloud->replaying) {
        error_set(&c->error, ERROR_STATE, NULL, "a replay is going on already");
    } else if (s->seed != cloud->seed) {
        error_set(&c->error, ERROR_INVALID, NULL,
                  "the recording has the seed %" PRIu64 ", this cloud %" PRIu64, s->seed,
                  cloud->seed);
    } else if (s->revision != cloud->ledger.revision) {
        error_set(&c->error, ERROR_INVALID, NULL,
                  "the recording begins at revision %" PRId64 ", this cloud is at %" PRId64
                  ": begin with the same seed file and configuration, reset it, or restore the "
                  "snapshot with which the recording began",
                  s->revision, cloud->ledger.revision);
    } else if (check_pools(cloud, s, &c->error) == 0) {
        cloud->replaying = true;
        cloud->first_clock.frozen = false;
        clock_restore(cloud->clock, &s->clock);
        cloud->step_ns = s->clock.cloud_ns;
        cloud_clock_changed(cloud);
    }
}

// The clock stands where the recording ended; `resume` lets it go on.
static void end_replay(struct cloud *cloud, struct change *c)
{
    struct clock_state state = clock_snapshot(cloud->clock);

    state.frozen = true;
    state.cloud_ns = cloud->step_ns;
    clock_restore(cloud->clock, &state);
    cloud->replaying = false;
    clock_save(cloud, &c->error);
    cloud_clock_changed(cloud);
    c->revision = cloud->ledger.revision;
}

int cloud_replay_begin(struct cloud *cloud, const struct replay_start *start_at, struct error *err)
{
    struct change *c = change_new(NULL, "replay");

    if (c == NULL) {
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    c->alone = begin_replay;
    c->request.replay = *start_at;
    int rc = cloud_apply(cloud, c);
    if (rc < 0) {
        error_set(err, c->error.code, c->error.field, "%s", c->error.message);
    }
    change_free(c);
    return rc;
}

int cloud_replay_end(struct cloud *cloud, int64_t at_ns, int64_t *out_revision, struct error *err)
{
    struct change *c = change_new(NULL, "replay");

    if (c == NULL) {
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    c->alone = end_replay;
    c->even_cut = true;
    c->at_ns = at_ns;
    int rc = cloud_apply(cloud, c);
    *out_revision = c->revision;
    if (rc < 0) {
        error_set(err, c->error.code, c->error.field, "%s", c->error.message);
    }
    change_free(c);
    return rc;
}

// --- firings ---

static int fire_again(struct txn *t, struct change *c, struct error *err)
{
    return fault_fire_again(t->cloud, c->firing->rule, c->operation, c->firing->matched,
                            c->firing->fired, err);
}

struct change *cloud_replay_firing(const struct change_firing *firing, const char *operation)
{
    struct change *c = change_new(fire_again, NULL);

    if (c != NULL) {
        struct change_firing *copy = arena_alloc(&c->arena, sizeof(*copy));
        *copy = *firing;
        copy->rule = arena_strdup(&c->arena, firing->rule);
        c->firing = copy;
        c->operation = arena_strdup(&c->arena, operation);
        c->cause = CAUSE_API;
    }
    return c;
}
