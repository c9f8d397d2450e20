// The simulation: random changes, clock jumps, failing disks, crashes and restarts, from a seed,
// against a model. See docs/ARCHITECTURE.md, "Simulation".
//
//     simulation [--seed N] [--steps N] [--db file|memory] [--no-troubles] [--skip A-B,…]
//                [--repeat N] [--verbose] [--dir DIRECTORY]
//
// --verbose prints every change and every trouble. --repeat runs it N times, by turns on a file and
// in memory, and compares the events of all runs: determinism. A run that fails is repeated with
// fewer and fewer of its steps, and the command that replays the shortest is printed.
#include "tests/simulation/simulation.h"

#include "base/random.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRIES_MAX 200 // of shrinking

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
static int64_t try_run(const struct options *o, struct shared *shared, bool quiet)
{
    int status = 0;
    pid_t pid;

    *shared = (struct shared){0};
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (quiet && (!freopen("/dev/null", "w", stderr) || !freopen("/dev/null", "w", stdout)))
            _exit(2);
        simulation_run(o, shared);
        exit(0);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid) {
        perror("simulation");
        exit(2);
    }
    remove_files(o->directory);
    return status == 0 ? 0 : shared->step > 0 ? shared->step : 1;
}

// Leaves out spans of steps, long ones first, as long as the rest still fails.
static void shrink(struct options *o, struct shared *shared)
{
    int tries = 0;

    for (int64_t length = o->steps / 2; length > 0; length /= 2) {
        for (int64_t from = 1; from + length <= o->steps && tries < TRIES_MAX; from += length) {
            struct span span = {from, from + length - 1};
            int64_t failed;

            if (o->skip_count == SKIPS_MAX || simulation_skips(o, from))
                continue;
            o->skips[o->skip_count++] = span;
            failed = try_run(o, shared, true);
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
        left += !simulation_skips(o, n);
    printf("   (%" PRId64 " steps)\n", left);
}

static int run_and_explain(struct options *o, const char *program, struct shared *shared)
{
    int64_t failed = try_run(o, shared, false);

    if (failed == 0)
        return 0;
    o->steps = failed;
    print_replay(o, program);
    shrink(o, shared);
    merge_skips(o);
    try_run(o, shared, false); // once more, aloud
    print_replay(o, program);
    return 1;
}

static int run_again_and_compare(struct options *o, const char *program, struct shared *shared)
{
    uint64_t digest = 0;

    for (int i = 0; i < o->repeat; i++) {
        o->in_memory = i % 2 == 1;
        if (run_and_explain(o, program, shared) != 0)
            return 1;
        if (i > 0 && shared->digest != digest) {
            printf("run %d of seed %" PRIu64 " wrote other events: %016" PRIx64 ", not %016" PRIx64
                   "\n",
                   i + 1, o->seed, shared->digest, digest);
            return 1;
        }
        digest = shared->digest;
    }
    printf("%d runs of seed %" PRIu64 " wrote the same events: %016" PRIx64 "\n", o->repeat,
           o->seed, digest);
    return 0;
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
                                          {"repeat", required_argument, NULL, 'r'},
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
        case 'r':
            o->repeat = atoi(optarg);
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
    o->no_troubles |= o->repeat > 0;
}

int main(int argc, char **argv)
{
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct options o = {.seed = random_seed(), .steps = 10000};
    char directory[] = "/tmp/simulation-XXXXXX", in_memory[] = "/dev/shm/simulation-XXXXXX";
    int status;

    parse(&o, argc, argv);
    if (!o.directory)
        o.directory = mkdtemp(in_memory);
    if (!o.directory)
        o.directory = mkdtemp(directory);
    if (!o.directory || shared == MAP_FAILED) {
        perror("simulation");
        return 2;
    }
    status = o.repeat > 0 ? run_again_and_compare(&o, argv[0], shared)
                          : run_and_explain(&o, argv[0], shared);
    rmdir(o.directory);
    return status;
}
