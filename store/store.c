#include "store/internal.h"
#include "store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// The WAL is copied back into the database when it has grown to so many frames (pages): when nobody
// waits, else before the next batch. It can start over only when no reader is in it, so that is
// waited for a little; at the last limit, for as long as it takes. Many frames make few fsync()
// calls, and pages that change often are copied once; below 4062 the index of the WAL is one hash
// table, so that reading a page costs one look-up.
#define CHECKPOINT_IDLE_FRAMES STORE_CHECKPOINT_SOON
#define CHECKPOINT_FRAMES 4000
#define CHECKPOINT_FORCED_FRAMES 8000
#define CHECKPOINT_WAIT_MS 10
#define WAL_KEPT_BYTES \
    "33554432" // of the file, to be written over; one that grew beyond is cut back

void store_forget(struct store *s)
{
    memset(s->due_bound, 0, sizeof(s->due_bound));
}

// --- opening ---

static int choose_path(struct store *s, const char *path, struct error *err)
{
    int result = 0;

    if (strcmp(path, ":memory:") != 0) {
        s->path = strdup(path);
    } else {
        result = private_directory_make(&s->directory, err);
        if (result == 0 && asprintf(&s->path, "%s/" PRIVATE_DATABASE, s->directory) < 0)
            s->path = NULL;
    }
    if (result == 0 && !s->path)
        result = error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    return result;
}

static int path_error(const char *path, struct error *err)
{
    int code = errno;

    return error_set(err, code == ENOENT || code == EISDIR ? ERROR_INVALID : ERROR_STORAGE, NULL,
                     "cannot open database %s: %s", path, strerror(code));
}

// Creates the file for its owner alone, or looks at the first bytes of the one that is there:
// SQLite would find out too, but only after it had taken the file for its own. *out_new tells
// which.
static int check_file(const char *path, bool *out_new, struct error *err)
{
    char head[16] = "";
    ssize_t length;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return path_error(path, err);
    length = read(fd, head, sizeof(head));
    close(fd);
    if (length < 0)
        return path_error(path, err);
    *out_new = length == 0;
    if (length > 0 && memcmp(head, "SQLite format 3", sizeof(head)) != 0)
        return error_set(err, ERROR_INVALID, NULL, "%s is not a database", path);
    return 0;
}

static int remember_frames(void *context, sqlite3 *db, const char *name, int frames)
{
    struct store *s = context;

    (void)db;
    (void)name;
    s->wal_frames = frames;
    return SQLITE_OK;
}

// A new file need not reach the disk before it is used, unless power loss counts: the fsync() calls
// of its making would be most of the start. A private one need never.
static const char *synchronous(const struct store *s, enum durability durability, bool is_new)
{
    if (s->directory)
        return "PRAGMA synchronous = OFF";
    if (durability == DURABILITY_POWER)
        return "PRAGMA synchronous = FULL";
    return is_new ? "PRAGMA synchronous = OFF" : "PRAGMA synchronous = NORMAL";
}

// An old file is looked at before anything in it is changed.
static int open_database(struct store *s, enum durability durability, bool is_new,
                         struct error *err)
{
    int result = connection_exec(&s->c, synchronous(s, durability, is_new), err);

    if (result == 0 && !is_new)
        result = schema_migrate(&s->c, schema_migrations, schema_version, err);
    if (result == 0)
        result = connection_exec(
            &s->c, "PRAGMA journal_mode = WAL; PRAGMA journal_size_limit = " WAL_KEPT_BYTES, err);
    if (result == 0 && is_new)
        result = schema_migrate(&s->c, schema_migrations, schema_version, err);
    if (result == 0)
        result = schema_probe(&s->c, err);
    if (result == 0)
        result = connection_exec(&s->c, synchronous(s, durability, false), err);
    sqlite3_wal_hook(s->c.db, remember_frames, s);
    return result;
}

// What is an internal error later on is the user's file at the start.
static int opening_error(struct error *err, int result)
{
    if (result != -ERROR_INTERNAL || !err)
        return result == -ERROR_INTERNAL ? -ERROR_INVALID : result;
    err->code = ERROR_INVALID;
    return -ERROR_INVALID;
}

static int open_all(struct store *s, const struct store_options *options, struct error *err)
{
    bool is_new = false;
    int result = choose_path(s, options->path, err);

    if (result == 0)
        result = lockfile_take(&s->lock, s->path, options->address, err);
    if (result == 0)
        scratch_remove_leftovers(s->path);
    if (result == 0)
        result = check_file(s->path, &is_new, err);
    if (result == 0)
        result = connection_open(&s->c, s->path, CONNECTION_WRITER, err);
    if (result == 0 && sqlite3_db_readonly(s->c.db, "main") == 1)
        result = error_set(err, ERROR_STORAGE, NULL, "database %s is read-only", s->path);
    if (result == 0)
        result = open_database(s, options->durability, is_new, err);
    return result;
}

