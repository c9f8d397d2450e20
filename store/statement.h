// One SQLite connection with its prepared statements. Internal to store/.
//
// Statements are kept by a key and prepared at their first use. A step has three outcomes: 1 a row,
// 0 done, negative an error; after done and error the statement is reset.
#ifndef STORE_STATEMENT_H
#define STORE_STATEMENT_H

#include "store/store.h"

#include <sqlite3.h>

#define STATEMENT_SLOTS 512 // power of two
#define STATEMENT_BUSY_TIMEOUT_MS 5000

struct statement_slot {
    uint64_t key; // 0: free
    sqlite3_stmt *statement;
};

struct connection {
    sqlite3 *db;
    const char *path; // borrowed; for messages
    bool in_transaction;
    // SQLite itself rolled the transaction back (disk full …): nothing may be written until the
    // caller has rolled back too, or it would be committed piece by piece.
    enum error_code lost;
    unsigned used;
    struct statement_slot slots[STATEMENT_SLOTS];
};

enum connection_role { CONNECTION_WRITER, CONNECTION_READER };

int connection_open(struct connection *c, const char *path, enum connection_role role,
                    struct error *err);
void connection_close(struct connection *c);
// Runs statements without results, once.
int connection_exec(struct connection *c, const char *sql, struct error *err);
// The first column of the first row of a query, once.
int connection_int(struct connection *c, const char *sql, int64_t *out, struct error *err);
// Sets `err` from the result code of a failed call on this connection; returns the negative code.
int connection_error(struct connection *c, int rc, struct error *err);

// A statement's key: what it is for, the kind and the shape of its SQL.
enum statement_use {
    USE_BEGIN = 1,
    USE_COMMIT,
    USE_ROLLBACK,
    USE_SAVEPOINT,
    USE_RELEASE,
    USE_ROLLBACK_TO,
    USE_INSERT,
    USE_UPDATE,
    USE_INDEXED_COLUMNS,
    USE_DELETE,
    USE_GET,
    USE_FIND,
    USE_DUE,
    USE_COUNT,
    USE_TAGS,
    USE_TAGS_DELETE,
    USE_TAG_INSERT,
    USE_REFERENCES,
    USE_REFERENCE_INSERT,
    USE_REFERENCE_DELETE,
    USE_REFERENCES_DELETE,
    USE_REFERRERS,
    USE_IP_CLAIM,
    USE_IP_RELEASE,
    USE_IPS_TAKEN,
    USE_IP_OWNER,
    USE_EVENT_INSERT,
    USE_EVENT_NEWEST,
    USE_EVENTS_TRIM,
    USE_EVENTS,
    USE_IDEMPOTENT_GET,
    USE_IDEMPOTENT_PUT,
    USE_IDEMPOTENT_TRIM,
    USE_IDEMPOTENT_DELETE,
    USE_HAS,
    USE_TOKEN_PUT,
    USE_TOKENS_DELETE,
    USE_META_GET,
    USE_META_SET,
    USE_META_DELETE,
    USE_OUTBOX_PUT,
    USE_OUTBOX_DELETE,
    USE_OUTBOX_GET,
    USE_OUTBOX_EACH,
    USE_MATCH,
    USE_PICK,
    USE_COUNT_STATE,
    USE_EVENT_FIND,
    USE_LIST,
    USE_PROBE,
    USE_PAST_CHANGES,
    USE_PAST_CHANGES_OF_ID,
    USE_PAST_BACK,
    USE_PAST_TIME,
    USE_PAST_THEN,
    USE_PAST_NOW
};

static inline uint64_t statement_key(enum statement_use use, enum kind kind, uint64_t shape)
{
    return (uint64_t)use << 56 | (uint64_t)kind << 48 | shape;
}

// The statement kept under the key, NULL when it has not been prepared yet.
sqlite3_stmt *statement_find(struct connection *c, uint64_t key);
int statement_add(struct connection *c, uint64_t key, const char *sql, sqlite3_stmt **out,
                  struct error *err);
// Both in one, for SQL that needs no building. Refuses when the transaction is lost.
int statement_get(struct connection *c, enum statement_use use, const char *sql, sqlite3_stmt **out,
                  struct error *err);
int statement_ready(const struct connection *c, struct error *err); // refuses when lost

int statement_step(struct connection *c, sqlite3_stmt *st, struct error *err);
// For statements without rows: steps to the end. 0 or negative.
int statement_run(struct connection *c, sqlite3_stmt *st, struct error *err);

// NULL text binds NULL. Borrowed until the statement is reset.
void bind_text(sqlite3_stmt *st, int index, const char *text);
void bind_blob(sqlite3_stmt *st, int index, struct bytes bytes);
// Borrowed until the next step or reset. NULL stays NULL; blobs are never NULL.
const char *column_text(sqlite3_stmt *st, int index);
struct bytes column_blob(sqlite3_stmt *st, int index);

#endif
