#include "store/statement.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#define PREPARE_FLAGS SQLITE_PREPARE_PERSISTENT

// --- errors ---

static bool is_no_space(int system_errno)
{
    return system_errno == ENOSPC || system_errno == EDQUOT || system_errno == EFBIG;
}

static enum error_code io_code(int system_errno)
{
    bool storage = is_no_space(system_errno) || system_errno == EROFS || system_errno == EACCES ||
                   system_errno == EPERM;
    return storage ? ERROR_STORAGE : ERROR_INTERNAL;
}

// Why the operating system refused. SQLite hands it over for most calls, but not for COMMIT: then
// the file of the write-ahead log knows.
static int system_error(struct connection *c)
{
    int reason = sqlite3_system_errno(c->db);
    sqlite3_file *journal = NULL;

    if (reason == 0)
        sqlite3_file_control(c->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &journal);
    if (journal && journal->pMethods)
        journal->pMethods->xFileControl(journal, SQLITE_FCNTL_LAST_ERRNO, &reason);
    if (reason == 0)
        sqlite3_file_control(c->db, "main", SQLITE_FCNTL_LAST_ERRNO, &reason);
    return reason;
}

int connection_error(struct connection *c, int rc, struct error *err)
{
    int reason = c->db ? system_error(c) : 0;

    switch (rc & 0xff) {
    case SQLITE_FULL:
        return error_set(err, ERROR_STORAGE, NULL, "database %s: no space left", c->path);
    case SQLITE_READONLY:
        return error_set(err, ERROR_STORAGE, NULL, "database %s is read-only", c->path);
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        if (is_no_space(reason))
            return error_set(err, ERROR_STORAGE, NULL, "database %s: no space left", c->path);
        return error_set(err, io_code(reason), NULL, "database %s: %s: %s", c->path,
                         sqlite3_errstr(rc), reason ? strerror(reason) : "no reason given");
    case SQLITE_CORRUPT:
        return error_set(err, ERROR_INTERNAL, NULL, "database %s is corrupt", c->path);
    case SQLITE_NOTADB:
        return error_set(err, ERROR_INTERNAL, NULL, "%s is not a database", c->path);
    case SQLITE_CONSTRAINT:
        return error_set(err, ERROR_EXISTS, NULL, "database %s: %s", c->path,
                         sqlite3_errmsg(c->db));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return error_set(err, ERROR_UNAVAILABLE, NULL, "database %s is locked by another program",
                         c->path);
    default:
        return error_set(err, ERROR_INTERNAL, NULL, "database %s: %s", c->path,
                         c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc));
    }
}

// --- connections ---

static void configure_sqlite(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); // its counters are a lock around every allocation
}

// Both kinds map the file, so that a page read is no copy and page caches stay small. The cache of
// the writer holds the pages of one batch, also of a long advance of the clock (store.c gives them
// back).
static const char *const pragmas[] = {
    [CONNECTION_WRITER] = "PRAGMA temp_store = MEMORY; PRAGMA secure_delete = OFF;"
                          "PRAGMA cache_size = -16384; PRAGMA mmap_size = 2147418112;",
    [CONNECTION_READER] = "PRAGMA query_only = ON; PRAGMA temp_store = MEMORY;"
                          "PRAGMA cache_size = -2048; PRAGMA mmap_size = 2147418112;",
};

int connection_open(struct connection *c, const char *path, enum connection_role role,
                    struct error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int rc, result;

    pthread_once(&once, configure_sqlite);
    *c = (struct connection){.path = path};
    // Readers are opened for writing too: opened read-only, they would give the file lock away that
    // unix-excl holds for the process.
    rc = sqlite3_open_v2(path, &c->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, "unix-excl");
    if (rc != SQLITE_OK) {
        result = connection_error(c, rc, err);
        connection_close(c);
        return result;
    }
    sqlite3_extended_result_codes(c->db, 1);
    sqlite3_busy_timeout(c->db, STATEMENT_BUSY_TIMEOUT_MS);
    result = connection_exec(c, pragmas[role], err);
    if (result < 0)
        connection_close(c);
    return result;
}

static void forget_statements(struct connection *c)
{
    for (size_t i = 0; i < STATEMENT_SLOTS; i++)
        sqlite3_finalize(c->slots[i].statement);
    memset(c->slots, 0, sizeof(c->slots));
    c->used = 0;
}