int store_open(const struct store_options *options, struct store **out, struct error *err)
{
    struct store *s = calloc(1, sizeof(*s));
    int result;

    if (!s)
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    s->lock.fd = -1;
    reader_pool_init(&s->readers);
    store_forget(s);
    result = open_all(s, options, err);
    if (result < 0) {
        store_close(s);
        return opening_error(err, result);
    }
    *out = s;
    return 0;
}

// Closing the last connection checkpoints and removes the WAL.
void store_close(struct store *s)
{
    if (!s)
        return;
    store_rollback(s);
    reader_pool_fini(&s->readers);
    connection_close(&s->c);
    if (s->directory && s->path)
        unlink(s->path);
    if (s->lock.fd >= 0)
        scratch_remove_leftovers(s->path);
    lockfile_release(&s->lock);
    if (s->directory)
        private_directory_remove(s->directory);
    free(s->directory);
    free(s->path);
    free(s);
}

void store_set_address(struct store *s, const char *address)
{
    lockfile_write(&s->lock, address);
}

const char *store_path(const struct store *s)
{
    return s->path;
}

static uint64_t size_of(const char *path, const char *suffix)
{
    char full[4200];
    struct stat status;

    snprintf(full, sizeof(full), "%s%s", path, suffix);
    return stat(full, &status) == 0 ? (uint64_t)status.st_size : 0;
}

uint64_t store_database_bytes(const struct store *s)
{
    return size_of(s->path, "") + size_of(s->path, "-wal");
}

// --- transactions ---

static int run(struct store *s, enum statement_use use, const char *sql, struct error *err)
{
    sqlite3_stmt *st;
    int result = statement_get(&s->c, use, sql, &st, err);

    return result < 0 ? result : statement_run(&s->c, st, err);
}

// Errors do not matter here: what is committed is safe in the WAL, the next try comes soon.
static void checkpoint(struct store *s, int frames)
{
    if (s->wal_frames < frames)
        return;
    if (s->wal_frames < CHECKPOINT_FORCED_FRAMES)
        sqlite3_busy_timeout(s->c.db, CHECKPOINT_WAIT_MS);
    if (sqlite3_wal_checkpoint_v2(s->c.db, NULL, SQLITE_CHECKPOINT_RESTART, NULL, NULL) ==
        SQLITE_OK) {
        s->wal_frames = 0;                  // the next commit starts over
        sqlite3_db_release_memory(s->c.db); // pages are as quickly read from the file again
    }
    sqlite3_busy_timeout(s->c.db, STATEMENT_BUSY_TIMEOUT_MS);
}

void store_tidy(struct store *s)
{
    if (!s->c.in_transaction)
        checkpoint(s, CHECKPOINT_IDLE_FRAMES);
}

int store_begin(struct store *s, struct error *err)
{
    int result;

    if (!s->c.in_transaction)
        checkpoint(s, CHECKPOINT_FRAMES);
    result = run(s, USE_BEGIN, "BEGIN IMMEDIATE", err);
    if (result == 0)
        s->c.in_transaction = true;
    return result;
}

int store_commit(struct store *s, struct error *err)
{
    int result;

    reader_pool_committing(&s->readers);
    result = run(s, USE_COMMIT, "COMMIT", err);
    reader_pool_committed(&s->readers);
    if (result < 0) {
        store_rollback(s);
        return result;
    }
    s->c.in_transaction = false;
    return 0;
}

void store_rollback(struct store *s)
{
    if (!s->c.in_transaction)
        return;
    s->c.lost = ERROR_NONE;
    if (!sqlite3_get_autocommit(s->c.db))
        run(s, USE_ROLLBACK, "ROLLBACK", NULL);
    s->c.in_transaction = false;
    s->c.lost = ERROR_NONE;
    store_forget(s);
}

int64_t store_rows_written(const struct store *s)
{
    return sqlite3_total_changes64(s->c.db);
}

int store_savepoint(struct store *s, struct error *err)
{
    return run(s, USE_SAVEPOINT, "SAVEPOINT change", err);
}

int store_savepoint_release(struct store *s, struct error *err)
{
    return run(s, USE_RELEASE, "RELEASE change", err);
}

// When SQLite has rolled the whole transaction back there is no savepoint left to go back to.
void store_savepoint_rollback(struct store *s)
{
    store_forget(s);
    if (run(s, USE_ROLLBACK_TO, "ROLLBACK TO change", NULL) == 0)
        run(s, USE_RELEASE, "RELEASE change", NULL);
}
