// The rules that stand: an immutable index, replaced as a whole when a transaction that changed
// rules has been committed. Readers hold a reference, so that nobody waits for anybody; what an
// operation may meet is worked out when it is first asked for and kept with the index.
#include "base/glob.h"
#include "sim/cloud_internal.h"
#include "sim/fault_internal.h"
#include "sim/pack.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 64 // of operations, a power of two

struct entry { // of one operation on one kind
    struct entry *next;
    char *operation;
    int kind;                  // -1: of no resource
    struct fault_rule **rules; // borrowed from the index
    struct fault_key *keys;
    size_t count;
    uint32_t *general, *heads, *nexts; // see struct fault_list
    size_t general_count;
    uint32_t mask;
};

struct fault_index {
    atomic_int references;
    struct fault_rule **rules; // in order of creation; a reference each
    size_t count;
    pthread_mutex_t lock; // of whoever adds entries
    _Atomic(struct entry *) buckets[BUCKETS];
};

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

// --- rules ---

// A copy that lives by itself: packed and unpacked again.
static const struct fault *copy_of(const struct fault *fault, struct arena *arena)
{
    struct fault *copy = arena_alloc(arena, sizeof(*copy));
    struct buffer packed;

    buffer_init(&packed);
    fault_kind.pack(&fault->r, &packed);
    if (packed.failed) {
        abort();
    }
    char *bytes = arena_alloc(arena, packed.length + 1);
    memcpy(bytes, packed.data, packed.length);
    struct unpacker in = {.at = (const unsigned char *)bytes,
                          .end = (const unsigned char *)bytes + packed.length,
                          .version = INT32_MAX};
    copy->r = fault->r;
    copy->r.id = arena_strdup(arena, fault->r.id);
    copy->r.name = arena_strdup(arena, fault->r.name);
    copy->r.project_name = arena_strdup(arena, fault->r.project_name);
    fault_kind.unpack(&copy->r, &in, arena);
    buffer_fini(&packed);
    return copy;
}

static bool is_terminal(enum fault_effect_type type)
{
    switch (type) {
    case FAULT_LATENCY:
    case FAULT_STALE_READ:
    case FAULT_HIDE_NEW:
    case FAULT_REORDER:
    case FAULT_WRONG_ANSWER:
    case FAULT_STREAM_LAG:
    case FAULT_STREAM_DUPLICATE:
        return false;
    default:
        return true;
    }
}

static struct fault_counters *counters_new(const struct fault_counts *counts)
{
    struct fault_counters *c = calloc(1, sizeof(*c));

    if (c == NULL) {
        abort();
    }
    atomic_init(&c->references, 1);
    atomic_init(&c->matched, counts->matched);
    atomic_init(&c->fired, counts->fired);
    atomic_init(&c->last_fired_ns, counts->last_fired_ns);
    return c;
}

static struct fault_counters *counters_keep(struct fault_counters *c)
{
    atomic_fetch_add_explicit(&c->references, 1, memory_order_relaxed);
    return c;
}

static void counters_release(struct fault_counters *c)
{
    if (atomic_fetch_sub(&c->references, 1) == 1) {
        free(c);
    }
}

struct fault_rule *fault_rule_new(uint64_t seed, const struct fault *fault,
                                  const struct fault_rule *before)
{
    struct fault_rule *rule = calloc(1, sizeof(*rule));

    if (rule == NULL) {
        abort();
    }
    arena_init(&rule->arena);
    const struct fault *f = rule->fault = copy_of(fault, &rule->arena);
    const struct fault_selector *s = &f->match.resource;
    rule->seed = random_u64(seed, f->r.seq, UINT32_C(0x6661756c)); // "faul"
    rule->place = f->off ? 0 : FAULT_BIT(fault_place_of(f->effect.type));
    rule->terminal = is_terminal(f->effect.type);
    if (f->effect.type == FAULT_THROTTLE) {
        bucket_rule_make(f->effect.rate, f->effect.burst, &rule->rate, NULL);
    }
    rule->wants_look = s->name || s->zone || s->type || s->state || s->tag_count > 0;
    atomic_init(&rule->references, 1);
    rule->counters = before ? counters_keep(before->counters) : counters_new(&f->counts);
    return rule;
}

void fault_rule_keep(struct fault_rule *rule)
{
    atomic_fetch_add_explicit(&rule->references, 1, memory_order_relaxed);
}

void fault_rule_release(struct fault_rule *rule)
{
    if (rule != NULL && atomic_fetch_sub(&rule->references, 1) == 1) {
        counters_release(rule->counters);
        arena_fini(&rule->arena);
        free(rule);
    }
}

