// The steps of a run: changes in batches, clock jumps, troubles of the disk, crashes and restarts;
// after each the model is asked what must have happened.
#include "tests/simulation/simulation.h"

#include "base/log.h"
#include "base/timefmt.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/draw.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_KEPT 5000
#define BATCH_MAX 6

struct run {
    const struct options *o;
    struct cloud *cloud;
    struct model model;
    char path[512];
    bool power_cuts; // so: durability power
    int64_t crashes, failures, survived, restarts, batches;
};

static void say(const struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(const struct run *r, const char *format, ...)
{
    va_list arguments;

    if (!r->o->verbose)
        return;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
}

// --- the cloud ---

static int open_cloud(struct run *r, struct error *err)
{
    struct cloud_config config = {
        .store = {.path = r->path,
                  .durability = r->power_cuts ? DURABILITY_POWER : DURABILITY_PROCESS},
        .clock = {.mode = CLOCK_MANUAL, .cloud_ns = CLOCK_MANUAL_START},
        .seed = r->o->seed,
        .pools = draw_pools(),
        .events_kept = EVENTS_KEPT,
        .stepped = true};

    return cloud_open(&config, &r->cloud, err);
}

static void start_cloud(struct run *r)
{
    struct error err = {0};

    if (open_cloud(r, &err) < 0)
        violated("the cloud does not start: %s", err.message);
}

static void restart_disk(struct run *r, struct draw *d)
{
    disk_restart(r->power_cuts && draw_chance(d, 60), draw_below(d, UINT64_MAX));
}

// Starts again after a crash; now and then it crashes in the middle of that, too.
static void recover(struct run *r, struct draw *d)
{
    struct error err = {0};

    say(r, "  crash\n");
    cloud_close(r->cloud);
    r->cloud = NULL;
    restart_disk(r, d);
    r->crashes++;
    for (int tries = 0; tries < 2 && draw_chance(d, 25); tries++) {
        disk_order(DISK_STOPS, (int64_t)draw_below(d, 8), EIO);
        if (open_cloud(r, &err) == 0) {
            disk_heal();
            return;
        }
        restart_disk(r, d);
        memset(&err, 0, sizeof(err));
    }
    disk_heal();
    start_cloud(r);
}

static void restart_cleanly(struct run *r)
{
    say(r, "  restart\n");
    disk_heal();
    cloud_close(r->cloud);
    disk_restart(false, 0);
    start_cloud(r);
    r->restarts++;
}

// --- a batch ---

static void answered(struct change *c)
{
    int *times = c->context;

    ++*times;
}

static bool is_trouble(enum error_code code)
{
    return code == ERROR_STORAGE || code == ERROR_INTERNAL;
}

static void check_answer(struct run *r, const struct change *c, size_t batch)
{
    const struct thing *x = NULL;

    for (int kind = 0; c->result_id && kind <= KIND_ROUTE && !x; kind++)
        x = model_find(&r->model, (enum kind)kind, 0, c->result_id);
    if (!x || batch > 1 || c->replayed || c->request.instance.count > 0)
        return;
    if (c->revision != x->revision || c->document.length != x->length ||
        memcmp(c->document.data, x->document, x->length) != 0)
        violated("%s is answered with %.*s", c->operation, (int)c->document.length,
                 c->document.data);
}

// One change, of which the answer is known, or which a crash has left open.
static void account(struct run *r, struct change *c, size_t batch, bool hit, bool crashed)
{
    struct model *m = &r->model;
    enum error_code expected;

    if (hit && is_trouble(c->error.code)) {
        r->failures++;
        say(r, "  %s %s: %s, and %s\n", c->operation, c->id ? c->id : "", c->error.message,
            crashed && m->happening_count ? "survived" : "nothing");
        if (crashed && m->happening_count > 0) {
            r->survived++;
            model_change(m, c);
        }
        return;
    }
    say(r, "  %s %s: %s\n", c->operation, c->id ? c->id : "",
        c->error.code ? c->error.message : "ok");
    expected = model_change(m, c);
    if (expected != c->error.code)
        violated("%s %s is answered %s (%s), must be %s", c->operation, c->id ? c->id : "",
                 c->error.code ? error_string(c->error.code) : "ok", c->error.message,
                 expected ? error_string(expected) : "ok");
    if (expected == ERROR_NONE)
        check_answer(r, c, batch);
}

static void run_batch(struct run *r, struct draw *d)
{
    size_t count = draw_chance(d, 70) ? 1 : 1 + draw_below(d, BATCH_MAX);
    struct change *batch[BATCH_MAX];
    int times[BATCH_MAX] = {0};
    bool hit, crashed;

    for (size_t i = 0; i < count; i++) {
        batch[i] = draw_change(d, &r->model);
        batch[i]->cause = CAUSE_API;
        batch[i]->done = answered;
        batch[i]->context = &times[i];
        cloud_submit(r->cloud, batch[i]);
    }
    cloud_step(r->cloud);
    r->batches++;
    hit = disk_was_hit();
    crashed = disk_is_stopped();
    if (crashed)
        recover(r, d);
    model_fetch(&r->model, r->cloud);
    for (size_t i = 0; i < count; i++) {
        if (times[i] != 1)
            violated("%s was answered %d times", batch[i]->operation, times[i]);
        account(r, batch[i], count, hit, crashed);
        change_free(batch[i]);
        model_advance(&r->model, r->model.now, false); // what the change has left due at once
    }
    model_all_accounted(&r->model);
}

// --- a clock jump ---

static void run_advance(struct run *r, struct draw *d)
{
    struct clock_change what = {.action = CLOCK_ADVANCE_BY, .ns = draw_jump(d, &r->model)};
    struct change *c = clock_change_new(&what, "clock.advance");
    struct model *m = &r->model;
    int64_t to = m->now + what.ns, fired = m->fired;
    bool hit, crashed, failed;

    cloud_apply(r->cloud, c);
    hit = disk_was_hit();
    crashed = disk_is_stopped();
    failed = hit && is_trouble(c->error.code);
    say(r, "  clock.advance %" PRId64 ": %s\n", what.ns, c->error.message);
    if (c->error.code && !failed)
        violated("the clock cannot be advanced: %s", c->error.message);
    r->failures += failed;
    if (crashed)
        recover(r, d);
    model_fetch(m, r->cloud);
    model_advance(m, to, failed);
    if (!failed || m->at < m->happening_count) {
        m->now = to;
        model_clock_event(m, "clock.advance");
    }
    if (!failed && c->clock->fired != m->fired - fired)
        violated("%" PRId64 " transitions are said to have fired, must be %" PRId64,
                 c->clock->fired, m->fired - fired);
    model_all_accounted(m);
    change_free(c);
}

// --- a step ---

static void order_trouble(const struct run *r, struct draw *d)
{
    static const int reasons[] = {ENOSPC, EIO, EROFS, EDQUOT};
    static const enum disk_trouble troubles[] = {DISK_STOPS, DISK_STOPS, DISK_STOPS,
                                                 DISK_FAILS_ONCE, DISK_STAYS_FULL};
    enum disk_trouble trouble = troubles[draw_below(d, 5)];
    int64_t calls = (int64_t)draw_below(d, draw_chance(d, 50) ? 6 : 60);

    int reason = reasons[draw_below(d, 4)];

    say(r, "  disk: trouble %d after %" PRId64 " calls, %s\n", (int)trouble, calls,
        strerror(reason));
    disk_order(trouble, calls, reason);
}

static void step(struct run *r, int64_t n)
{
    struct draw d = {.seed = r->o->seed, .step = n};
    uint64_t fate = draw_below(&d, 10000);

    say(r, "step %" PRId64 "\n", n);
    if (disk_was_hit() && fate < 3000)
        disk_heal();
    else if (!r->o->no_troubles && !disk_was_hit() && fate < 60)
        order_trouble(r, &d);
    if (draw_chance(&d, 15))
        run_advance(r, &d);
    else
        run_batch(r, &d);
    if (!r->o->in_memory && fate > 9990)
        restart_cleanly(r);
    check_step(&r->model, r->cloud, draw_below(&d, UINT64_MAX));
    if (n % 500 == 0 || fate > 9990)
        check_all(&r->model, r->cloud, EVENTS_KEPT);
    if (n % 10000 == 0 || fate > 9995)
        check_tables(&r->model, r->cloud);
}

bool simulation_skips(const struct options *o, int64_t n)
{
    for (size_t i = 0; i < o->skip_count; i++) {
        if (n >= o->skips[i].from && n <= o->skips[i].to)
            return true;
    }
    return false;
}

static void report(const struct run *r)
{
    const struct model *m = &r->model;
    struct disk_figures disk = disk_figures();

    printf("seed %" PRIu64 ": %" PRId64 " steps, %" PRId64 " batches, %" PRId64
           " changes accepted, %" PRId64 " refused, %" PRId64 " deadlines, %" PRId64
           " events; %" PRId64 " crashes, %" PRId64 " restarts, %" PRId64 " failed by the disk, of "
           "which %" PRId64 " survived; %" PRId64 " disk writes, %" PRId64 " lost, %" PRId64
           " torn\n",
           r->o->seed, r->o->steps, r->batches, m->accepted, m->refused, m->fired, m->revision,
           r->crashes, r->restarts, r->failures, r->survived, disk.calls, disk.lost, disk.torn);
}

static void model_pools(struct model *m)
{
    struct pool_config c = draw_pools();
    const char *const blocks[] = {c.internal_v4, c.internal_v6,      c.external_v4,
                                  c.external_v6, c.load_balancer_v4, c.load_balancer_v6};

    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
        cidr_parse(blocks[i], &m->pools[i], NULL);
}

void simulation_run(const struct options *o, struct shared *shared)
{
    struct run r = {.o = o, .power_cuts = o->seed % 2 == 0 && !o->in_memory};

    snprintf(r.path, sizeof(r.path), o->in_memory ? ":memory:" : "%s/cloud.db", o->directory);
    log_setup(LOG_TEXT, (enum log_level)(LOG_ERROR + 1)); // failing disks are no news here
    disk_install(r.power_cuts);
    start_cloud(&r);
    model_init(&r.model, o->seed);
    r.model.now = CLOCK_MANUAL_START;
    model_pools(&r.model);
    model_learn_catalogue(&r.model, r.cloud);
    for (int64_t n = 1; n <= o->steps; n++) {
        shared->step = n;
        if (!simulation_skips(o, n))
            step(&r, n);
    }
    disk_heal();
    check_all(&r.model, r.cloud, EVENTS_KEPT);
    check_tables(&r.model, r.cloud);
    cloud_close(r.cloud);
    if (o->repeat == 0)
        report(&r);
    shared->digest = r.model.digest;
    model_fini(&r.model);
}
