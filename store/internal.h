// What the files of store/ share.
#ifndef STORE_INTERNAL_H
#define STORE_INTERNAL_H

#include "base/thread.h"
#include "store/lockfile.h"
#include "store/statement.h"

#include <pthread.h>
#include <stdatomic.h>

// Readers that nobody uses (store/reader_pool.c).
#define READER_SHELVES 8 // threads take from their own, so that they hardly ever meet
struct reader_shelf {
    pthread_mutex_t lock;
    struct reader **free;
    size_t count, capacity;
    char apart[CACHE_LINE];
};
struct reader_pool {
    struct reader_shelf shelves[READER_SHELVES];
    atomic_llong version; // of the database's content: even; odd while a commit is under way
};
void reader_pool_init(struct reader_pool *pool);
void reader_pool_fini(struct reader_pool *pool);
// Around whatever readers can see, on the writer's thread. Afterwards no idle reader has a snapshot
// from before, which would keep the write-ahead log from starting over.
void reader_pool_committing(struct reader_pool *pool);
void reader_pool_committed(struct reader_pool *pool);

struct store {
    struct connection c; // the writer
    struct reader_pool readers;
    struct lockfile lock;
    char *path;
    char *directory;         // of a private database, else NULL
    int wal_frames;          // after the last commit
    atomic_ullong scratches; // paths handed out

    // No row of the kind is due before this: 0 when unknown, INT64_MAX when none has a deadline.
    // Only raised by looking, so wrong after a rollback: then all become 0.
    int64_t due_bound[KIND_COUNT];
};

struct reader {
    struct connection c;
    int64_t version;                     // of its snapshot, in the pool's count
    bool nested;                         // reader_snapshot_begin found it in a snapshot
    sqlite3_stmt *documents[KIND_COUNT]; // beside the kept ones: the hottest statements
};

// Statements between the two see the same state of the database.
bool reader_in_snapshot(const struct reader *r);
int reader_begin(struct reader *r, struct error *err);
void reader_end(struct reader *r);
// The same for what may be inside a snapshot already, and then does nothing.
int reader_snapshot_begin(struct reader *r, struct error *err);
void reader_snapshot_end(struct reader *r);
int reader_newest_revision(struct reader *r, int64_t *out, struct error *err);
int reader_trimmed(struct reader *r, int64_t *out, struct error *err);

#define STORE_CHECKPOINT_SOON 2000 // frames of the log after which it is copied back when idle
#define STORE_TRIMMED_KEY "store.events_trimmed" // meta: newest revision that was ever trimmed

void store_forget(struct store *s); // drops what is remembered of the database's content

struct ip_key {
    unsigned char bytes[17];
    size_t length;
};
struct ip_key ip_key_of(const struct ip *ip);

// Tags and references of a row that goes (store/relations.c).
int relations_delete(struct store *s, enum kind kind, int64_t seq, struct error *err);

// Positions in row_columns; the kind's own columns, record and document follow.
enum row_column {
    COL_SEQ,
    COL_ID,
    COL_PROJECT,
    COL_NAME,
    COL_STATE,
    COL_TRANSITION,
    COL_REVISION,
    COL_OWN
};
// Appends the columns of a row as row_read expects them.
void row_columns(struct buffer *sql, enum kind kind);
// Appends the condition that a row has the name that is bound to ?<param>. `project`: a condition
// that picks the project, with " AND " behind it, or "".
void row_named(struct buffer *sql, enum kind kind, const char *project, int param);
// Reads the current row; with an arena, strings and bytes are copied into it, otherwise they are
// SQLite's until the next step.
void row_read(sqlite3_stmt *st, enum kind kind, struct arena *arena, struct row *out);

// One row of a SELECT over row_columns: 1, 0 or negative.
int row_read_one(struct store *s, sqlite3_stmt *st, enum kind kind, struct arena *arena,
                 struct row *out, struct error *err);

// The statement of this use, kind and shape, built when it is needed first.
typedef void sql_builder(struct buffer *sql, enum kind kind, unsigned shape);
int store_prepared(struct store *s, enum statement_use use, enum kind kind, unsigned shape,
                   sql_builder *build, sqlite3_stmt **out, struct error *err);

#endif
