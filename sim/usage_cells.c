#include "sim/usage_cells.h"

#include "base/hash.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS_BEGIN 256

struct usage *usage_new(void)
{
    struct usage *u = calloc(1, sizeof(*u));

    if (u == NULL) {
        return NULL;
    }
    pthread_mutex_init(&u->lock, NULL);
    u->bucket_count = BUCKETS_BEGIN;
    u->buckets = calloc(u->bucket_count, sizeof(struct cell *));
    if (u->buckets == NULL) {
        usage_free(u);
        return NULL;
    }
    return u;
}

void cells_forget(struct usage *u)
{
    for (size_t i = 0; u->buckets != NULL && i < u->bucket_count; i++) {
        while (u->buckets[i] != NULL) {
            struct cell *cell = u->buckets[i];
            u->buckets[i] = cell->next;
            free(cell);
        }
    }
    u->cell_count = 0;
    u->journal_count = 0;
}

void usage_free(struct usage *u)
{
    if (u == NULL) {
        return;
    }
    cells_forget(u);
    free(u->buckets);
    free(u->journal);
    pthread_mutex_destroy(&u->lock);
    free(u);
}

// No name is the empty one, so that NULL may share its hash.
static uint64_t hash_of(const struct place *p)
{
    int64_t numbers[] = {p->project, (int64_t)p->kind};
    uint64_t hash = hash_bytes(HASH_START, numbers, sizeof(numbers));

    hash = hash_text(hash, p->zone != NULL ? p->zone : "");
    return hash_text(hash, p->type != NULL ? p->type : "");
}

static bool same(const struct cell *c, const struct place *p, uint64_t hash)
{
    return c->hash == hash && c->project == p->project && c->kind == p->kind &&
           c->of_type == (p->type != NULL) && strcmp(c->zone, p->zone ? p->zone : "") == 0 &&
           strcmp(c->type, p->type ? p->type : "") == 0;
}

static struct cell *find(const struct usage *u, const struct place *p, uint64_t hash)
{
    struct cell *c = u->buckets[hash % u->bucket_count];

    while (c != NULL && !same(c, p, hash)) {
        c = c->next;
    }
    return c;
}

static void out_of_memory(void)
{
    abort(); // as base/arena.h: what was acknowledged is in the log
}

static void grow(struct usage *u)
{
    size_t count = u->bucket_count * 2;
    struct cell **buckets = calloc(count, sizeof(struct cell *));

    if (buckets == NULL) {
        return; // slower, but right
    }
    for (size_t i = 0; i < u->bucket_count; i++) {
        while (u->buckets[i] != NULL) {
            struct cell *cell = u->buckets[i];
            u->buckets[i] = cell->next;
            cell->next = buckets[cell->hash % count];
            buckets[cell->hash % count] = cell;
        }
    }
    free(u->buckets);
    u->buckets = buckets;
    u->bucket_count = count;
}

static struct cell *add(struct usage *u, const struct place *p, uint64_t hash)
{
    size_t zone = (p->zone != NULL ? strlen(p->zone) : 0) + 1;
    size_t type = (p->type != NULL ? strlen(p->type) : 0) + 1;
    struct cell *c = calloc(1, sizeof(*c) + zone + type);

    if (c == NULL) {
        out_of_memory();
        return NULL;
    }
    c->hash = hash;
    c->limit = c->shown.limit = UNLIMITED;
    c->project = p->project;
    c->kind = p->kind;
    c->of_type = p->type != NULL;
    c->type = c->zone + zone;
    memcpy(c->zone, p->zone != NULL ? p->zone : "", zone);
    memcpy(c->type, p->type != NULL ? p->type : "", type);
    if (u->cell_count++ >= u->bucket_count) {
        grow(u);
    }
    c->next = u->buckets[hash % u->bucket_count];
    u->buckets[hash % u->bucket_count] = c;
    return c;
}

static void drop(struct usage *u, struct cell *cell)
{
    struct cell **at = &u->buckets[cell->hash % u->bucket_count];

    while (*at != cell) {
        at = &(*at)->next;
    }
    *at = cell->next;
    u->cell_count--;
    free(cell);
}

// --- the journal ---

void cell_note(struct usage *u, struct cell *cell)
{
    if (u->journal_count == u->journal_capacity) {
        size_t capacity = u->journal_capacity > 0 ? u->journal_capacity * 2 : 64;
        struct entry *journal = realloc(u->journal, capacity * sizeof(*journal));
        if (journal == NULL) {
            out_of_memory();
            return;
        }
        u->journal = journal;
        u->journal_capacity = capacity;
    }
    u->journal[u->journal_count++] = (struct entry){cell, cell->used, cell->limit};
    cell->touched++;
}

size_t usage_mark(const struct usage *u)
{
    return u->journal_count;
}

// Nobody needs a cell that counts nothing and limits nothing.
static void release(struct usage *u, struct cell *cell)
{
    if (--cell->touched == 0 && cell->used == 0 && cell->limit == UNLIMITED) {
        drop(u, cell);
    }
}

void usage_undo(struct usage *u, size_t mark)
{
    pthread_mutex_lock(&u->lock);
    while (u->journal_count > mark) {
        struct entry *e = &u->journal[--u->journal_count];
        e->cell->used = e->used;
        e->cell->limit = e->limit;
        release(u, e->cell);
    }
    pthread_mutex_unlock(&u->lock);
}

void usage_commit(struct usage *u)
{
    if (u->journal_count == 0) {
        return;
    }
    pthread_mutex_lock(&u->lock);
    while (u->journal_count > 0) {
        struct cell *cell = u->journal[--u->journal_count].cell;
        cell->shown = (struct usage_figures){cell->used, cell->limit};
        release(u, cell);
    }
    pthread_mutex_unlock(&u->lock);
}

struct cell *cell_find(const struct usage *u, const struct place *p)
{
    return find(u, p, hash_of(p));
}

struct cell *cell_touch(struct usage *u, const struct place *p)
{
    uint64_t hash = hash_of(p);
    struct cell *cell;

    pthread_mutex_lock(&u->lock);
    cell = find(u, p, hash);
    if (cell == NULL) {
        cell = add(u, p, hash);
    }
    cell_note(u, cell);
    pthread_mutex_unlock(&u->lock);
    return cell;
}
