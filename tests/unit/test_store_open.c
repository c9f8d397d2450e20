#include "store/lockfile.h"
#include "store/schema.h"
#include "tests/unit/store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void exec_sql(const char *path, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void write_file(const char *path, const char *bytes, size_t length, off_t at)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, length, at), length);
    close(fd);
}

static void assert_message_has(const struct fixture *f, const char *text)
{
    if (!strstr(f->err.message, text))
        fail_msg("\"%s\" does not contain \"%s\"", f->err.message, text);
    assert_null(strchr(f->err.message, '\n'));
}

static int run_child(int (*child)(struct fixture *f), struct fixture *f)
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        _exit(child(f));
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

// --- the lock ---

static int open_in_use(struct fixture *f)
{
    struct store *second = NULL;
    struct error err = {0};
    char expected[200];
    int result = store_open(&(struct store_options){.path = f->path}, &second, &err);

    snprintf(expected, sizeof(expected), "database %s is in use by pid %ld (http://127.0.0.1:9080)",
             f->path, (long)getppid());
    return result != -ERROR_IN_USE || second || strcmp(err.message, expected) != 0;
}

static void a_second_process_is_refused_with_pid_and_address_of_the_first(void **state)
{
    struct fixture *f = *state;

    OK(f, fixture_open(f));
    assert_int_equal(run_child(open_in_use, f), 0);
}

static void a_second_store_in_the_same_process_is_refused_too(void **state)
{
    struct fixture *f = *state;
    struct store *second = NULL;
    struct row row;

    OK(f, fixture_open(f));
    FAILS(f, ERROR_IN_USE, store_open(&(struct store_options){.path = f->path}, &second, &f->err));
    assert_null(second);
    f->err = (struct error){0};
    put_instance(f, 1);
    assert_int_equal(OK(f, store_get(f->store, KIND_INSTANCE, 0, "i-1", &f->arena, &row, &f->err)),
                     1);
}

static void the_address_can_be_set_once_it_is_known(void **state)
{
    struct fixture *f = *state;
    struct store *second = NULL;

    OK(f, store_open(&(struct store_options){.path = f->path}, &f->store, &f->err));
    FAILS(f, ERROR_IN_USE, store_open(&(struct store_options){.path = f->path}, &second, &f->err));
    assert_null(strchr(f->err.message, '('));
    store_set_address(f->store, "http://[::1]:7");
    FAILS(f, ERROR_IN_USE, store_open(&(struct store_options){.path = f->path}, &second, &f->err));
    assert_message_has(f, "(http://[::1]:7)");
}

static void closing_removes_lock_and_write_ahead_log(void **state)
{
    struct fixture *f = *state;
    char *lock = arena_printf(&f->arena, "%s.lock", f->path);
    char *wal = arena_printf(&f->arena, "%s-wal", f->path);

    OK(f, fixture_open(f));
    put_instance(f, 1);
    assert_true(exists(lock));
    assert_true(exists(wal));
    assert_false(exists(arena_printf(&f->arena, "%s-shm", f->path)));
    store_close(f->store);
    f->store = NULL;
    assert_false(exists(lock));
    assert_false(exists(wal));
    assert_true(exists(f->path));
}

static void a_lock_left_by_a_dead_server_is_taken_over(void **state)
{
    struct fixture *f = *state;

    write_file(arena_printf(&f->arena, "%s.lock", f->path), "1 http://x\n", 11, 0);
    OK(f, fixture_open(f));
}

