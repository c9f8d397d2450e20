// The only place with SQL: one SQLite file, one writer, many readers.
//
// Every kind of resource has a table of the same shape: the columns that are queried, the packed
// record (opaque here; sim/ packs and unpacks it) and the canonical JSON document that a GET sends.
// Beside them: events (one per revision), tags, references between resources, claimed IP addresses,
// idempotency keys, tokens, and a few numbers that the cloud keeps (meta).
//
// Opening takes flock() on `<db>.lock`, which holds pid and address: a second server is refused by
// name. The database is opened with SQLite's unix-excl VFS: nobody else may open it, so the WAL
// index lives in heap memory and a read costs no fcntl() calls.
//
// Threads: one thread at a time may use the writer functions; a `struct reader` belongs to one
// thread at a time and never blocks the writer. Strings and bytes handed out live until the arena
// is cleared (writer) or as said (reader).
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/ip.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Values are stored: append only.
enum kind {
    KIND_INSTANCE,
    KIND_LOAD_BALANCER,
    KIND_TARGET_POOL,
    KIND_ADDRESS,
    KIND_ROUTE,
    KIND_ZONE,
    KIND_INSTANCE_TYPE,
    KIND_LATENCY,
    KIND_PROJECT,
    KIND_CLOCK, // has events only, no table
    KIND_FAULT,
    KIND_QUOTA,
    KIND_SCENARIO,
    KIND_CHAOS,
    KIND_CLUSTER,
    KIND_COUNT
};

#define KIND_COLUMNS_MAX 3 // queried text columns of its own that a kind may have

// Name in events and logs ("load_balancer") and of the table; columns, in the order of row.columns:
// instance: zone, type, lifecycle; route: network, destination_cidr; the others none.
const char *kind_name(enum kind kind);
int kind_parse(const char *name, enum kind *out, struct error *err);
size_t kind_columns(enum kind kind, const char *out_names[KIND_COLUMNS_MAX]);

struct bytes {
    const void *data;
    size_t length;
};

struct store_tag {
    const char *key;
    const char *value;
};

struct row {
    int64_t seq;     // creation order, position in lists; 0: not stored yet
    const char *id;  // unique per kind
    int64_t project; // seq of the project; 0: belongs to none
    const char *name;
    int state;
    int64_t transition_ns; // cloud time of the next timed transition; 0: none
    int64_t revision;
    const char *columns[KIND_COLUMNS_MAX];
    struct bytes record;
    struct bytes document;
};

enum event_type { EVENT_CREATED, EVENT_UPDATED, EVENT_DELETED, EVENT_FIRED }; // append only
// append only
enum cause_type { CAUSE_API, CAUSE_TIMER, CAUSE_SEED, CAUSE_BACKEND, CAUSE_SCENARIO, CAUSE_CHAOS };

struct event {
    int64_t revision;
    int64_t time_ns;
    int64_t project;
    const char *project_name; // NULL: none
    enum kind kind;
    const char *id;
    enum event_type type;
    enum cause_type cause;
    const char *operation; // may be NULL
    struct bytes document;
    // Of the resource, for reads of the past (store/past.h); not read back by reader_events.
    int64_t seq;
    int64_t previous; // its revision before; 0: none
    // For watchers; not stored.
    int64_t published_ns; // monotonic; 0: long ago
};

enum durability { DURABILITY_PROCESS, DURABILITY_POWER }; // synchronous NORMAL | FULL

struct store_options {
    const char *path; // ":memory:": a private file in a 0700 directory on /dev/shm, gone at exit
    enum durability durability;
    const char *address; // written to the lock file, for the error of a second server; may be NULL
};

struct store;  // opaque; owns the writer connection
struct reader; // opaque; one read connection

// Creates or migrates the schema. Errors name the file: in use (pid and address of the holder), not
// a database or corrupt, written by a newer version, read-only, no space.
int store_open(const struct store_options *options, struct store **out, struct error *err);
void store_close(
    struct store *s); // checkpoints, removes a private database and the lock; NULL allowed
void store_set_address(struct store *s, const char *address); // rewrites the lock file
const char *store_path(const struct store *s);                // the real file
uint64_t store_database_bytes(const struct store *s); // database + WAL file sizes, for metrics

