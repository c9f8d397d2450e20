// All rules: the index of those that stand, replaced as a whole when a transaction that changed
// rules has been committed. Readers hold a reference, so that nobody waits for anybody.
#include "sim/cloud_internal.h"
#include "sim/fault_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct note {                 // of the open transaction
    struct fault_rule *added; // NULL: `seq` is removed
    int64_t seq;
};

struct firing {
    struct fault_rule *rule;
    const char *operation;
    enum cause_type cause;
    int64_t matched, fired;
};

struct asked { // by the writer in the open batch, with the counters as they were before
    struct fault_rule *rule;
    int64_t matched, fired, last_fired_ns;
};

struct faults {
    uint64_t seed;
    atomic_bool any; // rules stand
    pthread_rwlock_t lock;
    struct fault_index *index; // NULL: none

    // The writer's own.
    struct note *notes;
    size_t note_count, note_capacity;
    struct firing *firings;
    size_t firing_count, firing_capacity;
    struct asked *asked;
    size_t asked_count, asked_capacity;
};

// Room for one more; an out-of-memory ends the process, as in arenas.
static void *grow(void *items, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity) {
        return items;
    }
    *capacity = *capacity == 0 ? 16 : *capacity * 2;
    items = realloc(items, *capacity * size);
    if (items == NULL) {
        abort();
    }
    return items;
}

// --- the index of those that stand ---

bool faults_any(struct faults *f)
{
    return atomic_load_explicit(&f->any, memory_order_acquire);
}

struct fault_index *faults_acquire(struct faults *f)
{
    struct fault_index *index = NULL;

    if (!faults_any(f)) {
        return NULL;
    }
    pthread_rwlock_rdlock(&f->lock);
    index = f->index;
    if (index != NULL) {
        atomic_fetch_add_explicit(&index->references, 1, memory_order_relaxed);
    }
    pthread_rwlock_unlock(&f->lock);
    return index;
}

static struct fault_rule *rule_of(const struct fault_index *index, const char *id)
{
    for (size_t i = 0; index != NULL && i < index->count; i++) {
        if (strcmp(index->rules[i]->fault->r.id, id) == 0) {
            return index->rules[i];
        }
    }
    return NULL;
}

// A throttle that is changed in other respects keeps its level.
static void keep_level(struct fault_rule *rule, const struct fault_rule *before)
{
    if (before != NULL && before->rate.interval_ns == rule->rate.interval_ns &&
        before->rate.burst == rule->rate.burst &&
        before->fault->effect.clock == rule->fault->effect.clock) {
        atomic_store(&rule->bucket.full_at_ns, atomic_load(&before->bucket.full_at_ns));
    }
}

static bool is_replaced(const struct faults *f, int64_t seq)
{
    for (size_t i = 0; i < f->note_count; i++) {
        if (f->notes[i].seq == seq) {
            return true;
        }
    }
    return false;
}

// Whether a later note takes back what note `at` added.
static bool is_taken_back(const struct faults *f, size_t at)
{
    for (size_t i = at + 1; i < f->note_count; i++) {
        if (f->notes[i].seq == f->notes[at].seq) {
            return true;
        }
    }
    return false;
}

static void replace(struct faults *f, struct fault_index *index)
{
    if (index != NULL && index->count == 0) {
        fault_index_release(index);
        index = NULL;
    }
    pthread_rwlock_wrlock(&f->lock);
    struct fault_index *old = f->index;
    f->index = index;
    atomic_store_explicit(&f->any, index != NULL, memory_order_release);
    pthread_rwlock_unlock(&f->lock);
    fault_index_release(old);
}

// --- what transactions change ---

static void note(struct faults *f, int64_t seq, struct fault_rule *added)
{
    f->notes = grow(f->notes, f->note_count, &f->note_capacity, sizeof(*f->notes));
    f->notes[f->note_count++] = (struct note){.added = added, .seq = seq};
}

// As it is within the open transaction; NULL: it does not stand.
static const struct fault_rule *standing(const struct faults *f, int64_t seq)
{
    for (size_t i = f->note_count; i-- > 0;) {
        if (f->notes[i].seq == seq) {
            return f->notes[i].added;
        }
    }
    return fault_index_rule(f->index, seq);
}

