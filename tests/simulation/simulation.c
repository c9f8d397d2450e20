// The simulation: random changes, clock jumps, failing disks, crashes and restarts, from a seed,
// against a model. See docs/ARCHITECTURE.md, "Simulation".
//
//     simulation [--seed N] [--steps N] [--db file|memory] [--no-troubles] [--skip A-B,…]
//                [--digest] [--verbose] [--dir DIRECTORY]
//
// --verbose prints every change and every trouble. --digest prints the hash of all events. A run
// that fails is repeated with fewer and fewer of its steps, and the command that replays the
// shortest is printed.
#include "base/log.h"
#include "base/timefmt.h"
#include "tests/simulation/checks.h"
#include "tests/simulation/disk.h"
#include "tests/simulation/draw.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define EVENTS_KEPT 5000
#define BATCH_MAX 6
#define SKIPS_MAX 256
#define TRIES_MAX 200 // of shrinking

struct span {
    int64_t from, to; // both included
};

struct options {
    uint64_t seed;
    int64_t steps;
    bool in_memory, no_troubles, digest, verbose;
    const char *directory;
    struct span skips[SKIPS_MAX];
    size_t skip_count;
};

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
    }
    model_advance(&r->model, r->model.now, false);
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

static bool is_skipped(const struct options *o, int64_t n)
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
    if (r->o->digest)
        printf("digest %016" PRIx64 "\n", m->digest);
}

static void model_pools(struct model *m)
{
    struct pool_config c = draw_pools();
    const char *const blocks[] = {c.internal_v4, c.internal_v6,      c.external_v4,
                                  c.external_v6, c.load_balancer_v4, c.load_balancer_v6};

    for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
        cidr_parse(blocks[i], &m->pools[i], NULL);
}

// *progress: the step that is being run, for who explains a failure.
static void run(const struct options *o, int64_t *progress)
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
        *progress = n;
        if (!is_skipped(o, n))
            step(&r, n);
    }
    disk_heal();
    check_all(&r.model, r.cloud, EVENTS_KEPT);
    check_tables(&r.model, r.cloud);
    cloud_close(r.cloud);
    report(&r);
    model_fini(&r.model);
}

// --- runs in processes of their own, and what is left of one that fails ---

static void remove_files(const char *directory)
{
    static const char *const names[] = {"cloud.db", "cloud.db-wal", "cloud.db-shm",
                                        "cloud.db.lock"};
    char path[600];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
}

// 0, or the step at which it failed.
static int64_t try_run(const struct options *o, int64_t *progress, bool quiet)
{
    int status = 0;
    pid_t pid;

    *progress = 0;
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (quiet && (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout)))
            _exit(2);
        run(o, progress);
        exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("simulation");
        exit(2);
    }
    remove_files(o->directory);
    return status == 0 ? 0 : *progress > 0 ? *progress : 1;
}

// Leaves out spans of steps, long ones first, as long as the rest still fails.
static void shrink(struct options *o, int64_t *progress)
{
    int tries = 0;

    for (int64_t length = o->steps / 2; length > 0; length /= 2) {
        for (int64_t from = 1; from + length <= o->steps && tries < TRIES_MAX; from += length) {
            struct span span = {from, from + length - 1};
            int64_t failed;

            if (o->skip_count == SKIPS_MAX || is_skipped(o, from))
                continue;
            o->skips[o->skip_count++] = span;
            failed = try_run(o, progress, true);
            tries++;
            if (failed)
                o->steps = failed;
            else
                o->skip_count--;
        }
    }
}

static int by_start(const void *a, const void *b)
{
    const struct span *x = a, *y = b;

    return (x->from > y->from) - (x->from < y->from);
}