// --- transactions (writer) ---
// ERROR_STORAGE when the disk is full or read-only, ERROR_INTERNAL for other I/O errors.
int store_begin(struct store *s, struct error *err);
int store_commit(struct store *s, struct error *err); // on error everything is rolled back
void store_rollback(struct store *s);
// Copies the write-ahead log back into the database if it has grown long (some milliseconds): for
// the writer, once everybody has been answered. Otherwise a later store_begin does it.
void store_tidy(struct store *s);
int store_savepoint(struct store *s, struct error *err);
int store_savepoint_release(struct store *s, struct error *err);
void store_savepoint_rollback(struct store *s);
// Rows inserted, updated and deleted since the store was opened: has anything been written?
int64_t store_rows_written(const struct store *s);

// --- resources (writer) ---
// Inserts (row->seq == 0: sets it to the revision, so that it follows the order of creation and is
// never used again) or updates by seq; id and project never change. ERROR_EXISTS when the id is
// taken.
int store_put(struct store *s, enum kind kind, struct row *row, struct error *err);
// Removes the row with its tags, references and claimed addresses.
int store_delete(struct store *s, enum kind kind, int64_t seq, struct error *err);
// Three-way: 1 a row (strings in `arena`), 0 none, negative an error. project 0: any.
int store_get(struct store *s, enum kind kind, int64_t project, const char *id, struct arena *arena,
              struct row *out, struct error *err);
// By name; rows whose state is in the mask `not_states` (bit = 1 << state) are passed over.
int store_get_by_name(struct store *s, enum kind kind, int64_t project, const char *name,
                      uint32_t not_states, struct arena *arena, struct row *out, struct error *err);
// By the kind's own columns (NULL: any), first in list order; as above.
int store_get_by_columns(struct store *s, enum kind kind, int64_t project,
                         const char *const columns[KIND_COLUMNS_MAX], uint32_t not_states,
                         struct arena *arena, struct row *out, struct error *err);
// The row of any kind with the smallest (transition_ns, revision) and transition_ns <= up_to_ns.
int store_next_due(struct store *s, int64_t up_to_ns, struct arena *arena, enum kind *out_kind,
                   struct row *out, struct error *err);
// Smallest transition_ns of all rows, 0: none.
int store_next_transition(struct store *s, int64_t *out_ns, struct error *err);
// Calls `each` for every row of the kind (project 0: all), in list order; stops on a negative
// return. `each` must not change rows of that kind. Bytes and strings live until it returns.
int store_each(struct store *s, enum kind kind, int64_t project,
               int (*each)(void *context, const struct row *row, struct error *err), void *context,
               struct error *err);
// How many rows of the kind there are of each project, state and combination of its first `columns`
// own columns: the only members of `row` that are set. As store_each.
int store_tally(struct store *s, enum kind kind, int columns,
                int (*each)(void *context, const struct row *row, int64_t count), void *context,
                struct error *err);
// Whether the row is there: 1, 0, negative an error.
int store_has(struct store *s, enum kind kind, int64_t seq, struct error *err);
int store_count(struct store *s, enum kind kind, int64_t project, int64_t *out, struct error *err);

// Which resources match: for whoever chooses among them on the writer (store/select.c).
struct store_match {
    enum kind kind;
    int64_t project; // 0: any
    const char *ids; // a JSON array of them; NULL: any
    const char *name;
    uint32_t states; // bit mask (1 << state); 0: any
    const char *columns[KIND_COLUMNS_MAX];
    const struct store_tag *tags; // all must match
    size_t tag_count;
    const struct store_tag *where; // path in the document, values separated by commas
    size_t where_count;
};
int store_match_count(struct store *s, const struct store_match *match, int64_t *out,
                      struct error *err);
// In list order, in `arena`.
int store_match_ids(struct store *s, const struct store_match *match, struct arena *arena,
                    const char ***out, size_t *out_count, struct error *err);

// The id of an instance in this state (and lifecycle; NULL: any) at or soon after the id `from`:
// looks at a few dozen at most. Three-way.
int store_pick_instance(struct store *s, int64_t project, int state, const char *lifecycle,
                        const char *from, struct arena *arena, const char **out, struct error *err);

// How many instances of the project are in this state, counted up to `limit`.
int store_count_instances(struct store *s, int64_t project, int state, int64_t limit, int64_t *out,
                          struct error *err);

