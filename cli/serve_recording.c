#include "cli/serve_recording.h"

#include "api/replay.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/timefmt.h"

#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#define TELL_NS (5 * NS_PER_S)

// --- before ---

static int check_seed_and_clock(const struct serve_options *o, const struct replay_start *start,
                                struct error *err)
{
    static const char *const modes[] = {"real", "scaled", "manual"};

    if (o->has_seed && (uint64_t)o->seed != start->seed)
        return error_set(err, ERROR_INVALID, "--seed", "%s was recorded with the seed %" PRIu64,
                         o->replay, start->seed);
    if (o->has_clock && o->clock_state.mode != start->clock.mode)
        return error_set(err, ERROR_INVALID, "--clock", "%s was recorded with a %s clock",
                         o->replay, modes[start->clock.mode]);
    return 0;
}

static int prepare_replay(const struct serve_options *o, bool is_new, struct cloud_config *inout,
                          struct error *err)
{
    struct replay_start start;
    struct error inner = {0};

    if (!is_new)
        return error_set(err, ERROR_INVALID, "--replay",
                         "needs a new database, and %s is there already", o->db);
    if (replay_look(o->replay, &start, &inner) < 0)
        return error_set(err, ERROR_INVALID, "--replay", "%s: %s", o->replay, inner.message);
    if (check_seed_and_clock(o, &start, err) < 0)
        return -ERROR_INVALID;
    inout->seed = start.seed;
    inout->clock = start.clock;
    inout->clock.frozen = start.clock.mode != CLOCK_MANUAL;
    return 0;
}

int serve_recording_prepare(const struct serve_options *o, bool is_new, struct cloud_config *inout,
                            struct error *err)
{
    struct stat there;

    if (o->replay)
        return prepare_replay(o, is_new, inout, err);
    if (!o->record)
        return 0;
    if (stat(o->record, &there) == 0 && there.st_size > 0)
        return error_set(err, ERROR_INVALID, "--record", "%s is there already, and not empty",
                         o->record);
    inout->clock.frozen = is_new && inout->clock.mode != CLOCK_MANUAL;
    return 0;
}

// --- at the start ---

struct replay_watch {
    const char *file;
    struct serve_signals *signals;
    int64_t tell_ns; // when to say next how far it is
};

static bool go_on(void *context, int64_t line)
{
    struct replay_watch *w = context;
    int64_t now = clock_monotonic();
    char lines[24];

    if (now >= w->tell_ns) {
        snprintf(lines, sizeof(lines), "%" PRId64, line);
        log_line(LOG_INFO, "replaying", "file", w->file, "lines", lines, NULL);
        w->tell_ns = now + TELL_NS;
    }
    return !serve_signals_stopped(w->signals);
}

int serve_replay(const struct serve_options *o, struct cloud *cloud, struct serve_signals *signals,
                 struct error *err)
{
    struct replay_watch watch = {.file = o->replay, .signals = signals};
    struct replay_result done;
    struct error inner = {0};
    char changes[24], revision[24];

    if (!o->replay)
        return 0;
    if (replay_alone(cloud, o->replay, go_on, &watch, &done, &inner) < 0)
        return error_set(err, inner.code, "--replay", "%s: %s", o->replay, inner.message);
    if (done.difference > 0)
        return error_set(err, ERROR_STATE, "--replay",
                         "%s: line %" PRId64 " of the recording, at revision %" PRId64 ": %s",
                         o->replay, done.difference, done.difference_revision, done.message);
    snprintf(changes, sizeof(changes), "%" PRId64, done.applied);
    snprintf(revision, sizeof(revision), "%" PRId64, done.revision);
    log_line(LOG_INFO, "replayed; the clock stands where the recording ended", "file", o->replay,
             "changes", changes, "revision", revision, NULL);
    return 0;
}

int serve_record(const struct serve_options *o, bool is_new, struct cloud *cloud, struct error *err)
{
    struct error inner = {0};
    bool starts_clock = is_new && cloud_clock(cloud).frozen;

    if (!o->record)
        return 0;
    if (cloud_record_start(cloud, o->record, starts_clock, &inner) < 0)
        return error_set(err, inner.code, "--record", "%s", inner.message);
    if (!is_new)
        log_line(LOG_INFO, "the database is not new: a replay needs a copy of it as it is now",
                 "file", o->record, NULL);
    return 0;
}

void serve_recording_end(const struct serve_options *o, struct cloud *cloud)
{
    struct record_status status;
    struct error err = {0};

    if (!o->record)
        return;
    cloud_record_status(cloud, &status);
    if (status.state == RECORD_ON && cloud_record_stop(cloud, &err) < 0)
        log_line(LOG_WARN, "the recording could not be finished", "file", o->record, "error",
                 err.message, NULL);
}
