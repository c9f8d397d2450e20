// Full disks and many threads.
#include "tests/unit/store_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

static int64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * INT64_C(1000) + t.tv_nsec / 1000000;
}

// --- no space ---

static char big[100 * 1024];

static int put_big(struct fixture *f, int n)
{
    struct row row = make_row(f, n);
    int result;

    row.document = (struct bytes){big, sizeof(big)};
    f->err = (struct error){0};
    result = store_put(f->store, KIND_INSTANCE, &row, &f->err);
    f->revision -= result < 0;
    return result;
}

static int commit_big(struct fixture *f, int n)
{
    int result;

    f->err = (struct error){0};
    result = store_begin(f->store, &f->err);
    if (result == 0)
        result = put_big(f, n);
    if (result == 0)
        return store_commit(f->store, &f->err);
    store_rollback(f->store);
    return result;
}

// Commits rows until there is no space; returns how many went in.
static int fill(struct fixture *f, int first)
{
    for (int n = first; n < first + 1000; n++) {
        int result = commit_big(f, n);
        if (result < 0) {
            if (result != -ERROR_STORAGE || !strstr(f->err.message, "no space left"))
                fail_msg("%d %s", result, f->err.message);
            return n - first;
        }
    }
    fail_msg("the disk does not get full");
    return 0;
}

static int64_t count_rows(struct fixture *f)
{
    int64_t count = -1;

    f->err = (struct error){0};
    OK(f, store_count(f->store, KIND_INSTANCE, 0, &count, &f->err));
    return count;
}

static int read_document(struct fixture *f, const char *id)
{
    struct buffer out;
    struct reader *reader;
    int64_t revision;
    int found;

    buffer_init(&out);
    OK(f, reader_open(f->store, &reader, &f->err));
    found = OK(f, reader_document(reader, KIND_INSTANCE, 0, id, &out, &revision, &f->err));
    reader_close(reader);
    buffer_fini(&out);
    return found;
}

// With the disk full, what was written stays readable, a savepoint of a lost transaction does no
// harm, and nothing of a failed batch is kept.
static void check_while_full(struct fixture *f, int filled)
{
    assert_true(filled > 0);
    assert_int_equal(count_rows(f), filled);
    assert_int_equal(read_document(f, "i-0"), 1);
    assert_int_equal(commit_big(f, 5000), -ERROR_STORAGE);
    f->err = (struct error){0};
    OK(f, store_begin(f->store, &f->err));
    OK(f, store_savepoint(f->store, &f->err));
    int result = 0, more = 0;
    while (result == 0 && more < 1000)
        result = put_big(f, 6000 + more++);
    store_savepoint_rollback(f->store);
    put_big(f, 9000);
    if (result == 0)
        result = put_big(f, 9001);
    f->err = (struct error){0};
    assert_int_equal(store_commit(f->store, &f->err), -ERROR_STORAGE);
    assert_int_equal(count_rows(f), filled);
}

static void check_after_space_is_back(struct fixture *f, int filled)
{
    f->err = (struct error){0};
    assert_int_equal(OK(f, commit_big(f, 10000)), 0);
    assert_int_equal(count_rows(f), filled + 1);
    reopen(f);
    assert_int_equal(count_rows(f), filled + 1);
}