// Replaces the tags by which lists of the kind can be filtered.
int store_tags_set(struct store *s, enum kind kind, int64_t seq, const struct store_tag *tags,
                   size_t count, struct error *err);

// References: the resource (kind, seq) points to the resource with id `target`. `set` replaces all
// of the owner's (writing only the difference: an owner may have thousands).
int store_references_set(struct store *s, enum kind kind, int64_t seq, const char *const *targets,
                         size_t count, struct error *err);
// Seqs and ids of the `kind` owners that refer to `target`, in seq order, in `arena`.
struct owner {
    int64_t seq;
    const char *id;
};
int store_referrers(struct store *s, const char *target, enum kind kind, struct arena *arena,
                    struct owner **out, size_t *out_count, struct error *err);

// Claims an address for a resource: 1 claimed, 0 somebody else's (or its own) already, negative
// error.
int store_ip_claim(struct store *s, const struct ip *ip, const char *owner_id, struct error *err);
// How many addresses from `first` on are taken without a gap, counted up to `most`.
int store_ips_taken(struct store *s, const struct ip *first, uint64_t most, uint64_t *out,
                    struct error *err);
// Whoever does not have it gives nothing back. Addresses do not go with the row of their owner.
int store_ip_release(struct store *s, const struct ip *ip, const char *owner_id, struct error *err);

// --- events, idempotency, tokens, meta (writer) ---
int store_event_append(struct store *s, const struct event *event, struct error *err);
// Deletes events with revision <= up_to, at most `limit` of them, oldest first; never the
// newest one. *out_bytes: how long their documents were together.
int store_events_trim(struct store *s, int64_t up_to, int limit, int64_t *out_bytes,
                      struct error *err);

// The first event after `since`, of the project or of none, that is as asked. Three-way.
struct event_match {
    int64_t since;
    int64_t project;
    int kind;                      // -1: any
    int type;                      // -1: any
    const char *id;                // NULL: any
    const char *operation;         // NULL: any
    const struct store_tag *where; // as of store_match
    size_t where_count;
};
int store_event_find(struct store *s, const struct event_match *match, struct arena *arena,
                     int64_t *out_revision, const char **out_id, struct error *err);

struct idempotent {
    int64_t project;
    const char *operation;
    const char *key;
    uint64_t fingerprint; // of the request
    int64_t created_ns;
    int64_t revision; // ETag of the answer
    const char *id;
    struct bytes document; // body of the answer
};
int store_idempotent_get(struct store *s, int64_t project, const char *operation, const char *key,
                         struct arena *arena, struct idempotent *out,
                         struct error *err); // three-way
int store_idempotent_put(struct store *s, const struct idempotent *entry, struct error *err);
int store_idempotent_delete(struct store *s, int64_t project, struct error *err);
int store_idempotent_trim(struct store *s, int64_t before_ns, struct error *err);

int store_token_put(struct store *s, const char *token, int64_t project, int scope,
                    struct error *err);
int store_tokens_delete(struct store *s, int64_t project, struct error *err);
int store_tokens_each(struct store *s,
                      int (*each)(void *context, const char *token, int64_t project, int scope),
                      void *context, struct error *err);

int store_meta_get_int(struct store *s, const char *key, int64_t *inout,
                       struct error *err); // unset: kept
int store_meta_set_int(struct store *s, const char *key, int64_t value, struct error *err);
int store_meta_delete(struct store *s, const char *key, struct error *err);
int store_meta_get_double(struct store *s, const char *key, double *inout, struct error *err);
int store_meta_set_double(struct store *s, const char *key, double value, struct error *err);

// --- outbox: effects to be run by a backend (sim/outbox.c), at most one per owner ---
struct outbox_row {
    const char *owner; // id of the instance
    int64_t revision;  // of the change that wants it
    int action;
    struct bytes payload; // packed by sim/
};
int store_outbox_put(struct store *s, const struct outbox_row *row, struct error *err); // replaces
int store_outbox_delete(struct store *s, const char *owner, struct error *err);
// Three-way: whether the owner has one, and of which revision.
int store_outbox_get(struct store *s, const char *owner, int64_t *out_revision, struct error *err);
// Oldest first; strings and bytes live until `each` returns, which must not change the outbox.
int store_outbox_each(struct store *s,
                      int (*each)(void *context, const struct outbox_row *row, struct error *err),
                      void *context, struct error *err);

