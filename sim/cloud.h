// The cloud: one writer thread that applies every change, readers beside it, and the news of what
// was committed. Front doors know this header, sim/change.h and the records.
#ifndef SIM_CLOUD_H
#define SIM_CLOUD_H

#include "base/clock.h"
#include "sim/change.h"
#include "store/past.h"

struct cloud; // opaque
struct actor;

struct pool_config {
    const char *internal_v4, *internal_v6, *external_v4, *external_v6; // CIDRs; NULL: the default
    const char *load_balancer_v4, *load_balancer_v6;
};

// Strings are borrowed for as long as the cloud is open.
struct cloud_config {
    struct store_options store;
    struct clock_state clock; // of a new database; a stored clock goes on unless has_clock
    bool has_clock;           // the user asked for this mode: refused if the stored mode differs
    uint64_t seed;            // of a new database
    bool has_seed;            // refused if the stored one differs
    struct pool_config pools;
    bool duplicate_names[KIND_COUNT]; // kinds whose names need not be unique
    int64_t backend_deadline_ns;      // cloud time a backend has for an effect; 0: 10 minutes
    int64_t events_kept;              // at least so many events, and up to a 64th more; 0: 100,000
    int64_t event_bytes_kept;         // and at most about so many bytes of them; 0: 256 MiB
    bool stepped; // no writer thread: cloud_step and cloud_apply do its work on the caller's
    // Puts into a new cloud what it begins with beside the catalogue, for resets; NULL: nothing.
    int (*fill)(void *context, struct cloud *cloud, struct error *err);
    void *fill_context;
    const struct actor *actor; // of scenarios (sim/actor.h), for ever; NULL: they cannot act
};

enum scope { SCOPE_CLOUD, SCOPE_SIM }; // sim includes cloud

// Opens (creating) the database and starts the writer thread. A new database gets the default
// project
// ("default"), zones mock-1a, mock-1b, mock-1c of region mock-1 and the types small, medium, large.
int cloud_open(const struct cloud_config *config, struct cloud **out, struct error *err);
// The cloud is about to be closed: an advance of the clock, or the catching up with what is due,
// ends after the batch that it is at; so does what waits for either, with ERROR_UNAVAILABLE.
void cloud_wind_down(struct cloud *cloud);
// Winds down, applies what is queued, stops the writer, closes the database. NULL allowed.
void cloud_close(struct cloud *cloud);
// Says in the lock file where the server answers, for the error of a second one.
void cloud_set_address(struct cloud *cloud, const char *address);

// Queues a change; c->done is called on the writer thread exactly once, also when the cloud is
// closing (ERROR_UNAVAILABLE). The change stays the caller's.
void cloud_submit(struct cloud *cloud, struct change *c);
// Submits and waits; returns 0 or the negative code of c->error. For files and tests.
int cloud_apply(struct cloud *cloud, struct change *c);
// Of a stepped cloud, for simulations on one thread: one turn of the writer. What is queued becomes
// batches as it would on the thread, with what is due. Never waits.
void cloud_step(struct cloud *cloud);

// --- reads: any thread, never wait for the writer ---
// The document of a resource; ERROR_NOT_FOUND names kind and id. project 0: any.
int cloud_get(struct cloud *cloud, enum kind kind, int64_t project, const char *id,
              struct buffer *out, int64_t *out_revision, struct error *err);
// See reader_list.
int cloud_list(struct cloud *cloud, const struct list_query *query, struct buffer *out,
               size_t *out_count, int64_t *out_next_seq, int64_t *out_revision, struct error *err);
// The same as somebody sees them who is not told the latest; see store/past.h.
int cloud_get_past(struct cloud *cloud, enum kind kind, int64_t project, const char *id,
                   const struct past_view *view, struct buffer *out, int64_t *out_revision,
                   struct error *err);
int cloud_list_past(struct cloud *cloud, const struct list_query *query,
                    const struct past_view *view, struct buffer *out, size_t *out_count,
                    int64_t *out_next_seq, int64_t *out_revision, struct error *err);
