// Between the files sim/fault_*.c and the writer.
#ifndef SIM_FAULT_INTERNAL_H
#define SIM_FAULT_INTERNAL_H

#include "sim/fault.h"

#include <pthread.h>
#include <stdatomic.h>

// What goes on when a rule is changed: shared by the rule as it was, which calls under way may
// still hold, and as it is.
struct fault_counters {
    atomic_int references;
    atomic_llong matched, fired, last_fired_ns;
    atomic_int queued;  // firings on their way to the writer
    atomic_bool behind; // some were not sent: the next one takes the counters as they are
    bool asked;         // the writer's: in the open batch
};

// A rule that stands. All but the counters is immutable; whoever keeps a pointer holds a reference.
struct fault_rule {
    atomic_int references;
    const struct fault *fault; // in `arena`
    struct arena arena;
    uint64_t seed;   // of all its draws
    unsigned place;  // FAULT_BIT of its effect's; 0: it is off
    bool terminal;   // no later rule is asked once it has fired
    bool wants_look; // its selector asks for more than kind and id
    struct fault_counters *counters;
    struct bucket_rule rate; // throttle
    struct bucket bucket;
};

struct fault_index;

// --- all rules (sim/faults.c) ---
// Those that stand, and those that the open transaction adds or removes.
struct faults;

struct faults *faults_new(uint64_t seed); // NULL: out of memory
void faults_free(struct faults *f);       // NULL allowed
// Forgets all and reads what the database has; counters go on from their records.
int faults_load(struct cloud *cloud, struct error *err);

// The writer's: what a transaction changes is noted, dropped when it fails, and published when it
// has been committed.
void faults_note_put(struct faults *f, const struct fault *fault);
void faults_note_delete(struct faults *f, int64_t seq);
size_t faults_mark(const struct faults *f);
void faults_truncate(struct faults *f, size_t mark);
void faults_publish(struct faults *f);
// The counters of a rule that stands; unchanged when it does not. Any thread.
bool faults_current(struct faults *f, const char *id, struct fault_counts *out, int64_t *out_times);
bool faults_any(struct faults *f);
// Those that stand, given back with fault_index_release; NULL: none.
struct fault_index *faults_acquire(struct faults *f);

// --- the index (sim/fault_index.c) ---
// What most rules differ by, side by side, so that a thousand of them are passed over quickly.
struct fault_key {
    int64_t project;  // 0: any
    uint32_t id_hash; // of match.resource.id; 0: any
    uint16_t place;   // FAULT_BIT of the effect's
};

struct fault_list {
    struct fault_rule *const *rules; // in order of creation
    const struct fault_key *keys;    // of each
    size_t count;
    // Those that ask for no id, and chains of those that ask for one: positions in `rules`, rising.
    const uint32_t *general;
    size_t general_count;
    const uint32_t *heads, *nexts; // 1 + position; 0: the end
    uint32_t mask;                 // of heads
};

#define FAULT_BUCKETS 64 // of operations, a power of two

struct fault_entry;
struct fault_index {
    atomic_int references;
    struct fault_rule **rules; // in order of creation; a reference each
    size_t count;
    pthread_mutex_t lock; // of whoever adds entries
    _Atomic(struct fault_entry *) buckets[FAULT_BUCKETS];
};

struct fault_index *fault_index_new(size_t capacity);
void fault_index_release(struct fault_index *index); // NULL allowed
// Takes over the reference. Only while nobody else knows the index.
void fault_index_add(struct fault_index *index, struct fault_rule *rule);
// NULL: it is not there, or there is no index.
struct fault_rule *fault_index_rule(const struct fault_index *index, int64_t seq);
// Rules that the operation on a resource of this kind may meet (-1: of none).
struct fault_list fault_index_find(struct fault_index *index, const char *operation, int kind);
uint32_t fault_hash(const char *text); // never 0

// --- a rule (sim/fault_rule.c) ---
void fault_rule_keep(struct fault_rule *rule);
void fault_rule_release(struct fault_rule *rule);
// `before`: the rule that it takes the place of, whose counters go on; NULL: none, and they go on
// from the record's.
struct fault_rule *fault_rule_new(uint64_t seed, const struct fault *fault,
                                  const struct fault_rule *before);

// --- firings ---
// Of the writer itself, written after the step that they belong to has ended.
void faults_note_fired(struct faults *f, struct fault_rule *rule, const char *operation,
                       enum cause_type cause, int64_t matched, int64_t fired);
bool faults_any_fired(const struct faults *f);
int faults_write_fired(struct cloud *cloud, struct error *err);
// One of them, in the open transaction and a savepoint of its own: the record with these counters,
// and the event that says so. A rule that is gone meanwhile is passed over.
int fault_write_firing(struct cloud *cloud, struct fault_rule *rule, const char *operation,
                       enum cause_type cause, int64_t matched, int64_t fired, struct error *err);

// --- counters of what the writer asks about ---
// They belong to the batch: written with it, and put back when it is undone, with the firings.
void faults_note_asked(struct faults *f, struct fault_rule *rule); // before it is counted
int faults_write_asked(struct cloud *cloud, struct error *err);
void faults_asked_end(struct faults *f, bool undone);
// Of all rules that stand, for another start.
int faults_write_matched(struct cloud *cloud, struct error *err);
int fault_forget_matched(struct txn *t, int64_t seq, struct error *err); // of one that goes

// A firing of a recording, with the counters that it had then. ERROR_NOT_FOUND: no such rule.
int fault_fire_again(struct cloud *cloud, const char *id, const char *operation, int64_t matched,
                     int64_t fired, struct error *err);

void fault_encode_counts(int64_t times, const struct fault_counts *counts, struct json_writer *w);

#endif
