// What the files of the cloud's core share: the struct behind `struct cloud`. Not for front doors,
// nor for the kinds of resources, which see a `struct txn`.
#ifndef SIM_CLOUD_INTERNAL_H
#define SIM_CLOUD_INTERNAL_H

#include "sim/call_log.h"
#include "sim/cloud.h"
#include "sim/fault.h"
#include "sim/news.h"
#include "sim/outbox.h"
#include "sim/tokens.h"
#include "sim/txn.h"

#include <pthread.h>
#include <stdatomic.h>

// The timed transitions and their default latencies (sim/latency.c).
enum transition {
    TRANSITION_INSTANCE_PENDING,
    TRANSITION_INSTANCE_STOPPING,
    TRANSITION_INSTANCE_REBOOTING,
    TRANSITION_INSTANCE_TERMINATING,
    TRANSITION_INSTANCE_TERMINATED,
    TRANSITION_LB_PROVISIONING,
    TRANSITION_LB_UPDATING,
    TRANSITION_LB_DELETING,
    TRANSITION_TARGET_INITIAL,
    TRANSITION_TARGET_DRAINING,
    TRANSITION_ROUTE_PENDING,
    TRANSITION_ROUTE_DELETING,
    TRANSITION_COUNT
};

// What the writer keeps in memory beside the database. A change that fails leaves none of it
// changed: it is copied before each change and each batch, and copied back.
struct ledger {
    int64_t revision;    // last one given
    int64_t trimmed;     // events up to this revision are gone
    int64_t event_ns;    // time of the newest event: none that follows has an earlier one
    int64_t event_bytes; // of documents of the kept events
    int64_t next_due_ns; // of the first timed transition; 0: none is due
    bool due_moved;      // that one has gone or moved: to be looked up before the commit
    uint64_t pool_next[POOL_COUNT];
    uint64_t pool_claims[POOL_COUNT]; // since the server started or the cloud was replaced
    struct distribution latencies[TRANSITION_COUNT];
    bool outbox_changed;    // effects must be read again after the commit
    bool clusters_changed;  // the backend must look at them after the commit
    bool tokens_changed;    // tokens must be read again after the commit
    bool rates_changed;     // and rate limits
    bool project_ended;     // since the last commit
    int scenarios_watching; // that wait for a change, not only for a time
    int64_t looked_at;      // revision at which scenarios were looked at
    int scenarios_awaiting_calls;
};

// What a walk over a pool has found, so that the next one need not be made. It outlives a step that
// is put back, so it says when it still holds (sim/pools.c).
struct pool_memory {
    uint64_t claims;   // ever, those put back included
    bool full;         // when all of it was walked, with
    uint64_t undone;   // so many claims put back and
    uint64_t releases; // so many releases
};

struct txn_mark { // what a failed step puts back
    struct ledger ledger;
    size_t news, usage;
    size_t faults;
    struct change *deferred;
    int64_t written; // rows, by then
};

struct usage; // sim/usage.h
struct rates; // sim/rates.h

struct clock_listener {
    void (*changed)(void *context);
    void *context;
};
#define CLOCK_LISTENERS_MAX 4

struct call_watch { // sim/scenario_calls.c
    pthread_mutex_t lock;
    const struct call_log *log; // under the lock
    atomic_bool attached;       // there is a log
    atomic_int awaited;         // scenarios that wait for calls, as committed
    atomic_bool asked;          // a look is in the queue
};

struct cloud {
    struct cloud_config config; // as it was opened
    struct store *store;
    struct clock *clock;
    struct clock_state first_clock; // of a reset, as is
    uint64_t first_seed;
    uint64_t seed;
    int64_t step_ns; // the writer's: cloud time of the step that it is at
    bool replaying;  // the writer's: time stands at step_ns until a replayed change moves it
    int64_t epoch;   // the writer's: how often the cloud was replaced as a whole
    int64_t default_project; // of the first revision, always
    int64_t events_kept;
    int64_t event_bytes_kept;
    bool duplicate_names[KIND_COUNT];
    struct cidr pools[POOL_COUNT];

    // The writer thread's own.
    struct ledger ledger;
    struct ledger saved;            // what of it the database has
    struct arena arena;             // of timers, cleared after each batch
    struct buffer document, record; // scratch of the funnel
    struct news_batch pending;      // events of the open transaction
    int64_t trimmed_idempotency_ns;
    const struct actor *actor; // of scenarios; NULL: they can do nothing
    struct change *deferred;   // of the clock, for after the commit; newest first
    bool looking;              // at scenarios
    bool at_once; // the open batch sets no savepoints: txn_mark_end cannot undo what was written
    bool do_over; // and has come to such a case: it is to be undone and done again with them
    struct pool_memory pool_memory[POOL_COUNT];
    uint64_t releases; // of addresses, ever, those put back included
    struct call_watch calls;