// --- the index ---

static struct fault_index *index_new(size_t capacity)
{
    struct fault_index *index = calloc(1, sizeof(*index));

    if (index == NULL) {
        abort();
    }
    index->rules = malloc(capacity * sizeof(struct fault_rule *) + 1);
    if (index->rules == NULL) {
        abort();
    }
    atomic_init(&index->references, 1);
    pthread_mutex_init(&index->lock, NULL);
    return index;
}

static void index_free(struct fault_index *index)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct entry *next;
        for (struct entry *e = atomic_load(&index->buckets[i]); e != NULL; e = next) {
            next = e->next;
            free(e->rules);
            free(e->keys);
            free(e->general);
            free(e->heads);
            free(e->nexts);
            free(e->operation);
            free(e);
        }
    }
    for (size_t i = 0; i < index->count; i++) {
        fault_rule_release(index->rules[i]);
    }
    pthread_mutex_destroy(&index->lock);
    free(index->rules);
    free(index);
}

void fault_index_release(struct fault_index *index)
{
    if (index != NULL && atomic_fetch_sub(&index->references, 1) == 1) {
        index_free(index);
    }
}

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

uint32_t fault_hash(const char *text)
{
    uint32_t hash = 2166136261U; // FNV-1a

    for (; *text != '\0'; text++) {
        hash = (hash ^ (unsigned char)*text) * 16777619U;
    }
    return hash == 0 ? 1 : hash;
}

static size_t bucket_of(const char *operation)
{
    uint32_t hash = fault_hash(operation);

    return (hash ^ hash >> 16) & (BUCKETS - 1);
}

static struct fault_key key_of(const struct fault_rule *rule)
{
    const char *id = rule->fault->match.resource.id;

    return (struct fault_key){.project = rule->fault->r.project,
                              .id_hash = id == NULL ? 0 : fault_hash(id),
                              .place = (uint16_t)rule->place};
}

static bool may_meet(const struct fault_match *m, const char *operation, int kind)
{
    if (m->resource.kind >= 0 && m->resource.kind != kind) {
        return false;
    }
    for (size_t i = 0; i < m->operation_count; i++) {
        if (glob_match(m->operations[i], operation)) {
            return true;
        }
    }
    return false;
}

static uint32_t *numbers(size_t count)
{
    uint32_t *made = calloc(count + 1, sizeof(*made));

    if (made == NULL) {
        abort();
    }
    return made;
}

// Backwards, so that chains rise.
static void chain_up(struct entry *e)
{
    uint32_t size = 1;

    while (size < e->count) {
        size *= 2;
    }
    e->mask = size - 1;
    e->general = numbers(e->count);
    e->nexts = numbers(e->count);
    e->heads = numbers(size);
    for (size_t i = e->count; i-- > 0;) {
        uint32_t *head = &e->heads[e->keys[i].id_hash & e->mask];
        if (e->keys[i].id_hash != 0) {
            e->nexts[i] = *head;
            *head = (uint32_t)i + 1;
        }
    }
    for (size_t i = 0; i < e->count; i++) {
        if (e->keys[i].id_hash == 0) {
            e->general[e->general_count++] = (uint32_t)i;
        }
    }
}

static struct entry *entry_new(const struct fault_index *index, const char *operation, int kind)
{
    struct entry *e = calloc(1, sizeof(*e));

    if (e == NULL) {
        abort();
    }
    e->operation = strdup(operation);
    e->kind = kind;
    e->rules = malloc(index->count * sizeof(struct fault_rule *) + 1);
    e->keys = malloc(index->count * sizeof(*e->keys) + 1);
    if (e->operation == NULL || e->rules == NULL || e->keys == NULL) {
        abort();
    }
    for (size_t i = 0; i < index->count; i++) {
        if (may_meet(&index->rules[i]->fault->match, operation, kind)) {
            e->keys[e->count] = key_of(index->rules[i]);
            e->rules[e->count++] = index->rules[i];
        }
    }
    chain_up(e);
    return e;
}

static struct entry *find_in(struct entry *e, const char *operation, int kind)
{
    while (e != NULL && (e->kind != kind || strcmp(e->operation, operation) != 0)) {
        e = e->next;
    }
    return e;
}

struct fault_list fault_index_find(struct fault_index *index, const char *operation, int kind)
{
    _Atomic(struct entry *) *bucket = &index->buckets[bucket_of(operation)];
    struct entry *e = find_in(atomic_load_explicit(bucket, memory_order_acquire), operation, kind);

