// Snapshots: made while writing goes on, checked, put in the place of what is there.
#include "store/schema.h"
#include "tests/unit/store_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <sys/stat.h>

static char *beside(struct fixture *f, const char *name)
{
    return arena_printf(&f->arena, "%s/%s", f->directory, name);
}

static void fill(struct fixture *f, int from, int count)
{
    OK(f, store_begin(f->store, &f->err));
    for (int n = from; n < from + count; n++) {
        put_instance(f, n);
        put_event(f, KIND_INSTANCE, 1, "{}");
    }
    OK(f, store_commit(f->store, &f->err));
}

static int64_t count_of(struct fixture *f)
{
    int64_t count = -1;

    OK(f, store_count(f->store, KIND_INSTANCE, 0, &count, &f->err));
    return count;
}

static bool readable(struct fixture *f, struct reader *reader, const char *id)
{
    struct buffer out = {0};
    int64_t revision;
    int found = OK(f, reader_document(reader, KIND_INSTANCE, 0, id, &out, &revision, &f->err));

    buffer_fini(&out);
    return found == 1;
}

static void replace(struct fixture *f, const char *path, int64_t epoch)
{
    OK(f, store_snapshot_check(path, "file", &f->err));
    OK(f, store_replace(f->store, path, epoch, &f->err));
}

// --- tests ---

static void a_snapshot_replaces_what_came_after_it(void **state)
{
    struct fixture *f = *state;
    char *path = beside(f, "snapshot");
    int64_t epoch = 0;

    fill(f, 0, 100);
    OK(f, store_snapshot(f->store, path, &f->err));
    fill(f, 100, 500);
    assert_int_equal(count_of(f), 600);
    replace(f, path, 7);
    assert_int_equal(count_of(f), 100);
    OK(f, store_meta_get_int(f->store, STORE_EPOCH_KEY, &epoch, &f->err));
    assert_int_equal(epoch, 7);
    f->revision += 1000;
    fill(f, 100, 5); // and it goes on from there
    reopen(f);
    assert_int_equal(count_of(f), 105);
}

static void a_replacement_may_be_larger_than_what_it_replaces(void **state)
{
    struct fixture *f = *state;
    char *large = beside(f, "large"), *small = beside(f, "small");

    fill(f, 0, 1);
    OK(f, store_snapshot(f->store, small, &f->err));
    fill(f, 1, 5000);
    OK(f, store_snapshot(f->store, large, &f->err));
    for (int64_t round = 1; round <= 3; round++) {
        replace(f, small, 2 * round);
        assert_int_equal(count_of(f), 1);
        store_tidy(f->store);
        replace(f, large, 2 * round + 1);
        assert_int_equal(count_of(f), 5001);
    }
    reopen(f);
    assert_int_equal(count_of(f), 5001);
}

static void readers_that_were_open_see_the_replacement(void **state)
{
    struct fixture *f = *state;
    char *path = beside(f, "snapshot");
    struct reader *reader;

    fill(f, 0, 10);
    OK(f, store_snapshot(f->store, path, &f->err));
    fill(f, 10, 10);
    OK(f, reader_open(f->store, &reader, &f->err));
    assert_true(readable(f, reader, "i-15"));
    replace(f, path, 1);
    assert_false(readable(f, reader, "i-15"));
    assert_true(readable(f, reader, "i-5"));
    reader_close(reader);
}

static void a_snapshot_is_for_its_owner_alone_and_overwrites_nothing(void **state)
{
    struct fixture *f = *state;
    char *path = beside(f, "snapshot");
    struct stat status;

    fill(f, 0, 1);
    OK(f, store_snapshot(f->store, path, &f->err));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    FAILS(f, ERROR_STORAGE, store_snapshot(f->store, path, &f->err));
}

struct copying {
    struct fixture *f;
    atomic_bool stop;
    atomic_int copies, failures;
};

static int64_t ask(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    int64_t value;

    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return value;
}