static void the_files_are_for_the_owner_alone(void **state)
{
    struct fixture *f = *state;
    const char *suffixes[] = {"", "-wal", ".lock"};
    mode_t mask = umask(0);
    struct stat status;

    OK(f, fixture_open(f));
    umask(mask);
    put_instance(f, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stat(arena_printf(&f->arena, "%s%s", f->path, suffixes[i]), &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
}

// --- files that are not ours ---

static void open_fails(struct fixture *f, enum error_code code, const char *text)
{
    FAILS(f, code, fixture_open(f));
    assert_null(f->store);
    assert_message_has(f, text);
    assert_message_has(f, f->path);
    assert_false(exists(arena_printf(&f->arena, "%s.lock", f->path)));
}

static void a_text_file_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;
    struct stat status;

    write_file(f->path, "hello\n", 6, 0);
    open_fails(f, ERROR_INVALID, "is not a database");
    assert_int_equal(stat(f->path, &status), 0);
    assert_int_equal(status.st_size, 6);
}

static void the_database_of_another_program_is_refused_and_left_alone(void **state)
{
    struct fixture *f = *state;
    char before[4096], after[4096];
    int fd;

    exec_sql(f->path, "CREATE TABLE bookmarks (url TEXT)");
    fd = open(f->path, O_RDONLY);
    assert_int_equal(read(fd, before, sizeof(before)), sizeof(before));
    open_fails(f, ERROR_INVALID, "is the database of another program");
    assert_int_equal(pread(fd, after, sizeof(after), 0), sizeof(after));
    assert_memory_equal(before, after, sizeof(before));
    close(fd);
}

static void a_newer_schema_is_refused_naming_both_versions(void **state)
{
    struct fixture *f = *state;

    OK(f, fixture_open(f));
    store_close(f->store);
    f->store = NULL;
    exec_sql(f->path, "PRAGMA user_version = 99");
    open_fails(f, ERROR_INVALID, "schema version 99");
    assert_message_has(f, "this one knows up to 3");
}

static void a_corrupt_database_is_one_clear_error(void **state)
{
    struct fixture *f = *state;
    char garbage[4096];

    memset(garbage, 0xa5, sizeof(garbage));
    OK(f, fixture_open(f));
    put_instance(f, 1);
    store_close(f->store);
    f->store = NULL;
    write_file(f->path, garbage, sizeof(garbage) - 100, 100); // the schema's page
    open_fails(f, ERROR_INVALID, "is corrupt");
}

static void a_truncated_database_is_one_clear_error(void **state)
{
    struct fixture *f = *state;

    OK(f, fixture_open(f));
    put_instance(f, 1);
    store_close(f->store);
    f->store = NULL;
    assert_int_equal(truncate(f->path, 4096), 0);
    open_fails(f, ERROR_INVALID, "is corrupt");
}

static void a_database_that_lacks_a_table_is_refused(void **state)
{
    struct fixture *f = *state;

    OK(f, fixture_open(f));
    store_close(f->store);
    f->store = NULL;
    exec_sql(f->path, "DROP TABLE route");
    open_fails(f, ERROR_INVALID, "no such table: route");
}

static void a_missing_directory_and_a_directory_are_named(void **state)
{
    struct fixture *f = *state;
    char *directory = arena_strdup(&f->arena, f->path);

    snprintf(f->path, sizeof(f->path), "%s/none/x.db", f->directory);
    open_fails(f, ERROR_INVALID, "No such file or directory");
    assert_int_equal(mkdir(directory, 0700), 0);
    strcpy(f->path, directory);
    open_fails(f, ERROR_INVALID, "Is a directory");
    rmdir(directory);
}

static int open_read_only(struct fixture *f)
{
    struct store *store = NULL;
    struct error err = {0};

    if (setgid(65534) < 0 || setuid(65534) < 0)
        return 2;
    return store_open(&(struct store_options){.path = f->path}, &store, &err) != -ERROR_STORAGE ||
           !strstr(err.message, "Permission denied") || !strstr(err.message, f->path);
}

static void a_file_that_may_only_be_read_is_refused(void **state)
{
    struct fixture *f = *state;

    if (geteuid() != 0)
        skip(); // needs to become somebody else
    OK(f, fixture_open(f));
    store_close(f->store);
    f->store = NULL;
    assert_int_equal(chmod(f->path, 0444), 0);
    assert_int_equal(chmod(f->directory, 0777), 0); // the lock can be made
    assert_int_equal(run_child(open_read_only, f), 0);
    unlink(arena_printf(&f->arena, "%s.lock", f->path));
    assert_int_equal(chmod(f->directory, 0555), 0); // not even that
    assert_int_equal(run_child(open_read_only, f), 0);
    assert_int_equal(chmod(f->directory, 0700), 0);
}

static void an_empty_file_becomes_a_database(void **state)
{
    struct fixture *f = *state;

    write_file(f->path, "", 0, 0);
    OK(f, fixture_open(f));
    put_instance(f, 1);
}

static void a_start_that_died_before_the_schema_is_finished_by_the_next(void **state)
{
    struct fixture *f = *state;

    exec_sql(f->path, "PRAGMA journal_mode = WAL");
    OK(f, fixture_open(f));
    put_instance(f, 1);
}

// --- crashes ---

static int write_until_killed(struct fixture *f)
{
    struct error err = {0};

    if (fixture_open(f) < 0)
        return 1;
    for (int n = 0; n < 3; n++) {
        if (store_begin(f->store, &err) < 0)
            return 2;
        put_instance(f, 2 * n);
        put_instance(f, 2 * n + 1);
        if (n < 2 && store_commit(f->store, &err) < 0)
            return 3;
    }
    raise(SIGKILL); // amid the third transaction
    return 4;
}

static void a_killed_process_leaves_what_was_committed_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    int64_t count = 0;

    assert_int_equal(run_child(write_until_killed, f), 128 + SIGKILL);
    OK(f, fixture_open(f));
    OK(f, store_count(f->store, KIND_INSTANCE, 0, &count, &f->err));
    assert_int_equal(count, 4);
    put_instance(f, 9 + (int)(f->revision = 100));
}