    if (e == NULL) {
        pthread_mutex_lock(&index->lock);
        e = find_in(atomic_load(bucket), operation, kind);
        if (e == NULL) {
            e = entry_new(index, operation, kind);
            e->next = atomic_load(bucket);
            atomic_store_explicit(bucket, e, memory_order_release);
        }
        pthread_mutex_unlock(&index->lock);
    }
    return (struct fault_list){.rules = e->rules,
                               .keys = e->keys,
                               .count = e->count,
                               .general = e->general,
                               .general_count = e->general_count,
                               .heads = e->heads,
                               .nexts = e->nexts,
                               .mask = e->mask};
}

// In order of creation; what is added is mostly the newest.
static void index_add(struct fault_index *index, struct fault_rule *rule)
{
    size_t at = index->count++;

    for (; at > 0 && index->rules[at - 1]->fault->r.seq > rule->fault->r.seq; at--) {
        index->rules[at] = index->rules[at - 1];
    }
    index->rules[at] = rule;
}

static struct fault_rule *index_rule(const struct fault_index *index, int64_t seq)
{
    for (size_t i = 0; index != NULL && i < index->count; i++) {
        if (index->rules[i]->fault->r.seq == seq) {
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
        index_free(index);
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
    return index_rule(f->index, seq);
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
    struct fault_index *index = index_new(kept + f->note_count);

    for (size_t i = 0; i < kept; i++) {
        if (!is_replaced(f, old->rules[i]->fault->r.seq)) {
            fault_rule_keep(old->rules[i]);
            index_add(index, old->rules[i]);
        }
    }
    for (size_t i = 0; i < f->note_count; i++) {
        struct fault_rule *added = f->notes[i].added;
        if (added != NULL && !is_taken_back(f, i)) {
            fault_rule_keep(added);
            keep_level(added, index_rule(old, f->notes[i].seq));
            index_add(index, added);
        }
    }
    faults_truncate(f, 0);
    replace(f, index);
}

static bool counts_of(struct fault_index *index, const char *id, struct fault_counts *out,
                      int64_t *out_times)
{
    for (size_t i = 0; index != NULL && i < index->count; i++) {
        struct fault_rule *rule = index->rules[i];
        if (strcmp(rule->fault->r.id, id) == 0) {
            out->matched = atomic_load(&rule->counters->matched);
            out->fired = atomic_load(&rule->counters->fired);
            out->last_fired_ns = atomic_load(&rule->counters->last_fired_ns);
            *out_times = rule->fault->when.times;
            return true;
        }
    }
    return false;
}

bool faults_current(struct faults *f, const char *id, struct fault_counts *out, int64_t *out_times)
{
    struct fault_index *index = faults_acquire(f);
    bool found = counts_of(index, id, out, out_times);

    fault_index_release(index);
    return found;
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

void faults_free(struct faults *f)
{
    if (f == NULL) {
        return;
    }
    faults_truncate(f, 0);
    while (f->firing_count > 0) {
        fault_rule_release(f->firings[--f->firing_count].rule);
    }
    fault_index_release(f->index);
    pthread_rwlock_destroy(&f->lock);
    free(f->notes);
    free(f->firings);
    free(f);
}

static int load_one(void *context, const struct row *row, struct error *err)
{
    struct cloud *cloud = context;
    struct arena arena;

    arena_init(&arena);
    struct resource *r = record_from_row(KIND_FAULT, row, &arena, err);
    if (r != NULL) {
        faults_note_put(cloud->faults, (struct fault *)r);
    }
    arena_fini(&arena);
    return r == NULL ? -ERROR_INTERNAL : 0;
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
    int rc = -ERROR_NOT_FOUND;

    for (size_t i = 0; index != NULL && i < index->count && rc == -ERROR_NOT_FOUND; i++) {
        struct fault_rule *rule = index->rules[i];
        if (strcmp(rule->fault->r.id, id) == 0) {
            atomic_store(&rule->counters->matched, matched);
            atomic_store(&rule->counters->fired, fired);
            atomic_store(&rule->counters->last_fired_ns, cloud->step_ns);
            rc = fault_write_firing(cloud, rule, operation, CAUSE_API, matched, fired, err);
        }
    }
    fault_index_release(index);
    if (rc == -ERROR_NOT_FOUND) {
        error_set(err, ERROR_NOT_FOUND, NULL, "fault %s does not exist", id);
    }
    return rc;
}