int64_t cloud_revision(struct cloud *cloud); // newest committed
// How often the cloud was replaced as a whole (restore, reset): revisions begin again then, so
// whoever keeps one and must not take it for another's keeps this with it. -1 while it is being
// replaced: nothing belongs to that.
int64_t cloud_epoch(struct cloud *cloud);
// Oldest revision from which events can still be read with since = oldest - 1.
int64_t cloud_oldest_revision(struct cloud *cloud);

// Instances as records, for dialects that render from them (sim/instance_find.c); in `arena`.
// The one that holds the address. 1 found, 0 nobody's or something else's, negative error.
int cloud_instance_at(struct cloud *cloud, const struct ip *ip, struct arena *arena,
                      struct instance **out, struct error *err);
// By id, or by the name of one that is not terminated; project 0: of any. ERROR_NOT_FOUND;
// ERROR_INVALID when several have the name.
int cloud_instance_named(struct cloud *cloud, int64_t project, const char *ref, struct arena *arena,
                         struct instance **out, struct error *err);

// The envelope of openapi.json's Event.
void event_encode(const struct event *event, struct json_writer *w);

// Events after query->since, oldest first, from memory while they are recent, else from the
// database. `each` gets the encoded envelope; of `event` only revision, project, kind, id, type and
// published_ns are set. Bytes live until it returns; a negative return stops and is returned. It
// runs under the lock of the news: it copies and returns.
int cloud_events(struct cloud *cloud, const struct event_query *query,
                 int (*each)(void *context, const struct event *event, struct bytes envelope),
                 void *context, int64_t *out_revision, struct error *err);
// SHA-256 over the envelopes of the events with since < revision <= until (INT64_MAX: the newest),
// each followed by a newline: what two runs have in common. Reads the database in pieces; takes its
// time when there are many. ERROR_COMPACTED when some of them are gone.
struct events_digest {
    int64_t since, until, count; // until: the last revision that is in it
    char sha256[65];
};
int cloud_events_digest(struct cloud *cloud, int64_t since, int64_t until,
                        struct events_digest *out, struct error *err);
// Waits until a revision greater than `after` is committed, the monotonic deadline passes, or
// cloud_wake is called; returns the newest revision.
int64_t cloud_wait_revision(struct cloud *cloud, int64_t after, int64_t monotonic_deadline);
void cloud_wake(struct cloud *cloud); // wakes all waiters once, for shutdown and other news

// --- tokens ---
struct identity {
    int64_t project;
    char project_name[254];
    char token_id[ID_MAX]; // tells tokens apart without being one; the same after a restart
    enum scope scope;
};
// Adds the token of the token file: scope sim, project default; never stored.
int cloud_token_add(struct cloud *cloud, const char *token, struct error *err);
// ERROR_UNAUTHORIZED when unknown. Compares in constant time.
int cloud_authenticate(struct cloud *cloud, const char *token, size_t length, struct identity *out,
                       struct error *err);
// Whether the project still exists.
bool cloud_project_lives(struct cloud *cloud, int64_t project);
// Changes whenever projects have ended: what was known of one before must be asked again.
int64_t cloud_projects_ended(struct cloud *cloud);
// The project of this name; ERROR_NOT_FOUND otherwise.
int cloud_project(struct cloud *cloud, const char *name, int64_t *out, struct error *err);

// --- quotas and rate limits ---
struct rate_view {
    double rate;            // operations per second
    int64_t limit;          // tokens of a full bucket; 0: the project has no such limit
    int64_t remaining;      // after this one
    int64_t retry_after_ns; // real time until there is one again; cloud time while the clock stands
    int64_t reset_ns;       // until the bucket is full
};
// An operation of this class is about to be done for the project: takes a token. ERROR_THROTTLED
// when there is none. *out is filled either way. Any thread.
int cloud_rate_take(struct cloud *cloud, int64_t project, enum rate_class class,
                    struct rate_view *out, struct error *err);
// As it stands; false: the project has no such limit.
bool cloud_rate_look(struct cloud *cloud, int64_t project, enum rate_class class,
                     struct rate_view *out);
// Limits and what is used, as openapi.json's Quotas.
void cloud_quotas_encode(struct cloud *cloud, int64_t project, const char *project_name,
                         struct buffer *out);

