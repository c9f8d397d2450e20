// Changes of the clock: each stands alone, in as many batches as it takes.
#include "base/json_writer.h"
#include "base/log.h"
#include "base/timefmt.h"
#include "sim/fault_internal.h"
#include "sim/recorder.h"
#include "sim/writer_internal.h"

#include <string.h>

struct change *clock_change_new(const struct clock_change *what, const char *operation)
{
    struct change *c = change_new(NULL, operation);

    if (c != NULL) {
        c->clock = arena_alloc(&c->arena, sizeof(*c->clock));
        *c->clock = *what;
    }
    return c;
}

// The event that says how the clock was changed, and the clock for after a crash.
static int record_clock(struct cloud *cloud, const struct change *c, struct error *err)
{
    struct buffer *document = &cloud->document;
    struct json_writer w;
    struct txn t;

    struct clock_view view = cloud_clock(cloud);
    step_begin(cloud, &t);
    t.cause = c->cause;
    t.operation = c->operation;
    buffer_clear(document);
    jw_init(&w, document);
    view.now_ns = cloud->step_ns;
    view.next_deadline_ns = cloud->ledger.next_due_ns;
    encode_clock_at(&view, &w);
    int rc = txn_event(&t, KIND_CLOCK, "clock", 0, NULL, EVENT_UPDATED,
                       (struct bytes){document->data, document->length}, err);
    return rc < 0 ? rc : clock_save(cloud, err);
}

// A whole millisecond, which a text can tell.
static int64_t reached(struct cloud *cloud)
{
    return (clock_now(cloud->clock) + NS_PER_MS - 1) / NS_PER_MS * NS_PER_MS;
}

static int advance(struct cloud *cloud, struct change *c, int64_t to)
{
    bool done = false;
    int rc = 0;

    while (rc == 0 && !done) {
        if (atomic_load(&cloud->winding_down) && reached(cloud) < to) {
            to = reached(cloud);
            c->clock->cut = true;
        }
        struct clock_state before = clock_snapshot(cloud->clock);
        struct txn_mark mark;
        int fired = due_batch(cloud, to, true, &mark, &c->error);
        done = fired < DUE_BATCH && faults_mark(cloud->faults) == 0;
        rc = fired < 0 ? fired : 0;
        if (rc == 0 && done) {
            clock_advance_to(cloud->clock, to);
            cloud->step_ns = to;
            rc = record_clock(cloud, c, &c->error);
        } else if (rc == 0) {
            rc = clock_save(cloud, &c->error);
        }
        rc = batch_finish(cloud, &mark, rc, &c->error);
        if (rc == 0) {
            c->clock->fired += fired;
            atomic_fetch_add(&cloud->fired, fired);
        } else {
            clock_restore(cloud->clock, &before); // what is not committed has not happened
        }
    }
    return rc;
}

static int change_speed(struct cloud *cloud, struct change *c)
{
    struct clock_state before = clock_snapshot(cloud->clock);
    struct txn_mark mark;

    switch (c->clock->action) {
    case CLOCK_SET_SCALE:
        clock_set_scale(cloud->clock, c->clock->scale);
        break;
    case CLOCK_FREEZE:
        clock_freeze(cloud->clock);
        break;
    default:
        clock_resume(cloud->clock);
    }
    int rc = batch_begin(cloud, &mark, &c->error);
    if (rc == 0) {
        rc = cloud->ledger.due_moved ? due_look_up(cloud, &c->error) : 0;
        rc = batch_finish(cloud, &mark, rc < 0 ? rc : record_clock(cloud, c, &c->error), &c->error);
    }
    if (rc < 0) {
        clock_restore(cloud->clock, &before);
    }
    return rc;
}

// It is recorded as what it became, an advance as far as it came, and its caller is told.
static void note_cut(struct cloud *cloud, struct change *c, int64_t now)
{
    char at[TIME_TEXT_MAX];

    time_format(cloud->step_ns, at);
    if (c->source != NULL) {
        struct change_source *source = arena_alloc(&c->arena, sizeof(*source));
        const char *body = arena_printf(&c->arena, "{\"to\":\"%s\"}", at);
        *source = *c->source;
        source->body = (struct bytes){body, strlen(body)};
        c->source = source;
    }
    recorder_note(cloud, c, now);
    buffer_clear(&c->document);
    error_set(&c->error, ERROR_UNAVAILABLE, NULL,
              "the server is shutting down; the clock has come to %s", at);
}

void run_clock(struct cloud *cloud, struct change *c)
{
    const struct clock_change *what = c->clock;
    struct json_writer w;

    clock_hold(cloud->clock); // to the end of the turn
    int64_t now = writer_step_to_now(cloud);
    int rc = due_catch_up(cloud, &c->error);
    bool begun = rc == 0; // else nothing is recorded: as of other changes
    c->applied_at = cloud->ledger.revision;
    if (rc < 0) {
        log_line(LOG_WARN, "the clock could not be changed", "error", c->error.message, NULL);
    } else if (what->action == CLOCK_ADVANCE_TO && what->ns < now) {
        rc = error_set(&c->error, ERROR_INVALID, "to", "the clock is past that already");
    } else if (what->action == CLOCK_ADVANCE_TO || what->action == CLOCK_ADVANCE_BY) {
        rc = advance(cloud, c, what->action == CLOCK_ADVANCE_BY ? now + what->ns : what->ns);
    } else {
        rc = change_speed(cloud, c);
    }
    if (rc == 0) {
        jw_init(&w, &c->document);
        encode_clock(cloud, &w);
    }
    if (c->clock->cut && rc == 0) {
        note_cut(cloud, c, now);
    } else if (begun) {
        recorder_note(cloud, c, now);
    }
    cloud_clock_changed(cloud);
    writer_answer(cloud, c);
}