static void merge_skips(struct options *o)
{
    size_t left = 0;

    qsort(o->skips, o->skip_count, sizeof(o->skips[0]), by_start);
    for (size_t i = 1; i < o->skip_count; i++) {
        if (o->skips[i].from <= o->skips[left].to + 1 && o->skips[i].to > o->skips[left].to)
            o->skips[left].to = o->skips[i].to;
        else if (o->skips[i].from > o->skips[left].to + 1)
            o->skips[++left] = o->skips[i];
    }
    o->skip_count = o->skip_count ? left + 1 : 0;
}

static void print_replay(const struct options *o, const char *program)
{
    int64_t left = 0;

    printf("replay: %s --seed %" PRIu64 " --steps %" PRId64 "%s%s", program, o->seed, o->steps,
           o->in_memory ? " --db memory" : "", o->no_troubles ? " --no-troubles" : "");
    for (size_t i = 0; i < o->skip_count; i++)
        printf("%s%" PRId64 "-%" PRId64, i ? "," : " --skip ", o->skips[i].from, o->skips[i].to);
    for (int64_t n = 1; n <= o->steps; n++)
        left += !is_skipped(o, n);
    printf("   (%" PRId64 " steps)\n", left);
}

static int run_and_explain(struct options *o, const char *program)
{
    int64_t *progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int64_t failed;

    if (progress == MAP_FAILED)
        return 2;
    failed = try_run(o, progress, false);
    if (failed) {
        o->steps = failed;
        print_replay(o, program);
        shrink(o, progress);
        merge_skips(o);
        try_run(o, progress, false); // once more, aloud
        print_replay(o, program);
    }
    munmap(progress, sizeof(*progress));
    return failed != 0;
}

// --- the command line ---

static void parse_skips(struct options *o, char *text)
{
    char *rest = NULL;

    for (char *one = strtok_r(text, ",", &rest); one && o->skip_count < SKIPS_MAX;
         one = strtok_r(NULL, ",", &rest)) {
        struct span *span = &o->skips[o->skip_count++];
        char *dash = strchr(one, '-');

        span->from = strtoll(one, NULL, 10);
        span->to = dash ? strtoll(dash + 1, NULL, 10) : span->from;
    }
}

static void parse(struct options *o, int argc, char **argv)
{
    static const struct option known[] = {{"seed", required_argument, NULL, 's'},
                                          {"steps", required_argument, NULL, 'n'},
                                          {"db", required_argument, NULL, 'd'},
                                          {"no-troubles", no_argument, NULL, 't'},
                                          {"skip", required_argument, NULL, 'k'},
                                          {"digest", no_argument, NULL, 'g'},
                                          {"verbose", no_argument, NULL, 'v'},
                                          {"dir", required_argument, NULL, 'p'},
                                          {NULL, 0, NULL, 0}};
    int c;

    while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
        switch (c) {
        case 's':
            o->seed = strtoull(optarg, NULL, 10);
            break;
        case 'n':
            o->steps = strtoll(optarg, NULL, 10);
            break;
        case 'd':
            o->in_memory = strcmp(optarg, "memory") == 0;
            break;
        case 't':
            o->no_troubles = true;
            break;
        case 'k':
            parse_skips(o, optarg);
            break;
        case 'g':
            o->digest = true;
            break;
        case 'v':
            o->verbose = true;
            break;
        case 'p':
            o->directory = optarg;
            break;
        default:
            exit(2);
        }
    }
    o->no_troubles |= o->in_memory; // a private database does not outlive its server
}

int main(int argc, char **argv)
{
    struct options o = {.seed = random_seed(), .steps = 10000};
    char directory[] = "/tmp/simulation-XXXXXX", in_memory[] = "/dev/shm/simulation-XXXXXX";
    int status;

    parse(&o, argc, argv);
    if (!o.directory)
        o.directory = mkdtemp(in_memory);
    if (!o.directory)
        o.directory = mkdtemp(directory);
    if (!o.directory) {
        perror("simulation: no directory for the database");
        return 2;
    }
    status = run_and_explain(&o, argv[0]);
    rmdir(o.directory);
    return status;
}