void faults_note_put(struct faults *f, const struct fault *fault)
{
    const struct fault_rule *before = standing(f, fault->r.seq);

    note(f, fault->r.seq, fault_rule_new(f->seed, fault, before));
}

void faults_note_delete(struct faults *f, int64_t seq)
{
    note(f, seq, NULL);
}

size_t faults_mark(const struct faults *f)
{
    return f->note_count;
}

void faults_truncate(struct faults *f, size_t mark)
{
    while (f->note_count > mark) {
        fault_rule_release(f->notes[--f->note_count].added);
    }
}

void faults_publish(struct faults *f)
{
    if (f->note_count == 0) {
        return;
    }
    const struct fault_index *old = f->index; // only we replace it
    size_t kept = old == NULL ? 0 : old->count;
    struct fault_index *index = fault_index_new(kept + f->note_count);

    for (size_t i = 0; i < kept; i++) {
        if (!is_replaced(f, old->rules[i]->fault->r.seq)) {
            fault_rule_keep(old->rules[i]);
            fault_index_add(index, old->rules[i]);
        }
    }
    for (size_t i = 0; i < f->note_count; i++) {
        struct fault_rule *added = f->notes[i].added;
        if (added != NULL && !is_taken_back(f, i)) {
            fault_rule_keep(added);
            keep_level(added, fault_index_rule(old, f->notes[i].seq));
            fault_index_add(index, added);
        }
    }
    faults_truncate(f, 0);
    replace(f, index);
}

bool faults_current(struct faults *f, const char *id, struct fault_counts *out, int64_t *out_times)
{
    struct fault_index *index = faults_acquire(f);
    struct fault_rule *rule = rule_of(index, id);

    if (rule != NULL) {
        out->matched = atomic_load(&rule->counters->matched);
        out->fired = atomic_load(&rule->counters->fired);
        out->last_fired_ns = atomic_load(&rule->counters->last_fired_ns);
        *out_times = rule->fault->when.times;
    }
    fault_index_release(index);
    return rule != NULL;
}

// --- all of them ---

struct faults *faults_new(uint64_t seed)
{
    struct faults *f = calloc(1, sizeof(*f));

    if (f != NULL) {
        f->seed = seed;
        pthread_rwlock_init(&f->lock, NULL);
    }
    return f;
}

static void drop_firings(struct faults *f)
{
    while (f->firing_count > 0) {
        fault_rule_release(f->firings[--f->firing_count].rule);
    }
}

void faults_free(struct faults *f)
{
    if (f == NULL) {
        return;
    }
    faults_truncate(f, 0);
    drop_firings(f);
    faults_asked_end(f, false);
    fault_index_release(f->index);
    pthread_rwlock_destroy(&f->lock);
    free(f->notes);
    free(f->firings);
    free(f->asked);
    free(f);
}

// --- matches since the last firing ---
//
// They are in no event, so not in the record: a number of their own beside it.

#define KEY_MAX 48

static void matched_key(char key[KEY_MAX], int64_t seq)
{
    snprintf(key, KEY_MAX, "fault.%" PRId64 ".matched", seq);
}

static int write_matched(struct cloud *cloud, const struct fault_rule *rule, struct error *err)
{
    int64_t matched = atomic_load(&rule->counters->matched);
    char key[KEY_MAX];

    matched_key(key, rule->fault->r.seq);
    return matched == 0 ? 0 : store_meta_set_int(cloud->store, key, matched, err);
}

static int read_matched(struct cloud *cloud, struct fault *fault, struct error *err)
{
    char key[KEY_MAX];
    int64_t matched = 0;

    matched_key(key, fault->r.seq);
    int rc = store_meta_get_int(cloud->store, key, &matched, err);
    if (matched > fault->counts.matched) {
        fault->counts.matched = matched;
    }
    return rc;
}

int fault_forget_matched(struct txn *t, int64_t seq, struct error *err)
{
    char key[KEY_MAX];

    matched_key(key, seq);
    return store_meta_delete(t->store, key, err);
}

int faults_write_matched(struct cloud *cloud, struct error *err)
{
    const struct fault_index *index = cloud->faults->index;
    int rc = index == NULL ? 0 : store_begin(cloud->store, err);

    if (index == NULL || rc < 0) {
        return rc;
    }
    for (size_t i = 0; rc == 0 && i < index->count; i++) {
        rc = write_matched(cloud, index->rules[i], err);
    }
    if (rc < 0) {
        store_rollback(cloud->store);
        return rc;
    }
    return store_commit(cloud->store, err);
}

