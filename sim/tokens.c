#include "sim/tokens.h"

#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 256

struct entry {
    struct entry *next;
    struct identity who;
    bool fixed;
    size_t length;
    char token[TOKEN_MAX];
};

struct named_project {
    struct named_project *next;
    int64_t seq;
    char name[]; // NUL-terminated
};

struct tokens {
    pthread_rwlock_t lock;
    struct entry *buckets[BUCKETS];
    struct named_project *projects;
};

struct tokens *tokens_new(void)
{
    struct tokens *t = calloc(1, sizeof(*t));

    if (t != NULL) {
        pthread_rwlock_init(&t->lock, NULL);
    }
    return t;
}

static void forget(struct tokens *t, bool fixed_too)
{
    while (t->projects != NULL) {
        struct named_project *project = t->projects;
        t->projects = project->next;
        free(project);
    }
    for (size_t i = 0; i < BUCKETS; i++) {
        struct entry **at = &t->buckets[i];
        while (*at != NULL) {
            struct entry *entry = *at;
            if (entry->fixed && !fixed_too) {
                at = &entry->next;
            } else {
                *at = entry->next;
                free(entry);
            }
        }
    }
}

void tokens_free(struct tokens *t)
{
    if (t == NULL) {
        return;
    }
    forget(t, true);
    pthread_rwlock_destroy(&t->lock);
    free(t);
}

void tokens_lock(struct tokens *t)
{
    pthread_rwlock_wrlock(&t->lock);
}

void tokens_unlock(struct tokens *t)
{
    pthread_rwlock_unlock(&t->lock);
}

static struct entry **bucket_of(struct tokens *t, const char *token, size_t length)
{
    return &t->buckets[hash_bytes(HASH_START, token, length) % BUCKETS];
}

// Looks at every byte whatever it finds, so that the time taken tells nothing of a near miss.
static bool same(const struct entry *entry, const char *token, size_t length)
{
    unsigned char difference = 0;

    if (entry->length != length) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        difference |= (unsigned char)(entry->token[i] ^ token[i]);
    }
    return difference == 0;
}

int tokens_add(struct tokens *t, const char *token, const struct identity *who, bool fixed,
               struct error *err)
{
    size_t length = strlen(token);

    if (length == 0 || length >= TOKEN_MAX) {
        return error_set(err, ERROR_INVALID, "token", "a token has 1 to %d characters",
                         TOKEN_MAX - 1);
    }
    struct entry *entry = calloc(1, sizeof(*entry));
    if (entry == NULL) {
        return error_set(err, ERROR_INTERNAL, NULL, "out of memory");
    }
    entry->who = *who;
    entry->fixed = fixed;
    entry->length = length;
    memcpy(entry->token, token, length + 1);
    struct entry **bucket = bucket_of(t, token, length);
    entry->next = *bucket;
    *bucket = entry;
    return 0;
}

void tokens_forget_stored(struct tokens *t)
{
    forget(t, false);
}

void tokens_add_project(struct tokens *t, const char *name, int64_t seq)
{
    size_t size = strlen(name) + 1;
    struct named_project *project = malloc(sizeof(*project) + size);

    if (project == NULL) {
        abort();
    }
    project->seq = seq;
    memcpy(project->name, name, size);
    project->next = t->projects;
    t->projects = project;
}

int64_t tokens_project(struct tokens *t, const char *name)
{
    int64_t seq = 0;

    pthread_rwlock_rdlock(&t->lock);
    for (struct named_project *p = t->projects; p != NULL && seq == 0; p = p->next) {
        if (strcmp(p->name, name) == 0) {
            seq = p->seq;
        }
    }
    pthread_rwlock_unlock(&t->lock);
    return seq;
}

bool tokens_project_lives(struct tokens *t, int64_t seq)
{
    bool lives = false;

    pthread_rwlock_rdlock(&t->lock);
    for (struct named_project *p = t->projects; p != NULL && !lives; p = p->next) {
        lives = p->seq == seq;
    }
    pthread_rwlock_unlock(&t->lock);
    return lives;
}

bool tokens_find(struct tokens *t, const char *token, size_t length, struct identity *out)
{
    bool found = false;

    pthread_rwlock_rdlock(&t->lock);
    for (struct entry *e = *bucket_of(t, token, length); e != NULL && !found; e = e->next) {
        if (same(e, token, length)) {
            *out = e->who;
            found = true;
        }
    }
    pthread_rwlock_unlock(&t->lock);
    return found;
}