static void *copy_again_and_again(void *context)
{
    struct copying *c = context;

    while (!atomic_load(&c->stop)) {
        char *path = store_scratch_path(c->f->store);
        struct error err = {0};
        if (store_snapshot(c->f->store, path, &err) < 0 ||
            store_snapshot_check(path, "copy", &err) < 0 ||
            ask(path, "SELECT count(*) % 10 FROM instance") != 0 ||
            ask(path, "SELECT count(*) FROM instance") != ask(path, "SELECT count(*) FROM event"))
            atomic_fetch_add(&c->failures, 1);
        atomic_fetch_add(&c->copies, 1);
        unlink(path);
        free(path);
    }
    return NULL;
}

static void copies_made_while_writing_goes_on_hold_whole_transactions(void **state)
{
    struct copying c = {.f = *state};
    pthread_t thread;
    int n = 0;

    fill(c.f, n, 10);
    assert_int_equal(pthread_create(&thread, NULL, copy_again_and_again, &c), 0);
    while (atomic_load(&c.copies) < 20) {
        fill(c.f, n += 10, 10);
        store_tidy(c.f->store);
    }
    atomic_store(&c.stop, true);
    pthread_join(thread, NULL);
    print_message("%d copies while %d rows were written\n", atomic_load(&c.copies), n);
    assert_int_equal(atomic_load(&c.failures), 0);
}

// --- files that are refused ---