void faults_note_asked(struct faults *f, struct fault_rule *rule)
{
    struct fault_counters *c = rule->counters;

    if (c->asked) {
        return;
    }
    c->asked = true;
    f->asked = grow(f->asked, f->asked_count, &f->asked_capacity, sizeof(*f->asked));
    fault_rule_keep(rule);
    f->asked[f->asked_count++] = (struct asked){
        rule, atomic_load(&c->matched), atomic_load(&c->fired), atomic_load(&c->last_fired_ns)};
}

int faults_write_asked(struct cloud *cloud, struct error *err)
{
    struct faults *f = cloud->faults;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < f->asked_count; i++) {
        if (standing(f, f->asked[i].rule->fault->r.seq) != NULL) {
            rc = write_matched(cloud, f->asked[i].rule, err);
        }
    }
    return rc;
}

void faults_asked_end(struct faults *f, bool undone)
{
    while (f->asked_count > 0) {
        const struct asked *asked = &f->asked[--f->asked_count];
        struct fault_counters *c = asked->rule->counters;
        if (undone) {
            atomic_store(&c->matched, asked->matched);
            atomic_store(&c->fired, asked->fired);
            atomic_store(&c->last_fired_ns, asked->last_fired_ns);
        }
        c->asked = false;
        fault_rule_release(asked->rule);
    }
    if (undone) {
        drop_firings(f);
    }
}

// --- loading ---

static int load_one(void *context, const struct row *row, struct error *err)
{
    struct cloud *cloud = context;
    struct arena arena;

    arena_init(&arena);
    struct resource *r = record_from_row(KIND_FAULT, row, &arena, err);
    int rc = r == NULL ? -ERROR_INTERNAL : read_matched(cloud, (struct fault *)r, err);
    if (rc == 0) {
        faults_note_put(cloud->faults, (struct fault *)r);
    }
    arena_fini(&arena);
    return rc;
}

int faults_load(struct cloud *cloud, struct error *err)
{
    struct faults *f = cloud->faults;

    f->seed = cloud->seed; // that of a snapshot, perhaps
    faults_truncate(f, 0);
    replace(f, NULL);
    int rc = store_each(cloud->store, KIND_FAULT, 0, load_one, cloud, err);
    if (rc < 0) {
        faults_truncate(f, 0);
        return rc;
    }
    faults_publish(f);
    return 0;
}

// --- firings of the writer ---

void faults_note_fired(struct faults *f, struct fault_rule *rule, const char *operation,
                       enum cause_type cause, int64_t matched, int64_t fired)
{
    f->firings = grow(f->firings, f->firing_count, &f->firing_capacity, sizeof(*f->firings));
    fault_rule_keep(rule);
    f->firings[f->firing_count++] = (struct firing){rule, operation, cause, matched, fired};
}

bool faults_any_fired(const struct faults *f)
{
    return f->firing_count > 0;
}

int faults_write_fired(struct cloud *cloud, struct error *err)
{
    struct faults *f = cloud->faults;
    int rc = 0;

    for (size_t i = 0; i < f->firing_count; i++) {
        const struct firing *firing = &f->firings[i];
        if (rc == 0) {
            rc = fault_write_firing(cloud, firing->rule, firing->operation, firing->cause,
                                    firing->matched, firing->fired, err);
        }
        fault_rule_release(firing->rule);
    }
    f->firing_count = 0;
    return rc;
}

int fault_fire_again(struct cloud *cloud, const char *id, const char *operation, int64_t matched,
                     int64_t fired, struct error *err)
{
    struct fault_index *index = faults_acquire(cloud->faults);
    struct fault_rule *rule = rule_of(index, id);
    int rc;

    if (rule == NULL) {
        rc = error_set(err, ERROR_NOT_FOUND, NULL, "fault %s does not exist", id);
    } else {
        atomic_store(&rule->counters->matched, matched);
        atomic_store(&rule->counters->fired, fired);
        atomic_store(&rule->counters->last_fired_ns, cloud->step_ns);
        rc = fault_write_firing(cloud, rule, operation, CAUSE_API, matched, fired, err);
    }
    fault_index_release(index);
    return rc;
}