    pthread_t writer;
    bool started; // the writer
    bool stepped; // it has no thread
    pthread_mutex_t queue_lock;
    pthread_cond_t queue_wake;
    struct change *queue_head, **queue_tail;
    int64_t queue_length;
    bool closing;
    atomic_bool winding_down;
    struct clock_listener clock_listeners[CLOCK_LISTENERS_MAX]; // under queue_lock

    struct outbox *outbox;
    int64_t backend_deadline_ns;

    pthread_mutex_t origin_lock;
    char *origin; // file of what a reset goes back to; NULL: not made yet

    struct recorder *recorder;
    struct news *news;
    struct tokens *tokens;
    struct faults *faults;
    struct usage *usage;
    struct rates *rates;
    atomic_llong next_deadline_ns, trimmed; // of the ledger, for readers
    atomic_llong changes, refused, batches, fired;
    atomic_llong projects_ended; // counts commits with which one did
    atomic_bool writable;
};

// The one place where whatever is kept in memory beside the database is read from it
// (sim/reload.c): when the cloud is opened and when it was replaced as a whole. On the writer
// thread, or before it runs; readers go on meanwhile, so what they share is replaced under its own
// lock. Every module with such memory has a line there, and forgets what it had first.
int cloud_reload(struct cloud *cloud, struct error *err);

// Persisted with each batch that changed it (sim/ledger.c).
int ledger_open(struct cloud *cloud, const struct cloud_config *config, struct error *err);
int ledger_load(struct cloud *cloud, struct error *err);
int ledger_save(struct cloud *cloud, struct error *err);
void ledger_publish(struct cloud *cloud); // to readers
int clock_load(struct cloud *cloud, struct clock_state *inout, struct error *err);
int clock_save(struct cloud *cloud, struct error *err);

void cloud_clock_changed(struct cloud *cloud);           // tells the listeners
void run_replace(struct cloud *cloud, struct change *c); // sim/replace.c
void *writer_main(void *cloud);                          // sim/writer.c
// A step that is undone alone, on the writer (sim/step.c): when rc < 0, `end` puts everything back.
// ERROR_STORAGE is never to be got over: the whole batch is undone, perhaps to be done over.
int txn_mark_set(struct cloud *cloud, struct txn_mark *mark, struct error *err);
int txn_mark_end(struct cloud *cloud, const struct txn_mark *mark, int rc, struct error *err);
// Calls the `due` of a row in its own step (sim/due.c).
int writer_fire(struct cloud *cloud, enum kind kind, struct row *row, struct error *err);

// Appends an event to the open transaction and to the pending news, with the next revision.
int txn_event(struct txn *t, enum kind kind, const char *id, int64_t project,
              const char *project_name, enum event_type type, struct bytes document,
              struct error *err);
struct resource *record_from_row(enum kind kind, const struct row *row, struct arena *arena,
                                 struct error *err);

int pools_parse(struct cloud *cloud, const struct pool_config *config, struct error *err);
// Addresses may have been released otherwise than by txn_ip_release.
void pools_released(struct cloud *cloud);
bool transition_like(const char *glob);       // whether it matches the name of one
bool transition_fails_like(const char *glob); // and of one that can fail
int transition_parse(const char *name, enum transition *out, struct error *err);
struct distribution transition_default(enum transition transition);
void encode_clock(struct cloud *cloud, struct json_writer *w);
void encode_clock_at(const struct clock_view *view, struct json_writer *w);
// Reads projects and tokens into memory.
int tokens_reload(struct cloud *cloud, struct error *err);
// Reads the rate limits of projects into memory; a bucket whose rule stays keeps its level, or
// `anew` starts full.
int rates_reload(struct cloud *cloud, bool anew, struct error *err);
// The project of this name; ERROR_NOT_FOUND names it (sim/project.c).
int project_load(struct txn *t, const char *name, struct resource **out, struct error *err);
// Writes the project's quotas, anew or changed (sim/quota.c).
int quota_write(struct txn *t, const struct resource *project, const struct quota_spec *spec,
                bool replace, struct quota **out, struct error *err);
// Takes the project away, with everything of it (sim/project_end.c).
int project_end(struct txn *t, struct resource *project, struct error *err);
// The built-in catalogue of a new database: default project, zones, types.
int catalog_seed(struct txn *t, struct error *err);

#endif