static void set_file_limit(rlim_t bytes)
{
    struct rlimit limit;

    getrlimit(RLIMIT_FSIZE, &limit);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void with_a_full_disk_reads_go_on_and_writes_come_back_with_the_space(void **state)
{
    struct fixture *f = *state;
    int filled;

    signal(SIGXFSZ, SIG_IGN);
    set_file_limit(3 * 1024 * 1024);
    filled = fill(f, 0);
    check_while_full(f, filled);
    set_file_limit(RLIM_INFINITY);
    check_after_space_is_back(f, filled);
    print_message("%d rows until full\n", filled);
}

static void the_same_on_a_small_filesystem(void **state)
{
    struct fixture *f = *state;
    char *mounted = arena_printf(&f->arena, "%s/small", f->directory);
    int filled;

    assert_int_equal(mkdir(mounted, 0700), 0);
    if (mount("none", mounted, "tmpfs", 0, "size=4m") < 0) {
        print_message("cannot mount here: %s\n", strerror(errno));
        rmdir(mounted);
        skip();
    }
    store_close(f->store);
    f->store = NULL;
    snprintf(f->path, sizeof(f->path), "%s/x.db", mounted);
    OK(f, fixture_open(f));
    filled = fill(f, 0);
    check_while_full(f, filled);
    assert_int_equal(mount("none", mounted, "tmpfs", MS_REMOUNT, "size=64m"), 0);
    check_after_space_is_back(f, filled);
    store_close(f->store);
    f->store = NULL;
    assert_int_equal(umount(mounted), 0);
    rmdir(mounted);
}

static void a_disk_that_is_full_at_the_start_is_one_clear_error(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t pid;

    store_close(f->store);
    f->store = NULL;
    unlink(f->path);
    pid = fork();
    if (pid == 0) {
        signal(SIGXFSZ, SIG_IGN);
        set_file_limit(2000);
        f->err = (struct error){0};
        int result = fixture_open(f);
        _exit(result != -ERROR_STORAGE || !strstr(f->err.message, "no space left") ||
              !strstr(f->err.message, f->path));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

// --- threads ---

enum { PAIRS = 50, READERS = 3, RUN_MS = 1000 };

struct shared {
    struct fixture *f;
    _Atomic bool stop;
    _Atomic int64_t lists, torn, failures;
};

// The writer keeps all rows at the same state and one event per batch; a snapshot that shows two
// states, or whose newest revision is not that of the rows, is torn.
static bool is_torn(const struct buffer *out, size_t count, int64_t revision)
{
    char expected[32];
    size_t length = (size_t)snprintf(expected, sizeof(expected), "%lld", (long long)revision);

    if (count != PAIRS || out->length != PAIRS * (length + 1) - 1)
        return true;
    for (size_t i = 0; i < PAIRS; i++) {
        if (memcmp(out->data + i * (length + 1), expected, length) != 0)
            return true;
    }
    return false;
}

static void *read_lists(void *context)
{
    struct shared *s = context;
    struct list_query q = {.kind = KIND_INSTANCE, .project = 1, .limit = 1000};
    struct reader *reader;
    struct buffer out;

    buffer_init(&out);
    if (reader_open(s->f->store, &reader, NULL) < 0) {
        s->failures++;
        return NULL;
    }
    while (!s->stop) {
        size_t count = 0;
        int64_t next, revision = 0;
        buffer_clear(&out);
        if (reader_list(reader, &q, &out, &count, &next, &revision, NULL) < 0)
            s->failures++;
        else if (is_torn(&out, count, revision))
            s->torn++;
        s->lists++;
    }
    reader_close(reader);
    buffer_fini(&out);
    return NULL;
}

static void write_generation(struct fixture *f, struct row *rows)
{
    char text[32];
    int64_t last = f->revision + PAIRS + 1;

    snprintf(text, sizeof(text), "%lld", (long long)last);
    OK(f, store_begin(f->store, &f->err));
    for (int i = 0; i < PAIRS; i++) {
        rows[i].revision = ++f->revision;
        rows[i].state = (int)(last & 3);
        rows[i].document = text_bytes(text);
        OK(f, store_put(f->store, KIND_INSTANCE, &rows[i], &f->err));
    }
    put_event(f, KIND_INSTANCE, 1, "{}");
    OK(f, store_commit(f->store, &f->err));
}

static void
readers_see_whole_batches_while_the_writer_goes_on_and_the_log_stays_bounded(void **state)
{
    struct fixture *f = *state;
    struct shared shared = {.f = f};
    struct row rows[PAIRS];
    pthread_t threads[READERS];
    uint64_t largest = 0;
    int64_t end = now_ms() + RUN_MS;
    int generations = 0;

    for (int i = 0; i < PAIRS; i++)
        rows[i] = make_row(f, i);
    write_generation(f, rows);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_lists, &shared), 0);
    while (now_ms() < end || (shared.failures == 0 && (generations <= 10 || shared.lists <= 10))) {
        write_generation(f, rows);
        if (store_database_bytes(f->store) > largest)
            largest = store_database_bytes(f->store);
        generations++;
    }
    shared.stop = true;
    for (int i = 0; i < READERS; i++)
        pthread_join(threads[i], NULL);
    print_message("%d batches, %lld lists, at most %llu KiB\n", generations,
                  (long long)shared.lists, (unsigned long long)largest / 1024);
    assert_true(generations > 10 && shared.lists > 10);
    assert_int_equal(shared.torn, 0);
    assert_int_equal(shared.failures, 0);
    assert_true(largest < 64 * 1024 * 1024);
}

// A reader that is put aside keeps the log from starting over, so it is not left far behind.
static void wait_for_a_list(const struct shared *s)
{
    int64_t seen = s->lists;

    while (s->lists == seen && s->failures == 0)
        sched_yield();
}

// Rewrites one row of 100 kB; returns the largest size of all files meanwhile.
static uint64_t rewrite(struct shared *s, struct row *row, int times, bool tidy)
{
    struct fixture *f = s->f;
    uint64_t largest = 0;

    for (int i = 0; i < times; i++) {
        row->revision = ++f->revision;
        memset(big, 'a' + i % 26, sizeof(big));
        OK(f, store_begin(f->store, &f->err));
        OK(f, store_put(f->store, KIND_INSTANCE, row, &f->err));
        OK(f, store_commit(f->store, &f->err));
        if (tidy)
            store_tidy(f->store);
        if (store_database_bytes(f->store) > largest)
            largest = store_database_bytes(f->store);
        if (i % 8 == 0)
            wait_for_a_list(s);
    }
    return largest;
}

static void the_write_ahead_log_starts_over_with_and_without_tidying(void **state)
{
    struct fixture *f = *state;
    struct shared shared = {.f = f};
    struct row row;
    pthread_t thread;
    uint64_t tidied, untidied;

    store_close(f->store);
    strcpy(f->path, ":memory:");
    OK(f, fixture_open(f));
    row = make_row(f, 1);
    row.document = (struct bytes){big, sizeof(big)};
    assert_int_equal(pthread_create(&thread, NULL, read_lists, &shared), 0);
    tidied = rewrite(&shared, &row, 1000, true);
    untidied = rewrite(&shared, &row, 1000, false);
    shared.stop = true;
    pthread_join(thread, NULL);
    print_message("200 MB written, %llu and %llu KiB on disk, %lld lists\n",
                  (unsigned long long)tidied / 1024, (unsigned long long)untidied / 1024,
                  (long long)shared.lists);
    assert_int_equal(shared.failures, 0);
    assert_true(shared.lists > 0);
    assert_true(tidied < 20 * 1024 * 1024);
    assert_true(untidied < 34 * 1024 * 1024);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(with_a_full_disk_reads_go_on_and_writes_come_back_with_the_space),
        TEST(the_same_on_a_small_filesystem),
        TEST(a_disk_that_is_full_at_the_start_is_one_clear_error),
        TEST(readers_see_whole_batches_while_the_writer_goes_on_and_the_log_stays_bounded),
        TEST(the_write_ahead_log_starts_over_with_and_without_tidying),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
