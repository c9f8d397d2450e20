// Snapshots: the whole database as one file, made while writing goes on, checked, and put in its
// place.
//
// Copies are made page by page with SQLite's backup. The source is read in one read transaction, so
// a copy is consistent, and the writer, which appends to the log, goes on. The destination of a
// replacement is the live database in WAL mode: the new pages are one transaction of its log, so a
// crash leaves the old or the new, and readers in the middle of something keep what they see.
#include "store/internal.h"
#include "store/kinds.h"
#include "store/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE_SIZE 4096 // SQLite's default, which every database of ours has

char *store_scratch_path(struct store *s)
{
    unsigned long long number = atomic_fetch_add(&s->scratches, 1);
    char *path;

    return asprintf(&path, "%s" SCRATCH_SUFFIX "%llu", s->path, number) < 0 ? NULL : path;
}

// --- copying ---

// An error of a backup is kept with its destination.
static int copy_pages(struct connection *to, struct connection *from, struct error *err)
{
    sqlite3_backup *backup = sqlite3_backup_init(to->db, "main", from->db, "main");
    int rc;

    if (!backup)
        return connection_error(to, sqlite3_errcode(to->db), err);
    sqlite3_backup_step(backup, -1);
    rc = sqlite3_backup_finish(backup);
    return rc == SQLITE_OK ? 0 : connection_error(to, rc, err);
}

// The file is nobody else's: no journal, no fsync, no lock file.
static int open_file(struct connection *c, const char *path, const char *name, struct error *err)
{
    int rc, result;

    *c = (struct connection){.path = name};
    rc = sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK) {
        result = connection_error(c, rc, err);
        connection_close(c);
        return result;
    }
    sqlite3_extended_result_codes(c->db, 1);
    return 0;
}

static int create_file(const char *path, struct error *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return error_set(err, ERROR_STORAGE, NULL, "cannot create %s: %s", path, strerror(errno));
    close(fd);
    return 0;
}

// In the file's own journal mode a copy of a database with a log says that it has one too.
static int write_copy(struct connection *live, const char *path, struct error *err)
{
    struct connection copy;
    int result = open_file(&copy, path, path, err);

    if (result < 0)
        return result;
    result = connection_exec(&copy, "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF", err);
    if (result == 0)
        result = copy_pages(&copy, live, err);
    if (result == 0)
        result = connection_exec(&copy, "PRAGMA journal_mode = DELETE", err);
    connection_close(&copy);
    return result;
}

int store_snapshot(struct store *s, const char *path, struct error *err)
{
    struct connection live;
    int result = connection_open(&live, s->path, CONNECTION_READER, err);

    if (result < 0)
        return result;
    result = create_file(path, err);
    if (result == 0) {
        result = write_copy(&live, path, err);
        if (result < 0)
            unlink(path);
    }
    connection_close(&live);
    return result;
}

// --- checking ---

// Whatever SQLite says of a file that somebody sent is a fault of that file.
static int not_usable(struct error *err, int result)
{
    if (result == 0 || result == -ERROR_STORAGE)
        return result;
    if (err)
        err->code = ERROR_INVALID;
    return -ERROR_INVALID;
}

static int check_head(const char *path, const char *name, struct error *err)
{
    char head[16] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length = fd < 0 ? -1 : read(fd, head, sizeof(head));

    if (fd >= 0)
        close(fd);
    if (length < 0)
        return error_set(err, ERROR_INVALID, NULL, "%s: %s", name, strerror(errno));
    if (memcmp(head, "SQLite format 3", sizeof(head)) != 0)
        return error_set(err, ERROR_INVALID, NULL, "%s is not a database", name);
    return 0;
}

static int check_whole(struct connection *c, struct error *err)
{
    sqlite3_stmt *st;
    const char *text;
    int result, rc = sqlite3_prepare_v2(c->db, "PRAGMA quick_check(1)", -1, &st, NULL);

    if (rc != SQLITE_OK)
        return connection_error(c, rc, err);
    rc = sqlite3_step(st);
    text = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
    if (rc != SQLITE_ROW)
        result = connection_error(c, rc, err);
    else if (!text || strcmp(text, "ok") != 0)
        result = error_set(err, ERROR_INVALID, NULL, "database %s is corrupt: %s", c->path,
                           text ? text : "no reason given");
    else
        result = 0;
    sqlite3_finalize(st);
    return result;
}

// The live database has a log, and pages of one size only can go into it.
static int fit_pages(struct connection *c, struct error *err)
{
    int64_t size = 0;
    char sql[64];
    int result = connection_int(c, "PRAGMA page_size", &size, err);

    if (result < 0 || size == PAGE_SIZE)
        return result;
    snprintf(sql, sizeof(sql), "PRAGMA page_size = %d; VACUUM", PAGE_SIZE);
    return connection_exec(c, sql, err);
}

// A trigger or a view of a stranger's making would run among our statements.
static int check_plain(struct connection *c, struct error *err)
{
    int64_t others = 0;
    int result = connection_int(
        c, "SELECT count(*) FROM sqlite_schema WHERE type NOT IN ('table', 'index')", &others, err);

    if (result == 0 && others > 0)
        result = error_set(err, ERROR_INVALID, NULL, "database %s has triggers or views", c->path);
    return result;
}