static void change(const char *path, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void refuses(struct fixture *f, const char *path, const char *because)
{
    FAILS(f, ERROR_INVALID, store_snapshot_check(path, "the file", &f->err));
    if (!strstr(f->err.message, because))
        fail_msg("\"%s\" does not say \"%s\"", f->err.message, because);
    f->err = (struct error){0};
}

static char *snapshot(struct fixture *f, const char *name)
{
    char *path = beside(f, name);

    OK(f, store_snapshot(f->store, path, &f->err));
    return path;
}

static void what_is_no_snapshot_is_refused(void **state)
{
    struct fixture *f = *state;
    char *text = beside(f, "text"), *foreign = beside(f, "foreign");
    FILE *file = fopen(text, "w");

    fputs("hello, this is not a database at all", file);
    fclose(file);
    refuses(f, text, "the file is not a database");
    change(foreign, "CREATE TABLE instance (id)");
    refuses(f, foreign, "of another program");
    refuses(f, beside(f, "missing"), "No such file");
}

static void a_snapshot_of_a_newer_version_is_refused(void **state)
{
    struct fixture *f = *state;
    char *path;

    fill(f, 0, 10);
    path = snapshot(f, "newer");
    change(path, "PRAGMA user_version = 99");
    refuses(f, path, "newer mockcloud");
}

static void a_snapshot_that_lacks_a_table_or_has_a_trigger_is_refused(void **state)
{
    struct fixture *f = *state;
    char *path;

    fill(f, 0, 10);
    path = snapshot(f, "poor");
    change(path, "DROP TABLE route");
    refuses(f, path, "route");
    path = snapshot(f, "trigger");
    change(path, "CREATE TRIGGER t AFTER INSERT ON event BEGIN DELETE FROM instance; END");
    refuses(f, path, "triggers");
    path = snapshot(f, "empty");
    change(path, "DELETE FROM event");
    refuses(f, path, "holds no cloud");
}

static void a_damaged_or_truncated_snapshot_is_refused(void **state)
{
    struct fixture *f = *state;
    char *path, noise[4096];
    int fd;

    fill(f, 0, 500);
    path = snapshot(f, "damaged");
    memset(noise, 0x5a, sizeof(noise));
    fd = open(path, O_RDWR);
    for (int page = 3; page < 40; page += 4)
        assert_int_equal(pwrite(fd, noise, sizeof(noise), page * 4096), sizeof(noise));
    close(fd);
    refuses(f, path, "the file");
    path = snapshot(f, "truncated");
    assert_int_equal(truncate(path, 40000), 0);
    refuses(f, path, "the file");
    assert_int_equal(truncate(path, 100), 0);
    refuses(f, path, "the file");
}

static void a_snapshot_with_other_pages_is_made_to_fit(void **state)
{
    struct fixture *f = *state;
    char *path;

    fill(f, 0, 50);
    path = snapshot(f, "pages");
    change(path, "PRAGMA page_size = 8192; VACUUM");
    replace(f, path, 1);
    assert_int_equal(count_of(f), 50);
}

// As the first version made them: only the first migration was there.
static char *snapshot_of_version_1(struct fixture *f)
{
    char *path = beside(f, "old");
    struct connection c;

    change(path, "PRAGMA user_version = 0"); // so that the file is there
    OK(f, connection_open(&c, path, CONNECTION_WRITER, &f->err));
    OK(f, schema_migrate(&c, schema_migrations, 1, &f->err));
    connection_close(&c);
    change(path, "INSERT INTO instance (seq, id, project, name, state, revision, record, document)"
                 " VALUES (1, 'i-1', 1, 'one', 0, 1, x'00', x'7b7d');"
                 "INSERT INTO event VALUES (1, 0, 1, 0, 0, 0, 'i-1', NULL, NULL, x'7b7d');");
    return path;
}

static void a_snapshot_of_schema_version_1_is_migrated(void **state)
{
    struct fixture *f = *state;
    char *path = snapshot_of_version_1(f);
    struct snapshot_info info;

    OK(f, store_snapshot_inspect(path, &info, &f->err));
    assert_int_equal(info.schema, 1);
    assert_int_equal(info.counts[KIND_INSTANCE], 1);
    assert_int_equal(info.counts[KIND_FAULT], -1);
    replace(f, path, 1);
    assert_int_equal(count_of(f), 1);
    OK(f, store_snapshot_inspect(path, &info, &f->err));
    assert_int_equal(info.schema, schema_version);
    assert_int_equal(info.counts[KIND_FAULT], 0);
    assert_int_equal(info.revision, 1);
}

static void a_replacement_that_fails_leaves_everything_as_it_was(void **state)
{
    struct fixture *f = *state;
    char *path = beside(f, "text");
    FILE *file = fopen(path, "w");

    fputs("not a database, and it was not checked", file);
    fclose(file);
    fill(f, 0, 10);
    assert_true(store_replace(f->store, path, 1, &f->err) < 0);
    f->err = (struct error){0};
    assert_int_equal(count_of(f), 10);
    fill(f, 10, 10);
    reopen(f);
    assert_int_equal(count_of(f), 20);
}

static void scratch_files_of_a_dead_server_are_removed(void **state)
{
    struct fixture *f = *state;
    char *path = store_scratch_path(f->store), *other = store_scratch_path(f->store);

    assert_string_not_equal(path, other);
    fill(f, 0, 1);
    OK(f, store_snapshot(f->store, path, &f->err));
    reopen(f);
    assert_int_equal(access(path, F_OK), -1);
    free(path);
    free(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_snapshot_replaces_what_came_after_it),
        TEST(a_replacement_may_be_larger_than_what_it_replaces),
        TEST(readers_that_were_open_see_the_replacement),
        TEST(a_snapshot_is_for_its_owner_alone_and_overwrites_nothing),
        TEST(copies_made_while_writing_goes_on_hold_whole_transactions),
        TEST(what_is_no_snapshot_is_refused),
        TEST(a_snapshot_of_a_newer_version_is_refused),
        TEST(a_snapshot_that_lacks_a_table_or_has_a_trigger_is_refused),
        TEST(a_damaged_or_truncated_snapshot_is_refused),
        TEST(a_snapshot_with_other_pages_is_made_to_fit),
        TEST(a_snapshot_of_schema_version_1_is_migrated),
        TEST(a_replacement_that_fails_leaves_everything_as_it_was),
        TEST(scratch_files_of_a_dead_server_are_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