// --- private databases ---

static int count_private(void)
{
    DIR *dir = opendir("/dev/shm");
    struct dirent *entry;
    char prefix[40];
    int count = 0;

    snprintf(prefix, sizeof(prefix), "mockcloud-%ld-", (long)getpid());
    while (dir && (entry = readdir(dir)))
        count += strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    if (dir)
        closedir(dir);
    return count;
}

static void a_private_database_is_gone_after_closing(void **state)
{
    struct fixture *f = *state;
    struct reader *reader;
    struct stat status;
    char directory[200];

    strcpy(f->path, ":memory:");
    OK(f, fixture_open(f));
    snprintf(directory, sizeof(directory), "%s", store_path(f->store));
    *strrchr(directory, '/') = '\0';
    assert_int_equal(stat(directory, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    put_instance(f, 1);
    OK(f, reader_open(f->store, &reader, &f->err));
    reader_close(reader);
    assert_true(store_database_bytes(f->store) > 0);
    store_close(f->store);
    f->store = NULL;
    assert_int_equal(stat(directory, &status), -1);
}

static void two_private_databases_live_side_by_side(void **state)
{
    struct fixture *f = *state;
    struct store *second;
    int before = count_private();

    strcpy(f->path, ":memory:");
    OK(f, fixture_open(f));
    OK(f, store_open(&(struct store_options){.path = ":memory:"}, &second, &f->err));
    assert_int_equal(count_private(), before + 2);
    store_close(second);
    assert_int_equal(count_private(), before + 1);
    put_instance(f, 1);
}

static int open_private_and_die(struct fixture *f)
{
    int fd = open(arena_printf(&f->arena, "%s/path", f->directory), O_WRONLY | O_CREAT, 0600);

    strcpy(f->path, ":memory:");
    if (fixture_open(f) < 0 || write(fd, store_path(f->store), strlen(store_path(f->store))) < 0)
        return 1;
    raise(SIGKILL);
    return 2;
}

static void what_a_dead_server_left_is_removed_by_the_next(void **state)
{
    struct fixture *f = *state;
    char left[200] = "";
    int fd;

    assert_int_equal(run_child(open_private_and_die, f), 128 + SIGKILL);
    fd = open(arena_printf(&f->arena, "%s/path", f->directory), O_RDONLY);
    assert_true(read(fd, left, sizeof(left) - 1) > 0);
    close(fd);
    assert_true(exists(left));
    strcpy(f->path, ":memory:");
    OK(f, fixture_open(f));
    assert_false(exists(left));
    *strrchr(left, '/') = '\0';
    assert_false(exists(left));
}

static void leftovers_are_told_from_the_living_and_from_strangers(void **state)
{
    struct fixture *f = *state;
    const char *keep[] = {"mockcloud-1-abcdef", "mockcloud-999999999-abcdefg",
                          "mockcloud-x-abcdef"};
    char *dead = arena_printf(&f->arena, "%s/mockcloud-999999999-abcdef", f->directory);
    char *made;
    int examined = 0;

    setenv("TMPDIR", f->directory, 1);
    assert_int_equal(mkdir(dead, 0700), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mkdir(arena_printf(&f->arena, "%s/%s", f->directory, keep[i]), 0700), 0);
    private_remove_leftovers(f->directory);
    assert_false(exists(dead));
    for (int i = 0; i < 3; i++, examined++)
        assert_int_equal(rmdir(arena_printf(&f->arena, "%s/%s", f->directory, keep[i])), 0);
    assert_int_equal(examined, 3);
    OK(f, private_directory_make(&made, &f->err));
    private_directory_remove(made);
    assert_false(exists(made));
    free(made);
    unsetenv("TMPDIR");
}

// --- migrations ---

static void first(struct buffer *sql)
{
    buffer_append_string(sql, "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1);");
}

static void second(struct buffer *sql)
{
    buffer_append_string(sql, "ALTER TABLE a ADD COLUMN y INTEGER DEFAULT 7;");
}

static void third(struct buffer *sql)
{
    buffer_append_string(sql, "UPDATE a SET x = x + y;");
}

static void broken(struct buffer *sql)
{
    buffer_append_string(sql, "DELETE FROM a; INSERT INTO nowhere VALUES (1);");
}

static void open_connection(struct fixture *f, struct connection *c)
{
    write_file(f->path, "", 0, 0);
    OK(f, connection_open(c, f->path, CONNECTION_WRITER, &f->err));
}

static int64_t ask(struct fixture *f, struct connection *c, const char *sql)
{
    int64_t value = -1;

    OK(f, connection_int(c, sql, &value, &f->err));
    return value;
}

static void migrations_are_applied_in_order_from_the_version_of_the_file(void **state)
{
    struct fixture *f = *state;
    schema_migration *const steps[] = {first, second, third};
    struct connection c;

    open_connection(f, &c);
    OK(f, schema_migrate(&c, steps, 1, &f->err));
    assert_int_equal(ask(f, &c, "PRAGMA user_version"), 1);
    OK(f, schema_migrate(&c, steps, 3, &f->err));
    assert_int_equal(ask(f, &c, "PRAGMA user_version"), 3);
    assert_int_equal(ask(f, &c, "SELECT x FROM a"), 8);
    OK(f, schema_migrate(&c, steps, 3, &f->err)); // nothing left to do
    assert_int_equal(ask(f, &c, "SELECT x FROM a"), 8);
    FAILS(f, ERROR_INVALID, schema_migrate(&c, steps, 2, &f->err));
    connection_close(&c);
}

static void a_migration_that_fails_leaves_the_file_as_it_was(void **state)
{
    struct fixture *f = *state;
    schema_migration *const steps[] = {first, second, broken};
    struct connection c;

    open_connection(f, &c);
    OK(f, schema_migrate(&c, steps, 1, &f->err));
    FAILS(f, ERROR_INTERNAL, schema_migrate(&c, steps, 3, &f->err));
    f->err = (struct error){0};
    assert_int_equal(ask(f, &c, "PRAGMA user_version"), 1);
    assert_int_equal(ask(f, &c, "SELECT count(*) FROM a"), 1);
    assert_int_equal(ask(f, &c, "SELECT count(*) FROM pragma_table_info('a')"), 1);
    OK(f, schema_migrate(&c, steps, 2, &f->err)); // and can be migrated later
    connection_close(&c);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_closed, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_second_process_is_refused_with_pid_and_address_of_the_first),
        TEST(a_second_store_in_the_same_process_is_refused_too),
        TEST(the_address_can_be_set_once_it_is_known),
        TEST(closing_removes_lock_and_write_ahead_log),
        TEST(a_lock_left_by_a_dead_server_is_taken_over),
        TEST(the_files_are_for_the_owner_alone),
        TEST(a_text_file_is_refused_and_left_alone),
        TEST(the_database_of_another_program_is_refused_and_left_alone),
        TEST(a_newer_schema_is_refused_naming_both_versions),
        TEST(a_corrupt_database_is_one_clear_error),
        TEST(a_truncated_database_is_one_clear_error),
        TEST(a_database_that_lacks_a_table_is_refused),
        TEST(a_missing_directory_and_a_directory_are_named),
        TEST(a_file_that_may_only_be_read_is_refused),
        TEST(an_empty_file_becomes_a_database),
        TEST(a_start_that_died_before_the_schema_is_finished_by_the_next),
        TEST(a_killed_process_leaves_what_was_committed_and_nothing_else),
        TEST(a_private_database_is_gone_after_closing),
        TEST(two_private_databases_live_side_by_side),
        TEST(what_a_dead_server_left_is_removed_by_the_next),
        TEST(leftovers_are_told_from_the_living_and_from_strangers),
        TEST(migrations_are_applied_in_order_from_the_version_of_the_file),
        TEST(a_migration_that_fails_leaves_the_file_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