// The places of a zone that are limited or taken, as openapi.json's ZoneCapacity.
void cloud_capacity_encode(struct cloud *cloud, const char *zone, struct buffer *out);

// --- clock: through the writer, answered when all that became due has been applied ---
struct clock_view {
    int64_t now_ns;
    enum clock_mode mode;
    double scale;
    bool frozen;
    int64_t next_deadline_ns; // 0: none
};
struct clock_view cloud_clock(struct cloud *cloud);
void cloud_clock_encode(struct cloud *cloud, struct buffer *out); // openapi.json's Clock
int64_t cloud_now(struct cloud *cloud);
int64_t cloud_monotonic_at(struct cloud *cloud, int64_t cloud_ns); // see clock_monotonic_at
// Calls `changed` on the writer thread whenever the clock was moved, stopped or set to another
// speed: quick, never submits and waits. A few may listen; `changed` NULL: this context no more.
void cloud_on_clock(struct cloud *cloud, void (*changed)(void *context), void *context);
// A change that sets `c->clock`: the writer runs it between transactions. Its document is the
// Clock.
struct change *clock_change_new(const struct clock_change *what, const char *operation);

// --- the cloud as a whole: each takes its time, so not on a thread that others wait for ---
// A path for a file that is needed for a while, malloc'd; see store_scratch_path.
char *cloud_scratch_path(struct cloud *cloud);
// Writes everything as it is at one moment into a new file; the writer goes on meanwhile. *out_path
// is malloc'd; the caller unlinks it, else closing the cloud does.
int cloud_snapshot(struct cloud *cloud, char **out_path, struct error *err);
// Replaces everything by the content of a snapshot, between two changes: ERROR_INVALID and nothing
// changed when the file is not one that we can take (`name`: what errors call it). The file is
// changed on the way. Afterwards it is as if the server had been started on that file; streams have
// ended. The document, if wanted, is openapi.json's CloudState.
// `stopped`: a clock that runs is frozen at the last event instead of having gone on meanwhile.
int cloud_restore(struct cloud *cloud, const char *path, const char *name, bool stopped,
                  struct buffer *out, struct error *err);
// Back to what a new cloud began with, the clock to its start.
int cloud_reset(struct cloud *cloud, struct buffer *out, struct error *err);
// The cloud as it is now is what resets go back to: for one that was just made and filled. Without
// it the first reset makes it anew, which takes longer.
int cloud_keep_origin(struct cloud *cloud, struct error *err);

// --- record and replay (sim/recorder.c) ---
// Records into the file, else into one of the cloud's own (path NULL), which is kept until the next
// recording. ERROR_STATE when one is going on, or when none is to be stopped.
// A path that is given is of a file that is empty or made, mode 0600; ERROR_EXISTS otherwise.
// `starts_clock`: a cloud that was opened with its clock frozen begins to live with the recording,
// as if it never had been.
int cloud_record_start(struct cloud *cloud, const char *path, bool starts_clock, struct error *err);
int cloud_record_stop(struct cloud *cloud, struct error *err);
enum record_state { RECORD_NONE, RECORD_ON, RECORD_DONE, RECORD_FAILED, RECORD_BROKEN };
struct record_status {
    enum record_state state; // BROKEN: the cloud was replaced meanwhile
    int64_t lines;
    char path[4096]; // "": there was no recording
};
void cloud_record_status(struct cloud *cloud, struct record_status *out);

// A replay has the clock to itself: it stands still but for changes with `at_ns`, before each of
// which what was due by then happens. It ends with the clock frozen at at_ns. *out_revision: what
// the cloud has come to.
int cloud_replay_begin(struct cloud *cloud, const struct replay_start *start, struct error *err);
int cloud_replay_end(struct cloud *cloud, int64_t at_ns, int64_t *out_revision, struct error *err);
struct change *cloud_replay_firing(const struct change_firing *firing, const char *operation);

// --- figures for /metrics ---
struct cloud_stats {
    int64_t revision, changes, refused, batches, transitions_fired, queue_length;
    uint64_t database_bytes;
    bool writable; // the last commit did not fail for storage
};
struct cloud_stats cloud_stats(struct cloud *cloud);

#endif