// --- readers ---
// A reader of the store's own, for one read or for several that see the same state: everything that
// was committed before this call, or more. To be given back soon.
int store_reader_take(struct store *s, struct reader **out, struct error *err);
void store_reader_give(struct store *s, struct reader *r);
// One for oneself; each read sees the newest state.
int reader_open(struct store *s, struct reader **out, struct error *err);
void reader_close(struct reader *r); // NULL allowed

// Appends the document to `out`. 1 found, 0 not, negative error. project 0: any.
int reader_document(struct reader *r, enum kind kind, int64_t project, const char *id,
                    struct buffer *out, int64_t *out_revision, struct error *err);

// The row with its record: 1 found, 0 not, negative error. Strings and bytes are in `arena`.
int reader_row(struct reader *r, enum kind kind, const char *id, struct arena *arena,
               struct row *out, struct error *err);
// Rows of this name in states outside the mask `not_states`, oldest first, at most `limit`; how
// many, or a negative error. project 0: of any.
int reader_rows_named(struct reader *r, enum kind kind, int64_t project, const char *name,
                      uint32_t not_states, struct arena *arena, struct row *out, int limit,
                      struct error *err);
// The resource that has claimed the address; three-way as reader_row.
int reader_ip_owner(struct reader *r, const struct ip *ip, struct arena *arena, const char **out_id,
                    struct error *err);

struct list_query {
    enum kind kind;
    int64_t project;                       // 0: any
    const char *name;                      // NULL: any
    uint32_t states;                       // bit mask (1 << state); 0: any
    const char *columns[KIND_COLUMNS_MAX]; // NULL: any
    const struct store_tag *tags;          // all must match
    size_t tag_count;
    int64_t after_seq;       // 0: from the start
    int limit;               // >= 1
    size_t max_bytes;        // stops once `out` has grown by that; 0: no such limit
    int64_t unchanged_since; // only what has not changed after this revision; 0: all
};
// Appends the documents, joined by commas, to `out`; *out_next_seq is the last seq when there are
// more, else 0; *out_revision is the newest event revision in the same snapshot.
int reader_list(struct reader *r, const struct list_query *query, struct buffer *out,
                size_t *out_count, int64_t *out_next_seq, int64_t *out_revision, struct error *err);

struct event_query {
    int64_t since;   // only greater revisions
    int64_t project; // events of this project and of none; 0: all
    int kind;        // -1: all
    int limit;
    bool tenant; // not those of projects as such (KIND_PROJECT): they tell of other tenants
};
// Calls `each` in revision order (bytes live until it returns; negative stops). ERROR_COMPACTED
// when events after `since` are gone already. *out_revision: newest revision in the snapshot.
int reader_events(struct reader *r, const struct event_query *query,
                  int (*each)(void *context, const struct event *event), void *context,
                  int64_t *out_revision, struct error *err);

// --- snapshots: the whole database as one file (store/snapshot.c) ---
// A path beside the database for a file that is needed for a while, malloc'd, different at each
// call; NULL: out of memory. Whatever a dead server left under such names is removed when the
// database is opened. Any thread.
char *store_scratch_path(struct store *s);
// Writes the database as it is at this moment into a new file, mode 0600. Any thread: on a
// connection of its own, so the writer goes on meanwhile.
int store_snapshot(struct store *s, const char *path, struct error *err);
// Makes sure that the file is one that store_replace can take: ours, whole, not written by a newer
// version; an older one is migrated. Any thread. ERROR_INVALID says what is wrong with it; `name`
// is what it is called there.
int store_snapshot_check(const char *path, const char *name, struct error *err);
// Replaces everything by the content of a file that was checked, in one transaction: whoever reads,
// or opens the database after a crash, finds the old or the new. `epoch` becomes the meta number
// STORE_EPOCH_KEY, of the file too. (writer, outside of a transaction)
int store_replace(struct store *s, const char *path, int64_t epoch, struct error *err);
#define STORE_EPOCH_KEY "epoch"

// What a file holds, for people.
struct snapshot_info {
    int64_t schema, revision, epoch, events;
    int64_t seed; // the number reinterpreted as signed
    int64_t clock_mode, clock_ns;
    int64_t counts[KIND_COUNT]; // -1: no such table
};
int store_snapshot_inspect(const char *path, struct snapshot_info *out, struct error *err);

#endif
