// The rules that stand at one time: immutable, but that what an operation may meet is worked out
// when it is first asked for, and kept.
#include "base/glob.h"
#include "sim/fault_internal.h"

#include <stdlib.h>
#include <string.h>

struct fault_entry { // of one operation on one kind
    struct fault_entry *next;
    char *operation;
    int kind;                  // -1: of no resource
    struct fault_rule **rules; // borrowed from the index
    struct fault_key *keys;
    size_t count;
    uint32_t *general, *heads, *nexts; // see struct fault_list
    size_t general_count;
    uint32_t mask;
};

struct fault_index *fault_index_new(size_t capacity)
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
    for (size_t i = 0; i < FAULT_BUCKETS; i++) {
        struct fault_entry *next;
        for (struct fault_entry *e = atomic_load(&index->buckets[i]); e != NULL; e = next) {
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

    return (hash ^ hash >> 16) & (FAULT_BUCKETS - 1);
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
static void chain_up(struct fault_entry *e)
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

static struct fault_entry *entry_new(const struct fault_index *index, const char *operation,
                                     int kind)
{
    struct fault_entry *e = calloc(1, sizeof(*e));

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

static struct fault_entry *find_in(struct fault_entry *e, const char *operation, int kind)
{
    while (e != NULL && (e->kind != kind || strcmp(e->operation, operation) != 0)) {
        e = e->next;
    }
    return e;
}

struct fault_list fault_index_find(struct fault_index *index, const char *operation, int kind)
{
    _Atomic(struct fault_entry *) *bucket = &index->buckets[bucket_of(operation)];
    struct fault_entry *e =
        find_in(atomic_load_explicit(bucket, memory_order_acquire), operation, kind);

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

// What is added is mostly the newest.
void fault_index_add(struct fault_index *index, struct fault_rule *rule)
{
    size_t at = index->count++;

    for (; at > 0 && index->rules[at - 1]->fault->r.seq > rule->fault->r.seq; at--) {
        index->rules[at] = index->rules[at - 1];
    }
    index->rules[at] = rule;
}

struct fault_rule *fault_index_rule(const struct fault_index *index, int64_t seq)
{
    for (size_t i = 0; index != NULL && i < index->count; i++) {
        if (index->rules[i]->fault->r.seq == seq) {
            return index->rules[i];
        }
    }
    return NULL;
}