static int check_opened(struct connection *c, struct error *err)
{
    int64_t application_id = 0, revisions = 0;
    int result = connection_int(c, "PRAGMA application_id", &application_id, err);

    if (result == 0 && application_id != SCHEMA_APPLICATION_ID)
        result =
            error_set(err, ERROR_INVALID, NULL, "%s is the database of another program", c->path);
    if (result == 0)
        result = check_whole(c, err);
    if (result == 0)
        result = check_plain(c, err);
    if (result == 0)
        result = connection_exec(c, "PRAGMA synchronous = OFF; PRAGMA journal_mode = DELETE", err);
    if (result == 0)
        result = schema_migrate(c, schema_migrations, schema_version, err);
    if (result == 0)
        result = schema_probe(c, err);
    if (result == 0)
        result = connection_int(c, "SELECT count(*) FROM event", &revisions, err);
    if (result == 0 && revisions == 0)
        result = error_set(err, ERROR_INVALID, NULL, "database %s holds no cloud", c->path);
    return result < 0 ? result : fit_pages(c, err);
}

int store_snapshot_check(const char *path, const char *name, struct error *err)
{
    struct connection c;
    int result = check_head(path, name, err);

    if (result == 0)
        result = open_file(&c, path, name, err);
    if (result < 0)
        return not_usable(err, result);
    result = check_opened(&c, err);
    connection_close(&c);
    return not_usable(err, result);
}

// --- replacing ---

static int set_epoch(struct connection *c, int64_t epoch, struct error *err)
{
    char sql[160];

    snprintf(sql, sizeof(sql),
             "PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY;"
             "INSERT OR REPLACE INTO meta (key, value) VALUES ('" STORE_EPOCH_KEY "', %" PRId64 ")",
             epoch);
    return connection_exec(c, sql, err);
}

int store_replace(struct store *s, const char *path, int64_t epoch, struct error *err)
{
    struct connection from;
    int result = open_file(&from, path, path, err);

    if (result < 0)
        return result;
    result = set_epoch(&from, epoch, err);
    reader_pool_committing(&s->readers);
    if (result == 0)
        result = copy_pages(&s->c, &from, err);
    reader_pool_committed(&s->readers);
    connection_close(&from);
    store_forget(s);
    s->wal_frames = STORE_CHECKPOINT_SOON; // a backup does not say how long it made the log
    return result;
}

// --- looking ---

static int inspect_meta(struct connection *c, const char *key, int64_t *out, struct error *err)
{
    char sql[96];

    snprintf(sql, sizeof(sql), "SELECT coalesce((SELECT value FROM meta WHERE key = '%s'), 0)",
             key);
    return connection_int(c, sql, out, err);
}

static int inspect_kinds(struct connection *c, struct snapshot_info *out, struct error *err)
{
    int result = 0;

    for (int kind = 0; kind < KIND_COUNT && result == 0; kind++) {
        char sql[96];
        out->counts[kind] = -1;
        if (!kind_info((enum kind)kind)->has_table)
            continue;
        snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", kind_name((enum kind)kind));
        // one that an older version did not have is none
        if (connection_int(c, sql, &out->counts[kind], NULL) < 0 && out->schema >= schema_version)
            result = connection_int(c, sql, &out->counts[kind], err);
    }
    return result;
}

static int inspect_opened(struct connection *c, struct snapshot_info *out, struct error *err)
{
    int64_t application_id = 0;
    int result = connection_int(c, "PRAGMA application_id", &application_id, err);

    if (result == 0 && application_id != SCHEMA_APPLICATION_ID)
        return error_set(err, ERROR_INVALID, NULL, "%s is the database of another program",
                         c->path);
    if (result == 0)
        result = check_whole(c, err);
    if (result == 0)
        result = connection_int(c, "PRAGMA user_version", &out->schema, err);
    if (result == 0)
        result =
            connection_int(c, "SELECT coalesce(max(revision), 0) FROM event", &out->revision, err);
    if (result == 0)
        result = connection_int(c, "SELECT count(*) FROM event", &out->events, err);
    if (result == 0)
        result = inspect_meta(c, STORE_EPOCH_KEY, &out->epoch, err);
    if (result == 0)
        result = inspect_meta(c, "seed", &out->seed, err);
    if (result == 0)
        result = inspect_meta(c, "clock.mode", &out->clock_mode, err);
    if (result == 0)
        result = inspect_meta(c, "clock.cloud_ns", &out->clock_ns, err);
    return result < 0 ? result : inspect_kinds(c, out, err);
}

int store_snapshot_inspect(const char *path, struct snapshot_info *out, struct error *err)
{
    struct connection c = {.path = path};
    int rc, result = check_head(path, path, err);

    if (result < 0)
        return result;
    rc = sqlite3_open_v2(path, &c.db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL);
    result = rc == SQLITE_OK ? inspect_opened(&c, out, err) : connection_error(&c, rc, err);
    connection_close(&c);
    return not_usable(err, result);
}