void connection_close(struct connection *c)
{
    forget_statements(c);
    sqlite3_close(c->db);
    c->db = NULL;
}

int connection_exec(struct connection *c, const char *sql, struct error *err)
{
    int rc = sqlite3_exec(c->db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : connection_error(c, rc, err);
}

int connection_int(struct connection *c, const char *sql, int64_t *out, struct error *err)
{
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v2(c->db, sql, -1, &st, NULL);
    int result;

    if (rc != SQLITE_OK)
        return connection_error(c, rc, err);
    result = statement_step(c, st, err);
    if (result == 1)
        *out = sqlite3_column_int64(st, 0);
    else if (result == 0)
        result = error_set(err, ERROR_INTERNAL, NULL, "database %s: no answer to %s", c->path, sql);
    sqlite3_finalize(st);
    return result < 0 ? result : 0;
}

// --- the kept statements: a small hash table with open addressing ---

static struct statement_slot *slot_of(struct connection *c, uint64_t key)
{
    size_t i = (size_t)((key * UINT64_C(0x9E3779B97F4A7C15)) >> 40) % STATEMENT_SLOTS;

    while (c->slots[i].key && c->slots[i].key != key)
        i = (i + 1) % STATEMENT_SLOTS;
    return &c->slots[i];
}

sqlite3_stmt *statement_find(struct connection *c, uint64_t key)
{
    return slot_of(c, key)->statement;
}

// No statement is in use while another one is added under a new shape, except BEGIN … COMMIT around
// a list, which do not stay open: so a full table is simply emptied.
int statement_add(struct connection *c, uint64_t key, const char *sql, sqlite3_stmt **out,
                  struct error *err)
{
    struct statement_slot *slot;
    sqlite3_stmt *st;
    int rc = sqlite3_prepare_v3(c->db, sql, -1, PREPARE_FLAGS, &st, NULL);

    if (rc != SQLITE_OK)
        return connection_error(c, rc, err);
    if (c->used >= STATEMENT_SLOTS / 2)
        forget_statements(c);
    slot = slot_of(c, key);
    *slot = (struct statement_slot){key, st};
    c->used++;
    *out = st;
    return 0;
}

int statement_ready(const struct connection *c, struct error *err)
{
    if (c->lost != ERROR_NONE)
        return error_set(err, c->lost, NULL, "database %s: the transaction was rolled back",
                         c->path);
    return 0;
}

int statement_get(struct connection *c, enum statement_use use, const char *sql, sqlite3_stmt **out,
                  struct error *err)
{
    uint64_t key = statement_key(use, KIND_INSTANCE, 0);
    int result = statement_ready(c, err);
    sqlite3_stmt *st;

    if (result < 0)
        return result;
    st = statement_find(c, key);
    if (!st)
        return statement_add(c, key, sql, out, err);
    *out = st;
    return 0;
}

int statement_step(struct connection *c, sqlite3_stmt *st, struct error *err)
{
    int rc = sqlite3_step(st);
    int result;

    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE) {
        sqlite3_reset(st);
        return 0;
    }
    result = connection_error(c, rc, err);
    sqlite3_reset(st);
    if (c->in_transaction && sqlite3_get_autocommit(c->db))
        c->lost = (enum error_code) - result;
    return result;
}

int statement_run(struct connection *c, sqlite3_stmt *st, struct error *err)
{
    int result;

    while ((result = statement_step(c, st, err)) == 1) {
    }
    return result;
}

// --- values ---

void bind_text(sqlite3_stmt *st, int index, const char *text)
{
    sqlite3_bind_text(st, index, text, -1, SQLITE_STATIC);
}

void bind_blob(sqlite3_stmt *st, int index, struct bytes bytes)
{
    sqlite3_bind_blob64(st, index, bytes.data ? bytes.data : "", bytes.length, SQLITE_STATIC);
}

const char *column_text(sqlite3_stmt *st, int index)
{
    return (const char *)sqlite3_column_text(st, index);
}

struct bytes column_blob(sqlite3_stmt *st, int index)
{
    const void *data = sqlite3_column_blob(st, index);

    return (struct bytes){data ? data : "", (size_t)sqlite3_column_bytes(st, index)};
}
